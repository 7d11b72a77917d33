#include "beit3/text/normalizer.h"

#include <algorithm>
#include <limits>

#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

ByteTrie symbol_trie(std::vector<std::string> symbols) {
  std::sort(symbols.begin(), symbols.end());
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  std::vector<ByteTrie::Entry> entries;
  for (const std::string& symbol : symbols) {
    if (!symbol.empty()) entries.push_back({symbol, 0});
  }
  return ByteTrie(std::move(entries));
}

}  // namespace

Normalizer::Normalizer(const NormalizerSpec& spec,
                       const std::vector<std::string>& protected_symbols, bool whitespace_suffix,
                       std::string_view name)
    : charsmap_(spec.charsmap, name),
      symbols_(symbol_trie(protected_symbols)),
      space_(spec.escape_whitespaces ? kSpaceMark : std::string_view(" ")),
      dummy_prefix_(spec.add_dummy_prefix && !whitespace_suffix),
      dummy_suffix_(spec.add_dummy_prefix && whitespace_suffix),
      trim_(spec.remove_extra_whitespaces) {
  bool starts_symbol[128] = {};
  for (const std::string& symbol : protected_symbols) {
    if (symbol.empty()) continue;
    const auto lead = static_cast<unsigned char>(symbol[0]);
    if (lead < 128) starts_symbol[lead] = true;
  }
  for (int c = 0; c < 128; ++c) {
    copy_ascii_[c] = c != ' ' && !starts_symbol[c] &&
                     charsmap_.leaves_alone_before_ascii(static_cast<unsigned char>(c));
  }
}

Normalizer::Step Normalizer::step(std::string_view input) const {
  if (!symbols_.empty()) {
    const ByteTrie::Match symbol = symbols_.longest_prefix(input);
    if (symbol.bytes > 0) return {input.substr(0, symbol.bytes), symbol.bytes};
  }
  const Charsmap::Match rule = charsmap_.longest_prefix(input);
  if (rule.bytes > 0) return {rule.target, rule.bytes};
  const Utf8Character c = decode_utf8(input);
  return {c.well_formed ? input.substr(0, c.bytes) : kReplacementText, c.bytes};
}

template <bool kOrigins>
void Normalizer::run(std::string_view input, NormalizedText& out) const {
  check<ValueError>(input.size() < std::numeric_limits<uint32_t>::max(),
                    "normalise: a text of {} bytes is too long; split it", input.size());
  if (input.empty()) {
    if constexpr (kOrigins) out.origin.assign(1, 0);
    return;
  }
  size_t at = 0;
  std::string& text = out.text;
  text.reserve(input.size() + input.size() / 2 + 8);
  if constexpr (kOrigins) out.origin.reserve(input.size() + input.size() / 2 + 8);
  const auto append = [&](std::string_view bytes, size_t origin) {
    text.append(bytes);
    if constexpr (kOrigins) {
      out.origin.insert(out.origin.end(), bytes.size(), static_cast<uint32_t>(origin));
    }
  };

  if (trim_) {
    while (at < input.size()) {
      const Step next = step(input.substr(at));
      if (next.target != " ") break;
      at += next.bytes;
    }
    if (at == input.size()) {
      if constexpr (kOrigins) out.origin.assign(1, static_cast<uint32_t>(at));
      return;
    }
  }
  if (dummy_prefix_) append(space_, at);

  bool after_space = trim_;
  while (at < input.size()) {
    const auto c = static_cast<unsigned char>(input[at]);
    if (c < 128 && copy_ascii_[c] &&
        (at + 1 == input.size() || static_cast<unsigned char>(input[at + 1]) < 128)) {
      append(input.substr(at, 1), at);
      after_space = false;
      ++at;
      continue;
    }
    Step next = step(input.substr(at));
    if (after_space) {
      while (!next.target.empty() && next.target.front() == ' ') next.target.remove_prefix(1);
    }
    if (!next.target.empty()) {
      for (const char byte : next.target) {
        append(byte == ' ' ? space_ : std::string_view(&byte, 1), at);
      }
      after_space = next.target.back() == ' ';
    }
    at += next.bytes;
    if (!trim_) after_space = false;
  }

  size_t end = at;
  if (trim_) {
    while (text.size() >= space_.size() && std::string_view(text).ends_with(space_)) {
      text.resize(text.size() - space_.size());
      if constexpr (kOrigins) {
        end = out.origin[text.size()];
        out.origin.resize(text.size());
      }
    }
  }
  if (dummy_suffix_) append(space_, end);
  if constexpr (kOrigins) out.origin.push_back(static_cast<uint32_t>(end));
}

NormalizedText Normalizer::normalize(std::string_view input) const {
  NormalizedText out;
  run<true>(input, out);
  return out;
}

std::string Normalizer::normalize_text(std::string_view input) const {
  NormalizedText out;
  run<false>(input, out);
  return std::move(out.text);
}

}  // namespace tessera::beit3
