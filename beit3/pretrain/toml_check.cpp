#include <algorithm>
#include <cstdint>

#include "beit3/pretrain/toml_check_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3::detail {
namespace {

/// Most dots in a key: names have one.
constexpr int kMostDots = 8;

bool beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

class Scan {
 public:
  Scan(std::string_view text, const std::string& file) : text_(text), file_(file) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  void run() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        // The parser would read one inside a number as part of it, and go on as outside quotes.
        require(text_may_begin_, "a quote stands inside a name or a number");
        skip_text(c);
        text_may_begin_ = false;
      } else if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size()) - 1;
      } else if (c == '.') {
        ++dots_;
        text_may_begin_ = false;
        require(dots_ <= kMostDots, "a key has more than {} dots", kMostDots);
      } else if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) {
        line_ += c == '\n';
        dots_ = 0;
        text_may_begin_ = c != ']' && c != '}';
      } else if (c != ' ' && c != '\t') {
        text_may_begin_ = false;
        require(!beyond_ascii(c),
                "a letter outside ASCII stands outside quotes; put texts in \"…\"");
      }
    }
  }

 private:
  /// A text ends with the quotes it begins with: one, or three.
  void skip_text(char quote) {
    const std::string three(3, quote);
    const bool long_text = text_.substr(at_, 3) == three;
    const std::string_view quotes = std::string_view(three).substr(0, long_text ? 3 : 1);
    for (at_ += quotes.size(); at_ < text_.size(); ++at_) {
      if (text_.substr(at_, quotes.size()) == quotes) break;
      if (quote == '"' && text_[at_] == '\\') skip_escaped();
      if (at_ < text_.size() && text_[at_] == '\n') {
        ++line_;
        if (!long_text) return;  // a mistake, which the parser will name
      }
    }
    if (at_ >= text_.size()) return;  // it has no end, which the parser will name
    at_ += quotes.size() - 1;
    // Three quotes may have one or two of the text before them.
    for (int more = 0; long_text && more < 2 && text_.substr(at_ + 1, 1) == quotes.substr(0, 1);
         ++more) {
      ++at_;
    }
  }

  /// Behind a backslash the parser looks for a space, and for more of them: as outside quotes.
  void skip_escaped() {
    const size_t next = text_.find_first_not_of(" \t\r\n", at_ + 1);
    require(next == std::string_view::npos || !beyond_ascii(text_[next]),
            "a backslash stands before a letter outside ASCII");
    ++at_;
  }

  template <class... Args>
  void require(bool ok, std::string_view what, const Args&... args) const {
    if (!ok) throw ValueError(format("{}:{}: ", file_, line_) + format(what, args...));
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  int64_t line_ = 1;
  int dots_ = 0;
  bool text_may_begin_ = true;
};

}  // namespace

void check_toml(std::string_view text, const std::string& file) { Scan(text, file).run(); }

}  // namespace tessera::beit3::detail
