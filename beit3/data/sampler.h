#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// The order in which samples are visited: epoch after epoch, each a permutation of 0 ... n-1.
///
/// Position p (counted over all epochs) gives item permutation_e[p mod n] with e = p / n, and the
/// permutation is a pure function of (key, e): the order does not depend on threads, on how far
/// ahead somebody reads, or on where a run was resumed. Safe to use from several threads; the last
/// two epochs are kept (16 bytes an item).
class EpochOrder {
 public:
  /// n      items, 1 ... 2^32
  /// shuffle  false: 0, 1, ..., n-1 in every epoch
  EpochOrder(int64_t n, RandomKey key, bool shuffle = true);

  int64_t size() const { return n_; }

  /// The item at a position >= 0.
  int64_t at(int64_t position) const;

  /// Items of batch `step`: positions (step * ranks + rank) * batch_size and following. With
  /// several ranks each takes a part of the same order.
  std::vector<int64_t> batch(int64_t step, int64_t batch_size, int64_t rank = 0,
                             int64_t ranks = 1) const;

 private:
  using Permutation = std::shared_ptr<const std::vector<int64_t>>;
  Permutation epoch(int64_t e) const;

  int64_t n_;
  RandomKey key_;
  bool shuffle_;
  mutable std::mutex mutex_;
  mutable int64_t kept_[2] = {-1, -1};
  mutable Permutation permutation_[2];
};

}  // namespace tessera::beit3
