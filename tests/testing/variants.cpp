#include "tests/testing/variants.h"

#include <cstring>

#include "tensor/ops/ops.h"

namespace tessera::testing {
namespace {

struct Laid {
  std::string name;
  Tensor x;
};

/// Cut out of a tensor with one more element on both sides of every axis.
Tensor offset_copy(const Tensor& x) {
  if (x.rank() == 0) return select(stack(Tensors{x, x}), 0, 1);
  Tensor cut = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (cut.size(axis) == 0) continue;
    const Tensor edge = slice(cut, axis, 0, 1);
    const int64_t size = cut.size(axis);
    cut = slice(concat({edge, cut, edge}, axis), axis, 1, 1 + size);
  }
  return cut;
}

/// All layouts of x but the expanded one, which changes its elements.
std::vector<Laid> laid_out(const Tensor& x) {
  std::vector<Laid> all{{"contiguous", x}, {"offset", offset_copy(x)}};
  if (x.rank() >= 2) {
    all.push_back({"transposed", transpose(transpose(x).contiguous())});
  }
  if (x.rank() >= 3) {
    Axes back;
    for (int i = x.rank() - 1; i >= 0; --i) back.push_back(i);
    all.push_back({"permuted", permute(permute(x, back).contiguous(), back)});
  }
  if (x.rank() >= 1 && x.numel() > 0) {
    const Tensor spread = reshape(stack(Tensors{x, x}, -1), {-1});
    all.push_back({"stepped", reshape(slice(spread, 0, 0, spread.numel(), 2), x.shape())});
  }
  return all;
}

bool has_expanded(const Tensor& x) { return x.rank() >= 1 && x.shape()[0] >= 2 && x.numel() > 0; }

Tensor expanded(const Tensor& x) { return expand(slice(x, 0, 0, 1), x.shape()); }

std::vector<Laid> layouts_of(const Tensor& x, bool expandable) {
  std::vector<Laid> all = laid_out(x);
  if (expandable && has_expanded(x)) all.push_back({"expanded", expanded(x)});
  return all;
}

void add_pairs(std::vector<Variant>& all, const OpCase& c, const Tensors& inputs, size_t i,
               size_t k) {
  for (const Laid& a : layouts_of(inputs[i], c.expandable)) {
    for (const Laid& b : layouts_of(inputs[k], c.expandable)) {
      Variant v{a.name + ", " + b.name, inputs, a.name == b.name,
                a.name == "expanded" || b.name == "expanded"};
      v.inputs[i] = a.x;
      v.inputs[k] = b.x;
      all.push_back(std::move(v));
    }
  }
}

}  // namespace

Tensors inputs_as(const OpCase& c, DType dtype) {
  Tensors all = c.inputs;
  const bool narrow = dtype == DType::bf16 || dtype == DType::f16;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!floating(all[i])) continue;
    // Integers: more than three different ones; u8 has no negative ones.
    if (!is_floating(dtype)) all[i] = all[i] * 8.0;
    if (dtype == DType::u8) all[i] = abs(all[i]);
    all[i] = all[i].to(narrow && i >= c.parameters ? DType::f32 : dtype);
  }
  return all;
}

std::vector<Variant> variants(const OpCase& c, DType dtype) {
  const Tensors inputs = inputs_as(c, dtype);
  std::vector<size_t> varied;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (floating(c.inputs[i])) varied.push_back(i);
  }
  std::vector<Variant> all;
  if (varied.size() == 2) {
    add_pairs(all, c, inputs, varied[0], varied[1]);
    return all;
  }
  for (const char* name :
       {"contiguous", "offset", "transposed", "permuted", "stepped", "expanded"}) {
    Variant v{name, inputs, true, std::string_view(name) == "expanded"};
    bool any = varied.empty() && std::string_view(name) == "contiguous";
    for (size_t i : varied) {
      for (const Laid& laid : layouts_of(inputs[i], c.expandable)) {
        if (laid.name != name) continue;
        v.inputs[i] = laid.x;
        any = true;
      }
    }
    if (any) all.push_back(std::move(v));
  }
  if (varied.size() <= 2) return all;
  for (size_t i : varied) {
    for (const Laid& laid : layouts_of(inputs[i], c.expandable)) {
      if (laid.name == "contiguous") continue;
      Variant v{format("input {} {}", i, laid.name), inputs, false, laid.name == "expanded"};
      v.inputs[i] = laid.x;
      all.push_back(std::move(v));
    }
  }
  return all;
}

bool is_empty(const OpCase& c) {
  for (const Tensor& x : c.inputs) {
    if (x.defined() && x.numel() == 0) return true;
  }
  for (const Tensor& y : c.run(c.inputs)) {
    if (y.numel() == 0) return true;
  }
  return false;
}

std::vector<std::vector<std::byte>> stored_bytes(const Tensors& xs) {
  std::vector<std::vector<std::byte>> all;
  for (const Tensor& x : xs) {
    if (!x.defined()) continue;
    const Storage& storage = *x.storage();
    const auto* first = static_cast<const std::byte*>(storage.data());
    all.emplace_back(first, first + storage.bytes());
  }
  return all;
}

std::vector<std::vector<std::byte>> element_bytes(const Tensors& xs) {
  std::vector<std::vector<std::byte>> all;
  for (const Tensor& x : xs) {
    if (!x.defined()) continue;
    const Tensor dense = x.detach().contiguous();
    const auto* first = static_cast<const std::byte*>(dense.view().data);
    all.emplace_back(first, first + dense.bytes());
  }
  return all;
}

}  // namespace tessera::testing
