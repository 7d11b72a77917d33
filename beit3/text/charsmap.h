#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// Rewriting rules: source code points to target code points (an empty target deletes).
using RewriteRules = std::map<std::u32string, std::u32string>;

/// Reads the compiled rewriting table of a SentencePiece model.
///
///   uint32 T | T bytes: double array over the UTF-8 bytes of the sources | NUL-terminated targets
///
/// The array is the Darts-clone layout; a key's value is the byte offset of its target. Every
/// access is checked against the table, which comes from a file.
class Charsmap {
 public:
  Charsmap() = default;

  /// Copies the table out of `blob`; an empty blob is the empty table.
  /// Throws IoError if the sizes do not fit together; `name` is used in messages.
  Charsmap(std::string_view blob, std::string_view name);

  bool empty() const { return units_.empty(); }

  struct Match {
    size_t bytes = 0;         ///< length of the source; 0: no rule applies
    std::string_view target;  ///< lives as long as the table
  };

  /// The longest source that is a prefix of `text`.
  /// Throws IoError if the table is damaged where the match leads.
  Match longest_prefix(std::string_view text) const;

  /// True if no rule has the single byte `c` as source, or goes on after it with an ASCII byte: in
  /// front of another ASCII byte c then stays as it is.
  bool leaves_alone_before_ascii(unsigned char c) const;

 private:
  /// Index of the child of node `p`, or 0 if there is none (the root is nobody's child).
  uint32_t child(uint32_t p, unsigned char label) const;

  std::vector<uint32_t> units_;
  std::string targets_, name_;
};

/// Compiles rules into the table format that `Charsmap` (and every SentencePiece) reads; equal
/// sub-tries are stored once. No rules give an empty string.
/// Throws ValueError if a source is empty or a source or target contains U+0000.
std::string compile_charsmap(const RewriteRules& rules);

}  // namespace tessera::beit3
