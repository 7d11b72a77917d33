#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tessera::beit3 {

/// How evenly the codes of a codebook are used.
struct CodeUsage {
  int64_t used = 0, codes = 0;  ///< codes that occurred, of how many
  double perplexity = 0;        ///< exp of the entropy of the codes' frequencies; 0 of no codes

  /// Share of the codebook in use, 0 … 1.
  double share() const {
    return codes > 0 ? static_cast<double>(used) / static_cast<double>(codes) : 0;
  }
};

/// counts  how often each code occurred
CodeUsage usage_of(std::span<const int64_t> counts);

/// Adds the occurrences of `ids` to `counts`. Throws IndexError for an id without a count.
void count_codes(std::span<const int64_t> ids, std::span<int64_t> counts);

/// When a codebook counts as collapsed: pictures look alike to it.
struct CollapseRule {
  double min_share = 0.5;     ///< of the codes in use
  double min_perplexity = 2;  ///< at most half the number of codes is asked for
};
bool has_collapsed(const CodeUsage& usage, const CollapseRule& rule = {});

}  // namespace tessera::beit3
