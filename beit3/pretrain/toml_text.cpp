#include <cstdint>
#include <cstdio>

#include "beit3/pretrain/toml_text_internal.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3::detail {
namespace {

/// Most dots in a key: names have one.
constexpr int kMostDots = 8;

class Rewriter {
 public:
  Rewriter(std::string_view text, const std::string& file) : rest_(text), file_(file) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  /// Where the text's own quotes do not end as they should, or stand where none may, this reads on
  /// in another way than the parser; but the parser stops there.
  std::string run() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"' || c == '\'') {
        copy_text(c);
      } else if (c == '#') {
        copy_comment();
      } else {
        copy_structure(c);
      }
    }
    return std::move(out_);
  }

 private:
  void copy_structure(char c) {
    require(is_ascii(c), "a letter outside ASCII stands outside quotes; put texts in \"…\"");
    if (c == '.') {
      require(++dots_ <= kMostDots, "a key has more than {} dots", kMostDots);
    } else if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) {
      dots_ = 0;
    }
    copy();
  }

  void copy_comment() {
    while (!rest_.empty() && rest_.front() != '\n') {
      if (is_ascii(rest_.front())) {
        copy();
      } else {
        rest_.remove_prefix(next_letter().bytes);
      }
    }
  }

  /// A text ends with the quotes it begins with: one, or three, then with up to two more.
  void copy_text(char quote) {
    const std::string three(3, quote);
    const bool is_long = rest_.starts_with(three), is_basic = quote == '"';
    const std::string_view quotes = std::string_view(three).substr(0, is_long ? 3 : 1);
    put_quotes(quotes);
    while (!rest_.empty() && !rest_.starts_with(quotes)) {
      const char c = rest_.front();
      if (c == '\n' && !is_long) return;  // a mistake, which the parser will name
      if (!is_ascii(c)) {
        put_escape(next_letter());
      } else if (!is_basic && (c == '"' || c == '\\')) {
        out_ += '\\';
        copy();
      } else if (is_basic && c == '\\' && rest_.size() > 1) {
        require(is_ascii(rest_[1]), "a backslash stands before a letter outside ASCII");
        copy();
        copy();
      } else {
        copy();
      }
    }
    if (rest_.empty()) return;
    size_t more = 0;  // quotes of the text itself, before those that end it
    while (is_long && more < 2 && rest_.substr(3 + more, 1) == quotes.substr(0, 1)) ++more;
    for (; more > 0; --more) {
      if (is_basic) {
        copy();
      } else {
        out_ += '\'';
        rest_.remove_prefix(1);
      }
    }
    put_quotes(quotes);
  }

  /// Double ones, whichever the text has.
  void put_quotes(std::string_view quotes) {
    out_.append(quotes.size(), '"');
    rest_.remove_prefix(quotes.size());
  }

  void put_escape(const Utf8Character& letter) {
    char escape[16];
    std::snprintf(escape, sizeof escape, "\\U%08X", static_cast<unsigned>(letter.value));
    out_ += escape;
    rest_.remove_prefix(letter.bytes);
  }

  void copy() {
    line_ += rest_.front() == '\n';
    out_ += rest_.front();
    rest_.remove_prefix(1);
  }

  Utf8Character next_letter() const {
    const Utf8Character letter = decode_utf8(rest_);
    require(letter.well_formed, "bytes that are no UTF-8");
    return letter;
  }

  static bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

  template <class... Args>
  void require(bool ok, std::string_view what, const Args&... args) const {
    if (!ok) throw ValueError(format("{}:{}: ", file_, line_) + format(what, args...));
  }

  std::string_view rest_;
  const std::string& file_;
  std::string out_;
  int64_t line_ = 1;
  int dots_ = 0;
};

}  // namespace

std::string ascii_toml(std::string_view text, const std::string& file) {
  return Rewriter(text, file).run();
}

}  // namespace tessera::beit3::detail
