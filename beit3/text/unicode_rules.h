#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "beit3/text/charsmap.h"

namespace tessera::beit3 {

/// Names of the built-in rewriting rules: identity, nfkc, nfkc_cf, nmt_nfkc, nmt_nfkc_cf.
const std::vector<std::string>& rewrite_rule_names();

/// The built-in rewriting rules of a name, equal to those of SentencePiece 0.1.96 to 0.2.0
/// (Unicode 13). Takes a fraction of a second; keep the result.
///
///   identity      no rules
///   nfkc          every code point and every fully decomposed sequence whose NFKC form differs
///   nmt_nfkc      nfkc; further blanks become a space, control characters vanish, U+FF5E stays
///   ..._cf        with simple case folding merged in
///
/// Throws ValueError for another name.
RewriteRules builtin_rewrite_rules(std::string_view name);

}  // namespace tessera::beit3
