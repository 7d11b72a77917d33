#include "tests/cli/program.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

namespace tessera::testing {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "beit3-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

Outcome run_beit3(const std::string& arguments, const std::string& before) {
  const char* program = std::getenv("BEIT3_PROGRAM");
  if (program == nullptr) throw std::runtime_error("BEIT3_PROGRAM names no program");
  const TemporaryFolder folder;
  const std::string command = before + " '" + program + "' " + arguments;
  const std::string line =
      "{ " + command + "; } >'" + folder / "out" + "' 2>'" + folder / "err" + "'";
  const int status = std::system(line.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return {code, read_text(folder / "out"), read_text(folder / "err")};
}

}  // namespace tessera::testing
