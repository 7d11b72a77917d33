#include "tests/testing/reference.h"

#include <numbers>

namespace tessera::testing::reference {
namespace {

using At = Grid::At;

/// Row i of a matrix.
Row row_of(const Grid& x, int64_t i) {
  const int64_t width = x.shape.back();
  const auto first = x.elements.begin() + i * width;
  return Row(first, first + width);
}

size_t group_of(const RowGroups& groups, int64_t row) {
  size_t i = 0;
  while (groups.end(i) <= row) ++i;
  return i;
}

}  // namespace

Row elements(const Tensor& x) {
  Row all;
  for (const At& at : positions(x.shape())) all.emplace_back(element(x, at));
  return all;
}

Grid refilled(const Tensor& x, const Shape& shape) { return {shape, elements(x)}; }

Grid exact(const Tensor& x) { return {x.shape(), elements(x)}; }

Grid mapped(const Grid& x, const std::function<Rounded(const Rounded&)>& f) {
  Grid y = x;
  for (Rounded& e : y.elements) e = f(e);
  return y;
}

Grid folded(const Tensor& x, const std::vector<int>& axes,
            const std::function<Rounded(const Row&)>& f) {
  Shape kept = x.shape();
  for (int axis : axes) kept[axis] = 1;
  std::vector<Row> met(static_cast<size_t>(numel(kept)));
  const Strides strides = contiguous_strides(kept);
  for (const At& at : positions(x.shape())) {
    int64_t place = 0;
    for (int i = 0; i < kept.rank(); ++i) {
      if (kept[i] != 1) place += at[static_cast<size_t>(i)] * strides[i];
    }
    met[static_cast<size_t>(place)].emplace_back(element(x, at));
  }
  Grid y{kept, {}};
  for (const Row& row : met) y.elements.push_back(f(row));
  return y;
}

Rounded mean(const Row& row) { return total(row) / static_cast<double>(row.size()); }

Rounded variance(const Row& row) {
  const Rounded m = mean(row);
  Row squares;
  for (const Rounded& x : row) squares.push_back((x - m) * (x - m));
  return mean(squares);
}

Rounded log_sum_exp(const Row& row) {
  Rounded m = row[0];
  for (const Rounded& x : row) m = max(m, x);
  Row terms;
  for (const Rounded& x : row) terms.push_back(exp(x - m));
  return m + log(total(terms));
}

Row softmax(const Row& row) {
  Rounded m = row[0];
  for (const Rounded& x : row) m = max(m, x);
  Row terms;
  for (const Rounded& x : row) terms.push_back(exp(x - m));
  const Rounded sum = total(terms);
  for (Rounded& x : terms) x = x / sum;
  return terms;
}

Row normalized(const Row& row, const Tensor& gamma, const Tensor& beta, double eps) {
  const Rounded m = mean(row), deviation = sqrt(variance(row) + eps);
  Row y;
  for (size_t i = 0; i < row.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    y.push_back((row[i] - m) / deviation * element(gamma, {at}) + element(beta, {at}));
  }
  return y;
}

Rounded gelu(const Rounded& x) { return x * 0.5 * (1 + erf(x * (1 / std::numbers::sqrt2))); }

Grid matmul(const Tensor& a, const Tensor& b, const MatMulOptions& options) {
  auto leading = [](const Tensor& x) {
    return Shape(std::span(x.shape().data(), static_cast<size_t>(x.rank() - 2)));
  };
  Shape shape = broadcast_shapes("reference", leading(a), leading(b));
  shape.push_back(a.size(options.transpose_a ? -1 : -2));
  shape.push_back(b.size(options.transpose_b ? -2 : -1));
  const int64_t inner = a.size(options.transpose_a ? -2 : -1);
  return Grid::of(shape, [&](const At& at) {
    At left = at, right = at;
    const size_t last = at.size() - 1;
    Row terms;
    for (int64_t k = 0; k < inner; ++k) {
      left[last] = options.transpose_a ? at[last - 1] : k;
      left[last - 1] = options.transpose_a ? k : at[last - 1];
      right[last] = options.transpose_b ? k : at[last];
      right[last - 1] = options.transpose_b ? at[last] : k;
      terms.push_back(Rounded(element(a, left)) * element(b, right));
    }
    return total(terms);
  });
}

Grid grouped_linear(const Tensor& x, const RowGroups& groups, std::span<const Tensor> weights,
                    std::span<const Tensor> biases) {
  Shape shape = x.shape();
  shape[shape.rank() - 1] = weights[0].size(0);
  return Grid::of(shape, [&](const At& at) {
    const size_t group = groups.size() == 1 ? 0 : group_of(groups, at[0]);
    At from = at;
    Row terms;
    for (int64_t k = 0; k < x.size(-1); ++k) {
      from.back() = k;
      terms.push_back(Rounded(element(x, from)) * element(weights[group], {at.back(), k}));
    }
    if (!biases.empty() && biases[group].defined()) {
      terms.emplace_back(element(biases[group], {at.back()}));
    }
    return total(terms);
  });
}

Grid grouped_norm(const Grid& x, const RowGroups& groups, std::span<const Tensor> gammas,
                  std::span<const Tensor> betas, double eps) {
  Grid y{x.shape, {}};
  const int64_t rows = numel(x.shape) == 0 ? 0 : numel(x.shape) / x.shape.back();
  for (int64_t i = 0; i < rows; ++i) {
    const size_t group = groups.size() == 1 ? 0 : group_of(groups, i);
    const Row row = normalized(row_of(x, i), gammas[group], betas[group], eps);
    y.elements.insert(y.elements.end(), row.begin(), row.end());
  }
  return y;
}

Grid attention(const Tensor& qkv, const Segments& segments, AttentionRule rule, double scale) {
  const int64_t n = qkv.size(0), heads = qkv.size(2), width = qkv.size(3);
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(width));
  Grid y{{n, heads, width}, Row(static_cast<size_t>(n * heads * width))};
  auto at = [&](int64_t row, int64_t part, int64_t h, int64_t d) {
    return Rounded(element(qkv, {row, part, h, d}));
  };
  for (const Segment& s : segments.list()) {
    std::vector<int64_t> rows;
    for (int64_t r = s.begin0; r < s.end0; ++r) rows.push_back(r);
    for (int64_t r = s.begin1; r < s.end1; ++r) rows.push_back(r);
    const int64_t first = s.end0 - s.begin0, seen = s.keys();
    for (int64_t q = 0; q < s.length(); ++q) {
      for (int64_t h = 0; h < heads; ++h) {
        Row scores;
        std::vector<int64_t> keys;
        for (int64_t k = 0; k < seen; ++k) {
          const bool sees = rule == AttentionRule::full || k < first || (q >= first && k <= q);
          if (!sees) continue;
          Row products;
          for (int64_t d = 0; d < width; ++d) {
            products.push_back(at(rows[static_cast<size_t>(q)], 0, h, d) *
                               at(rows[static_cast<size_t>(k)], 1, h, d));
          }
          scores.push_back(total(products) * scale);
          keys.push_back(rows[static_cast<size_t>(k)]);
        }
        const Row weights = softmax(scores);
        for (int64_t d = 0; d < width; ++d) {
          Row terms;
          for (size_t k = 0; k < keys.size(); ++k)
            terms.push_back(weights[k] * at(keys[k], 2, h, d));
          const int64_t place = (rows[static_cast<size_t>(q)] * heads + h) * width + d;
          y.elements[static_cast<size_t>(place)] = total(terms);
        }
      }
    }
  }
  return y;
}

Grid cross_entropy(const Grid& logits, const std::vector<int64_t>& labels,
                   const CrossEntropyOptions& options) {
  const double s = options.label_smoothing;
  Grid y{{static_cast<int64_t>(labels.size())}, {}};
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == options.ignore_index) {
      y.elements.emplace_back(0);
      continue;
    }
    const Row row = row_of(logits, static_cast<int64_t>(i));
    Rounded target = row[static_cast<size_t>(labels[i])];
    if (s > 0) target = target * (1 - s) + mean(row) * s;
    y.elements.push_back(log_sum_exp(row) - target);
  }
  return y;
}

}  // namespace tessera::testing::reference
