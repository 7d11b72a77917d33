#pragma once

#include <cstdint>

namespace tessera::beit3 {

inline constexpr uint8_t kScriptCommon = 0, kScriptInherited = 1, kScriptHan = 2;

/// A number for the Unicode 9.0 script of a code point: equal scripts, equal numbers. Hiragana,
/// Katakana and U+30FC count as Han, because Japanese words mix them; unassigned is Common.
///
/// The version is fixed, so that a vocabulary does not depend on the Unicode library installed.
/// Source: Unicode Standard Annex 24; Scripts-9.0.0.txt.
uint8_t script_of(char32_t c);

}  // namespace tessera::beit3
