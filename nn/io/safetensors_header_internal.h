#pragma once

#include "nn/io/safetensors.h"

namespace tessera::nn::detail {

/// What a header says, checked against the number of bytes that follow it.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their elements
  SafetensorsMetadata metadata;
};

/// Parses and checks `json`. `data_bytes` is what the file has after the header. Throws IoError
/// beginning with `path`.
SafetensorsHeader parse_safetensors_header(std::string_view json, size_t data_bytes,
                                           const std::string& path);

/// The JSON of a header, padded with spaces so that the elements begin at a multiple of 8.
/// `entries` have their offsets. ValueError for a name that is not UTF-8.
std::string write_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                     const SafetensorsMetadata& metadata);

}  // namespace tessera::nn::detail
