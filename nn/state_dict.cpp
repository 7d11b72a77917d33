#include "nn/state_dict.h"

#include "tensor/ops/cast.h"

namespace tessera::nn {

namespace {

/// `"a", "b" (2 more)`: each item by `text`.
template <class T, class F>
std::string listed(const std::vector<T>& items, size_t max_names, F text) {
  std::string out;
  for (size_t i = 0; i < items.size() && i < max_names; ++i) {
    if (i > 0) out += ", ";
    out += text(items[i]);
  }
  if (items.size() > max_names) out += format(", and {} more", items.size() - max_names);
  return out;
}

std::string quoted(const std::string& name) { return '"' + name + '"'; }

bool same_family(DType a, DType b) { return is_floating(a) && is_floating(b); }

}  // namespace

std::string to_string(const LoadReport& r, size_t max_names) {
  const size_t all = r.expected_names;
  std::string out;
  auto line = [&](std::string text) {
    out += out.empty() ? r.what + ": " : "; ";
    out += text;
  };
  if (!r.missing.empty()) {
    line(format("{} of {} names missing: {}", r.missing.size(), all,
                listed(r.missing, max_names, quoted)));
  }
  if (!r.unexpected.empty()) {
    line(format("{} unexpected: {}", r.unexpected.size(), listed(r.unexpected, max_names, quoted)));
  }
  if (!r.wrong_shape.empty()) {
    line(format("{} of another shape: {}", r.wrong_shape.size(),
                listed(r.wrong_shape, max_names, [](const LoadReport::WrongShape& w) {
                  return format("\"{}\" is {}, expected {}", w.name, w.got, w.expected);
                })));
  }
  auto dtype_text = [](const LoadReport::OtherDType& w) {
    return format("\"{}\" is {}, expected {}", w.name, w.got, w.expected);
  };
  if (!r.wrong_dtype.empty()) {
    line(format("{} of another dtype: {}", r.wrong_dtype.size(),
                listed(r.wrong_dtype, max_names, dtype_text)));
  }
  if (!r.converted.empty()) {
    line(
        format("{} converted: {}", r.converted.size(), listed(r.converted, max_names, dtype_text)));
  }
  if (out.empty()) out = format("{}: all {} names loaded", r.what, all);
  return out;
}

LoadReport load_state(const StateDict& target, const StateDict& state, std::string_view what,
                      const LoadOptions& options) {
  LoadReport report;
  report.what = what;
  report.expected_names = target.size();
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const auto& [name, to] : target) {
    const auto found = state.find(name);
    if (found == state.end()) {
      report.missing.push_back(name);
      continue;
    }
    const Tensor& from = found->second;
    check<StateError>(from.defined(), "{}: \"{}\" is undefined", what, name);
    if (from.shape() != to.shape()) {
      report.wrong_shape.push_back({name, to.shape(), from.shape()});
      continue;
    }
    if (from.dtype() != to.dtype()) {
      const bool fits = options.convert_dtype && same_family(from.dtype(), to.dtype());
      (fits ? report.converted : report.wrong_dtype).push_back({name, to.dtype(), from.dtype()});
      if (!fits) continue;
    }
    report.loaded.push_back(name);
    copies.emplace_back(to, from);
  }
  for (const auto& [name, tensor] : state) {
    if (!target.contains(name)) report.unexpected.push_back(name);
  }
  if (options.strict && !report.complete()) throw StateError(to_string(report));
  for (const auto& [to, from] : copies) copy_into(from.detach().to(to.device()), to);
  return report;
}

LoadReport load_state(Module& module, const StateDict& state, const LoadOptions& options) {
  return load_state(module.state(), state, "load_state", options);
}

StateDict clone(const StateDict& state) {
  StateDict copy;
  for (const auto& [name, tensor] : state) copy.emplace(name, tessera::clone(tensor.detach()));
  return copy;
}

StateDict without_prefix(const StateDict& state, std::string_view prefix) {
  StateDict part;
  for (auto at = state.lower_bound(prefix); at != state.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    part.emplace(at->first.substr(prefix.size()), at->second);
  }
  return part;
}

StateDict with_prefix(const StateDict& state, std::string_view prefix) {
  StateDict all;
  for (const auto& [name, tensor] : state) all.emplace(std::string(prefix) + name, tensor);
  return all;
}

}  // namespace tessera::nn
