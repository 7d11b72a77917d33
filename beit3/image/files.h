#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// The whole file. Throws IoError if it cannot be opened or read, is not a regular file, or has
/// more than `max_bytes` (the size is looked at before anything is allocated).
std::vector<uint8_t> read_file(const std::string& path, size_t max_bytes = size_t{1} << 30);

/// Like `read_file`, as text.
std::string read_text_file(const std::string& path, size_t max_bytes = size_t{1} << 30);

/// Writes a file that is either there whole or not at all: a temporary file beside it is written,
/// flushed to the disk and renamed. An older file of that name is replaced. Throws IoError with the
/// system's reason (no room, no such folder, ...); the temporary file is then removed.
void write_file_atomically(const std::string& path, std::string_view bytes);
void write_file_atomically(const std::string& path, const std::vector<uint8_t>& bytes);

/// Writes a file in place, for use inside a folder that will itself be renamed when complete.
void write_file_plainly(const std::string& path, std::string_view bytes);
void write_file_plainly(const std::string& path, const std::vector<uint8_t>& bytes);

}  // namespace tessera::beit3
