#pragma once

#include <string>

#include "beit3/data/manifest.h"

namespace tessera::beit3 {

/// The line-based kinds behind `open_dataset`.
DataSet open_jsonl(const std::string& path, const OpenOptions& options);
DataSet open_tsv(const std::string& path, const OpenOptions& options);
DataSet open_text_lines(const std::string& path, const OpenOptions& options);

}  // namespace tessera::beit3
