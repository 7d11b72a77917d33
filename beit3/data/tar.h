#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tessera::beit3 {

/// Where the regular files of an uncompressed tar archive lie, for reading them in any order.
///
/// ustar, GNU long names and pax paths are understood; links and special files are left out. Names
/// are kept as they stand, without a leading "./"; of two members of one name the later counts, as
/// in unpacking. Nothing is ever unpacked.
class TarIndex {
 public:
  struct Member {
    int64_t offset = 0, size_bytes = 0;
  };

  /// Reads the headers. Throws IoError, with the byte, for an archive that is truncated, damaged or
  /// compressed.
  explicit TarIndex(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, Member>& members() const { return members_; }
  bool contains(const std::string& name) const { return members_.count(name) != 0; }

  /// The bytes of a member; safe from several threads. Throws IoError if there is none, it is
  /// larger than `max_bytes`, or the file changed.
  std::vector<uint8_t> read(const std::string& name, size_t max_bytes = size_t{256} << 20) const;

 private:
  std::string path_;
  std::map<std::string, Member> members_;
};

}  // namespace tessera::beit3
