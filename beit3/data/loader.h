#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "beit3/data/manifest.h"
#include "beit3/data/prefetcher.h"
#include "beit3/data/sampler.h"
#include "beit3/image/image.h"

namespace tessera::beit3 {

/// Pictures that could not be read so far.
struct BrokenImages {
  int64_t count = 0;                  // different records
  std::vector<std::string> messages;  // of the first twenty
};

/// Decodes the pictures of a data set, remembering as many as fit into a bounded cache: a small
/// data set is decoded once. Once full, the cache stays as it is. Safe from several threads.
class ImageReader {
 public:
  /// `data` must outlive the reader. `cache_bytes` bounds the decoded pixels kept; 0: none.
  explicit ImageReader(const DataSet& data, size_t cache_bytes = 0);

  const DataSet& data() const { return data_; }

  /// The picture of a record. Throws IoError if it is missing or broken (from then on without
  /// touching the file again).
  std::shared_ptr<const Image> read(int64_t record);

  BrokenImages broken() const;
  size_t cached_bytes() const;

 private:
  const DataSet& data_;
  size_t cache_limit_bytes_;
  mutable std::mutex mutex_;
  size_t cache_bytes_ = 0;
  std::map<int64_t, std::shared_ptr<const Image>> cache_;
  std::map<int64_t, std::string> broken_;  // message by record
};

/// A picture met at a position of the order.
struct ReadSample {
  int64_t record = 0;
  std::shared_ptr<const Image> image;
  int64_t skipped = 0;  // broken ones passed over to find it
};

/// Reads the sample at `position` of the order. The rule for broken pictures: the sample is
/// replaced by that of the next position of the order, and so on; nothing else moves. What is read
/// is thus a function of data, order and position. `order` runs over records, or over `subset` if
/// it is given (the records with pictures, say). Throws IoError if a whole epoch of positions is
/// broken.
ReadSample read_sample(ImageReader& reader, const EpochOrder& order, int64_t position,
                       const std::vector<int64_t>* subset = nullptr);

}  // namespace tessera::beit3
