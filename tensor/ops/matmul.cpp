#include "tensor/ops/matmul.h"

#include <algorithm>
#include <utility>

#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {

/// Strides with which a product can read a (rows, cols) matrix: one of them 1, the other no
/// smaller than what it steps over. False: it must be copied.
bool matrix_strides(int64_t rows, int64_t cols, int64_t& row_stride, int64_t& col_stride) {
  // The stride of an axis of size 1 is free.
  if (cols <= 1) col_stride = 1;
  if (rows <= 1) row_stride = std::max<int64_t>(col_stride == 1 ? cols : 1, 1);
  if (col_stride == 1 && row_stride >= cols) return true;
  return row_stride == 1 && col_stride >= rows;
}

struct Matrix {
  const std::byte* data;
  DType dtype;
  int64_t rows, cols, row_stride, col_stride;

  ConstView view(int64_t offset = 0) const {
    return {data + offset * static_cast<int64_t>(size_of(dtype)),
            dtype,
            {rows, cols},
            {row_stride, col_stride}};
  }
  Matrix transposed() const { return {data, dtype, cols, rows, col_stride, row_stride}; }
  Matrix row_range(int64_t begin, int64_t end) const {
    Matrix m = *this;
    if (begin < end) m.data += begin * row_stride * static_cast<int64_t>(size_of(dtype));
    m.rows = end - begin;
    return m;
  }
};

/// The last two axes of x, which is copied first if a product cannot read it. Not recorded.
Matrix as_matrix(Tensor& x) {
  const int r = x.rank();
  const int64_t rows = x.shape()[r - 2], cols = x.shape()[r - 1];
  int64_t row_stride = x.strides()[r - 2], col_stride = x.strides()[r - 1];
  if (!matrix_strides(rows, cols, row_stride, col_stride)) {
    x = clone(x.detach());
    row_stride = cols;
    col_stride = 1;
  }
  return {
      static_cast<const std::byte*>(x.view().data), x.dtype(), rows, cols, row_stride, col_stride};
}

View output(const Tensor& c, int64_t offset, int64_t rows, int64_t cols) {
  View v = c.mutable_view();
  v.data = static_cast<std::byte*>(v.data) + offset * static_cast<int64_t>(size_of(v.dtype));
  v.shape = {rows, cols};
  v.strides = {cols, 1};
  return v;
}

/// Runs what is not empty. A product over no columns is zero (plus bias, plus what is there).
void run(Backend& backend, std::vector<Product>& products) {
  std::erase_if(products, [&](const Product& p) {
    if (p.c.shape[0] == 0 || p.c.shape[1] == 0) return true;
    if (p.a.shape[1] != 0) return false;
    if (!p.accumulate) backend.fill(0, p.c);
    if (p.bias) {
      ConstView bias = p.bias;
      bias.shape = p.c.shape;
      bias.strides = {0, p.bias.strides[0]};
      backend.binary(binary_op(Add{}), p.c, bias, p.c);
    }
    return true;
  });
  if (!products.empty()) backend.products(products);
}

/// Offsets, in elements, of the matrices of x for each batch of `batch`, row-major.
std::vector<int64_t> batch_offsets(const Tensor& x, const Shape& batch) {
  const int own = x.rank() - 2, added = batch.rank() - own;
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(numel(batch)));
  Dims at = Dims::filled(batch.rank(), 0);
  int64_t offset = 0;
  auto stride = [&](int axis) {
    const int i = axis - added;
    return i < 0 || x.shape()[i] == 1 ? 0 : x.strides()[i];
  };
  for (int64_t n = numel(batch); n > 0; --n) {
    offsets.push_back(offset);
    for (int axis = batch.rank() - 1; axis >= 0; --axis) {
      offset += stride(axis);
      if (++at[axis] < batch[axis]) break;
      offset -= stride(axis) * batch[axis];
      at[axis] = 0;
    }
  }
  return offsets;
}

/// Checks, allocation and the products; what is recorded is the caller's affair.
Tensor multiply(const Tensor& a_in, const Tensor& b_in, const MatMulOptions& options) {
  Tensor a = a_in, b = b_in;
  const Matrix ma = options.transpose_a ? as_matrix(a).transposed() : as_matrix(a);
  const Matrix mb = options.transpose_b ? as_matrix(b).transposed() : as_matrix(b);
  Shape batch_a(std::span(a.shape().data(), a.shape().size() - 2));
  const Shape batch_b(std::span(b.shape().data(), b.shape().size() - 2));
  const Shape batch = batch_a == batch_b ? batch_a : broadcast_shapes("matmul", batch_a, batch_b);
  Shape shape = batch;
  shape.push_back(ma.rows);
  shape.push_back(mb.cols);
  const Tensor c = empty(shape, a.options());
  if (c.numel() == 0) return c;

  std::vector<Product> products;
  Rows flat;
  if (numel(batch_b) == 1 && batch == batch_a && !options.transpose_a &&
      as_rows(a.shape(), a.strides(), flat)) {
    // One b for all batches: they are the rows of one product.
    Matrix all = ma;
    all.rows = flat.rows;
    all.row_stride = flat.row_stride;
    if (matrix_strides(all.rows, all.cols, all.row_stride, all.col_stride)) {
      products.push_back({all.view(), mb.view(), output(c, 0, all.rows, mb.cols), {}, false});
      run(detail::backend_of(a), products);
      return c;
    }
  }
  const std::vector<int64_t> at_a = batch_offsets(a, batch), at_b = batch_offsets(b, batch);
  products.reserve(at_a.size());
  for (size_t i = 0; i < at_a.size(); ++i) {
    const int64_t at_c = static_cast<int64_t>(i) * ma.rows * mb.cols;
    products.push_back(
        {ma.view(at_a[i]), mb.view(at_b[i]), output(c, at_c, ma.rows, mb.cols), {}, false});
  }
  run(detail::backend_of(a), products);
  return c;
}

const Tensor& at_or_undefined(std::span<const Tensor> list, size_t i) {
  static const Tensor kNone;
  return i < list.size() ? list[i] : kNone;
}

/// The last two axes of x and of every weight and bias agree? `x` is what the user passed.
void check_linear(std::string_view op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  int64_t out) {
  detail::check_rank(op, "weight", weight, 2, "(out, in)");
  check<ShapeError>(weight.size(1) == x.size(-1),
                    "{}: weight {} takes {} columns, but the last axis of x {} is {}", op,
                    weight.shape(), weight.size(1), x.shape(), x.size(-1));
  check<ShapeError>(weight.size(0) == out, "{}: weight {} gives {} columns, but the first gives {}",
                    op, weight.shape(), weight.size(0), out);
  detail::check_parameter(op, "weight", weight, x);
  if (!bias.defined()) return;
  check<ShapeError>(bias.rank() == 1 && bias.size(0) == out,
                    "{}: bias is {}, but weight {} gives {} columns", op, bias.shape(),
                    weight.shape(), out);
  detail::check_parameter(op, "bias", bias, x);
}

/// x (N, in); all checked.
Tensor linear_rows(const Tensor& x_in, const RowGroups& groups, std::span<const Tensor> weights,
                   std::span<const Tensor> biases) {
  const size_t n = groups.size();
  const int64_t out = weights[0].size(0);
  Tensor x = detail::computed(x_in);
  const Matrix mx = as_matrix(x);
  const Tensor wide = empty({x.size(0), out}, x.options());
  Tensors kept(weights.begin(), weights.end());  // copies of weights that products cannot read
  Tensors inputs;
  inputs.reserve(2 * n + 1);
  inputs.push_back(x_in);
  for (size_t i = 0; i < n; ++i) {
    inputs.push_back(detail::recorded_parameter(groups, i, weights[i]));
  }
  std::vector<Product> products;
  products.reserve(n);
  Tensors dense_biases;
  dense_biases.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    const Tensor& bias = at_or_undefined(biases, i);
    inputs.push_back(detail::recorded_parameter(groups, i, bias));
    dense_biases.push_back(bias.defined() ? bias.detach().contiguous() : bias);
    products.push_back({mx.row_range(groups.begin(i), groups.end(i)).view(),
                        as_matrix(kept[i]).transposed().view(),
                        output(wide, groups.begin(i) * out, groups.end(i) - groups.begin(i), out),
                        detail::optional_view(dense_biases.back()), false});
  }
  run(detail::backend_of(x), products);
  const Tensor y = wide.to(x_in.dtype());
  record(GroupedLinear(groups), inputs, std::span<const Tensor>(&y, 1));
  return y;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, const MatMulOptions& options) {
  detail::check_floating("matmul", "a", a);
  detail::check_alike("matmul", "a", a, "b", b);
  for (const auto& [name, t] : {std::pair("a", &a), std::pair("b", &b)}) {
    check<ShapeError>(t->rank() >= 2,
                      "matmul: {} is {}, but must have two axes; insert one with unsqueeze", name,
                      t->shape());
  }
  const int64_t inner_a = a.size(options.transpose_a ? -2 : -1);
  const int64_t inner_b = b.size(options.transpose_b ? -1 : -2);
  if (inner_a != inner_b) {
    const bool other_way = inner_a == b.size(options.transpose_b ? -2 : -1);
    fail<ShapeError>("matmul: inner sizes differ: a is {}{}, b is {}{}{}", a.shape(),
                     options.transpose_a ? " (transposed)" : "", b.shape(),
                     options.transpose_b ? " (transposed)" : "",
                     !other_way            ? ""
                     : options.transpose_b ? "; leave transpose_b out for a times b as it is"
                                           : "; pass transpose_b for a times b transposed");
  }
  const Tensor c = multiply(detail::computed(a), detail::computed(b), options).to(a.dtype());
  record(MatMul(options.transpose_a, options.transpose_b), {a, b}, {c});
  return c;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  detail::check_floating("linear", "x", x);
  check<ShapeError>(x.rank() >= 1, "linear: x is {}, but must be (..., in)", x.shape());
  check_linear("linear", x, weight, bias, weight.rank() == 2 ? weight.size(0) : 0);
  const int64_t in = x.size(-1);
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.shape()[i];
  const Tensor y =
      linear_rows(reshape(x, {rows, in}), {{rows}}, std::span(&weight, 1), std::span(&bias, 1));
  Shape shape = x.shape();
  shape[shape.rank() - 1] = weight.size(0);
  return reshape(y, shape);
}

Tensor grouped_linear(const Tensor& x, const RowGroups& groups, std::span<const Tensor> weights,
                      std::span<const Tensor> biases) {
  detail::check_floating("grouped_linear", "x", x);
  detail::check_rank("grouped_linear", "x", x, 2, "(N, in)");
  check<ShapeError>(!weights.empty(), "grouped_linear: no weights");
  check<ShapeError>(biases.empty() || biases.size() == weights.size(),
                    "grouped_linear: {} weights, but {} biases; pass an undefined tensor for none",
                    weights.size(), biases.size());
  detail::check_groups("grouped_linear", groups, weights.size(), x.size(0));
  for (size_t i = 0; i < weights.size(); ++i) {
    detail::check_rank("grouped_linear", "weight", weights[i], 2, "(out, in)");
    check_linear("grouped_linear", x, weights[i], at_or_undefined(biases, i), weights[0].size(0));
  }
  return linear_rows(x, groups, weights, biases);
}

Tensor composed::grouped_linear(const Tensor& x, const RowGroups& groups,
                                std::span<const Tensor> weights, std::span<const Tensor> biases) {
  Tensors parts;
  for (size_t i = 0; i < groups.size(); ++i) {
    const Tensor rows = slice(x, 0, groups.begin(i), groups.end(i));
    const Tensor y = matmul(rows, weights[i], {.transpose_b = true});
    const Tensor& bias = at_or_undefined(biases, i);
    parts.push_back(bias.defined() ? y + bias : y);
  }
  return parts.size() == 1 ? parts[0] : concat(parts);
}

kernels::LinearGrad kernels::grouped_linear_backward(const Tensor& g_in, const Tensor& x_in,
                                                     const RowGroups& groups,
                                                     std::span<const Tensor> weights, bool want_dx,
                                                     std::span<const Sink> dw,
                                                     std::span<const Sink> db) {
  const size_t n = groups.size();
  Tensor g = g_in, x = x_in;
  const Matrix mg = as_matrix(g), mx = x.defined() ? as_matrix(x) : Matrix{};
  Backend& backend = detail::backend_of(g);
  LinearGrad grad;
  grad.dw.resize(n);
  grad.db.resize(n);
  if (want_dx) grad.dx = empty({g.size(0), weights[0].size(1)}, g.options());

  Tensors kept(weights.begin(), weights.end());
  std::vector<Product> products;
  products.reserve(2 * n);
  std::vector<View> sums(n);  // the biases' gradients, still to be computed
  for (size_t i = 0; i < std::min(n, db.size()); ++i) {
    if (!db[i].wanted) continue;
    const Tensor& into = db[i].into;
    if (!into.defined()) grad.db[i] = empty({g.size(1)}, g.options());
    sums[i] = (into.defined() ? into : grad.db[i]).mutable_view();
    if (into.defined()) into.mark_changed("grouped_linear_backward");
  }
  const auto adds_sums = [&](size_t i) { return db[i].into.defined() && db[i].accumulate; };
  for (size_t i = 0; i < n; ++i) {
    const int64_t begin = groups.begin(i), rows = groups.end(i) - begin;
    const Matrix g_rows = mg.row_range(begin, begin + rows);
    if (want_dx) {
      products.push_back({g_rows.view(),
                          as_matrix(kept[i]).view(),
                          output(grad.dx, begin * grad.dx.size(1), rows, grad.dx.size(1)),
                          {},
                          false});
    }
    if (i < dw.size() && dw[i].wanted) {
      const Tensor& into = dw[i].into;
      if (!into.defined()) grad.dw[i] = empty({g.size(1), x.size(1)}, g.options());
      const Tensor& target = into.defined() ? into : grad.dw[i];
      products.push_back({g_rows.transposed().view(),
                          mx.row_range(begin, begin + rows).view(),
                          target.mutable_view(),
                          {},
                          into.defined() && dw[i].accumulate});
      if (into.defined()) into.mark_changed("grouped_linear_backward");
      if (sums[i] && rows > 0 && target.numel() > 0) {
        products.back().sums = std::exchange(sums[i], {});
        products.back().accumulate_sums = adds_sums(i);
      }
    }
  }
  run(backend, products);

  for (size_t i = 0; i < n; ++i) {
    if (!sums[i] || sums[i].numel() == 0) continue;
    View target = sums[i];
    target.strides = {target.strides[0], target.strides[0]};
    target.shape = {1, g.size(1)};
    const Matrix g_rows = mg.row_range(groups.begin(i), groups.end(i));
    // A range of one row is a sum over nothing to the reduction: its axis has size 1 on both sides,
    // which it copies or adds all the same.
    backend.reduce(ReduceOp::sum, g_rows.view(), target, adds_sums(i));
  }
  return grad;
}

}  // namespace tessera
