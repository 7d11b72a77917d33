#pragma once

#include <span>
#include <vector>

#include "beit3/image/draw.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3 {

/// Pictures above what their codes keep of them, `columns` a row. images (B, 3, S, S) in [0, 1].
Image reconstruction_sheet(const Vqkd& vq, const Tensor& images, int64_t columns = 12);

/// The mean of all patches that have a code, for each code.
class CodeMeans {
 public:
  CodeMeans(int64_t codes, int64_t patch);

  /// images (B, 3, S, S) in [0, 1], ids (B * N) of their patches.
  void add(const Tensor& images, const Tensor& ids);

  const std::vector<int64_t>& counts() const { return counts_; }
  /// The mean patch; without pixels for a code that did not occur.
  Image mean(int64_t code) const;

 private:
  int64_t patch_;
  std::vector<double> sums_;  // (codes, 3 P P)
  std::vector<int64_t> counts_;
};

/// The mean patch of each code with its number of occurrences, the commonest first.
Image code_sheet(const CodeMeans& means, int64_t columns = 16);

}  // namespace tessera::beit3
