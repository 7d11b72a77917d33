#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3::cli {

/// Data go to stdout. Throws IoError if they cannot be written.
void print(std::string_view text);
/// Talk goes to stderr, a line at a time. A live line is cleared first.
void say(std::string_view line);

/// Makes sure that everything printed has arrived. Throws IoError.
void finish_output();

/// True if stderr is a terminal that understands control sequences.
bool is_live();

/// A line of stderr that is written anew as work goes on; where stderr is no terminal, a plain
/// line now and then instead.
class LiveLine {
 public:
  /// plain_seconds  between two plain lines
  explicit LiveLine(double plain_seconds = 10) : plain_seconds_(plain_seconds) {}
  ~LiveLine();
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  /// Shows a line if enough time has passed since the last one.
  void show(const std::string& line);
  /// "drawing: 1200 of 12000 (10 %), 12 s left". A count that does not grow begins anew.
  void count(std::string_view what, int64_t done, int64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  double plain_seconds_;
  Clock::time_point last_ = Clock::now(), begin_;
  int64_t first_count_ = 0, last_count_ = 0;  // of the count that runs since begin_
  bool first_ = true;
};

/// Lines of at most `columns` characters, broken at spaces.
std::vector<std::string> wrapped(std::string_view text, size_t columns);
/// With so many digits behind the point: "0.250".
std::string fixed(double value, int digits);
/// A few significant digits: "0.00125".
std::string short_number(double value, int digits = 4);
/// "850 KB", "1.2 GB".
std::string bytes_text(double bytes);
/// "42 s", "3 min 05 s", "1 h 20 min".
std::string duration_text(double seconds);
/// A number as JSON: null where it is not finite.
std::string json_number(double value);
std::string json_string(std::string_view text);
/// A left-aligned cell.
std::string padded(std::string_view text, size_t width);

}  // namespace tessera::beit3::cli
