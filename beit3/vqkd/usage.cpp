#include "beit3/vqkd/usage.h"

#include <algorithm>
#include <cmath>

#include "tensor/base/error.h"

namespace tessera::beit3 {

CodeUsage usage_of(std::span<const int64_t> counts) {
  CodeUsage usage;
  usage.codes = static_cast<int64_t>(counts.size());
  double total = 0, entropy = 0;
  for (int64_t n : counts) total += static_cast<double>(n);
  for (int64_t n : counts) {
    if (n == 0) continue;
    ++usage.used;
    const double p = static_cast<double>(n) / total;
    entropy -= p * std::log(p);
  }
  usage.perplexity = usage.used > 0 ? std::exp(entropy) : 0;
  return usage;
}

void count_codes(std::span<const int64_t> ids, std::span<int64_t> counts) {
  const int64_t codes = static_cast<int64_t>(counts.size());
  for (int64_t id : ids) {
    check<IndexError>(id >= 0 && id < codes, "count_codes: id {} is not in 0 … {}", id, codes - 1);
    ++counts[static_cast<size_t>(id)];
  }
}

bool has_collapsed(const CodeUsage& usage, const CollapseRule& rule) {
  const double least = std::min(rule.min_perplexity, static_cast<double>(usage.codes) / 2);
  return usage.share() < rule.min_share || usage.perplexity < least;
}

}  // namespace tessera::beit3
