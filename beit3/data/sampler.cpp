#include "beit3/data/sampler.h"

#include <numeric>
#include <utility>

#include "tensor/base/error.h"

namespace tessera::beit3 {

EpochOrder::EpochOrder(int64_t n, RandomKey key, bool shuffle)
    : n_(n), key_(key), shuffle_(shuffle) {
  check<ValueError>(n >= 1 && n <= int64_t{1} << 32,
                    "EpochOrder: {} items; expected 1 to 2^32 (is the data set empty?)", n);
}

int64_t EpochOrder::at(int64_t position) const {
  check<IndexError>(position >= 0, "EpochOrder: position {} is negative", position);
  if (!shuffle_) return position % n_;
  return (*epoch(position / n_))[static_cast<size_t>(position % n_)];
}

std::vector<int64_t> EpochOrder::batch(int64_t step, int64_t batch_size, int64_t rank,
                                       int64_t ranks) const {
  check<ValueError>(step >= 0 && batch_size >= 1 && rank >= 0 && rank < ranks,
                    "EpochOrder: step {}, batch_size {}, rank {} of {}", step, batch_size, rank,
                    ranks);
  std::vector<int64_t> items;
  items.reserve(static_cast<size_t>(batch_size));
  const int64_t first = (step * ranks + rank) * batch_size;
  for (int64_t i = 0; i < batch_size; ++i) items.push_back(at(first + i));
  return items;
}

EpochOrder::Permutation EpochOrder::epoch(int64_t e) const {
  // Even and odd epochs have a place each: readers at the border of two epochs use both.
  const size_t slot = static_cast<size_t>(e % 2);
  const std::lock_guard lock(mutex_);
  if (kept_[slot] != e) {
    auto items = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(n_));
    std::iota(items->begin(), items->end(), int64_t{0});
    RandomStream random(key_.fold(static_cast<uint64_t>(e)));
    for (int64_t i = n_ - 1; i > 0; --i) {
      std::swap((*items)[static_cast<size_t>(i)],
                (*items)[static_cast<size_t>(random.integer(i + 1))]);
    }
    permutation_[slot] = std::move(items);
    kept_[slot] = e;
  }
  return permutation_[slot];
}

}  // namespace tessera::beit3
