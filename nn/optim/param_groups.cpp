#include "nn/optim/param_groups.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "autograd/autograd.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::nn {

namespace {

/// The number after "layers." or "blocks."; -1 if there is none.
int64_t layer_number(std::string_view name) {
  for (const std::string_view word : {"layers.", "blocks."}) {
    for (size_t at = name.find(word); at != name.npos; at = name.find(word, at + 1)) {
      if (at > 0 && name[at - 1] != '.') continue;
      const char* first = name.data() + at + word.size();
      int64_t number = 0;
      if (std::from_chars(first, name.data() + name.size(), number).ec == std::errc()) {
        return number;
      }
    }
  }
  return -1;
}

}  // namespace

int64_t layer_id(std::string_view name, int64_t layers) {
  if (name.find("embed") != name.npos) return 0;
  const int64_t number = layer_number(name);
  if (number < 0) return layers + 1;
  check<ValueError>(number < layers,
                    "param_groups: \"{}\" belongs to layer {}, but the rules say {} layers", name,
                    number, layers);
  return number + 1;
}

bool is_decayed(const NamedParameter& p, const GroupRules& rules) {
  if (p.tensor.rank() <= 1) return false;
  auto exempt = [&](std::string_view name) {
    return name.ends_with(".bias") ||
           std::find(rules.no_decay.begin(), rules.no_decay.end(), name) != rules.no_decay.end();
  };
  if (p.slices.empty()) return !exempt(p.name);
  const bool first = exempt(p.slices[0].name);
  for (const Field& f : p.slices) {
    check<ValueError>(exempt(f.name) == first,
                      "param_groups: \"{}\" and \"{}\" are rows of one parameter, but only one of "
                      "them is without decay",
                      p.slices[0].name, f.name);
  }
  return !first;
}

double lr_scale(const NamedParameter& p, const GroupRules& rules) {
  check<ValueError>(rules.layer_decay > 0 && rules.layer_decay <= 1,
                    "param_groups: layer_decay is {}, but must be in (0, 1]", rules.layer_decay);
  if (rules.layer_decay < 1) {
    check<ValueError>(rules.layers > 0, "param_groups: layer_decay {} needs the number of layers",
                      rules.layer_decay);
    return std::pow(rules.layer_decay,
                    static_cast<double>(rules.layers + 1 - layer_id(p.name, rules.layers)));
  }
  return p.name.starts_with(rules.head_prefix) ? rules.head_lr_scale : 1;
}

std::vector<ParamGroup> make_param_groups(const NamedParameters& parameters,
                                          const GroupRules& rules) {
  std::vector<ParamGroup> groups;
  for (const NamedParameter& p : parameters) {
    if (!p.tensor.tracked()) continue;
    const double scale = lr_scale(p, rules);
    const double decay = is_decayed(p, rules) ? rules.weight_decay : 0;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const ParamGroup& g) {
      return g.lr_scale == scale && g.weight_decay == decay;
    });
    if (group == groups.end()) {
      std::string name = decay == 0 ? "no_decay" : "decay";
      if (scale != 1) name += format(", lr x {}", scale);
      groups.push_back({std::move(name), {}, scale, decay});
      group = groups.end() - 1;
    }
    group->parameters.push_back(p);
  }
  return groups;
}

void check_parameters(std::string_view optimizer, const std::vector<ParamGroup>& groups) {
  std::set<const AutogradMeta*> leaves;
  std::set<std::string_view> names;
  const NamedParameter* first = nullptr;
  for (const ParamGroup& group : groups) {
    for (const NamedParameter& p : group.parameters) {
      const Tensor& x = p.tensor;
      check<StateError>(x.defined() && x.tracked() && x.meta()->is_leaf(),
                        "{}: parameter \"{}\" is no leaf; mark it with requires_grad, or leave "
                        "it out",
                        optimizer, p.name);
      check<DTypeError>(x.dtype() == DType::f32 || x.dtype() == DType::f64,
                        "{}: parameter \"{}\" is {}, but must be f32 or f64", optimizer, p.name,
                        x.dtype());
      if (first == nullptr) first = &p;
      check<DTypeError>(x.dtype() == first->tensor.dtype(),
                        "{}: parameter \"{}\" is {}, but \"{}\" is {}", optimizer, p.name,
                        x.dtype(), first->name, first->tensor.dtype());
      check<StateError>(leaves.insert(x.meta()).second && names.insert(p.name).second,
                        "{}: parameter \"{}\" was given twice", optimizer, p.name);
    }
  }
}

std::vector<Field> fields_of(const NamedParameter& p) {
  if (!p.slices.empty()) return p.slices;
  return {Field{p.name, FieldKind::parameter, p.tensor, 0, -1}};
}

Tensor rows_of(const Tensor& state, const Field& field) {
  return field.whole() ? state : slice(state, 0, field.begin, field.end);
}

}  // namespace tessera::nn
