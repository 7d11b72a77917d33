#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

namespace tessera::beit3 {

/// Codes of pictures that look the same whenever they come: each is encoded once. Up to 128 MB of
/// them; later pictures are encoded every time.
class CodeMemory {
 public:
  /// The codes, `patches` each, of the pictures of these sample numbers. `encode` gives those of
  /// the places in `samples` that it is passed, in that order; codes are below 65,536.
  std::vector<int64_t> codes_of(
      std::span<const int64_t> samples, int64_t patches,
      const std::function<std::vector<int64_t>(std::span<const int64_t> places)>& encode);

 private:
  std::unordered_map<int64_t, std::vector<uint16_t>> known_;
};

}  // namespace tessera::beit3
