#include "beit3/cli/line_blocks.h"

#include <cerrno>
#include <cstring>
#include <string_view>

#include <unistd.h>

#include "tensor/base/error.h"

namespace tessera::beit3::cli {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 20;

void add_line(std::vector<std::string>& lines, std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  lines.emplace_back(line);
}

}  // namespace

void for_each_block_of_lines(const std::function<void(const std::vector<std::string>&)>& use) {
  std::string bytes;  // begins with the part of a line that the block before ended with
  std::vector<std::string> lines;
  while (true) {
    const size_t begun = bytes.size();
    bytes.resize(begun + kBlockBytes);
    ssize_t got = 0;
    do got = ::read(STDIN_FILENO, bytes.data() + begun, kBlockBytes);
    while (got < 0 && errno == EINTR);
    check<IoError>(got >= 0, "reading the standard input failed: {}", std::strerror(errno));
    bytes.resize(begun + static_cast<size_t>(got));
    lines.clear();
    size_t at = 0;
    for (size_t end; (end = bytes.find('\n', std::max(at, begun))) != std::string::npos;) {
      add_line(lines, std::string_view(bytes).substr(at, end - at));
      at = end + 1;
    }
    bytes.erase(0, at);
    if (got == 0 && !bytes.empty()) add_line(lines, bytes);
    if (!lines.empty()) use(lines);
    if (got == 0) return;
  }
}

}  // namespace tessera::beit3::cli
