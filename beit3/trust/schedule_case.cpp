// The learning rates of the released recipes.
#include "beit3/trust/recorded_internal.h"
#include "nn/optim/schedule.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3 {

void run_schedule_case(RecordedCase& c) {
  const Json& entry = c.entry();
  c.compute_in(DType::f64);
  const int64_t epoch = field<int64_t>(entry, "niter_per_ep");
  const nn::CosineSchedule schedule{.peak = field<double>(entry, "base"),
                                    .floor = field<double>(entry, "final"),
                                    .warmup = field<int64_t>(entry, "warmup_epochs") * epoch,
                                    .total = field<int64_t>(entry, "epochs") * epoch};
  const std::vector<double> recorded = field<std::vector<double>>(entry, "values");
  std::vector<double> ours;
  for (size_t step = 0; step < recorded.size(); ++step) {
    ours.push_back(nn::warmup_cosine_inclusive(schedule, static_cast<int64_t>(step)));
  }
  const Shape shape{static_cast<int64_t>(recorded.size())};
  c.compare_with("values", from_data(recorded, shape), from_data(ours, shape));
}

}  // namespace tessera::beit3
