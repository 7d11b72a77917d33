#include "tensor/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/shape_ops.h"
#include "tensor/ops/softmax.h"

namespace tessera {

Segments::Segments(std::vector<Segment> segments, int64_t rows) : rows_(rows) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  ranges.reserve(2 * segments.size());
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    check<ShapeError>(s.unseen >= 0 && (s.unseen == 0 || s.keys() > 0),
                      "segments: of the {} rows of segment {}, {} are unseen; at least one must be "
                      "seen",
                      s.length(), i, s.unseen);
    for (const auto& [begin, end] : {std::pair(s.begin0, s.end0), std::pair(s.begin1, s.end1)}) {
      check<ShapeError>(begin >= 0 && begin <= end && end <= rows,
                        "segments: segment {} has the rows {} to {}, but there are {} rows", i,
                        begin, end, rows);
      if (begin < end) ranges.emplace_back(begin, end);
    }
  }
  std::sort(ranges.begin(), ranges.end());
  int64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    check<ShapeError>(begin == covered, "segments: row {} is in {}, but must be in one",
                      std::min(begin, covered), begin < covered ? "two segments" : "no segment");
    covered = end;
  }
  check<ShapeError>(covered == rows, "segments: row {} is in no segment, but must be in one",
                    covered);
  list_ = std::make_shared<const std::vector<Segment>>(std::move(segments));
}

Segments Segments::uniform(int64_t count, int64_t length) {
  check<ShapeError>(count >= 0 && length >= 0, "segments: {} sequences of {} rows", count, length);
  std::vector<Segment> list;
  list.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) list.push_back({i * length, (i + 1) * length, 0, 0});
  return Segments(std::move(list), count * length);
}

namespace {

AttentionArgs arguments(const Segments& segments, AttentionRule rule, double scale) {
  return {segments.list(), rule, scale};
}

/// How the packed rows map to (sequences, longest): the row of each padded place (0 where there is
/// none), the place of each row, and who attends to whom.
struct Padding {
  int64_t count = 0, longest = 0;
  Tensor rows;    // (count * longest)
  Tensor places;  // (N)
  Tensor masked;  // (count, 1, longest, longest), true where a query may not see a key
};

Padding pad(const Segments& segments, AttentionRule rule, const Device& device) {
  Padding p;
  for (const Segment& s : segments.list()) {
    p.count += s.length() > 0;
    p.longest = std::max(p.longest, s.length());
  }
  const int64_t t = p.longest;
  std::vector<int64_t> rows(static_cast<size_t>(p.count * t), 0);
  std::vector<int64_t> places(static_cast<size_t>(segments.rows()));
  std::vector<uint8_t> masked(static_cast<size_t>(p.count * t * t), 1);
  int64_t b = 0;
  for (const Segment& s : segments.list()) {
    const int64_t first = s.end0 - s.begin0, length = s.length();
    if (length == 0) continue;
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = i < first ? s.begin0 + i : s.begin1 + (i - first);
      rows[static_cast<size_t>(b * t + i)] = row;
      places[static_cast<size_t>(row)] = b * t + i;
    }
    // Padded queries see something too, or their softmax would be NaN and poison gradients.
    for (int64_t query = 0; query < t; ++query) {
      for (int64_t key = 0; key < s.keys(); ++key) {
        const bool sees =
            rule == AttentionRule::full || key < first || (query >= first && key <= query);
        masked[static_cast<size_t>((b * t + query) * t + key)] = sees ? 0 : 1;
      }
    }
    ++b;
  }
  p.rows = from_data(rows, {p.count * t}, device);
  p.places = from_data(places, {segments.rows()}, device);
  p.masked = from_data(masked, {p.count, 1, t, t}, device).to(DType::boolean);
  return p;
}

}  // namespace

Tensor segmented_attention(const Tensor& qkv, const Segments& segments, AttentionRule rule,
                           double scale) {
  detail::check_floating("segmented_attention", "qkv", qkv);
  check<ShapeError>(qkv.rank() == 4 && qkv.shape()[1] == 3,
                    "segmented_attention: qkv is {}, but must be (N, 3, H, D)", qkv.shape());
  check<ShapeError>(segments.rows() == qkv.size(0),
                    "segmented_attention: the segments cover {} rows, but qkv {} has {}",
                    segments.rows(), qkv.shape(), qkv.size(0));
  check<ShapeError>(qkv.size(3) > 0, "segmented_attention: the heads of qkv {} have no elements",
                    qkv.shape());
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(qkv.size(3)));
  if (qkv.numel() > 0) {
    // Kernels read heads in place: no gaps between rows either.
    const Tensor rows = qkv.contiguous(), in = detail::computed(rows);
    const Tensor out = empty({qkv.size(0), qkv.size(2), qkv.size(3)}, in.options());
    const Tensor lse = empty({qkv.size(0), qkv.size(2)}, in.options());
    if (detail::backend_of(qkv).try_segmented_attention(in.view(), arguments(segments, rule, scale),
                                                        out.mutable_view(), lse.mutable_view())) {
      const Tensor y = out.to(qkv.dtype());
      record(SegmentedAttention(segments, rule, scale), {rows}, {y}, {lse});
      return y;
    }
  }
  return composed::segmented_attention(qkv.to(compute_dtype(qkv.dtype())), segments, rule, scale)
      .to(qkv.dtype());
}

Tensor composed::segmented_attention(const Tensor& qkv, const Segments& segments,
                                     AttentionRule rule, double scale) {
  const int64_t n = qkv.size(0), heads = qkv.size(2), width = qkv.size(3);
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(width));
  if (n == 0) return reshape(slice(qkv, 1, 0, 1), {n, heads, width});
  const Padding p = pad(segments, rule, qkv.device());
  const Tensor padded = reshape(index_select(qkv, p.rows), {p.count, p.longest, 3, heads, width});
  auto part = [&](int64_t i) { return permute(select(padded, 2, i), {0, 2, 1, 3}); };
  const Tensor scores = matmul(part(0), part(1), {.transpose_b = true}) * scale;
  const Tensor weights = composed::softmax(masked_fill(scores, p.masked, -INFINITY));
  const Tensor y = permute(matmul(weights, part(2)), {0, 2, 1, 3});
  return index_select(reshape(y, {p.count * p.longest, heads, width}), p.places);
}

Tensor kernels::segmented_attention_backward(const Tensor& g, const Tensor& qkv, const Tensor& y,
                                             const Tensor& lse, const SegmentedAttention& op) {
  const Tensor g_rows = g.detach().contiguous(), y_rows = y.detach().contiguous();
  const Tensor qkv_rows = qkv.detach().contiguous();
  const Tensor dqkv = empty_like(qkv);
  if (!detail::backend_of(qkv).try_segmented_attention_backward(
          g_rows.view(), qkv_rows.view(), y_rows.view(), lse.view(),
          arguments(op.segments, op.rule, op.scale), dqkv.mutable_view())) {
    return {};
  }
  return dqkv;
}

}  // namespace tessera
