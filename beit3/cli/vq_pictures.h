#pragma once

#include <string>
#include <vector>

#include "beit3/data/loader.h"
#include "beit3/image/transform.h"
#include "beit3/vqkd/usage.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3::cli {

/// A data set of single files.
DataSet dataset_of(const std::vector<std::string>& files);

/// Pictures in order, those left out that cannot be read.
struct Listed {
  Tensor pixels;                   // (n, 3, S, S) in [0, 1]; undefined if n is 0
  std::vector<std::string> names;  // n
};

/// Pictures drawn at random, with their places in the data set.
struct Drawn {
  Tensor pixels;  // (n, 3, S, S) in [0, 1]
  std::vector<int64_t> records;
};

/// Pictures of a data set as an image tokenizer reads them: stretched to its side, or random crops
/// and flips.
class VqPictures {
 public:
  VqPictures(DataSet data, int64_t side, bool augment);

  int64_t size() const { return static_cast<int64_t>(usable_.size()); }
  int64_t side() const { return spec_.side; }
  /// Places in the data set of all records with a picture.
  const std::vector<int64_t>& records() const { return usable_; }
  BrokenImages broken() const { return reader_.broken(); }

  /// Those at the order's positions first … first + batch - 1; a broken one is replaced by the
  /// next.
  Drawn drawn(const EpochOrder& order, int64_t first, int64_t batch, RandomKey key);
  /// Those of the pictures [begin, end) that can be read; the others are named on stderr.
  Listed listed(int64_t begin, int64_t end);

 private:
  void append(std::vector<float>& pixels, const Image& image, RandomKey key) const;

  DataSet data_;
  ImageReader reader_;
  std::vector<int64_t> usable_;
  AugmentSpec spec_;
};

/// Which codes the first `most` pictures get.
CodeUsage usage_on(const Vqkd& vq, VqPictures& pictures, int64_t most);

/// The exit code: that of a collapse, after a warning, or 0.
int warn_if_collapsed(const CodeUsage& usage);

}  // namespace tessera::beit3::cli
