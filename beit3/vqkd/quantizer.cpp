#include "beit3/vqkd/quantizer.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "autograd/grad_mode.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/random.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Dot products held at a time by `nearest_rows`, 16 MB in f32.
constexpr int64_t kBlockElements = int64_t{1} << 22;

Tensor nearest_rows(const Tensor& rows, const Tensor& codes) {
  const int64_t n = rows.size(0);
  const int64_t block = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(codes.size(0), 1));
  Tensors parts;
  for (int64_t begin = 0; begin < n || parts.empty(); begin += block) {
    const Tensor part = slice(rows, 0, begin, std::min(n, begin + block));
    parts.push_back(argmax(matmul(part, codes, {.transpose_b = true}), 1));
  }
  return parts.size() == 1 ? parts[0] : concat(parts);
}

/// Number of rows a code has, (K, 1).
Tensor counts_of(const Tensor& ids, int64_t codes, const TensorOptions& options) {
  return index_sum(ones({ids.size(0), 1}, options), ids, {codes, 1});
}

/// Directions of the means of the rows of each id; `otherwise` where there are none.
Tensor directions(const Tensor& rows, const Tensor& ids, const Tensor& counts,
                  const Tensor& otherwise) {
  const Tensor sums = index_sum(rows, ids, otherwise.shape());
  return where(counts > 0, unit_rows(sums / maximum(counts, ones({1}, counts.options()))),
               otherwise);
}

}  // namespace

Tensor unit_rows(const Tensor& z) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  return z * rsqrt(clamp(sum(square(z), {-1}, KeepDims::yes), 1e-24, kNone));
}

KMeans spherical_k_means(const Tensor& samples, const Tensor& first, int64_t iterations) {
  const NoGrad silent;
  check<ShapeError>(samples.rank() == 2 && first.rank() == 2 && samples.size(1) == first.size(1),
                    "k-means: samples are {}, first means {}, but both need the same columns",
                    samples.shape(), first.shape());
  check<ValueError>(samples.size(0) > 0 && iterations > 0,
                    "k-means: {} samples and {} iterations, but both must be positive",
                    samples.size(0), iterations);
  KMeans result{first.detach(), {}, {}};
  for (int64_t i = 0; i < iterations; ++i) {
    result.ids = nearest_rows(samples.detach(), result.means);
    const Tensor counts = counts_of(result.ids, first.size(0), samples.options());
    result.means = directions(samples.detach(), result.ids, counts, result.means);
    result.counts = counts.to_vector<int64_t>();
  }
  return result;
}

Quantizer::Quantizer(int64_t codes, int64_t width, RandomKey key, const TensorOptions& options) {
  check<ValueError>(codes > 0 && width > 0, "quantizer: {} codes of {} channels", codes, width);
  weight = unit_rows(normal({codes, width}, key, options));
  first_counts = zeros({codes}, options);
  embed_avg = clone(weight);
  initted = ones({1}, options);
  cluster_size = zeros({codes}, options);
}

Tensor Quantizer::nearest(const Tensor& normalised) const {
  const NoGrad silent;
  check<ShapeError>(normalised.rank() == 2 && normalised.size(1) == width(),
                    "quantizer: rows are {}, but must be (N, {})", normalised.shape(), width());
  return nearest_rows(normalised.detach(), weight);
}

Tensor Quantizer::lookup(const Tensor& ids) const { return index_select(weight, ids, 0); }

Quantized Quantizer::operator()(const Tensor& z) const {
  Quantized q;
  q.normalised = unit_rows(z);
  q.ids = nearest(q.normalised);
  const Tensor difference = lookup(q.ids) - q.normalised;
  // The codes are constants of the loss: it pulls z to them, never them to z.
  q.commitment = mean(square(difference));
  q.codes = q.normalised + difference.detach();
  return q;
}

void Quantizer::start(const Tensor& normalised, RandomKey key, int64_t iterations) {
  const NoGrad silent;
  const int64_t rows = normalised.size(0);
  check<ValueError>(rows > 0, "quantizer: the codes cannot start from a batch without rows");
  std::vector<int64_t> chosen;
  RandomStream draws(key);
  if (rows >= codes()) {  // the first K steps of a shuffle
    std::vector<int64_t> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i < codes(); ++i) {
      std::swap(order[static_cast<size_t>(i)],
                order[static_cast<size_t>(i + draws.integer(rows - i))]);
    }
    chosen.assign(order.begin(), order.begin() + codes());
  } else {
    for (int64_t i = 0; i < codes(); ++i) chosen.push_back(draws.integer(rows));
  }
  start(normalised,
        index_select(normalised.detach(), from_data(chosen, {codes()}, normalised.device()), 0),
        iterations);
}

void Quantizer::start(const Tensor& normalised, const Tensor& first, int64_t iterations) {
  const NoGrad silent;
  check<ShapeError>(first.shape() == weight.shape(),
                    "quantizer: the first means are {}, but there are {} codes", first.shape(),
                    weight.shape());
  const KMeans found = spherical_k_means(normalised, first, iterations);
  const Tensor counts = from_data(found.counts, {codes()}, weight.device()).to(weight.dtype());
  copy_into(found.means, weight);
  copy_into(counts, first_counts);
  fill_(initted, 1);
}

void Quantizer::count(const Tensor& ids, double decay) {
  const NoGrad silent;
  check<ValueError>(decay >= 0 && decay <= 1, "quantizer: decay is {}, but must be in [0, 1]",
                    decay);
  const Tensor counts = reshape(counts_of(ids, codes(), weight.options()), {codes()});
  copy_into(cluster_size * decay + counts * (1 - decay), cluster_size);
}

void Quantizer::update(const Tensor& normalised, const Tensor& ids, double decay) {
  const NoGrad silent;
  count(ids, decay);
  const Tensor counts = counts_of(ids, codes(), weight.options());
  const Tensor target = directions(normalised.detach(), ids, counts, weight);
  copy_into(unit_rows(weight * decay + target * (1 - decay)), weight);
}

std::vector<int64_t> Quantizer::revive(const std::vector<int64_t>& dead, const Quantized& batch,
                                       RandomKey key, const Tensor& errors) {
  const NoGrad silent;
  const Tensor rows = batch.normalised.detach();
  std::vector<double> error =
      (errors.defined() ? errors : sum(square(rows - lookup(batch.ids)), {1})).to_vector<double>();
  check<ShapeError>(static_cast<int64_t>(error.size()) == rows.size(0),
                    "quantizer: {} errors for {} rows", error.size(), rows.size(0));
  double rest = 0;
  for (double& e : error) rest += e = std::max(e, 0.0);
  std::vector<int64_t> replaced;
  RandomStream draws(key);
  for (int64_t code : dead) {
    check<IndexError>(code >= 0 && code < codes(), "quantizer: code {} is not in 0 … {}", code,
                      codes() - 1);
    double point = draws.uniform() * rest;
    size_t last = error.size();
    for (size_t i = 0; i < error.size(); ++i) {
      if (error[i] == 0) continue;
      last = i;
      point -= error[i];
      if (point < 0) break;
    }
    if (last == error.size()) break;
    rest -= error[last];
    error[last] = 0;  // each row once
    replaced.push_back(code);
    const int64_t row = static_cast<int64_t>(last);
    copy_into(slice(rows, 0, row, row + 1), slice(weight, 0, code, code + 1));
  }
  return replaced;
}

void Quantizer::fields(nn::FieldVisitor& v) {
  v.buffer("cluster_size", cluster_size);
  v("embedding.weight", weight);
  v("embedding.cluster_size", first_counts);
  v("embedding.embed_avg", embed_avg);
  v.buffer("embedding.initted", initted);
}

std::string Quantizer::describe() const {
  return format("Quantizer({} codes of {} channels)", codes(), width());
}

}  // namespace tessera::beit3
