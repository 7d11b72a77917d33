#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "beit3/data/manifest.h"

namespace tessera::beit3 {

struct CheckOptions {
  int threads = 2;
  int64_t listed = 20;  // broken files and duplicates listed by name
  /// Called from the checking thread now and then.
  std::function<void(int64_t done, int64_t total)> progress{};
};

/// Smallest, mean and largest of a quantity; all 0 if there was nothing.
struct Spread {
  int64_t count = 0, smallest = 0, largest = 0;
  double mean = 0;
};

/// What is in a data set, after every picture was decoded once.
struct DataReport {
  int64_t records = 0, images = 0, texts = 0, pairs = 0, labelled = 0;
  int64_t broken = 0;
  std::vector<std::string> broken_messages;  // the first `listed`, by record
  Spread heights, widths;                    // of pictures that could be read
  Spread text_words, text_ids;               // words between blanks; token ids where given
  int64_t duplicate_images = 0;              // records whose picture file equals an earlier one
  std::vector<std::string> duplicate_names;  // "name = earlier name", the first `listed`
  int64_t duplicate_texts = 0;               // records whose text equals an earlier one
  std::vector<int64_t> label_counts;         // by label, if labels lie in 0 ... 9999
};

/// Reads every picture and text of a data set. Broken pictures are counted, not thrown; records
/// that name the same picture are looked at once and do not count as duplicates. The report does
/// not depend on the number of threads.
DataReport check_dataset(const DataSet& data, const CheckOptions& options = {});

/// The report as lines for a person.
std::string to_text(const DataReport& report, const DataSet& data);

}  // namespace tessera::beit3
