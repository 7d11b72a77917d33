#include "beit3/data/tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <string_view>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kMaxNameBytes = 1 << 16;  // of a long name or a pax header

using Header = std::array<char, kBlock>;

std::string_view field(const Header& header, size_t from, size_t length) {
  const std::string_view all(header.data() + from, length);
  return all.substr(0, std::min(all.find('\0'), length));
}

/// An octal number with blanks around it, or a big-endian binary one marked by its highest bit.
/// -1 if it is neither.
int64_t number(const Header& header, size_t from, size_t length) {
  const unsigned char lead = static_cast<unsigned char>(header[from]);
  int64_t value = 0;
  if (lead & 0x80) {
    if (lead != 0x80) return -1;
    for (size_t i = 1; i < length; ++i) {
      if (value >> 54) return -1;
      value = value << 8 | static_cast<unsigned char>(header[from + i]);
    }
    return value;
  }
  for (const char c : field(header, from, length)) {
    if (c == ' ') continue;
    if (c < '0' || c > '7' || value >> 59) return -1;
    value = value * 8 + (c - '0');
  }
  return value;
}

/// The sum of all bytes, those of the checksum field itself counted as blanks.
bool checksum_fits(const Header& header) {
  int64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum == number(header, 148, 8);
}

/// The value of "path" in pax records "LENGTH KEY=VALUE\n"; empty if there is none.
std::string pax_path(std::string_view records) {
  std::string path;
  while (!records.empty()) {
    size_t length = 0, digits = 0;
    while (digits < records.size() && digits < 7 && records[digits] >= '0' &&
           records[digits] <= '9') {
      length = length * 10 + static_cast<size_t>(records[digits++] - '0');
    }
    if (length <= digits + 1 || length > records.size()) break;
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    if (record.substr(0, 5) == "path=") path = record.substr(5);
    records.remove_prefix(length);
  }
  return path;
}

std::string member_name(const Header& header) {
  std::string name(field(header, 0, 100));
  if (field(header, 257, 5) == "ustar") {
    const std::string_view prefix = field(header, 345, 155);
    // GNU archives keep other things there; theirs is marked by a blank after "ustar".
    if (!prefix.empty() && header[262] == '\0') name = std::string(prefix) + "/" + name;
  }
  return name;
}

}  // namespace

TarIndex::TarIndex(const std::string& path) : path_(path) {
  std::ifstream file(path, std::ios::binary);
  check<IoError>(file.is_open(), "tar: \"{}\" cannot be opened", path);
  file.seekg(0, std::ios::end);
  const int64_t size_bytes = file.tellg();
  check<IoError>(size_bytes >= 0, "tar: \"{}\" is not a regular file", path);
  std::string long_name;
  Header header{};
  for (int64_t at = 0; at < size_bytes;) {
    check<IoError>(size_bytes - at >= kBlock,
                   "tar: \"{}\" is truncated: {} bytes are left at byte {}, "
                   "but a header has {}",
                   path, size_bytes - at, at, kBlock);
    file.seekg(at);
    file.read(header.data(), kBlock);
    check<IoError>(file.good(), "tar: \"{}\" cannot be read at byte {}", path, at);
    if (std::all_of(header.begin(), header.end(), [](char c) { return c == 0; })) break;
    const bool compressed = at == 0 && header[0] == '\x1F' && header[1] == '\x8B';
    check<IoError>(!compressed, "tar: \"{}\" is compressed; unpack it with gunzip first", path);
    check<IoError>(checksum_fits(header), "tar: \"{}\" is damaged: no member header at byte {}",
                   path, at);
    const int64_t length = number(header, 124, 12);
    const int64_t data = at + kBlock;
    check<IoError>(length >= 0, "tar: \"{}\" is damaged: the member at byte {} has no valid size",
                   path, at);
    check<IoError>(length <= size_bytes - data,
                   "tar: \"{}\" is truncated: the member at byte {} has {} bytes, but {} follow",
                   path, at, length, size_bytes - data);
    const char type = header[156];
    if (type == 'L' || type == 'x') {
      check<IoError>(length <= kMaxNameBytes,
                     "tar: \"{}\": a name of {} bytes at byte {}; at most "
                     "{} are read",
                     path, length, at, kMaxNameBytes);
      std::string text(static_cast<size_t>(length), '\0');
      file.read(text.data(), length);
      check<IoError>(file.good(), "tar: \"{}\" cannot be read at byte {}", path, data);
      if (type == 'L') {
        long_name = text.substr(0, std::min(text.find('\0'), text.size()));
      } else if (std::string found = pax_path(text); !found.empty()) {
        long_name = std::move(found);
      }
    } else if (type != 'g' && type != 'K') {
      std::string name = long_name.empty() ? member_name(header) : long_name;
      long_name.clear();
      while (name.compare(0, 2, "./") == 0) name.erase(0, 2);
      if ((type == '0' || type == '\0' || type == '7') && !name.empty() && name.back() != '/') {
        members_[name] = {data, length};
      }
    }
    at = data + (length + kBlock - 1) / kBlock * kBlock;
  }
}

std::vector<uint8_t> TarIndex::read(const std::string& name, size_t max_bytes) const {
  const auto found = members_.find(name);
  check<IoError>(found != members_.end(), "tar: \"{}\" has no member \"{}\"", path_, name);
  const auto [offset, size_bytes] = found->second;
  check<IoError>(static_cast<size_t>(size_bytes) <= max_bytes,
                 "tar: \"{}\": member \"{}\" has {} bytes; at most {} are read here", path_, name,
                 size_bytes, max_bytes);
  // A stream of its own each time: no state is shared between threads.
  std::ifstream file(path_, std::ios::binary);
  std::vector<uint8_t> bytes(static_cast<size_t>(size_bytes));
  file.seekg(offset);
  file.read(reinterpret_cast<char*>(bytes.data()), size_bytes);
  check<IoError>(file.good(), "tar: member \"{}\" of \"{}\" cannot be read", name, path_);
  return bytes;
}

}  // namespace tessera::beit3
