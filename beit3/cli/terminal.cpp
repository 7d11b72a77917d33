#include "beit3/cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <unistd.h>

#include "tensor/base/error.h"

namespace tessera::beit3::cli {
namespace {

std::mutex stderr_mutex;
bool live_line_shown = false;

void clear_live_line() {
  if (live_line_shown) std::fputs("\r\x1b[K", stderr);
  live_line_shown = false;
}

/// Cut to what the terminal shows in a line, so that it can be written over.
std::string cut_to_width(const std::string& line) {
  const char* columns = std::getenv("COLUMNS");
  const size_t width =
      columns != nullptr && std::atoi(columns) > 20 ? static_cast<size_t>(std::atoi(columns)) : 160;
  return line.size() < width ? line : line.substr(0, width - 1);
}

}  // namespace

void print(std::string_view text) {
  const size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  check<IoError>(written == text.size(), "writing to the standard output failed: {}",
                 std::strerror(errno));
}

void say(std::string_view line) {
  const std::lock_guard lock(stderr_mutex);
  clear_live_line();
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void finish_output() {
  const std::lock_guard lock(stderr_mutex);
  clear_live_line();
  errno = 0;
  const bool arrived = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  check<IoError>(arrived, "writing to the standard output failed{}",
                 errno != 0 ? std::string(": ") + std::strerror(errno) : "");
}

bool is_live() {
  static const bool live = [] {
    const char* term = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0;
  }();
  return live;
}

LiveLine::~LiveLine() {
  const std::lock_guard lock(stderr_mutex);
  clear_live_line();
}

void LiveLine::show(const std::string& line) {
  const auto now = Clock::now();
  const double passed = std::chrono::duration<double>(now - last_).count();
  const bool live = is_live();
  if (passed < (live ? 0.1 : plain_seconds_) && !(live && first_)) return;
  first_ = false;
  last_ = now;
  if (!live) {
    say(line);
    return;
  }
  const std::lock_guard lock(stderr_mutex);
  std::fprintf(stderr, "\r\x1b[K%s", cut_to_width(line).c_str());
  std::fflush(stderr);
  live_line_shown = true;
}

void LiveLine::count(std::string_view what, int64_t done, int64_t total) {
  if (last_count_ == 0 || done <= last_count_) {
    begin_ = Clock::now();
    first_count_ = done;
  }
  last_count_ = done;
  const double passed = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0;
  std::string line = format("{}: {} of {} ({} %)", what, done, total,
                            static_cast<int64_t>(std::floor(100 * share)));
  if (share > 0.02 && passed > 1) {
    line += ", " +
            duration_text(passed * static_cast<double>(total - done) /
                          static_cast<double>(done - first_count_)) +
            " left";
  }
  show(line);
}

std::vector<std::string> wrapped(std::string_view text, size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!line.empty() && line.size() + 1 + word.size() > columns) {
      lines.push_back(line);
      line.clear();
    }
    line += (line.empty() ? "" : " ") + std::string(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  lines.push_back(line);
  return lines;
}

std::string fixed(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return buffer;
}

std::string short_number(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string bytes_text(double bytes) {
  const char* units[] = {"bytes", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  return fixed(bytes, unit > 0 && bytes < 10 ? 1 : 0) + " " + units[unit];
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  char buffer[64];
  if (whole < 60) {
    std::snprintf(buffer, sizeof buffer, "%lld s", static_cast<long long>(whole));
  } else if (whole < 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld min %02lld s", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld h %02lld min", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60));
  }
  return buffer;
}

std::string json_number(double value) {
  return std::isfinite(value) ? short_number(value, 8) : "null";
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string padded(std::string_view text, size_t width) {
  std::string out(text);
  out.resize(std::max(out.size(), width), ' ');
  return out;
}

}  // namespace tessera::beit3::cli
