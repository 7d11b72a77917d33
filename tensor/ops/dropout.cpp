#include "tensor/ops/dropout.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/random.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {
void check_probability(std::string_view op, double p) {
  check<ValueError>(p >= 0 && p < 1, "{}: p is {}, but must be in [0, 1)", op, p);
}
}  // namespace

Tensor dropout(const Tensor& x, double p, RandomKey key) {
  detail::check_floating("dropout", "x", x);
  check_probability("dropout", p);
  if (p == 0) return x;
  if (is_16_bit(x.dtype())) return dropout(x.to(DType::f32), p, key).to(x.dtype());
  const Tensor dense = x.contiguous();
  const Tensor y = empty_like(x);
  if (y.numel() > 0) {
    detail::backend_of(x).dropout(key, p, dense.view(), y.mutable_view());
  }
  record(Dropout(p, key), {dense}, {y});
  return y;
}

Tensor composed::dropout(const Tensor& x, double p, RandomKey key) {
  const Tensor keep = uniform(x.shape(), key, x.options()) >= p;
  return where(keep, x * (1 / (1 - p)), scalar(0, x.options()));
}

Tensor drop_path_scale(std::span<const int64_t> sample_ids, double p, RandomKey key,
                       const TensorOptions& options) {
  check_probability("drop_path_scale", p);
  check<DTypeError>(is_floating(options.dtype),
                    "drop_path_scale: dtype is {}, but must be floating", options.dtype);
  const double kept = 1 / (1 - p);
  std::vector<double> scale;
  scale.reserve(sample_ids.size());
  for (size_t i = 0; i < sample_ids.size(); ++i) {
    if (i > 0 && sample_ids[i] == sample_ids[i - 1]) {  // rows of a sample are neighbours, mostly
      scale.push_back(scale.back());
      continue;
    }
    const Philox4 block = philox(key.value, static_cast<uint64_t>(sample_ids[i]));
    scale.push_back(uniform_from(block.word[0]) >= p ? kept : 0.0);
  }
  return from_data(scale, {static_cast<int64_t>(scale.size())})
      .to(options.dtype)
      .to(options.device);
}

Tensor drop_path(const Tensor& x, const Tensor& row_scale) {
  check<ShapeError>(x.rank() >= 1 && row_scale.rank() == 1 && row_scale.size(0) == x.size(0),
                    "drop_path: row_scale is {}, but x is {}: it needs one factor a row",
                    row_scale.shape(), x.shape());
  Shape shape = Dims::filled(x.rank(), 1);
  shape[0] = x.size(0);
  return x * reshape(row_scale.to(x.dtype()), shape);
}

}  // namespace tessera
