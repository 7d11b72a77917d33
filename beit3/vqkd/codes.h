#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3 {

/// The codes of all pictures of a data set, made once and read ever after.
struct CodeTable {
  int64_t pictures = 0, patches = 0;  ///< patches of one picture
  int64_t codes = 0;                  ///< size of the codebook
  uint64_t tokenizer = 0;             ///< content_hash of the tokenizer that made them
  std::string data;                   ///< what they were made of, in the words of the caller
  std::vector<int32_t> ids = {};      ///< (pictures, patches)

  std::span<const int32_t> of(int64_t picture) const {
    return std::span(ids).subspan(static_cast<size_t>(picture * patches),
                                  static_cast<size_t>(patches));
  }
};

/// Encodes pictures 0 … count-1. `pictures(begin, end)` gives (end - begin, 3, S, S) in [0, 1].
CodeTable encode_all(const Vqkd& vq, int64_t count,
                     const std::function<Tensor(int64_t begin, int64_t end)>& pictures,
                     std::string data = "", int64_t batch = 64);

/// Writes a table into a safetensors file, atomically.
void save_codes(const std::string& path, const CodeTable& table);

/// Reads one. Throws IoError if the file holds none or a damaged one, StateError, naming both
/// hashes, if its codes were made by another tokenizer than `vq`.
CodeTable load_codes(const std::string& path, const Vqkd& vq);

}  // namespace tessera::beit3
