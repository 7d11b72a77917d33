#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>

#include "backends/registry.h"
#include "beit3/cli/bench_works.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_memory.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/recipe.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3::cli {
namespace {

struct BenchOptions {
  std::string what = "step", preset = "nano", batch = "16,16,16", dtype = "f32";
  int64_t words = 8000, codes = 8192;
  double seconds = 2;
  bool recompute = false, update_in_backward = false, json = false;
  MachineOptions machine;
};

struct Timing {
  double median = 0, least = 0;
  int64_t runs = 0;
};

/// Runs for about so many seconds, at least three times, after two runs that warm up.
Timing time_of(const std::function<void()>& run, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  run();
  run();
  std::vector<double> times;
  const auto begin = Clock::now();
  while (times.size() < 3 || (since(begin) < seconds && times.size() < 10000)) {
    const auto start = Clock::now();
    run();
    times.push_back(since(start));
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), static_cast<int64_t>(times.size())};
}

BatchSizes batch_of(const std::string& text) {
  BatchSizes sizes;
  const char* at = text.data();
  const char* end = at + text.size();
  bool good = true;
  for (int64_t* n : {&sizes.images, &sizes.texts, &sizes.pairs}) {
    const auto result = std::from_chars(at, end, *n);
    const bool last = n == &sizes.pairs;
    good = good && result.ec == std::errc() && *n >= 0 && *n <= 4096 &&
           (last ? result.ptr == end : result.ptr != end && *result.ptr == ',');
    if (!good) break;
    at = result.ptr + (last ? 0 : 1);
  }
  check<UsageError>(good && sizes.images + sizes.texts + sizes.pairs > 0,
                    "--batch is \"{}\"; expected images,texts,pairs, each 0 … 4096 and not all 0: "
                    "16,16,16",
                    text);
  return sizes;
}

std::vector<BenchWork> works_of(const BenchOptions& o) {
  ModelConfig config = model_preset(o.preset);
  check<UsageError>(o.words >= 8 && o.words <= 1 << 20, "--words is {}; expected 8 … 1,048,576",
                    o.words);
  check<UsageError>(o.codes >= 2 && o.codes <= 1 << 20, "--codes is {}; expected 2 … 1,048,576",
                    o.codes);
  config.text_rows = o.words;
  config.codes = o.codes;
  const BatchSizes sizes = batch_of(o.batch);
  check<UsageError>(o.dtype == "f32" || o.dtype == "bf16",
                    "--dtype is \"{}\"; expected f32 or bf16", o.dtype);
  if (o.what == "step") {
    const bool one_modality = sizes.pairs == 0 && (sizes.images == 0 || sizes.texts == 0);
    check_training_fits(config, one_modality);
    return step_works(config, sizes,
                      {.training = true,
                       .recompute = o.recompute,
                       .dtype = o.dtype == "bf16" ? DType::bf16 : DType::f32},
                      o.update_in_backward);
  }
  check<UsageError>(o.dtype == "f32" && !o.recompute && !o.update_in_backward,
                    "--dtype, --recompute and --update-in-backward say what a step keeps; leave "
                    "them out of bench {}",
                    o.what);
  if (o.what == "gemm") return gemm_works(config, sizes);
  if (o.what == "attention") return attention_works(config, sizes);
  if (o.what == "ops") return op_works(config, sizes);
  const std::string near = nearest_word(o.what, {"step", "gemm", "attention", "ops"});
  fail<UsageError>("bench: \"{}\" is none of step, gemm, attention and ops{}", o.what,
                   near.empty() ? "" : "; did you mean \"" + near + "\"?");
}

std::string percent(double part, double whole) {
  return whole > 0 ? fixed(100 * part / whole, 0) + " %" : "";
}

std::string right(const std::string& text, size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

int bench(const BenchOptions& o) {
  check<UsageError>(o.seconds > 0 && o.seconds <= 3600, "--seconds is {}; expected more than 0",
                    o.seconds);
  o.machine.apply();
  const std::vector<BenchWork> works = works_of(o);
  const CpuRoof roof = measure_cpu_roof();
  if (!o.json) {
    print(format("{}\nproducts: {}; {} threads\n", cpu_description(), products_description(),
                 thread_count()));
    print("roof: " + fixed(roof.flops / 1e9, 0) + " GFLOP/s, copy " +
          fixed(roof.copy_bytes / 1e9, 0) + " GB/s, read " + fixed(roof.read_bytes / 1e9, 0) +
          " GB/s\n\n");
    print(padded("work", 38) + right("median ms", 11) + right("least ms", 11) +
          right("GFLOP/s", 9) + right("of roof", 9) + right("GB/s", 7) + right("of copy", 9) +
          "\n");
  }
  std::string rows;
  for (const BenchWork& work : works) {
    backend(kCpu).reset_peak();
    const Timing t = time_of(work.run, o.seconds);
    const double flops = work.flops / t.median, bytes = work.bytes / t.median;
    const double peak = static_cast<double>(backend(kCpu).memory_stats().peak_bytes);
    if (o.json) {
      rows += std::string(rows.empty() ? "" : ",") + "\n  {\"work\": " + json_string(work.name) +
              ", \"median_s\": " + json_number(t.median) +
              ", \"least_s\": " + json_number(t.least) + ", \"runs\": " + std::to_string(t.runs) +
              ", \"flops\": " + json_number(work.flops) +
              ", \"bytes\": " + json_number(work.bytes) + ", \"peak_bytes\": " + json_number(peak) +
              "}";
      continue;
    }
    print(padded(work.name, 38) + right(fixed(t.median * 1e3, 3), 11) +
          right(fixed(t.least * 1e3, 3), 11) +
          right(work.flops > 0 ? fixed(flops / 1e9, 1) : "", 9) +
          right(work.flops > 0 ? percent(flops, roof.flops) : "", 9) +
          right(work.bytes > 0 ? fixed(bytes / 1e9, 1) : "", 7) +
          right(work.bytes > 0 ? percent(bytes, roof.copy_bytes) : "", 9) + "\n");
    if (o.what == "step") print("  peak memory of tensors " + bytes_text(peak) + "\n");
  }
  if (o.json) {
    print("{\"cpu\": " + json_string(cpu_description()) +
          ", \"instructions\": " + json_string(active_instruction_set()) + ", \"products\": " +
          json_string(products_description()) + ", \"threads\": " + std::to_string(thread_count()) +
          ",\n \"preset\": " + json_string(o.preset) + ", \"batch\": " + json_string(o.batch) +
          ", \"words\": " + std::to_string(o.words) + ", \"codes\": " + std::to_string(o.codes) +
          ", \"dtype\": " + json_string(o.dtype) +
          ", \"recompute\": " + (o.recompute ? "true" : "false") +
          ", \"update_in_backward\": " + (o.update_in_backward ? "true" : "false") +
          ",\n \"roof\": {\"flops\": " + json_number(roof.flops) + ", \"copy_bytes\": " +
          json_number(roof.copy_bytes) + ", \"read_bytes\": " + json_number(roof.read_bytes) +
          "},\n \"works\": [" + rows + "\n]}\n");
  }
  return kDone;
}

}  // namespace

Command bench_command() {
  auto o = std::make_shared<BenchOptions>();
  Command command{
      .name = "bench",
      .summary = "time what a training step consists of, beside what the machine can do",
      .notes =
          "step       forward, forward and backward, and a whole step on made-up data\n"
          "gemm       the dense products, forward and backward\n"
          "attention  over all sequences of a batch\n"
          "ops        the other fused kernels, at the sizes of a layer\n\n"
          "The roof is measured first: fused multiply-adds in registers, and copying and reading\n"
          "memory beyond all caches. Operations are those of the mathematics, 2 a multiply-add;\n"
          "bytes are the least traffic, so small operands that stay in a cache pass 100 %.\n\n"
          "examples:\n"
          "  beit3 bench\n"
          "  beit3 bench step --preset micro --threads 2 --json\n"
          "  beit3 bench step --preset small --batch 4,4,4 --dtype bf16\n"
          "  beit3 bench gemm --preset base --batch 8,0,0 --gemm openblas\n",
      .options = {{"WHAT", &o->what, "step, gemm, attention or ops (step)"},
                  {"--preset", &o->preset, "sizes of the model (nano)", "NAME"},
                  {"--batch", &o->batch, "images, texts and pairs (16,16,16)", "I,T,P"},
                  {"--words", &o->words, "size of the vocabulary (8000)"},
                  {"--codes", &o->codes, "codes of the image tokenizer (8192)"},
                  {"--dtype", &o->dtype, "of a step's activations: f32 or bf16 (f32)", "WORD"},
                  {"--recompute", &o->recompute, "a step runs layers twice and keeps less"},
                  {"--update-in-backward", &o->update_in_backward,
                   "a step keeps no gradients: it updates as they are made"},
                  {"--seconds", &o->seconds, "how long each is run (2)"},
                  {"--json", &o->json, "as one JSON object"}},
      .run = [o] { return bench(*o); }};
  o->machine.add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
