#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Zip archives written by hand, without compression, so that a test may write wrong ones.
/// Source of the format: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
namespace tessera::testing {

struct ZipEntry {
  std::string name, data;
};

/// Little endian.
inline std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += i < 8 ? static_cast<char>(value >> (8 * i) & 0xff) : '\0';
  return out;
}

/// What an archive says of a member, in its local header as in its directory.
inline std::string zip_description(const ZipEntry& e) {
  uint32_t crc = ~0u;
  for (const char c : e.data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return little(20, 2) + little(0, 8) + little(~crc, 4) + little(e.data.size(), 4) +
         little(e.data.size(), 4) + little(e.name.size(), 2) + little(0, 2);
}

/// A member with its local header.
inline std::string zip_member(const ZipEntry& e) {
  return "PK\3\4" + zip_description(e) + e.name + e.data;
}

struct PlacedEntry {
  const ZipEntry& entry;
  size_t begin_bytes;  // of its local header
};

/// Members that lie at these places of `members`, and the directory that says so.
inline std::string zip_with_directory(const std::string& members,
                                      const std::vector<PlacedEntry>& places) {
  std::string directory;
  for (const PlacedEntry& place : places) {
    directory += "PK\1\2" + little(20, 2) + zip_description(place.entry) + little(0, 10) +
                 little(place.begin_bytes, 4) + place.entry.name;
  }
  return members + directory + "PK\5\6" + little(0, 4) + little(places.size(), 2) +
         little(places.size(), 2) + little(directory.size(), 4) + little(members.size(), 4) +
         little(0, 2);
}

/// Members one after another.
inline std::string stored_zip(const std::vector<ZipEntry>& entries) {
  std::string members;
  std::vector<PlacedEntry> places;
  for (const ZipEntry& entry : entries) {
    places.push_back({entry, members.size()});
    members += zip_member(entry);
  }
  return zip_with_directory(members, places);
}

}  // namespace tessera::testing
