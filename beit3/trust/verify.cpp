#include "beit3/trust/verify.h"

#include <algorithm>
#include <cmath>

#include "beit3/pretrain/trainer.h"
#include "tensor/base/parallel.h"
#include "tensor/products.h"

namespace tessera::beit3 {
namespace {

VerifyRow row_of(std::string way, const PretrainTrainer& trainer, const StepReport& last) {
  return {std::move(way), trainer.parameter_hash(), last.loss, last.grad_norm};
}

/// Tells of rows and compares their bits with those of the first.
class SameBits {
 public:
  explicit SameBits(const VerifyListener& listener) : listener_(listener) {}

  void add(VerifyRow row) {
    if (first_.hash.empty()) first_ = row;
    row.same = row.hash == first_.hash && row.loss == first_.loss;
    all_ = all_ && row.same;
    listener_(row);
  }
  bool all() const { return all_; }

 private:
  const VerifyListener& listener_;
  VerifyRow first_;
  bool all_ = true;
};

/// The number of threads before, restored.
class ThreadsBefore {
 public:
  ThreadsBefore() : before_(thread_count()) {}
  ~ThreadsBefore() { set_thread_count(before_); }
  ThreadsBefore(const ThreadsBefore&) = delete;
  ThreadsBefore& operator=(const ThreadsBefore&) = delete;

 private:
  int before_;
};

/// Equal answers at every position, and sums of their losses that differ in the order at most.
bool same_answers(const PartResult& a, const PartResult& b) {
  return a.count == b.count && a.correct == b.correct &&
         std::abs(a.loss_sum - b.loss_sum) <= 1e-12 * std::abs(b.loss_sum);
}

bool close(double a, double b, double relative) {
  return std::abs(a - b) <= relative * std::abs(b);
}

}  // namespace

bool verify_threads(const PretrainRecipe& recipe, int64_t steps, int most,
                    const VerifyListener& listener) {
  const ThreadsBefore restore;
  SameBits rows(listener);
  for (int threads = 1; threads <= most; ++threads) {
    set_thread_count(threads);
    PretrainTrainer trainer(recipe);
    StepReport last;
    for (int64_t i = 0; i < steps; ++i) last = trainer.run_step();
    rows.add(row_of(threads == 1 ? "1 thread" : format("{} threads", threads), trainer, last));
  }
  return rows.all();
}

bool verify_resume(const PretrainRecipe& recipe, int64_t steps, const std::filesystem::path& folder,
                   const VerifyListener& listener) {
  const auto saved_after = [&](int64_t step) {
    return folder / format("verify-{}.safetensors", step);
  };
  SameBits rows(listener);
  {
    PretrainTrainer trainer(recipe);
    StepReport last;
    for (int64_t i = 1; i <= steps; ++i) {
      last = trainer.run_step();
      if (i < steps) trainer.save(saved_after(i));
    }
    rows.add(row_of("straight through", trainer, last));
  }
  for (int64_t stop = 1; stop < steps; ++stop) {
    PretrainTrainer trainer(recipe);
    trainer.load(saved_after(stop));
    std::filesystem::remove(saved_after(stop));
    StepReport last;
    for (int64_t i = stop; i < steps; ++i) last = trainer.run_step();
    rows.add(row_of(format("saved and resumed after step {}", stop), trainer, last));
  }
  return rows.all();
}

bool verify_accumulation(const PretrainRecipe& recipe, const VerifyListener& listener) {
  const int64_t samples = std::max({recipe.images, recipe.texts, recipe.pairs});
  // Parts of a batch may each be cut into no more pieces than they have samples.
  StepReport first;
  bool all = true;
  for (int64_t pieces : {1, 2, 3, 4, 8}) {
    if (pieces > samples) break;
    PretrainRecipe cut = recipe;
    cut.accumulate = pieces;
    PretrainTrainer trainer(cut);
    const StepReport report = trainer.run_step();
    if (pieces == 1) first = report;
    const double bound = 8 * 0x1p-23 * std::sqrt(static_cast<double>(report.rows));
    VerifyRow row = row_of(pieces == 1 ? "1 piece" : format("{} pieces", pieces), trainer, report);
    row.same =
        close(report.loss, first.loss, bound) && close(report.grad_norm, first.grad_norm, bound);
    if (products_are_row_exact(kCpu)) {
      row.same = row.same && same_answers(report.image, first.image) &&
                 same_answers(report.text, first.text) &&
                 same_answers(report.pair_text, first.pair_text) &&
                 same_answers(report.pair_image, first.pair_image);
    }
    all = all && row.same;
    listener(row);
  }
  return all;
}

}  // namespace tessera::beit3
