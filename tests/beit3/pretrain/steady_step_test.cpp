#include <algorithm>
#include <limits>

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include "autograd/autograd.h"
#include "backends/registry.h"
#include "beit3/model/init.h"
#include "beit3/pretrain/made_up_batch.h"
#include "beit3/pretrain/objective.h"
#include "nn/optim/adamw.h"
#include "tensor/base/parallel.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TESSERA_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TESSERA_SANITIZED 1
#endif
#endif

/// Once its memory is there, a training step asks the system for nothing more.
namespace tessera::beit3 {
namespace {

/// Whole steps of a narrow model on one batch: forward, backward, AdamW.
class Steps {
 public:
  Steps()
      : config_(narrow_model()),
        model_(config_),
        batch_(made_up_batch(config_, {.images = 2, .texts = 2, .pairs = 2})),
        codes_(made_up_codes(config_, batch_)),
        whole_{batch_.image_patches, batch_.pair_patches, batch_.pair_words, batch_.text_words},
        optimizer_(model_.named_parameters(),
                   {.lr = 1e-3, .max_grad_norm = 1, .missing_grad = nn::MissingGrad::skip}) {
    initialise(model_, RandomKey{1});
  }

  void run(int count) {
    for (int i = 0; i < count; ++i) {
      backward(masked_data_modelling(model_, batch_, whole_, codes_, {}, {.training = true}).loss);
      optimizer_.step();
      optimizer_.zero_grad();
    }
  }

 private:
  static ModelConfig narrow_model() {
    ModelConfig config = model_preset("nano");
    config.layers = 12;  // as many parameters as base has
    config.text_rows = 500;
    config.codes = 300;
    return config;
  }

  ModelConfig config_;
  PretrainModel model_;
  PretrainBatch batch_;
  std::vector<int64_t> codes_;
  PartSizes whole_;
  nn::AdamW optimizer_;
};

int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

class SteadyStep : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    threads_before_ = thread_count();
    set_thread_count(GetParam());
  }
  void TearDown() override { set_thread_count(threads_before_); }

 private:
  int threads_before_ = 0;
};

TEST_P(SteadyStep, AsksTheSystemForNoMemory) {
  Steps steps;
  steps.run(3);
  const int64_t before = backend(kCpu).memory_stats().system_allocations;
  steps.run(5);
  EXPECT_EQ(backend(kCpu).memory_stats().system_allocations, before);
}

TEST_P(SteadyStep, HasNoPageFault) {
#ifdef TESSERA_SANITIZED
  GTEST_SKIP() << "a sanitizer's own memory faults";
#endif
#ifdef __GLIBC__
  // The heap's first setting, which it otherwise leaves for good once a large block was freed: from
  // this size on, blocks come from the system and go back to it.
  ASSERT_EQ(mallopt(M_MMAP_THRESHOLD, 128 * 1024), 1);
#endif
  Steps steps;
  steps.run(3);
  // The kernel may take a page of the program itself away, and give it back at a fault, whenever it
  // likes. It does not do so in each of ten steps.
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 10 && least > 0; ++i) {
    const int64_t before = page_faults();
    steps.run(1);
    least = std::min(least, page_faults() - before);
  }
  EXPECT_EQ(least, 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, SteadyStep, ::testing::Values(1, 2),
                         [](const auto& test) { return "Of" + std::to_string(test.param); });

}  // namespace
}  // namespace tessera::beit3
