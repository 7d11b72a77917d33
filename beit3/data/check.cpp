#include "beit3/data/check.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "beit3/data/prefetcher.h"
#include "beit3/image/decode.h"
#include "tensor/base/error.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {
namespace {

constexpr int64_t kChunk = 32;  // pictures a thread takes at a time
constexpr int64_t kMaxLabels = 10'000;

/// What one picture turned out to be.
struct Found {
  int64_t record = 0, height = 0, width = 0;
  std::pair<uint64_t, uint64_t> digest{};
  std::string error;
};

/// Two chains of 64 bits over the bytes: equal for equal files, and for 10^8 different ones equal
/// by chance with less than 1 in 10^20. Not meant against somebody who makes collisions on purpose.
std::pair<uint64_t, uint64_t> digest_of(const std::vector<uint8_t>& bytes) {
  uint64_t a = 0x9AE16A3B2F90404Full ^ bytes.size(), b = 0xC949D7C7509E6557ull;
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    for (size_t j = i; j < std::min(i + 8, bytes.size()); ++j) word = word << 8 | bytes[j];
    a = (a ^ word) * 0x9FB21C651E98DF25ull;
    a ^= a >> 32;
    b = (b + word) * 0xD6E8FEB86659FD93ull;
    b ^= b >> 29;
  }
  return {a, b};
}

Found look_at(const DataSet& data, int64_t record) {
  Found found;
  found.record = record;
  try {
    const std::vector<uint8_t> bytes = data.image_bytes(record);
    found.digest = digest_of(bytes);
    const Image image = decode_image(bytes, data.image_name(record));
    found.height = image.height;
    found.width = image.width;
  } catch (const IoError& error) {
    found.error = error.what();
  }
  return found;
}

void add(Spread& spread, int64_t value) {
  spread.smallest = spread.count == 0 ? value : std::min(spread.smallest, value);
  spread.largest = spread.count == 0 ? value : std::max(spread.largest, value);
  ++spread.count;
  spread.mean += (static_cast<double>(value) - spread.mean) / static_cast<double>(spread.count);
}

int64_t count_words(const std::string& text) {
  int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    words += !blank && !inside;
    inside = !blank;
  }
  return words;
}

void check_records(const DataSet& data, DataReport& report) {
  report.records = data.size();
  report.images = data.images();
  report.texts = data.texts();
  report.pairs = data.pairs();
  std::unordered_set<std::string> seen;
  for (const Record& record : data.records) {
    if (!record.text.empty()) {
      add(report.text_words, count_words(record.text));
      report.duplicate_texts += !seen.insert(record.text).second;
    }
    if (!record.text_ids.empty()) {
      add(report.text_ids, static_cast<int64_t>(record.text_ids.size()));
    }
    if (record.label < 0) continue;
    ++report.labelled;
    if (record.label >= kMaxLabels) continue;
    if (record.label >= static_cast<int64_t>(report.label_counts.size())) {
      report.label_counts.resize(static_cast<size_t>(record.label + 1));
    }
    ++report.label_counts[static_cast<size_t>(record.label)];
  }
}

std::string spread_text(const Spread& spread) {
  return format("{} to {}, mean {}", spread.smallest, spread.largest,
                static_cast<double>(static_cast<int64_t>(spread.mean * 10 + 0.5)) / 10);
}

}  // namespace

DataReport check_dataset(const DataSet& data, const CheckOptions& options) {
  DataReport report;
  check_records(data, report);

  std::vector<int64_t> first_of_picture;
  std::unordered_set<std::string> names;
  for (const Record& record : data.records) {
    if (!record.image_path.empty() && names.insert(record.image_path).second) {
      first_of_picture.push_back(record.id);
    }
  }
  const int64_t total = static_cast<int64_t>(first_of_picture.size());
  const int64_t chunks = (total + kChunk - 1) / kChunk;
  const auto look_at_chunk = [&](int64_t chunk) {
    std::vector<Found> found;
    const int64_t end = std::min(total, (chunk + 1) * kChunk);
    for (int64_t i = chunk * kChunk; i < end; ++i) {
      found.push_back(look_at(data, first_of_picture[static_cast<size_t>(i)]));
    }
    return found;
  };
  Prefetcher<std::vector<Found>> looks(
      look_at_chunk, {.threads = options.threads, .depth = 16, .end_step = chunks});
  std::map<std::pair<uint64_t, uint64_t>, int64_t> pictures;
  const size_t listed = static_cast<size_t>(std::max<int64_t>(0, options.listed));
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    for (const Found& found : looks.next()) {
      if (!found.error.empty()) {
        ++report.broken;
        if (report.broken_messages.size() < listed) report.broken_messages.push_back(found.error);
        continue;
      }
      add(report.heights, found.height);
      add(report.widths, found.width);
      const auto [earlier, fresh] = pictures.emplace(found.digest, found.record);
      if (fresh) continue;
      ++report.duplicate_images;
      if (report.duplicate_names.size() < listed) {
        report.duplicate_names.push_back(data.image_name(found.record) + " = " +
                                         data.image_name(earlier->second));
      }
    }
    if (options.progress) options.progress(std::min(total, (chunk + 1) * kChunk), total);
  }
  return report;
}

std::string to_text(const DataReport& report, const DataSet& data) {
  std::string out = format("{}: {}, {} records\n", data.path, to_string(data.kind), report.records);
  out += format("  pictures   {} ({} broken)\n", report.images, report.broken);
  if (report.heights.count > 0) {
    out += format("  height     {}\n", spread_text(report.heights));
    out += format("  width      {}\n", spread_text(report.widths));
  }
  out += format("  texts      {}, with a picture {}\n", report.texts, report.pairs);
  if (report.text_words.count > 0) {
    out += format("  words      {}\n", spread_text(report.text_words));
  }
  if (report.text_ids.count > 0) out += format("  token ids  {}\n", spread_text(report.text_ids));
  if (report.labelled > 0) {
    const int64_t used = std::count_if(report.label_counts.begin(), report.label_counts.end(),
                                       [](int64_t count) { return count > 0; });
    out += format("  labels     {} records, {} classes\n", report.labelled, used);
  }
  out += format("  duplicates {} pictures, {} texts\n", report.duplicate_images,
                report.duplicate_texts);
  for (const std::string& message : report.broken_messages) out += "  broken: " + message + "\n";
  const int64_t unlisted = report.broken - static_cast<int64_t>(report.broken_messages.size());
  if (unlisted > 0) out += format("  broken: and {} more\n", unlisted);
  for (const std::string& names : report.duplicate_names) out += "  same: " + names + "\n";
  return out;
}

}  // namespace tessera::beit3
