#include "beit3/data/loader.h"

#include <utility>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr size_t kMaxMessages = 20;

}  // namespace

ImageReader::ImageReader(const DataSet& data, size_t cache_bytes)
    : data_(data), cache_limit_bytes_(cache_bytes) {}

std::shared_ptr<const Image> ImageReader::read(int64_t record) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = cache_.find(record); found != cache_.end()) return found->second;
    if (const auto found = broken_.find(record); found != broken_.end()) {
      throw IoError(found->second);
    }
  }
  // Decoded outside the lock: two threads may do the same picture, which costs time but no harm.
  try {
    auto image = std::make_shared<const Image>(data_.image(record));
    const size_t image_bytes = image->rgb.size();
    const std::lock_guard lock(mutex_);
    if (image_bytes <= cache_limit_bytes_ - cache_bytes_ && cache_.emplace(record, image).second) {
      cache_bytes_ += image_bytes;
    }
    return image;
  } catch (const IoError& error) {
    const std::lock_guard lock(mutex_);
    broken_.emplace(record, error.what());
    throw;
  }
}

BrokenImages ImageReader::broken() const {
  const std::lock_guard lock(mutex_);
  BrokenImages report{static_cast<int64_t>(broken_.size()), {}};
  for (const auto& [record, message] : broken_) {
    if (report.messages.size() == kMaxMessages) break;
    report.messages.push_back(message);
  }
  return report;
}

size_t ImageReader::cached_bytes() const {
  const std::lock_guard lock(mutex_);
  return cache_bytes_;
}

ReadSample read_sample(ImageReader& reader, const EpochOrder& order, int64_t position,
                       const std::vector<int64_t>* subset) {
  const int64_t records = subset ? static_cast<int64_t>(subset->size()) : reader.data().size();
  check<ValueError>(order.size() == records,
                    "read_sample: the order has {} items, but there are {} samples", order.size(),
                    records);
  std::string last_message;
  for (int64_t skipped = 0; skipped < order.size(); ++skipped) {
    const int64_t item = order.at(position + skipped);
    const int64_t record = subset ? (*subset)[static_cast<size_t>(item)] : item;
    try {
      return {record, reader.read(record), skipped};
    } catch (const IoError& error) {
      last_message = error.what();
    }
  }
  fail<IoError>("read_sample: {} pictures of \"{}\" in a row cannot be read; the last: {}",
                order.size(), reader.data().path, last_message);
}

}  // namespace tessera::beit3
