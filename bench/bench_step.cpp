// One pretraining step, or one forward pass, of a preset on made-up data: seconds and memory.
//
//   bench_step step PRESET IMAGES TEXTS PAIRS VOCABULARY CODES REPEATS [THREADS [PRODUCTS]]
//   bench_step forward PRESET BATCH REPEATS [THREADS [PRODUCTS]]
//
// PRODUCTS is what `beit3 --gemm` takes.
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
#include "beit3/model/init.h"
#include "beit3/pretrain/made_up_batch.h"
#include "beit3/pretrain/objective.h"
#include "nn/optim/adamw.h"
#include "tensor/base/parallel.h"

using namespace tessera;
using namespace tessera::beit3;

namespace {

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
                 "[THREADS [PRODUCTS]]\n       bench_step forward PRESET BATCH REPEATS [THREADS "
                 "[PRODUCTS]]\n");
    return 2;
  }
  const bool step = mode == "step";
  const int rest = step ? 9 : 5;
  if (argc > rest) set_thread_count(static_cast<int>(number(argv[rest])));
  if (argc > rest + 1) set_products(argv[rest + 1]);
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
    // The sizes of compare_torch.py's batch: lengths and mask counts are functions of the index.
    const PretrainBatch batch = made_up_batch(
        config, {.images = number(argv[3]), .texts = number(argv[4]), .pairs = number(argv[5])});
    const std::vector<int64_t> codes = made_up_codes(config, batch);
    const PartSizes whole{batch.image_patches, batch.pair_patches, batch.pair_words,
                          batch.text_words};
    nn::AdamW optimizer(model.named_parameters(),
                        {.lr = 1e-3, .missing_grad = nn::MissingGrad::skip});
    for (int64_t i = 0; i < number(argv[8]) + 2; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const ObjectiveResult result =
          masked_data_modelling(model, batch, whole, codes, {}, {.training = true});
      optimizer.backward_and_step(result.loss);
      if (i >= 2) seconds.push_back(seconds_since(start));
    }
  } else {
    const NoGrad silent;
    const PretrainBatch batch =
        made_up_batch(config, {.images = number(argv[3]), .texts = 0, .pairs = 0});
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
