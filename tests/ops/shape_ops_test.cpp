#include "tensor/ops/shape_ops.h"

#include "tests/ops/op_table.h"
#include "tests/testing/reference.h"

namespace tessera::testing {
namespace {

using At = Grid::At;

/// y[at] = x[where(at)]
Reference picked(const Shape& shape, std::function<At(const At&)> where) {
  return [=](const Tensors& in) {
    return Grid::of(shape, [&](const At& at) { return element(in[0], where(at)); });
  };
}

OpCase moved(const char* op, std::string name, Tensor x, CaseFunction run, Reference reference) {
  return {.op = op,
          .name = std::move(name),
          .inputs = {std::move(x)},
          .run = std::move(run),
          .reference = std::move(reference),
          .dtypes = kStored};
}

OpCase reshaped(const Shape& from, const Shape& wanted, const Shape& to) {
  return moved(
      "reshape", format("{} to {}", from, wanted), random(from, 11),
      [=](const Tensors& in) { return reshape(in[0], wanted); },
      [=](const Tensors& in) { return reference::refilled(in[0], to); });
}

OpCase permuted(const Shape& from, const Axes& axes) {
  Shape to;
  for (int64_t a : axes) to.push_back(from[static_cast<int>(a)]);
  return moved(
      "permute", format("{} by {}", from, axes), random(from, 12),
      [=](const Tensors& in) { return permute(in[0], axes); }, picked(to, [=](const At& at) {
        At back(at.size());
        for (size_t i = 0; i < at.size(); ++i) {
          back[static_cast<size_t>(axes[static_cast<int>(i)])] = at[i];
        }
        return back;
      }));
}

OpCase exchanged(const Shape& from, int a, int b) {
  Shape to = from;
  to[a] = from[b];
  to[b] = from[a];
  return moved(
      "transpose", format("{} axes {} and {}", from, a, b), random(from, 13),
      [=](const Tensors& in) { return transpose(in[0], a, b); }, picked(to, [=](At at) {
        std::swap(at[static_cast<size_t>(a)], at[static_cast<size_t>(b)]);
        return at;
      }));
}

OpCase expanded(const Shape& from, const Shape& to) {
  return moved(
      "expand", format("{} to {}", from, to), random(from, 14),
      [=](const Tensors& in) { return expand(in[0], to); },
      picked(to, [](const At& at) { return at; }));
}

OpCase sliced(const Shape& from, int axis, int64_t begin, int64_t end, int64_t step) {
  Shape to = from;
  to[axis] = (end - begin + step - 1) / step;
  return moved(
      "slice", format("{} axis {} from {} to {} by {}", from, axis, begin, end, step),
      random(from, 15), [=](const Tensors& in) { return slice(in[0], axis, begin, end, step); },
      picked(to, [=](At at) {
        at[static_cast<size_t>(axis)] = begin + step * at[static_cast<size_t>(axis)];
        return at;
      }));
}

/// The transpose of a slice.
OpCase unsliced(const Slice& cut, const Shape& x) {
  return moved(
      "unslice", format("{} into {}", x, cut.from), random(x, 16),
      [=](const Tensors& in) { return unslice(in[0], cut); },
      [=](const Tensors& in) {
        return Grid::of(cut.from, [&](At at) {
          int64_t& i = at[static_cast<size_t>(cut.axis)];
          if (i < cut.begin || i >= cut.end || (i - cut.begin) % cut.step != 0) return Rounded(0);
          i = (i - cut.begin) / cut.step;
          return Rounded(element(in[0], at));
        });
      });
}

OpCase selected(const Shape& from, int axis, int64_t index) {
  Shape to = from;
  to.erase(axis);
  return moved(
      "select", format("{} axis {} at {}", from, axis, index), random(from, 17),
      [=](const Tensors& in) { return select(in[0], axis, index); }, picked(to, [=](At at) {
        at.insert(at.begin() + axis, index < 0 ? index + from[axis] : index);
        return at;
      }));
}

/// Parts that differ in size on `axis`.
OpCase joined(const Shape& first, int axis, const std::vector<int64_t>& sizes) {
  OpCase c{.op = "concat",
           .name = format("{} parts like {} on axis {}", sizes.size(), first, axis),
           .inputs = {},
           .run = [=](const Tensors& in) { return concat(in, axis); },
           .reference =
               [=](const Tensors& in) {
                 Shape shape = first;
                 shape[axis] = 0;
                 for (int64_t size : sizes) shape[axis] += size;
                 return Grid::of(shape, [&](At at) {
                   int64_t& i = at[static_cast<size_t>(axis)];
                   size_t part = 0;
                   for (; i >= sizes[part]; ++part) i -= sizes[part];
                   return Rounded(element(in[part], at));
                 });
               },
           .dtypes = kStored};
  for (size_t i = 0; i < sizes.size(); ++i) {
    Shape shape = first;
    shape[axis] = sizes[i];
    c.inputs.push_back(random(shape, 18 + i));
  }
  return c;
}

OpCase stacked(const Shape& part, int axis, size_t count) {
  OpCase c{.op = "stack",
           .name = format("{} of {} on axis {}", count, part, axis),
           .inputs = {},
           .run = [=](const Tensors& in) { return stack(in, axis); },
           .reference =
               [=](const Tensors& in) {
                 Shape shape = part;
                 shape.insert(axis, static_cast<int64_t>(count));
                 return Grid::of(shape, [&](At at) {
                   const auto which = static_cast<size_t>(at[static_cast<size_t>(axis)]);
                   at.erase(at.begin() + axis);
                   return Rounded(element(in[which], at));
                 });
               },
           .dtypes = kStored};
  for (size_t i = 0; i < count; ++i) c.inputs.push_back(random(part, 25 + i));
  return c;
}

OpCase cut_up(const Shape& from, int axis, const std::vector<int64_t>& sizes) {
  return moved(
      "split", format("{} on axis {} into {}", from, axis, sizes.size()), random(from, 29),
      [=](const Tensors& in) { return split(in[0], sizes, axis); },
      [=](const Tensors& in) {
        Grids parts;
        int64_t begin = 0;
        for (int64_t size : sizes) {
          Shape shape = from;
          shape[axis] = size;
          parts.push_back(Grid::of(shape, [&](At at) {
            at[static_cast<size_t>(axis)] += begin;
            return Rounded(element(in[0], at));
          }));
          begin += size;
        }
        return parts;
      });
}

}  // namespace

std::vector<OpCase> shape_ops_cases() {
  return {
      reshaped({3, 4, 5}, {6, -1}, {6, 10}),
      reshaped({3, 4, 5}, {3, 2, 2, 1, 5}, {3, 2, 2, 1, 5}),
      reshaped({12}, {3, 4}, {3, 4}),
      reshaped({1}, {}, {}),
      reshaped({}, {1, 1}, {1, 1}),
      reshaped({2, 0, 3}, {0, 5}, {0, 5}),
      permuted({3, 4, 5}, {2, 0, 1}),
      permuted({3, 4, 5}, {0, 2, 1}),
      permuted({2, 1, 3, 2}, {3, 1, 0, 2}),
      permuted({0, 2}, {1, 0}),
      exchanged({3, 4, 5}, 1, 2),
      exchanged({3, 4, 5}, 0, 2),
      exchanged({7, 17}, 0, 1),
      expanded({4, 1}, {2, 4, 3}),
      expanded({}, {3}),
      expanded({3, 1, 1}, {3, 2, 2}),
      expanded({1}, {0}),
      sliced({3, 4, 5}, 1, 1, 4, 2),
      sliced({20}, 0, 3, 19, 5),
      sliced({3, 7}, 1, 0, 7, 3),
      sliced({3, 7}, 0, 2, 2, 1),
      unsliced(Slice(1, 1, 7, 2, {3, 8, 5}), {3, 3, 5}),
      unsliced(Slice(0, 2, 5, 1, {6}), {3}),
      selected({3, 4, 5}, 1, -1),
      selected({3, 4, 5}, 0, 1),
      selected({6}, 0, 2),
      moved(
          "squeeze", "after two unsqueezes", random({3, 4, 5}, 30),
          [](const Tensors& in) { return squeeze(unsqueeze(unsqueeze(in[0], 1), -1), 1); },
          [](const Tensors& in) {
            return reference::refilled(in[0], {3, 4, 5, 1});
          }),
      joined({3, 1, 5}, 1, {4, 1, 2}),
      joined({2, 3}, 0, {1, 2}),
      joined({2, 3}, 0, {2, 0, 1}),
      joined({5}, 0, {5, 20, 1}),
      stacked({3, 2}, 1, 2),
      stacked({3, 2}, 2, 3),
      stacked({}, 0, 4),
      cut_up({3, 4, 5}, 1, {1, 3}),
      cut_up({6}, 0, {2, 0, 4}),
  };
}

}  // namespace tessera::testing
