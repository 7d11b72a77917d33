#include "tensor/ops/cross_entropy.h"

#include "tensor/ops/creation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/index.h"
#include "tensor/ops/op_internal.h"
#include "tensor/ops/reduce.h"
#include "tensor/ops/shape_ops.h"

namespace tessera {

namespace {

CrossEntropyArgs arguments(const CrossEntropyOptions& options) {
  return {options.ignore_index, options.label_smoothing};
}

/// `classes` is their number, `x` what it is read off: for messages.
void check_labels(std::string_view op, const Tensor& labels, const CrossEntropyOptions& options,
                  int64_t classes, int axis, const Tensor& x, const Tensor& rows) {
  check<ShapeError>(labels.rank() == 1 && labels.size(0) == rows.size(0),
                    "{}: labels are {}, but {} has {} rows", op, labels.shape(), rows.shape(),
                    rows.size(0));
  detail::check_same_device(op, "labels", labels, "the input", rows);
  check<ValueError>(options.label_smoothing >= 0 && options.label_smoothing < 1,
                    "{}: label_smoothing is {}, but must be in [0, 1)", op,
                    options.label_smoothing);
  check<ShapeError>(classes > 0, "{}: {} has no classes", op, x.shape());
  detail::check_indices(op, "labels", labels, classes, axis, x.shape(), &options.ignore_index);
}

/// sum(loss) / number of labels that count; 0 / 0 is NaN.
Tensor mean_over_labels(const Tensor& loss, const Tensor& labels, int64_t ignore_index) {
  if (labels.device() == kCpu) {
    const Tensor flat = labels.contiguous();
    const auto* label = static_cast<const int64_t*>(flat.view().data);
    int64_t count = 0;
    for (int64_t i = 0; i < flat.numel(); ++i) count += label[i] != ignore_index;
    return sum(loss) * (1.0 / static_cast<double>(count));
  }
  // Reading the labels would wait for the device.
  const Tensor counts = compare(CompareOp::not_equal, labels, static_cast<double>(ignore_index));
  return sum(loss) / sum(counts.to(loss.dtype()));
}

}  // namespace

RowLosses cross_entropy_rows(const Tensor& logits, const Tensor& labels,
                             const CrossEntropyOptions& options) {
  detail::check_floating("cross_entropy", "logits", logits);
  detail::check_rank("cross_entropy", "logits", logits, 2, "(N, V)");
  check_labels("cross_entropy", labels, options, logits.size(1), 1, logits, logits);
  if (logits.numel() > 0) {
    const int64_t n = logits.size(0);
    const Tensor rows = detail::as_row_view(logits), dense = labels.contiguous();
    const Tensor in = detail::computed(rows);
    const Tensor loss = empty({n}, in.options()), lse = empty({n}, in.options());
    const Tensor best = empty({n}, {DType::i64, logits.device()});
    if (detail::backend_of(logits).try_cross_entropy(in.view(), dense.view(), arguments(options),
                                                     loss.mutable_view(), lse.mutable_view(),
                                                     best.mutable_view())) {
      record(CrossEntropy(options), {rows, dense}, {loss}, {lse});
      return {loss, best};
    }
  }
  const Tensor wide = logits.to(compute_dtype(logits.dtype()));
  return {composed::cross_entropy_rows(wide, labels, options), argmax(wide.detach(), 1)};
}

Tensor cross_entropy(const Tensor& logits, const Tensor& labels,
                     const CrossEntropyOptions& options) {
  return mean_over_labels(cross_entropy_rows(logits, labels, options).loss, labels,
                          options.ignore_index);
}

RowLosses linear_cross_entropy_rows(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                    const Tensor& labels, const CrossEntropyOptions& options) {
  constexpr std::string_view kName = "linear_cross_entropy";
  detail::check_floating(kName, "x", x);
  detail::check_rank(kName, "x", x, 2, "(N, C)");
  detail::check_rank(kName, "weight", weight, 2, "(V, C)");
  check<ShapeError>(weight.size(1) == x.size(1),
                    "{}: weight {} takes {} columns, but the last axis of x {} is {}", kName,
                    weight.shape(), weight.size(1), x.shape(), x.size(1));
  detail::check_parameter(kName, "weight", weight, x);
  if (bias.defined()) {
    check<ShapeError>(bias.rank() == 1 && bias.size(0) == weight.size(0),
                      "{}: bias is {}, but weight {} gives {} columns", kName, bias.shape(),
                      weight.shape(), weight.size(0));
    detail::check_parameter(kName, "bias", bias, x);
  }
  check_labels(kName, labels, options, weight.size(0), 0, weight, x);
  if (x.numel() > 0) {
    const int64_t n = x.size(0);
    const Tensor rows = detail::as_row_view(x), dense = labels.contiguous();
    const Tensor in = detail::computed(rows);
    const Tensor w = detail::as_row_view(weight), b = bias.defined() ? bias.contiguous() : bias;
    const Tensor loss = empty({n}, in.options()), lse = empty({n}, in.options());
    const Tensor best = empty({n}, {DType::i64, x.device()});
    if (detail::backend_of(x).try_linear_cross_entropy(
            in.view(), w.view(), detail::optional_view(b), dense.view(), arguments(options),
            loss.mutable_view(), lse.mutable_view(), best.mutable_view())) {
      record(LinearCrossEntropy(options), {rows, w, b, dense}, {loss}, {lse});
      return {loss, best};
    }
  }
  // Logits of f32, whatever x is.
  const Tensor wide = x.to(compute_dtype(x.dtype()));
  return cross_entropy_rows(linear(wide, weight, bias), labels, options);
}

Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const Tensor& labels, const CrossEntropyOptions& options) {
  return mean_over_labels(linear_cross_entropy_rows(x, weight, bias, labels, options).loss, labels,
                          options.ignore_index);
}

Tensor composed::cross_entropy_rows(const Tensor& logits, const Tensor& labels,
                                    const CrossEntropyOptions& options) {
  const double s = options.label_smoothing;
  const Tensor ignored = equal(labels, static_cast<double>(options.ignore_index));
  const Tensor safe = unsqueeze(masked_fill(labels, ignored, 0), -1);
  Tensor target = squeeze(gather(logits, safe, 1), 1);
  if (s > 0) target = target * (1 - s) + mean(logits, {1}) * s;
  return masked_fill(logsumexp(logits, {1}) - target, ignored, 0);
}

Tensor composed::linear_cross_entropy_rows(const Tensor& x, const Tensor& weight,
                                           const Tensor& bias, const Tensor& labels,
                                           const CrossEntropyOptions& options) {
  const Tensor products = matmul(x, weight, {.transpose_b = true});
  return composed::cross_entropy_rows(bias.defined() ? products + bias : products, labels, options);
}

Tensor kernels::cross_entropy_backward(const Tensor& g, const Tensor& logits, const Tensor& labels,
                                       const Tensor& lse, const CrossEntropyOptions& options) {
  const Tensor g_rows = g.detach().contiguous();
  const Tensor rows = detail::as_row_view(logits.detach());
  const Tensor dlogits = empty_like(logits);
  if (!detail::backend_of(logits).try_cross_entropy_backward(
          g_rows.view(), rows.view(), labels.view(), lse.view(), arguments(options),
          dlogits.mutable_view())) {
    return {};
  }
  return dlogits;
}

kernels::LinearCrossEntropyGrad kernels::linear_cross_entropy_backward(
    const Tensor& g, const Tensor& x, const Tensor& weight, const Tensor& bias,
    const Tensor& labels, const Tensor& lse, const CrossEntropyOptions& options, bool want_dx,
    const Sink& dw, const Sink& db) {
  const Tensor g_rows = g.detach().contiguous();
  const Tensor x_rows = detail::as_row_view(x.detach());
  const Tensor w = detail::as_row_view(weight.detach());
  const Tensor b = bias.defined() ? bias.detach().contiguous() : bias;
  LinearCrossEntropyGrad grad;
  Backend::LinearCrossEntropyGrad out;
  if (want_dx) {
    grad.dx = empty_like(x);
    out.dx = grad.dx.mutable_view();
  }
  auto place = [](const Sink& sink, const Tensor& like, Tensor& fresh, View& view,
                  bool& accumulate) {
    if (!sink.wanted) return;
    if (!sink.into.defined()) fresh = empty_like(like);
    view = (sink.into.defined() ? sink.into : fresh).mutable_view();
    accumulate = sink.into.defined() && sink.accumulate;
  };
  place(dw, weight, grad.dw, out.dw, out.accumulate_w);
  if (bias.defined()) place(db, bias, grad.db, out.dbias, out.accumulate_bias);
  if (!detail::backend_of(x).try_linear_cross_entropy_backward(
          g_rows.view(), x_rows.view(), w.view(), detail::optional_view(b), labels.view(),
          lse.view(), arguments(options), out)) {
    return {.dx = {}, .dw = {}, .db = {}, .declined = true};
  }
  for (const Sink* sink : {&dw, &db}) {
    if (sink->wanted && sink->into.defined()) {
      sink->into.mark_changed("linear_cross_entropy_backward");
    }
  }
  return grad;
}

}  // namespace tessera
