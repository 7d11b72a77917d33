#pragma once

#include <filesystem>
#include <string>

namespace tessera::testing {

/// What a run of the program left.
struct Outcome {
  int code = -1;  ///< exit code, or -signal
  std::string out, err;
};

/// Runs `beit3` with arguments as a shell writes them. `before` is put in front, such as
/// "timeout -s INT 2".
Outcome run_beit3(const std::string& arguments, const std::string& before = "");

/// A fresh folder that goes when the object does.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

}  // namespace tessera::testing
