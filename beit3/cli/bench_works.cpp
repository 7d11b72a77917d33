#include "beit3/cli/bench_works.h"

#include <memory>

#include "autograd/autograd.h"
#include "beit3/model/init.h"
#include "beit3/pretrain/objective.h"
#include "nn/optim/adamw.h"
#include "tensor/ops/ops.h"

namespace tessera::beit3::cli {
namespace {

double number(int64_t n) { return static_cast<double>(n); }

Tensor noise(const Shape& shape, uint64_t seed) { return normal(shape, RandomKey{seed}); }

/// The squares of the sequences' lengths, summed.
double squared_rows(const Segments& segments) {
  double sum = 0;
  for (const auto& s : segments.list()) sum += number(s.length()) * number(s.length());
  return sum;
}

/// What a training step works on, built once.
struct Training {
  PretrainModel model;
  PretrainBatch batch;
  std::vector<int64_t> codes;
  PartSizes whole;
  Pass pass;
  nn::AdamW optimizer;

  Training(const ModelConfig& config, const BatchSizes& sizes, const Pass& p = {})
      : model(config),
        batch(made_up_batch(config, sizes)),
        codes(made_up_codes(config, batch)),
        whole{batch.image_patches, batch.pair_patches, batch.pair_words, batch.text_words},
        pass(p),
        optimizer(model.named_parameters(), {.lr = 1e-3, .missing_grad = nn::MissingGrad::skip}) {
    initialise(model, RandomKey{1});
  }

  Tensor loss() { return masked_data_modelling(model, batch, whole, codes, {}, pass).loss; }
};

/// A fused op of rows of x, forward and with its backward pass.
void add_row_op(std::vector<BenchWork>& works, const std::string& name, const Tensor& x,
                double forward_passes, double backward_passes,
                const std::function<Tensor(const Tensor&)>& f) {
  const double bytes = 4 * number(x.numel());
  works.push_back({name, 0, forward_passes * bytes, [=] {
                     const NoGrad silent;
                     f(x);
                   }});
  const Tensor leaf = requires_grad(x.detach());
  const Tensor g = noise(x.shape(), 9);
  works.push_back({name + ", backward too", 0, (forward_passes + backward_passes) * bytes,
                   [=] { grad(f(leaf), {leaf}, {.gradients = {g}}); }});
}

}  // namespace

double forward_flops(const ModelConfig& c, const PretrainBatch& batch) {
  const double width = number(c.width), rows = number(batch.layout.rows());
  const double kept = number(static_cast<int64_t>(batch.keep.size()));
  const double patches = number(batch.image_patches + batch.pair_patches);
  const double attention = 4 * squared_rows(batch.layout.segments()) * width;
  const double rest = 2 * (width * width + 2 * width * number(c.ffn));  // a row behind attention
  const double qkv = 6 * rows * width * width;
  return number(c.layers) * (qkv + attention) + number(c.layers - 1) * rest * rows + rest * kept +
         2 * width * (patches * number(c.codes) + (kept - patches) * number(c.text_rows)) +
         2 * number(batch.layout.image_count() * c.patches()) * 3 * number(c.patch * c.patch) *
             width;
}

std::vector<BenchWork> step_works(const ModelConfig& config, const BatchSizes& sizes,
                                  const Pass& pass, bool update_in_backward) {
  const auto t = std::make_shared<Training>(config, sizes, pass);
  const double flops = forward_flops(config, t->batch);
  return {{"forward", flops, 0,
           [t] {
             const NoGrad silent;
             t->loss();
           }},
          {"forward and backward", 3 * flops, 0,
           [t] {
             backward(t->loss());
             t->optimizer.zero_grad();
           }},
          {"step", 3 * flops, 0, [t, update_in_backward] {
             if (update_in_backward) {
               t->optimizer.backward_and_step(t->loss());
               return;
             }
             backward(t->loss());
             t->optimizer.step();
             t->optimizer.zero_grad();
           }}};
}

std::vector<BenchWork> gemm_works(const ModelConfig& c, const BatchSizes& sizes) {
  const PretrainBatch batch = made_up_batch(c, sizes);
  struct Shape2 {
    std::string name;
    int64_t rows, out, in;
  };
  const int64_t rows = batch.layout.rows();
  const int64_t patches = batch.image_patches + batch.pair_patches;
  const int64_t words = batch.pair_words + batch.text_words;
  std::vector<BenchWork> works;
  for (const Shape2& s : {Shape2{"qkv", rows, 3 * c.width, c.width},
                          {"output projection", rows, c.width, c.width},
                          {"fc1", rows, c.ffn, c.width},
                          {"fc2", rows, c.width, c.ffn},
                          {"head of patches", patches, c.codes, c.width},
                          {"head of words", words, c.text_rows, c.width}}) {
    if (s.rows == 0) continue;
    const Tensor x = noise({s.rows, s.in}, 1), w = noise({s.out, s.in}, 2);
    const Tensor bias = noise({s.out}, 3), g = noise({s.rows, s.out}, 4);
    const double flops = 2 * number(s.rows) * number(s.out) * number(s.in);
    const double bytes = 4 * number(x.numel() + w.numel() + g.numel());
    const std::string size = format("{} x {} x {}", s.rows, s.out, s.in);
    works.push_back({s.name + ", " + size, flops, bytes, [=] { linear(x, w, bias); }});
    works.push_back({"  by the input", flops, bytes, [=] { matmul(g, w); }});
    works.push_back(
        {"  by the weight", flops, bytes, [=] { matmul(g, x, {.transpose_a = true}); }});
  }
  return works;
}

std::vector<BenchWork> attention_works(const ModelConfig& c, const BatchSizes& sizes) {
  const PretrainBatch batch = made_up_batch(c, sizes);
  const Segments segments = batch.layout.segments();
  const int64_t rows = batch.layout.rows();
  const Tensor qkv = noise({rows, 3, c.heads, c.head_size()}, 1);
  const Tensor leaf = requires_grad(qkv.detach()), g = noise({rows, c.heads, c.head_size()}, 2);
  const double products = 2 * squared_rows(segments) * number(c.width);  // of one of them
  const double bytes = 4 * number(rows * c.width);
  return {{"attention", 2 * products, 4 * bytes,
           [=] {
             const NoGrad silent;
             segmented_attention(qkv, segments);
           }},
          // Backward computes the scores again: five products.
          {"attention, backward too", 7 * products, 12 * bytes,
           [=] { grad(segmented_attention(leaf, segments), {leaf}, {.gradients = {g}}); }}};
}

std::vector<BenchWork> op_works(const ModelConfig& c, const BatchSizes& sizes) {
  const auto t = std::make_shared<Training>(c, sizes);
  const int64_t rows = t->batch.layout.rows();
  const RowGroups one{.ends = {rows}};
  const Tensor x = noise({rows, c.width}, 1), wide = noise({rows, c.ffn}, 2);
  const Tensor gamma = ones({c.width}), beta = zeros({c.width});
  const Tensor wide_gamma = ones({c.ffn}), wide_beta = zeros({c.ffn});
  std::vector<BenchWork> works;
  works.push_back({"copy", 0, 8 * number(wide.numel()), [=] { clone(wide); }});
  works.push_back(
      {"copy of a transpose", 0, 8 * number(wide.numel()), [=] { transpose(wide).contiguous(); }});
  works.push_back({"sum of columns", 0, 4 * number(wide.numel()), [=] { sum(wide, {0}); }});
  add_row_op(works, "layer norm", x, 2, 3,
             [=](const Tensor& in) { return layer_norm(in, gamma, beta); });
  add_row_op(works, "residual and norm", x, 4, 4, [=](const Tensor& in) {
    return add_layer_norm(x, in, {}, one, std::span(&gamma, 1), std::span(&beta, 1)).norm;
  });
  add_row_op(works, "GELU and norm", wide, 2, 3, [=](const Tensor& in) {
    return gelu_layer_norm(in, one, std::span(&wide_gamma, 1), std::span(&wide_beta, 1));
  });
  add_row_op(works, "softmax", wide, 2, 3, [](const Tensor& in) { return softmax(in); });
  add_row_op(works, "dropout", wide, 2, 2,
             [](const Tensor& in) { return dropout(in, 0.1, RandomKey{5}); });
  const int64_t hidden = static_cast<int64_t>(t->batch.keep.size());
  const Tensor logits = noise({hidden, c.codes}, 3);
  const Tensor labels = zeros({hidden}, {.dtype = DType::i64});
  const double logit_bytes = 4 * number(logits.numel());
  works.push_back({"cross entropy", 0, logit_bytes, [=] {
                     const NoGrad silent;
                     cross_entropy(logits, labels);
                   }});
  const Tensor leaf = requires_grad(logits.detach());
  works.push_back({"cross entropy, backward too", 0, 3 * logit_bytes,
                   [=] { grad(cross_entropy(leaf, labels), {leaf}); }});

  backward(t->loss());
  double parameters = 0;
  for (const auto& p : t->model.named_parameters()) parameters += number(p.tensor.numel());
  works.push_back({"AdamW", 0, 28 * parameters, [t] { t->optimizer.step(); }});
  // The norm reads every gradient once more; an average is read and written.
  const auto averaging = std::make_shared<nn::AdamW>(
      t->model.named_parameters(), nn::AdamWSettings{.lr = 1e-3,
                                                     .max_grad_norm = 1,
                                                     .average_decay = 0.999,
                                                     .missing_grad = nn::MissingGrad::skip});
  works.push_back(
      {"clip, AdamW and average", 0, (4 + 36) * parameters, [t, averaging] { averaging->step(); }});
  return works;
}

}  // namespace tessera::beit3::cli
