// One pretraining step, or one forward pass, of a preset on made-up data: seconds and memory.
//
//   bench_step step PRESET IMAGES TEXTS PAIRS VOCABULARY CODES REPEATS [THREADS]
//   bench_step forward PRESET BATCH REPEATS [THREADS]
//
// Prints one JSON line: median and minimum seconds, peak bytes of tensors, instruction set.
// bench/compare_torch.py runs the same work in PyTorch beside it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "backends/registry.h"
#include "beit3/data/masking.h"
#include "beit3/model/init.h"
#include "beit3/pretrain/objective.h"
#include "nn/optim/adamw.h"
#include "tensor/base/parallel.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

/// The batch that compare_torch.py makes too: lengths and mask counts are functions of the index.
PretrainBatch made_up(const ModelConfig& c, int64_t images, int64_t texts, int64_t pairs) {
  PretrainBatch b;
  RandomStream random(RandomKey{7});
  std::vector<int64_t> pair_lengths, text_lengths, masked_words;
  auto add_text = [&](int64_t i, double ratio, std::vector<int64_t>& lengths, int64_t& count) {
    const int64_t length = 8 + i * 56 / std::max<int64_t>(texts + pairs - 1, 1);  // ragged, 8 … 64
    for (int64_t j : text_mask(
             [&] {
               std::vector<int64_t> all;
               for (int64_t k = 1; k + 1 < length; ++k) all.push_back(k);
               return all;
             }(),
             ratio, RandomKey{9}.fold(static_cast<uint64_t>(i)))) {
      masked_words.push_back(static_cast<int64_t>(b.ids.size()) + j);
      b.word_labels.push_back(4 + random.integer(c.text_rows - 5));
      ++count;
    }
    for (int64_t j = 0; j < length; ++j) b.ids.push_back(4 + random.integer(c.text_rows - 5));
    lengths.push_back(length);
  };
  for (int64_t i = 0; i < pairs; ++i) add_text(i, 0.5, pair_lengths, b.pair_words);
  for (int64_t i = 0; i < texts; ++i) add_text(pairs + i, 0.15, text_lengths, b.text_words);
  b.layout = PackedLayout(images, pair_lengths, text_lengths, c.image_rows());
  const int64_t n = c.patches();
  for (int64_t i = 0; i < images + pairs; ++i) {
    const auto mask = block_mask({.rows = c.grid(),
                                  .columns = c.grid(),
                                  .masked = mask_count(n, 0.4),
                                  .min_block = 1,
                                  .max_block = 6},
                                 RandomKey{5}.fold(static_cast<uint64_t>(i)));
    b.masked.insert(b.masked.end(), mask.begin(), mask.end());
    for (int64_t p = 0; p < n; ++p) {
      if (!mask[static_cast<size_t>(p)]) continue;
      b.patch_index.push_back(i * n + p);
      b.keep.push_back(i * (n + 1) + 1 + p);
      ++(i < images ? b.image_patches : b.pair_patches);
    }
  }
  for (int64_t row : masked_words) b.keep.push_back(b.layout.vision_rows() + row);
  b.pixels.resize(static_cast<size_t>((images + pairs) * 3 * c.image_size * c.image_size));
  for (float& v : b.pixels) v = static_cast<float>(random.uniform(-1, 1));
  return b;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Of this process alone: getrusage would count the parent that it was forked from.
double peak_resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) * 1024 / 1e6;
  }
  return 0;
}

void report(std::vector<double> seconds, const char* preset) {
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "{\"preset\": \"%s\", \"median_s\": %.5f, \"min_s\": %.5f, \"peak_tensor_mb\": %.1f, "
      "\"peak_rss_mb\": %.1f, \"threads\": %d, \"isa\": \"%s\"}\n",
      preset, seconds[seconds.size() / 2], seconds.front(),
      static_cast<double>(backend(kCpu).memory_stats().peak_bytes) / 1e6, peak_resident_mb(),
      thread_count(), active_instruction_set().c_str());
}

int64_t number(const char* text) { return std::strtoll(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if ((mode != "step" || argc < 9) && (mode != "forward" || argc < 5)) {
    std::fprintf(stderr,
                 "usage: bench_step step PRESET IMAGES TEXTS PAIRS VOCABULARY CODES REPEATS "
                 "[THREADS]\n       bench_step forward PRESET BATCH REPEATS [THREADS]\n");
    return 2;
  }
  const bool step = mode == "step";
  if (argc > (step ? 9 : 5)) set_thread_count(static_cast<int>(number(argv[step ? 9 : 5])));
  ModelConfig config = model_preset(argv[2]);
  if (step) {
    config.text_rows = number(argv[6]);
    config.codes = number(argv[7]);
  } else {
    config.text_rows = 1000;
    config.codes = 16;
  }
  PretrainModel model(config);
  initialise(model, RandomKey{1});
  std::vector<double> seconds;
  if (step) {
    const PretrainBatch batch = made_up(config, number(argv[3]), number(argv[4]), number(argv[5]));
    std::vector<int64_t> codes(batch.masked.size());
    RandomStream random(RandomKey{3});
    for (int64_t& c : codes) c = random.integer(config.codes);
    const PartSizes whole{batch.image_patches, batch.pair_patches, batch.pair_words,
                          batch.text_words};
    nn::AdamW optimizer(model.named_parameters(), {.lr = 1e-3});
    for (int64_t i = 0; i < number(argv[8]) + 2; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const ObjectiveResult result =
          masked_data_modelling(model, batch, whole, codes, {}, {.training = true}, DType::f32);
      backward(result.loss);
      optimizer.step();
      optimizer.zero_grad();
      if (i >= 2) seconds.push_back(seconds_since(start));
    }
  } else {
    const NoGrad silent;
    const PretrainBatch batch = made_up(config, number(argv[3]), 0, 0);
    PackedInput input = packed_input(batch, config);
    input.masked = Tensor();
    for (int64_t i = 0; i < number(argv[4]) + 2; ++i) {
      const auto start = std::chrono::steady_clock::now();
      model.beit3(input, {});
      if (i >= 2) seconds.push_back(seconds_since(start));
    }
  }
  report(std::move(seconds), argv[2]);
}
