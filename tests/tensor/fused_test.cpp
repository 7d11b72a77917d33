// Fused ops equal their compositions, and record what their headers say.

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::expect_close;
using testing::expect_equal;
using testing::expect_values;
using testing::layouts;
using testing::random;
using testing::Recorder;
using testing::tolerance;
using testing::watched;

const DType kComputed[] = {DType::f64, DType::f32};

TEST(Softmax, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    for (const Shape& shape : {Shape{1}, Shape{5}, Shape{3, 33}, Shape{2, 3, 17}, Shape{4, 1},
                               Shape{0, 3}, Shape{3, 0}, Shape{5, 1000}}) {
      const Tensor x = random(shape, 1, dtype) * 3;
      const Tensor expected = composed::softmax(x.to(DType::f64));
      for (const auto& [layout, view] : layouts(x)) {
        expect_close(softmax(view), expected, tolerance(dtype, shape.back() + 1), layout);
      }
    }
    const Tensor x = random({2, 3, 4}, 1, dtype);
    expect_close(softmax(x, 1), transpose(composed::softmax(transpose(x, 1, 2)), 1, 2),
                 tolerance(dtype, 3));
    expect_close(log_softmax(x, 0), log(softmax(x, 0)), tolerance(dtype, 2, 8));
  }
  expect_values(softmax(from_values({1000, -INFINITY, 1000})), {3}, {0.5, 0, 0.5});
  expect_values(softmax(from_values({-INFINITY, -INFINITY})), {2}, {NAN, NAN});
  EXPECT_EQ(softmax(random({2, 3}, 1, DType::bf16)).dtype(), DType::bf16);
  EXPECT_ERROR(softmax(scalar(1)), ShapeError, "softmax: axis -1 is outside a tensor of rank 0");
}

TEST(Softmax, BackwardEqualsItsFormula) {
  for (DType dtype : kComputed) {
    const Tensor y = softmax(random({4, 37}, 1, dtype)), g = random({4, 37}, 2, dtype);
    const Tensor dx = kernels::softmax_backward(transpose(transpose(g).contiguous()), y);
    if (!dx.defined()) continue;
    expect_close(dx, y * (g - sum(g * y, {1}, KeepDims::yes)), tolerance(dtype, 37, 4));
  }
}

struct Norm {
  RowGroups groups{{3, 3, 9}};  // the second range is empty
  int64_t width;
  Tensor x, delta, scale;
  Tensors gamma, beta;
  Norm(DType dtype, int64_t c)
      : width(c),
        x(random({9, c}, 1, dtype) + 1),
        delta(random({9, c}, 2, dtype)),
        scale(random({9}, 3, dtype)) {
    for (uint64_t i = 0; i < 3; ++i) {
      gamma.push_back(random({c}, 10 + i, dtype));
      beta.push_back(random({c}, 20 + i, dtype));
    }
  }
  Norm wide() const {
    Norm n(DType::f64, width);
    n.x = x.to(DType::f64);
    n.delta = delta.to(DType::f64);
    n.scale = scale.to(DType::f64);
    for (size_t i = 0; i < 3; ++i) {
      n.gamma[i] = gamma[i].to(DType::f64);
      n.beta[i] = beta[i].to(DType::f64);
    }
    return n;
  }
};

const int64_t kWidths[] = {8, 33, 96, 200};

TEST(LayerNorm, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    for (int64_t width : kWidths) {
      const Norm n(dtype, width), w = n.wide();
      const double bound = tolerance(dtype, width, 8);
      const Tensor expected = composed::grouped_layer_norm(w.x, w.groups, w.gamma, w.beta, 1e-5);
      for (const auto& [layout, view] : layouts(n.x)) {
        expect_close(grouped_layer_norm(view, n.groups, n.gamma, n.beta), expected, bound, layout);
      }
      const Tensor cube = reshape(n.x, {3, 3, width});
      expect_close(layer_norm(cube, n.gamma[0], n.beta[0]),
                   composed::layer_norm(cube.to(DType::f64), w.gamma[0], w.beta[0], 1e-5), bound);
      expect_close(layer_norm(select(n.x, 0, 0), n.gamma[0], n.beta[0]),
                   composed::layer_norm(select(w.x, 0, 0), w.gamma[0], w.beta[0], 1e-5), bound);
    }
  }
  expect_close(layer_norm(full({3, 8}, 2), ones({8}), ones({8})), ones({3, 8}), 0);
  EXPECT_EQ(layer_norm(zeros({0, 8}), ones({8}), zeros({8})).shape(), (Shape{0, 8}));
}

TEST(LayerNorm, RecordsInputsAndStatistics) {
  const Norm n(DType::f32, 8);
  const auto recorder = std::make_shared<Recorder>();
  const Tensor x = watched(n.x, recorder);
  const Tensor y = grouped_layer_norm(x, n.groups, n.gamma, n.beta);
  if (recorder->records[0].op->name() != "layer_norm") return;  // declined: a composition
  ASSERT_EQ(recorder->records.size(), 1u);
  const OpRecord& r = recorder->records[0];
  ASSERT_EQ(r.inputs.size(), 7u);
  EXPECT_TRUE(r.inputs[0].is(x));
  EXPECT_TRUE(r.inputs[3].is(n.gamma[2]));
  EXPECT_TRUE(r.inputs[6].is(n.beta[2]));
  ASSERT_EQ(r.statistics.size(), 2u);
  expect_close(r.statistics[0], mean(n.x, {1}), 1e-5);
  expect_close(r.statistics[1], rsqrt(var(n.x, {1}) + 1e-5), 1e-4);
}

TEST(LayerNorm, TakesBf16WithF32Parameters) {
  const Norm n(DType::f32, 33);
  const Tensor x = n.x.to(DType::bf16);
  const Tensor y = layer_norm(x, n.gamma[0], n.beta[0]);
  expect_equal(y, layer_norm(x.to(DType::f32), n.gamma[0], n.beta[0]).to(DType::bf16));
  EXPECT_ERROR(layer_norm(x, n.gamma[0].to(DType::bf16), n.beta[0]), DTypeError,
               "layer_norm: gamma is bf16, but beside x of bf16 it must be f32; convert it with "
               ".to(DType::f32)");
}

TEST(LayerNorm, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(layer_norm(zeros({2, 8}), zeros({7}), zeros({8})), ShapeError,
               "layer_norm: gamma is (7), but the last axis of x (2, 8) is 8");
  EXPECT_ERROR(layer_norm(zeros({2, 8}), zeros({8}), zeros({8}), -1), ValueError,
               "layer_norm: eps is -1, but must be at least 0");
  const Norm n(DType::f32, 8);
  EXPECT_ERROR(grouped_layer_norm(reshape(n.x, {3, 3, 8}), n.groups, n.gamma, n.beta), ShapeError,
               "grouped_layer_norm: x is (3, 3, 8), but must be (N, C) to be cut into ranges of "
               "rows");
}

TEST(AddLayerNorm, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    for (int64_t width : kWidths) {
      const Norm n(dtype, width), w = n.wide();
      const double bound = tolerance(dtype, width, 8);
      for (bool scaled : {false, true}) {
        const SumAndNorm expected = composed::add_layer_norm(
            w.x, w.delta, scaled ? w.scale : Tensor(), w.groups, w.gamma, w.beta, 1e-5);
        for (const auto& [layout, view] : layouts(n.x)) {
          const SumAndNorm y =
              add_layer_norm(view, n.delta, scaled ? n.scale : Tensor(), n.groups, n.gamma, n.beta);
          expect_close(y.sum, expected.sum, bound, layout);
          expect_close(y.norm, expected.norm, bound, layout);
        }
      }
    }
  }
  const Norm n(DType::f32, 8);
  EXPECT_ERROR(add_layer_norm(n.x, zeros({9, 7}), {}, n.groups, n.gamma, n.beta), ShapeError,
               "add_layer_norm: delta is (9, 7), but x is (9, 8)");
  EXPECT_ERROR(add_layer_norm(n.x, n.delta, zeros({8}), n.groups, n.gamma, n.beta), ShapeError,
               "add_layer_norm: row_scale is (8), but x (9, 8) has 9 rows");
  const SumAndNorm half = add_layer_norm(n.x.to(DType::bf16), n.delta.to(DType::bf16), n.scale,
                                         n.groups, n.gamma, n.beta);
  EXPECT_EQ(half.sum.dtype(), DType::bf16);
  EXPECT_EQ(half.norm.dtype(), DType::bf16);
}

TEST(GeluLayerNorm, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    for (int64_t width : kWidths) {
      const Norm n(dtype, width), w = n.wide();
      const Tensor expected = composed::gelu_layer_norm(w.x, w.groups, w.gamma, w.beta, 1e-5);
      for (const auto& [layout, view] : layouts(n.x)) {
        expect_close(gelu_layer_norm(view, n.groups, n.gamma, n.beta), expected,
                     tolerance(dtype, width, 8), layout);
      }
    }
  }
}

/// Closed form of the derivative of a norm, in f64.
struct NormReference {
  Tensor dx;
  Tensors dgamma, dbeta;
};
NormReference norm_reference(const Tensor& g, const Tensor& x, const RowGroups& groups,
                             const Tensors& gamma) {
  Tensors dx;
  NormReference r;
  for (size_t i = 0; i < groups.size(); ++i) {
    const Tensor gi = slice(g, 0, groups.begin(i), groups.end(i));
    const Tensor xi = slice(x, 0, groups.begin(i), groups.end(i));
    const Tensor centred = xi - mean(xi, {1}, KeepDims::yes);
    const Tensor rstd = rsqrt(mean(square(centred), {1}, KeepDims::yes) + 1e-5);
    const Tensor unit = centred * rstd, scaled = gi * gamma[i];
    dx.push_back(rstd * (scaled - mean(scaled, {1}, KeepDims::yes) -
                         unit * mean(scaled * unit, {1}, KeepDims::yes)));
    r.dgamma.push_back(sum(gi * unit, {0}));
    r.dbeta.push_back(sum(gi, {0}));
  }
  r.dx = concat(dx);
  return r;
}

TEST(LayerNorm, BackwardEqualsItsFormulaAndFillsSinks) {
  using kernels::Sink;
  for (bool with_gelu : {false, true}) {
    for (DType dtype : kComputed) {
      for (int64_t width : kWidths) {
        const Norm n(dtype, width), w = n.wide();
        const Tensor in = with_gelu ? gelu(n.x) : n.x, wide_in = with_gelu ? gelu(w.x) : w.x;
        const Tensor g = random({9, width}, 7, dtype);
        const Tensor residual = with_gelu ? Tensor() : random({9, width}, 8, dtype);
        const Tensor mu = mean(in, {1}), rstd = rsqrt(var(in, {1}) + 1e-5);
        NormReference expected = norm_reference(g.to(DType::f64), wide_in, n.groups, w.gamma);
        if (with_gelu) expected.dx = expected.dx * gelu_grad(w.x);
        if (residual.defined()) expected.dx = expected.dx + residual.to(DType::f64);
        for (int mode : {0, 1, 2}) {  // fresh, into a sink, accumulated into a sink
          std::vector<Sink> dgamma(3), dbeta(3);
          for (size_t i = 0; i < 3; ++i) {
            const Tensor a = mode == 0 ? Tensor() : ones({width}, {.dtype = dtype});
            const Tensor b = mode == 0 ? Tensor() : ones({width}, {.dtype = dtype});
            dgamma[i] = {.into = a, .accumulate = mode == 2, .wanted = true};
            dbeta[i] = {.into = b, .accumulate = mode == 2, .wanted = true};
          }
          const kernels::NormGrad got =
              with_gelu ? kernels::gelu_layer_norm_backward(g, n.x, n.groups, n.gamma, mu, rstd,
                                                            dgamma, dbeta)
                        : kernels::layer_norm_backward(g, n.x, n.groups, n.gamma, mu, rstd,
                                                       residual, dgamma, dbeta);
          if (!got.dx.defined()) continue;
          const double bound = tolerance(dtype, width, 32);
          expect_close(got.dx, expected.dx, bound);
          for (size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(got.dgamma[i].defined(), mode == 0);
            const double extra = mode == 2 ? 1 : 0;
            expect_close(mode == 0 ? got.dgamma[i] : dgamma[i].into, expected.dgamma[i] + extra,
                         bound);
            expect_close(mode == 0 ? got.dbeta[i] : dbeta[i].into, expected.dbeta[i] + extra,
                         bound);
          }
        }
      }
    }
  }
}

TEST(Gelu, BackwardEqualsItsFormula) {
  for (DType dtype : kComputed) {
    const Tensor x = random({5, 37}, 1, dtype), g = random({5, 37}, 2, dtype);
    const Tensor dx = kernels::gelu_backward(g, x);
    if (dx.defined()) {
      expect_close(dx, (g.to(DType::f64) * gelu_grad(x.to(DType::f64))), tolerance(dtype, 1, 4));
    }
  }
}

Segments mixed_segments() {
  // Two sequences of two ranges each, one of one range, one of one row, and an empty one.
  return Segments({{0, 3, 9, 11}, {3, 9, 11, 14}, {14, 19, 0, 0}, {19, 20, 0, 0}, {5, 5, 0, 0}},
                  20);
}

TEST(Attention, EqualsLoopsAndItsComposition) {
  const Segments segments = mixed_segments();
  const int64_t heads = 3, width = 5;
  const Tensor qkv = random({20, 3, heads, width}, 1);
  for (AttentionRule rule : {AttentionRule::full, AttentionRule::prefix}) {
    std::vector<double> expected(static_cast<size_t>(20 * heads * width));
    for (const Segment& s : segments.list()) {
      std::vector<int64_t> rows;
      for (int64_t i = s.begin0; i < s.end0; ++i) rows.push_back(i);
      const auto first = static_cast<int64_t>(rows.size());
      for (int64_t i = s.begin1; i < s.end1; ++i) rows.push_back(i);
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t q = 0; q < s.length(); ++q) {
          double total = 0;
          std::vector<double> y(static_cast<size_t>(width), 0);
          for (int64_t k = 0; k < s.length(); ++k) {
            const bool sees = rule == AttentionRule::full || k < first || (q >= first && k <= q);
            if (!sees) continue;
            double score = 0;
            for (int64_t d = 0; d < width; ++d) {
              score += testing::element(qkv, {rows[static_cast<size_t>(q)], 0, h, d}) *
                       testing::element(qkv, {rows[static_cast<size_t>(k)], 1, h, d});
            }
            const double weight = std::exp(score / std::sqrt(static_cast<double>(width)));
            total += weight;
            for (int64_t d = 0; d < width; ++d) {
              y[static_cast<size_t>(d)] +=
                  weight * testing::element(qkv, {rows[static_cast<size_t>(k)], 2, h, d});
            }
          }
          for (int64_t d = 0; d < width; ++d) {
            expected[static_cast<size_t>((rows[static_cast<size_t>(q)] * heads + h) * width + d)] =
                y[static_cast<size_t>(d)] / total;
          }
        }
      }
    }
    const Tensor y = from_data(expected, {20, heads, width});
    expect_close(composed::segmented_attention(qkv, segments, rule, 0), y, 1e-13);
    for (DType dtype : kComputed) {
      for (const auto& [layout, view] : layouts(qkv.to(dtype))) {
        expect_close(segmented_attention(view, segments, rule), y, tolerance(dtype, 20, 4), layout);
      }
    }
  }
}

TEST(Attention, OddWidthsScalesAndLongSequences) {
  for (int64_t width : {1, 8, 16, 24, 33, 64}) {
    const Segments segments = Segments::uniform(3, 40);
    const Tensor qkv = random({120, 3, 2, width}, 2, DType::f32);
    expect_close(
        segmented_attention(qkv, segments, AttentionRule::full, 0.3),
        composed::segmented_attention(qkv.to(DType::f64), segments, AttentionRule::full, 0.3),
        tolerance(DType::f32, 40 + width, 8), std::to_string(width));
  }
  EXPECT_EQ(segmented_attention(zeros({0, 3, 2, 4}), Segments({}, 0)).shape(), (Shape{0, 2, 4}));
  EXPECT_EQ(
      segmented_attention(zeros({6, 3, 2, 4}, {.dtype = DType::bf16}), Segments::uniform(2, 3))
          .dtype(),
      DType::bf16);
}

TEST(Attention, BackwardEqualsItsFormula) {
  const Segments segments = mixed_segments();
  for (AttentionRule rule : {AttentionRule::full, AttentionRule::prefix}) {
    for (DType dtype : kComputed) {
      const auto recorder = std::make_shared<Recorder>();
      const Tensor qkv = watched(random({20, 3, 2, 6}, 1, dtype), recorder);
      const Tensor y = segmented_attention(qkv, segments, rule);
      const OpRecord& r = recorder->records[0];
      if (r.op->name() != "segmented_attention") continue;
      const auto& op = static_cast<const SegmentedAttention&>(*r.op);
      const Tensor g = random({20, 2, 6}, 3, dtype);
      const Tensor dqkv = kernels::segmented_attention_backward(g, qkv, y, r.statistics.at(0), op);
      if (!dqkv.defined()) continue;
      // One element at a time by central differences of <g, y>, in f64.
      const Tensor base = qkv.detach().to(DType::f64), wide_g = g.to(DType::f64);
      for (int64_t i : {0, 17, 100, 233, 418, 600, 719}) {
        const Tensor up = clone(base), down = clone(base);
        const double step = 1e-5;
        up.data<double>()[i] += step;
        down.data<double>()[i] -= step;
        const double slope = (sum(wide_g * composed::segmented_attention(up, segments, rule, 0)) -
                              sum(wide_g * composed::segmented_attention(down, segments, rule, 0)))
                                 .item<double>() /
                             (2 * step);
        EXPECT_NEAR(dqkv.to_vector<double>()[static_cast<size_t>(i)], slope,
                    1e-8 + tolerance(dtype, 20, 8));
      }
    }
  }
}

TEST(Segments, MustCoverEveryRowOnce) {
  EXPECT_ERROR(Segments({{0, 3, 0, 0}, {2, 5, 0, 0}}, 5), ShapeError,
               "segments: row 2 is in two segments, but must be in one");
  EXPECT_ERROR(Segments({{0, 3, 0, 0}, {4, 5, 0, 0}}, 5), ShapeError,
               "segments: row 3 is in no segment, but must be in one");
  EXPECT_ERROR(Segments({{0, 3, 0, 0}}, 5), ShapeError,
               "segments: row 3 is in no segment, but must be in one");
  EXPECT_ERROR(Segments({{0, 7, 0, 0}}, 5), ShapeError,
               "segments: segment 0 has the rows 0 to 7, but there are 5 rows");
  EXPECT_ERROR(segmented_attention(zeros({4, 3, 1, 2}), Segments::uniform(1, 5)), ShapeError,
               "segmented_attention: the segments cover 5 rows, but qkv (4, 3, 1, 2) has 4");
  EXPECT_ERROR(segmented_attention(zeros({4, 2, 1, 2}), Segments::uniform(1, 4)), ShapeError,
               "segmented_attention: qkv is (4, 2, 1, 2), but must be (N, 3, H, D)");
}

std::vector<int64_t> some_labels(int64_t rows, int64_t classes) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < rows; ++i) labels.push_back(i % 4 == 3 ? -100 : (i * 7 + 1) % classes);
  return labels;
}

TEST(CrossEntropy, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    for (int64_t classes : {1, 5, 64, 1003}) {
      const Tensor x = random({9, classes}, 1, dtype) * 2;
      const Tensor labels = from_data(some_labels(9, classes), {9});
      for (double smoothing : {0.0, 0.1}) {
        const CrossEntropyOptions options{.label_smoothing = smoothing};
        const Tensor expected = composed::cross_entropy_rows(x.to(DType::f64), labels, options);
        for (const auto& [layout, view] : layouts(x)) {
          const RowLosses y = cross_entropy_rows(view, labels, options);
          expect_close(y.loss, expected, tolerance(dtype, classes, 8), layout);
          expect_equal(y.best, argmax(x, 1), layout);
        }
        expect_close(cross_entropy(x, labels, options), sum(expected) / full({}, 7, {DType::f64}),
                     tolerance(dtype, classes, 8));
      }
    }
  }
}

TEST(CrossEntropy, BackwardEqualsItsFormula) {
  for (DType dtype : kComputed) {
    const int64_t classes = 37;
    const Tensor x = random({9, classes}, 1, dtype), g = random({9}, 2, dtype);
    const Tensor labels = from_data(some_labels(9, classes), {9});
    const CrossEntropyOptions options{.label_smoothing = 0.2};
    const Tensor dx = kernels::cross_entropy_backward(g, x, labels, logsumexp(x, {1}), options);
    if (!dx.defined()) continue;
    const Tensor ignored = equal(labels, -100.0);
    const Tensor hot =
        one_hot(masked_fill(labels, ignored, 0), classes, {.dtype = dtype}) * 0.8 + 0.2 / classes;
    const Tensor expected = (softmax(x) - hot) * unsqueeze(masked_fill(g, ignored, 0), -1);
    expect_close(dx, expected, tolerance(dtype, classes, 4));
  }
}

TEST(LinearCrossEntropy, EqualsItsComposition) {
  for (DType dtype : kComputed) {
    const Tensor x = random({70, 24}, 1, dtype), w = random({301, 24}, 2, dtype);
    const Tensor b = random({301}, 3, dtype);
    const Tensor labels = from_data(some_labels(70, 301), {70});
    for (const Tensor& bias : {Tensor(), b}) {
      for (double smoothing : {0.0, 0.1}) {
        const CrossEntropyOptions options{.label_smoothing = smoothing};
        const Tensor wide_bias = bias.defined() ? bias.to(DType::f64) : bias;
        const Tensor expected = composed::linear_cross_entropy_rows(
            x.to(DType::f64), w.to(DType::f64), wide_bias, labels, options);
        for (const auto& [layout, view] : layouts(x)) {
          const RowLosses y = linear_cross_entropy_rows(view, w, bias, labels, options);
          expect_close(y.loss, expected, tolerance(dtype, 301, 32), layout);
          expect_equal(y.best, argmax(linear(x, w, bias), 1), layout);
        }
      }
    }
  }
}

TEST(LinearCrossEntropy, BackwardEqualsItsFormulaAndFillsSinks) {
  using kernels::Sink;
  for (DType dtype : kComputed) {
    const Tensor x = random({70, 24}, 1, dtype), w = random({301, 24}, 2, dtype);
    const Tensor b = random({301}, 3, dtype), g = random({70}, 4, dtype);
    const Tensor labels = from_data(some_labels(70, 301), {70});
    const CrossEntropyOptions options{.label_smoothing = 0.1};
    const Tensor wx = x.to(DType::f64), ww = w.to(DType::f64);
    const Tensor logits = linear(wx, ww, b.to(DType::f64));
    const Tensor lse = logsumexp(logits, {1}).to(dtype);
    const Tensor ignored = equal(labels, -100.0);
    const Tensor hot =
        one_hot(masked_fill(labels, ignored, 0), 301, {DType::f64}) * 0.9 + 0.1 / 301;
    const Tensor dl =
        (softmax(logits) - hot) * unsqueeze(masked_fill(g.to(DType::f64), ignored, 0), -1);
    const double bound = tolerance(dtype, 301, 32);
    for (int mode : {0, 1, 2}) {
      const TensorOptions like{.dtype = dtype};
      const Sink dw{mode == 0 ? Tensor() : ones({301, 24}, like), mode == 2, true};
      const Sink db{mode == 0 ? Tensor() : ones({301}, like), mode == 2, true};
      const auto got =
          kernels::linear_cross_entropy_backward(g, x, w, b, labels, lse, options, true, dw, db);
      if (got.declined) continue;
      const double extra = mode == 2 ? 1 : 0;
      expect_close(got.dx, matmul(dl, ww), bound);
      expect_close(mode == 0 ? got.dw : dw.into, matmul(dl, wx, {.transpose_a = true}) + extra,
                   bound);
      expect_close(mode == 0 ? got.db : db.into, sum(dl, {0}) + extra, bound);
    }
  }
}

TEST(CrossEntropy, BadLabelsAndEmptyMeans) {
  const Tensor x = zeros({3, 4});
  EXPECT_ERROR(cross_entropy(x, from_data(std::vector<int64_t>{0, 4, -1}, {3})), IndexError,
               "cross_entropy: labels at 1 is 4, but axis 1 of (3, 4) has size 4");
  EXPECT_ERROR(cross_entropy(x, from_data(std::vector<int64_t>{0, 1}, {2})), ShapeError,
               "cross_entropy: labels are (2), but (3, 4) has 3 rows");
  EXPECT_ERROR(
      cross_entropy(x, from_data(std::vector<int64_t>{0, 1, 2}, {3}), {.label_smoothing = 1}),
      ValueError, "cross_entropy: label_smoothing is 1, but must be in [0, 1)");
  EXPECT_ERROR(
      linear_cross_entropy(x, zeros({6, 4}), {}, from_data(std::vector<int64_t>{0, 1, 6}, {3})),
      IndexError, "linear_cross_entropy: labels at 2 is 6, but axis 0 of (6, 4) has size 6");
  expect_values(cross_entropy(x, from_data(std::vector<int64_t>{-100, -100, -100}, {3})), {},
                {NAN});
  expect_values(
      cross_entropy_rows(x, from_data(std::vector<int64_t>{1, 9, 0}, {3}), {.ignore_index = 9})
          .loss,
      {3}, {std::log(4.0), 0, std::log(4.0)}, 1e-6);
}

}  // namespace
}  // namespace tessera
