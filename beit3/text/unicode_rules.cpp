#include "beit3/text/unicode_rules.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <utf8proc.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

using Sequence = std::u32string;

/// Rules while they are built: looked up far more often than listed.
using RuleMap = std::unordered_map<Sequence, Sequence>;

constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr uint16_t kNoDecomposition = 0xFFFF;

/// utf8proc's normal form of a sequence: NFKD, or NFKC with `compose`.
Sequence normal_form(const Sequence& text, bool compose) {
  std::vector<utf8proc_int32_t> buffer(text.size() * 20 + 4);  // U+FDFA has 18
  utf8proc_ssize_t size = 0;
  int boundary = 0;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE);
  for (const char32_t c : text) {
    size += utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), buffer.data() + size,
                                    static_cast<utf8proc_ssize_t>(buffer.size()) - size, options,
                                    &boundary);
  }
  // Canonical order: a stable sort of each run of marks by combining class.
  const auto combining_class = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  for (auto at = buffer.begin(), end = buffer.begin() + size; at != end;) {
    if (combining_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto run_end =
        std::find_if(at, end, [&](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(at, run_end, [&](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    at = run_end;
  }
  if (compose) {
    size = utf8proc_normalize_utf32(
        buffer.data(), size, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  }
  return Sequence(buffer.begin(), buffer.begin() + size);
}

bool is_hangul_syllable(char32_t c) { return c >= 0xAC00 && c <= 0xD7A3; }

bool is_skipped(char32_t c) {
  const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
  const bool noncharacter = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
  return surrogate || noncharacter;
}

/// Code points introduced after Unicode 13 that take part in some rule. Leaving them out makes the
/// tables of any later utf8proc those of the reference.
bool is_after_unicode_13(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x2C2F, 0x2C2F},   {0xA7C0, 0xA7C0},   {0xA7CB, 0xA7F4},
      {0x10570, 0x10595}, {0x10781, 0x107BA}, {0x10D50, 0x10D85},
      {0x16EA0, 0x16ED3}, {0x1CCD6, 0x1CCF9}, {0x1E030, 0x1E06D}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](const auto& r) { return c >= r.first && c <= r.second; });
}

/// Greedy longest-match rewriting of `text`, sources shorter than `below` only.
Sequence rewrite(const RuleMap& rules, const Sequence& text, size_t below) {
  Sequence out;
  for (size_t at = 0; at < text.size();) {
    size_t length = std::min(below - 1, text.size() - at);
    auto rule = rules.end();
    for (; length > 0; --length) {
      rule = rules.find(text.substr(at, length));
      if (rule != rules.end()) break;
    }
    if (length == 0) {
      out += text[at++];
    } else {
      out += rule->second;
      at += length;
    }
  }
  return out;
}

/// Drops the rules that shorter ones make superfluous.
RuleMap without_redundant(const RuleMap& rules) {
  std::map<size_t, std::vector<const RuleMap::value_type*>> by_length;
  for (const auto& rule : rules) by_length[rule.first.size()].push_back(&rule);
  RuleMap kept;
  kept.reserve(rules.size());
  for (const auto& [length, list] : by_length) {
    for (const auto* rule : list) {
      // Rules of the same length do not count, so the order within a length does not matter.
      if (length == 1 || rewrite(kept, rule->first, length) != rule->second) kept.insert(*rule);
    }
  }
  return kept;
}

RuleMap nfkc_rules() {
  RuleMap rules;
  rules.reserve(1u << 19);
  std::unordered_map<char32_t, std::vector<char32_t>>
      sources;  // of a single code point, itself too
  std::set<Sequence> decompositions;
  for (char32_t c = 1; c <= kLastCodePoint; ++c) {
    if (is_skipped(c) || is_after_unicode_13(c)) continue;
    const bool plain = !is_hangul_syllable(c) &&
                       utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->decomp_seqindex ==
                           kNoDecomposition;
    if (plain) continue;  // its own NFKC and NFKD
    const Sequence source(1, c);
    if (Sequence target = normal_form(source, true); target != source) {
      rules[source] = std::move(target);
    }
    Sequence parts = normal_form(source, false);
    if (parts.size() == 1) {
      sources[parts[0]].push_back(c);
    } else {
      decompositions.insert(std::move(parts));
    }
  }
  const std::vector<char32_t> none;
  for (const Sequence& parts : decompositions) {
    const Sequence target = normal_form(parts, true);
    if (target == parts) continue;
    // Every way to write the parts: each as itself or as a code point that decomposes into it.
    std::vector<const std::vector<char32_t>*> choices;
    for (const char32_t part : parts) {
      const auto found = sources.find(part);
      choices.push_back(found == sources.end() ? &none : &found->second);
    }
    std::vector<size_t> pick(parts.size(), 0);  // 0: the part itself
    for (bool more = true; more;) {
      Sequence source = parts;
      for (size_t i = 0; i < parts.size(); ++i) {
        if (pick[i] > 0) source[i] = (*choices[i])[pick[i] - 1];
      }
      if (source != target) rules[std::move(source)] = target;
      more = false;
      for (size_t i = 0; i < parts.size() && !more; ++i) {
        more = ++pick[i] <= choices[i]->size();
        if (!more) pick[i] = 0;
      }
    }
  }
  return without_redundant(rules);
}

void add_nmt_rules(RuleMap& rules) {
  constexpr char32_t kBlanks[] = {0x0009, 0x000A, 0x000C, 0x000D, 0x1680, 0x200B, 0x200C,
                                  0x200E, 0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD};
  for (const char32_t c : kBlanks) rules[Sequence(1, c)] = U" ";
  const auto remove = [&](char32_t first, char32_t last) {
    for (char32_t c = first; c <= last; ++c) rules[Sequence(1, c)] = U"";
  };
  remove(0x0001, 0x0008);
  remove(0x000B, 0x000B);
  remove(0x000E, 0x001F);
  remove(0x007F, 0x007F);
  remove(0x008F, 0x008F);
  remove(0x009F, 0x009F);
  rules.erase(Sequence(1, 0xFF5E));  // the full-width tilde is ordinary text in Japanese
  rules = without_redundant(rules);
}

/// Simple case folding of one code point.
char32_t fold(char32_t c) {
  constexpr char32_t kDottedCapitalI = 0x130;
  if (c == kDottedCapitalI) return c;
  const auto code = static_cast<utf8proc_int32_t>(c);
  utf8proc_int32_t buffer[8];
  int boundary = 0;
  const auto size = utf8proc_decompose_char(code, buffer, 8, UTF8PROC_CASEFOLD, &boundary);
  return static_cast<char32_t>(size == 1 ? buffer[0] : utf8proc_tolower(code));
}

void add_case_folding(RuleMap& rules) {
  for (auto& [source, target] : rules) {
    for (char32_t& c : target) c = fold(c);
  }
  for (char32_t c = 1; c <= kLastCodePoint; ++c) {
    if (is_skipped(c) || is_after_unicode_13(c)) continue;
    const char32_t folded = fold(c);
    if (folded != c) rules.try_emplace(Sequence(1, c), Sequence(1, folded));
  }
  rules = without_redundant(rules);
}

}  // namespace

const std::vector<std::string>& rewrite_rule_names() {
  static const std::vector<std::string> names = {"identity", "nfkc", "nfkc_cf", "nmt_nfkc",
                                                 "nmt_nfkc_cf"};
  return names;
}

RewriteRules builtin_rewrite_rules(std::string_view name) {
  const auto& names = rewrite_rule_names();
  check<ValueError>(std::find(names.begin(), names.end(), name) != names.end(),
                    "normalisation rules \"{}\" are unknown; choose identity, nfkc, nfkc_cf, "
                    "nmt_nfkc or nmt_nfkc_cf",
                    name);
  if (name == "identity") return {};
  RuleMap rules = nfkc_rules();
  if (name.starts_with("nmt_")) add_nmt_rules(rules);
  if (name.ends_with("_cf")) add_case_folding(rules);
  return RewriteRules(std::make_move_iterator(rules.begin()), std::make_move_iterator(rules.end()));
}

}  // namespace tessera::beit3
