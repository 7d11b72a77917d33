// The codebook alone: lookups, gradients through them, moving averages, k-means and the start by
// it.
#include <map>

#include "autograd/autograd.h"
#include "beit3/trust/vqkd_case_internal.h"
#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// A codebook in the recorded state.
Quantizer recorded_quantizer(const RecordedCase& c, const std::string& prefix) {
  const Shape shape = c.at(prefix + "embedding.weight").shape();
  check<ShapeError>(shape.rank() == 2, "parity: {}embedding.weight is {}; expected (K, D)", prefix,
                    shape);
  Quantizer q(shape[0], shape[1], {}, c.tensor_options());
  nn::StateDict state;
  for (const auto& [name, tensor] : q.state()) state.emplace(name, c.at(prefix + name));
  nn::load_state(q, state);
  return q;
}

/// Steps in training move the codes, those in evaluation count them only.
void settle(Quantizer& q, const Quantized& found, const std::string& mode, double decay) {
  if (mode == "train") {
    q.update(found.normalised, found.ids, decay);
  } else {
    q.count(found.ids, decay);
  }
}

/// The first row that each row is as good as equal to. Where means coincide, rounding decides which
/// of them owns the samples.
std::vector<int64_t> first_equals(const Tensor& means) {
  constexpr double kEqual = 1e-5;
  const std::vector<double> m = means.to_vector<double>();
  const size_t rows = static_cast<size_t>(means.size(0)), width = m.size() / rows;
  std::vector<int64_t> first(rows);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double distance = 0;
      for (size_t k = 0; k < width; ++k) {
        const double d = m[i * width + k] - m[j * width + k];
        distance += d * d;
      }
      if (distance > kEqual * kEqual) continue;
      first[i] = static_cast<int64_t>(j);
      break;
    }
  }
  return first;
}

Tensor replaced(const Tensor& ids, const std::vector<int64_t>& first) {
  return index_select(from_data(first, {static_cast<int64_t>(first.size())}), ids, 0);
}

Tensor gathered(const Tensor& counts, const std::vector<int64_t>& first) {
  std::vector<int64_t> sums(first.size(), 0);
  const std::vector<int64_t> n = counts.to_vector<int64_t>();
  for (size_t i = 0; i < first.size(); ++i) sums[static_cast<size_t>(first[i])] += n.at(i);
  return from_data(sums, {static_cast<int64_t>(sums.size())});
}

}  // namespace

void run_quantizer_case(RecordedCase& c) {
  const Json args = field<Json>(c.entry(), "args");
  const double decay = field<double>(args, "decay");
  Quantizer q = recorded_quantizer(c, "input.before.");
  int64_t step = 0;
  for (const std::string& mode : field<std::vector<std::string>>(args, "modes")) {
    const std::string suffix = ".step" + std::to_string(step++);
    const Tensor map = requires_grad(c.input("input.z" + suffix));
    const Quantized found = q(rows_of_map(map));
    const Tensor distances = code_distances(found.normalised.detach(), q.weight);
    c.compare("distances" + suffix, distances);
    compare_gaps(c, "gap" + suffix, distances);
    c.compare("ids" + suffix, found.ids);
    c.compare("quantized" + suffix, map_of_rows(found.codes, map.size(2), map.size(3)));
    c.compare("loss" + suffix, found.commitment);
    backward(found.commitment +
             sum(found.codes * rows_of_map(c.input("input.cotangent" + suffix))));
    c.compare("grad.z" + suffix, map.grad());
    settle(q, found, mode, decay);
    compare_codebook(c, q, "after.", suffix);
  }
}

void run_k_means_case(RecordedCase& c) {
  const Tensor samples = c.input("input.samples");
  const Tensor first = index_select(samples, c.at("input.first_centres"), 0);
  const int64_t iterations = field<int64_t>(field<Json>(c.entry(), "args"), "iterations");
  Tensor before = first;
  for (int64_t n = 1; n <= iterations; ++n) {
    const KMeans found = spherical_k_means(samples, first, n);
    const std::string suffix = ".iteration" + std::to_string(n);
    const std::vector<int64_t> equals = first_equals(before);
    const std::string assignment = "assignment" + suffix, bins = "bins" + suffix;
    if (c.has(assignment)) {
      c.compare_equal(assignment, replaced(c.at(assignment), equals), replaced(found.ids, equals));
    }
    if (c.has(bins)) {
      const Tensor counts = from_data(found.counts, {static_cast<int64_t>(found.counts.size())});
      c.compare_equal(bins, gathered(c.at(bins), equals), gathered(counts, equals));
    }
    c.compare("means" + suffix, found.means);
    before = found.means;
  }
}

void run_k_means_start_case(RecordedCase& c) {
  const Json args = field<Json>(c.entry(), "args");
  Quantizer q = recorded_quantizer(c, "before.");
  int64_t step = 0;
  for (const std::string& mode : field<std::vector<std::string>>(args, "modes")) {
    const std::string suffix = ".step" + std::to_string(step++);
    const Tensor map = c.input("input.z" + suffix);
    if (q.initted.item<double>() == 0) {  // the first batch, in whichever mode
      const Tensor rows = unit_rows(rows_of_map(map));
      q.start(rows, index_select(rows, c.at("input.first_centres"), 0));
    }
    const Quantized found = q(rows_of_map(map));
    c.compare("ids" + suffix, found.ids);
    c.compare("loss" + suffix, found.commitment);
    c.compare("quantized" + suffix, map_of_rows(found.codes, map.size(2), map.size(3)));
    settle(q, found, mode, field<double>(args, "decay"));
    compare_codebook(c, q, "after.", suffix);
  }
}

}  // namespace tessera::beit3
