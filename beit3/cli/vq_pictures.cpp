#include "beit3/cli/vq_pictures.h"

#include <algorithm>
#include <utility>

#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "tensor/ops/creation.h"

namespace tessera::beit3::cli {

DataSet dataset_of(const std::vector<std::string>& files) {
  DataSet data;
  data.kind = DataKind::image_folder;
  for (const std::string& file : files) {
    data.records.emplace_back();
    data.records.back().id = data.size() - 1;
    data.records.back().image_path = file;
  }
  return data;
}

VqPictures::VqPictures(DataSet data, int64_t side, bool augment)
    : data_(std::move(data)), reader_(data_, size_t{1} << 29) {
  for (int64_t i = 0; i < data_.size(); ++i) {
    if (!data_.records[static_cast<size_t>(i)].image_path.empty()) usable_.push_back(i);
  }
  check<IoError>(!usable_.empty(), "{} holds no picture", data_.path);
  spec_.side = side;
  spec_.normalisation = kUnit;
  spec_.framing = augment ? Framing::random_crop : Framing::stretch;
  spec_.flip_probability = augment ? 0.5 : 0;
}

Drawn VqPictures::drawn(const EpochOrder& order, int64_t first, int64_t batch, RandomKey key) {
  Drawn result;
  std::vector<float> pixels;
  for (int64_t i = first; i < first + batch; ++i) {
    const ReadSample sample = read_sample(reader_, order, i, &usable_);
    append(pixels, *sample.image, key.fold(static_cast<uint64_t>(i)));
    result.records.push_back(sample.record);
  }
  result.pixels = from_data(pixels, {batch, 3, side(), side()});
  return result;
}

Listed VqPictures::listed(int64_t begin, int64_t end) {
  Listed result;
  std::vector<float> pixels;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t record = usable_[static_cast<size_t>(i)];
    try {
      append(pixels, *reader_.read(record), {});
      result.names.push_back(data_.image_name(record));
    } catch (const IoError& e) {
      say(std::string("left out: ") + e.what());
    }
  }
  const auto n = static_cast<int64_t>(result.names.size());
  if (n > 0) result.pixels = from_data(pixels, {n, 3, side(), side()});
  return result;
}

void VqPictures::append(std::vector<float>& pixels, const Image& image, RandomKey key) const {
  const AugmentedView view = augment(image, spec_, key);
  pixels.insert(pixels.end(), view.pixels.begin(), view.pixels.end());
}

CodeUsage usage_on(const Vqkd& vq, VqPictures& pictures, int64_t most) {
  std::vector<int64_t> counts(static_cast<size_t>(vq.config().codes), 0);
  const int64_t n = std::min(pictures.size(), most);
  for (int64_t begin = 0; begin < n; begin += 64) {
    const Listed listed = pictures.listed(begin, std::min(begin + 64, n));
    if (listed.names.empty()) continue;
    count_codes(vq.encode(listed.pixels).to_vector<int64_t>(), counts);
  }
  return usage_of(counts);
}

int warn_if_collapsed(const CodeUsage& usage) {
  if (!has_collapsed(usage)) return kDone;
  say(format(
      "warning: only {} of {} codes are used: the codebook has collapsed; train longer, with "
      "fewer codes (--codes) or another seed",
      usage.used, usage.codes));
  return kCollapse;
}

}  // namespace tessera::beit3::cli
