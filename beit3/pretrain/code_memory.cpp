#include "beit3/pretrain/code_memory.h"

#include <algorithm>

namespace tessera::beit3 {

std::vector<int64_t> CodeMemory::codes_of(
    std::span<const int64_t> samples, int64_t patches,
    const std::function<std::vector<int64_t>(std::span<const int64_t>)>& encode) {
  constexpr int64_t kMostCodes = 64 << 20;
  std::vector<int64_t> missing;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!known_.contains(samples[i])) missing.push_back(static_cast<int64_t>(i));
  }
  const std::vector<int64_t> fresh = missing.empty() ? std::vector<int64_t>{} : encode(missing);

  std::vector<int64_t> all(samples.size() * static_cast<size_t>(patches));
  size_t next = 0;  // of missing
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto to = all.begin() + static_cast<std::ptrdiff_t>(i) * patches;
    if (next < missing.size() && missing[next] == static_cast<int64_t>(i)) {
      const auto from = fresh.begin() + static_cast<std::ptrdiff_t>(next++) * patches;
      std::copy_n(from, patches, to);
      if (static_cast<int64_t>(known_.size() + 1) * patches <= kMostCodes) {
        known_[samples[i]].assign(from, from + patches);
      }
    } else {
      std::ranges::copy(known_.at(samples[i]), to);
    }
  }
  return all;
}

}  // namespace tessera::beit3
