#include "nn/module.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "autograd/autograd.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

namespace {

class Collector final : public FieldVisitor {
 public:
  std::vector<Field> fields;

 protected:
  void field(Field f) override { fields.push_back(std::move(f)); }
};

/// Writes a line for each module and field. The text of a module's line is finished when it is
/// left, because only then its number of parameters is known.
class Printer final : public FieldVisitor {
 public:
  explicit Printer(const Module& root) { enter("", root); }

  std::string text() {
    leave();
    std::string out;
    for (const Line& line : lines_) {
      out.append(2 * line.depth, ' ') += line.text;
      if (line.count >= 0) out += format(", {} parameters", line.count);
      out += '\n';
    }
    return out;
  }

 protected:
  void enter(std::string_view name, const Module& part) override {
    const std::string own = own_name(name);
    lines_.push_back({open_.size(), (own.empty() ? "" : own + ": ") + part.describe(), 0});
    open_.push_back({lines_.size() - 1, name.empty() ? 0 : name.size() + 1});
  }
  void leave() override {
    const int64_t count = lines_[open_.back().line].count;
    open_.pop_back();
    if (!open_.empty()) lines_[open_.back().line].count += count;
  }
  void field(Field f) override {
    std::string text = own_name(f.name) + " " + tessera::to_string(f.shape());
    if (f.tensor.dtype() != DType::f32) text += format(" {}", f.tensor.dtype());
    if (f.kind == FieldKind::buffer) {
      text += " buffer";
    } else {
      lines_[open_.back().line].count += numel(f.shape());
    }
    lines_.push_back({open_.size(), std::move(text), -1});
  }

 private:
  struct Line {
    size_t depth;
    std::string text;
    int64_t count;  // -1: not a module
  };
  struct Open {
    size_t line, prefix;
  };
  std::string own_name(std::string_view name) const {
    const size_t cut = open_.empty() ? 0 : std::min(open_.back().prefix, name.size());
    return std::string(name.substr(cut));
  }

  std::vector<Line> lines_;
  std::vector<Open> open_;
};

/// `fields` is not const because it hands out handles; listing changes nothing.
void visit(const Module& module, FieldVisitor& v) { const_cast<Module&>(module).fields(v); }

void check_unique_names(const std::vector<Field>& fields) {
  std::vector<std::string_view> names;
  for (const Field& f : fields) names.push_back(f.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) {
    fail<StateError>("module: two fields are called \"{}\"; give each member its own name", *twice);
  }
}

/// Handles are equal if they are one tensor object, which is what sharing a parameter means.
struct HandleEqual {
  bool operator()(const Tensor& a, const Tensor& b) const { return a.is(b); }
};
struct HandleHash {
  size_t operator()(const Tensor& t) const { return std::hash<const void*>()(t.storage().get()); }
};

/// Published rows must be a partition, or a part of the parameter would never reach a file.
void check_slices(const NamedParameter& p) {
  std::vector<Field> cuts;
  for (const Field& f : p.slices) {
    if (f.whole()) return;  // other names of a shared parameter
    cuts.push_back(f);
  }
  std::sort(cuts.begin(), cuts.end(),
            [](const Field& a, const Field& b) { return a.begin < b.begin; });
  int64_t end = 0;
  for (const Field& f : cuts) {
    check<StateError>(f.begin == end,
                      "module: rows of parameter \"{}\" {} are published as [{}, {}), but the "
                      "names before end at {}; publish each row once",
                      f.name, p.tensor.shape(), f.begin, f.end, end);
    end = f.end;
  }
  check<StateError>(end == p.tensor.size(0),
                    "module: parameter \"{}\" {} is published up to row {} only; publish each row "
                    "once",
                    p.name, p.tensor.shape(), end);
}

}  // namespace

Shape Field::shape() const {
  Shape s = tensor.shape();
  if (!whole()) s[0] = end - begin;
  return s;
}

Tensor Field::view() const {
  const Tensor all = tensor.detach();
  return whole() ? all : slice(all, 0, begin, end);
}

void FieldVisitor::operator()(std::string_view name, Module& part) {
  const size_t before = push(name);
  enter(std::string_view(prefix_).substr(0, prefix_.size() - 1), part);
  part.fields(*this);
  leave();
  prefix_.resize(before);
}

void FieldVisitor::operator()(std::string_view name, Tensor& parameter) {
  add(name, parameter, FieldKind::parameter, 0, -1);
}

void FieldVisitor::buffer(std::string_view name, Tensor& state) {
  add(name, state, FieldKind::buffer, 0, -1);
}

void FieldVisitor::rows(std::string_view name, Tensor& parameter, int64_t begin, int64_t end) {
  if (parameter.defined()) {
    check<IndexError>(
        parameter.rank() > 0 && 0 <= begin && begin <= end && end <= parameter.size(0),
        "module: rows [{}, {}) of \"{}{}\" lie outside of its parameter {}", begin, end, prefix_,
        name, parameter.shape());
  }
  add(name, parameter, FieldKind::parameter, begin, end);
}

size_t FieldVisitor::push(std::string_view name) {
  const size_t before = prefix_.size();
  prefix_ += name;
  prefix_ += '.';
  return before;
}

void FieldVisitor::add(std::string_view name, Tensor& tensor, FieldKind kind, int64_t begin,
                       int64_t end) {
  if (tensor.defined()) field({prefix_ + std::string(name), kind, tensor, begin, end});
}

std::vector<Field> Module::list_fields() const {
  Collector collector;
  visit(*this, collector);
  return std::move(collector.fields);
}

NamedParameters Module::named_parameters() const {
  const std::vector<Field> all = list_fields();
  check_unique_names(all);
  NamedParameters result;
  std::unordered_map<Tensor, size_t, HandleHash, HandleEqual> seen;
  for (const Field& f : all) {
    if (f.kind != FieldKind::parameter) continue;
    const auto [at, is_new] = seen.emplace(f.tensor, result.size());
    if (is_new) result.push_back({f.name, f.tensor, {}});
    NamedParameter& p = result[at->second];
    // A shared parameter keeps the name under which it was first seen.
    if (is_new || !f.whole()) p.slices.push_back(f);
  }
  for (const NamedParameter& p : result) check_slices(p);
  return result;
}

Tensors Module::parameters() const {
  Tensors result;
  for (NamedParameter& p : named_parameters()) result.push_back(std::move(p.tensor));
  return result;
}

StateDict Module::state() const {
  const std::vector<Field> all = list_fields();
  check_unique_names(all);
  StateDict result;
  for (const Field& f : all) result.emplace(f.name, f.view());
  return result;
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const NamedParameter& p : named_parameters()) count += p.tensor.numel();
  return count;
}

void Module::to(const Device& device) {
  for (const Field& f : list_fields()) {
    if (f.tensor.device() == device) continue;  // also the later rows of a moved parameter
    if (f.tensor.tracked()) tessera::zero_grad(f.tensor);
    f.tensor.assign(f.tensor.detach().to(device));
  }
}

void Module::zero_grad() const {
  for (const Tensor& p : parameters()) {
    if (p.tracked()) tessera::zero_grad(p);
  }
}

void Module::set_requires_grad(bool wanted) const {
  for (const Tensor& p : parameters()) {
    if (wanted) {
      requires_grad(p);
    } else {
      p.set_meta(nullptr);
    }
  }
}

Tensor parameter(const Tensor& x) { return requires_grad(x.contiguous()); }

std::string to_string(const Module& module) {
  Printer printer(module);
  visit(module, printer);
  return printer.text();
}

}  // namespace tessera::nn
