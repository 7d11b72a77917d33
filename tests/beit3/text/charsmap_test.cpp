#include "beit3/text/charsmap.h"

#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>
#include <xxhash.h>

#include "beit3/text/byte_trie.h"
#include "beit3/text/normalizer.h"
#include "beit3/text/unicode_rules.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {
namespace {

/// All rules as text, a line each.
std::string listing(const RewriteRules& rules) {
  std::string out;
  const auto put = [&](const std::u32string& code_points) {
    for (size_t i = 0; i < code_points.size(); ++i) {
      char hex[16];
      std::snprintf(hex, sizeof hex, "%s%X", i > 0 ? " " : "",
                    static_cast<unsigned>(code_points[i]));
      out += hex;
    }
  };
  for (const auto& [source, target] : rules) {
    put(source);
    out += '\t';
    put(target);
    out += '\n';
  }
  return out;
}

struct Built {
  const char* name;
  size_t rules;
  uint64_t hash;  // xxHash64 of a listing whose SHA-256 equals the reference's
};

TEST(UnicodeRules, EqualTheReferenceTables) {
  constexpr Built kBuilt[] = {{"nfkc", 224682, 0x9EA2C39B299E3917ull},
                              {"nmt_nfkc", 224725, 0x4C26AC32672EB098ull},
                              {"nfkc_cf", 225995, 0x7EE5B03381F2CB2Aull},
                              {"nmt_nfkc_cf", 226038, 0x9280960F2A1C8C3Dull}};
  for (const Built& built : kBuilt) {
    const RewriteRules rules = builtin_rewrite_rules(built.name);
    EXPECT_EQ(rules.size(), built.rules) << built.name;
    const std::string text = listing(rules);
    EXPECT_EQ(XXH64(text.data(), text.size(), 0), built.hash) << built.name;
  }
}

TEST(UnicodeRules, RefusesAnUnknownName) { EXPECT_THROW(builtin_rewrite_rules("nfd"), ValueError); }

TEST(Charsmap, FindsEveryRuleItWasCompiledFrom) {
  const RewriteRules rules = builtin_rewrite_rules("nmt_nfkc_cf");
  const std::string blob = compile_charsmap(rules);
  EXPECT_LT(blob.size(), 300000u);  // equal sub-tries are shared
  const Charsmap map(blob, "test");
  for (const auto& [source, target] : rules) {
    const std::string text = to_utf8(source);
    const Charsmap::Match match = map.longest_prefix(text);
    ASSERT_EQ(match.bytes, text.size());
    ASSERT_EQ(match.target, to_utf8(target));
  }
}

TEST(Charsmap, DamagedTablesAreRefusedOrHarmless) {
  const std::string blob = compile_charsmap({{U"a", U"b"}, {U"ab", U""}, {U"\u00e9", U"e"}});
  for (size_t size = 0; size < blob.size(); ++size) {
    for (int bit = 0; bit < 9; ++bit) {
      std::string damaged = bit < 8 ? blob : blob.substr(0, size);
      if (bit < 8) damaged[size] = static_cast<char>(damaged[size] ^ (1 << bit));
      try {
        const Normalizer normalizer({.name = "x",
                                     .charsmap = damaged,
                                     .add_dummy_prefix = true,
                                     .remove_extra_whitespaces = true,
                                     .escape_whitespaces = true,
                                     .rule_tsv = {}},
                                    {}, false, "test");
        normalizer.normalize("abab \xC3\xA9 a");
      } catch (const IoError&) {
      }
    }
  }
}

TEST(ByteTrie, FindsAllPrefixesIncludingZeroBytes) {
  RandomStream random(RandomKey{7});
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) {
    std::string key;
    const int64_t size = 1 + random.integer(6);
    for (int64_t k = 0; k < size; ++k) key += static_cast<char>(random.integer(5) * 60);
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<ByteTrie::Entry> entries;
  for (size_t i = 0; i < keys.size(); ++i) entries.push_back({keys[i], static_cast<uint32_t>(i)});
  const ByteTrie trie(entries);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (int k = 0; k < 8; ++k) text += static_cast<char>(random.integer(256));
    for (int k = 0; k < 8; ++k) {
      if (random.chance(0.8))
        text[static_cast<size_t>(k)] = static_cast<char>(random.integer(5) * 60);
    }
    std::vector<size_t> lengths;
    trie.for_each_prefix(text.data(), text.size(), [&](uint32_t value, size_t bytes) {
      EXPECT_EQ(keys[value], text.substr(0, bytes));
      lengths.push_back(bytes);
    });
    std::vector<size_t> expected;
    for (size_t n = 1; n <= text.size(); ++n) {
      if (std::binary_search(keys.begin(), keys.end(), text.substr(0, n))) expected.push_back(n);
    }
    EXPECT_EQ(lengths, expected);
  }
}

TEST(Normalizer, IsNotUnicodeNfkc) {
  const Normalizer normalizer({.name = "nfkc",
                               .charsmap = compile_charsmap(builtin_rewrite_rules("nfkc")),
                               .add_dummy_prefix = false,
                               .remove_extra_whitespaces = false,
                               .escape_whitespaces = false,
                               .rule_tsv = {}},
                              {}, false, "test");
  const auto same = [&](std::u32string_view in, std::u32string_view out) {
    EXPECT_EQ(normalizer.normalize_text(to_utf8(in)), to_utf8(out));
  };
  same(U"\u00EA\u0323", U"\u00EA\u0323");  // half-composed text is left alone
  same(U"\u0065\u0323\u0302", U"\u1EC7");  // fully decomposed text is composed
  same(U"\uAC00\u11A8", U"\uAC00\u11A8");
  same(U"\u1100\u1161\u11A8", U"\uAC01");
  same(U"\uFB01\u0301", U"fi\u0301");  // replacements are not looked at again
}

}  // namespace
}  // namespace tessera::beit3
