#include "beit3/data/masking.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr int kAttempts = 10;  // a block

int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

/// Tries to place one block that newly masks 1 ... budget patches; returns how many it masked.
int64_t place_block(std::vector<uint8_t>& mask, const BlockMaskOptions& o, int64_t budget,
                    RandomStream& random) {
  const double log_aspect = std::log(o.min_aspect);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // If the budget is below the smallest block, the interval runs backwards and is drawn all the
    // same: the reference does so, and the test on the count below keeps it harmless.
    const double area =
        random.uniform(static_cast<double>(o.min_block), static_cast<double>(budget));
    const double aspect = std::exp(random.uniform(log_aspect, -log_aspect));
    const int64_t height = rounded(std::sqrt(area * aspect));
    const int64_t width = rounded(std::sqrt(area / aspect));
    if (height < 1 || width < 1 || height >= o.rows || width >= o.columns) continue;
    const int64_t top = random.integer(o.rows - height + 1);
    const int64_t left = random.integer(o.columns - width + 1);
    int64_t fresh = height * width;
    for (int64_t r = top; r < top + height; ++r) {
      for (int64_t c = left; c < left + width; ++c) {
        fresh -= mask[static_cast<size_t>(r * o.columns + c)];
      }
    }
    if (fresh <= 0 || fresh > budget) continue;
    for (int64_t r = top; r < top + height; ++r) {
      std::fill_n(mask.begin() + r * o.columns + left, width, uint8_t{1});
    }
    return fresh;
  }
  return 0;
}

/// Gives `count` randomly chosen cells of value `from` the other value.
void change_cells(std::vector<uint8_t>& mask, uint8_t from, int64_t count, RandomStream& random) {
  std::vector<size_t> cells;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == from) cells.push_back(i);
  }
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const int64_t left = static_cast<int64_t>(cells.size() - i);
    std::swap(cells[i], cells[i + static_cast<size_t>(random.integer(left))]);
    mask[cells[i]] = from == 0 ? 1 : 0;
  }
}

}  // namespace

std::vector<uint8_t> block_mask(const BlockMaskOptions& o, RandomKey key) {
  check<ValueError>(o.rows > 0 && o.columns > 0 && o.rows <= (1 << 15) && o.columns <= (1 << 15),
                    "block_mask: the grid is {} x {}", o.rows, o.columns);
  check<ValueError>(o.masked >= 0 && o.masked <= o.rows * o.columns,
                    "block_mask: {} patches are to be masked of {} x {}", o.masked, o.rows,
                    o.columns);
  check<ValueError>(o.min_block >= 1 && o.max_block >= 0 && o.min_aspect > 0 && o.min_aspect <= 1,
                    "block_mask: min_block {}, max_block {}, min_aspect {}; expected >= 1, >= 0, "
                    "above 0 and at most 1",
                    o.min_block, o.max_block, o.min_aspect);
  RandomStream random(key);
  std::vector<uint8_t> mask(static_cast<size_t>(o.rows * o.columns), 0);
  int64_t count = 0;
  while (count < o.masked) {
    int64_t budget = o.masked - count;
    if (o.max_block > 0) budget = std::min(budget, o.max_block);
    const int64_t added = place_block(mask, o, budget, random);
    if (added == 0) break;
    count += added;
  }
  // Blocks never overshoot here, since each respects the budget; single patches fill what is left.
  change_cells(mask, 0, o.masked - count, random);
  return mask;
}

int64_t mask_count(int64_t n, double ratio) {
  check<ValueError>(n >= 0 && ratio >= 0 && ratio <= 1,
                    "mask_count: {} positions, ratio {}; expected >= 0 and 0 to 1", n, ratio);
  if (n == 0) return 0;
  return std::clamp<int64_t>(rounded(ratio * static_cast<double>(n)), 1, n);
}

std::vector<int64_t> text_mask(const std::vector<int64_t>& eligible, double ratio, RandomKey key) {
  const size_t count =
      static_cast<size_t>(mask_count(static_cast<int64_t>(eligible.size()), ratio));
  RandomStream random(key);
  std::vector<int64_t> chosen = eligible;
  for (size_t i = 0; i < count; ++i) {
    const int64_t left = static_cast<int64_t>(chosen.size() - i);
    std::swap(chosen[i], chosen[i + static_cast<size_t>(random.integer(left))]);
  }
  chosen.resize(count);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace tessera::beit3
