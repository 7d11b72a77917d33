// SentencePiece models that must be refused, each with the exact error.
#include <functional>

#include <gtest/gtest.h>

#include "beit3/text/piece_codec.h"
#include "beit3/text/tokenizer.h"
#include "tensor/base/error.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

struct Corrupt {
  const char* name;
  std::string bytes;
  std::string error;
};

/// <unk>, <s>, </s>, a space mark, a and b.
SentencePieceModel sound_model() {
  SentencePieceModel model;
  model.pieces = {{"<unk>", 0, PieceType::kUnknown},
                  {"<s>", 0, PieceType::kControl},
                  {"</s>", 0, PieceType::kControl},
                  {"\xE2\x96\x81", -2},
                  {"a", -1},
                  {"b", -3}};
  return model;
}

std::string with(const std::function<void(SentencePieceModel&)>& change) {
  SentencePieceModel model = sound_model();
  change(model);
  return serialize_model(model);
}

std::vector<Corrupt> cases() {
  const std::string good = serialize_model(sound_model());
  const auto not_a_model = [](size_t bytes) {
    return format(
        "load_model: \"x\" is not a SentencePiece model (malformed or cut off within its {} "
        "bytes); fetch the .model file again",
        bytes);
  };
  const auto with_table = [](const std::string& blob) {
    return with([&](SentencePieceModel& m) { m.normalizer.charsmap = blob; });
  };
  const auto table_error = [](size_t bytes, std::string_view what) {
    return format(
        "load_model: the normalisation table of \"x\" ({} bytes) {}; fetch the .model file again",
        bytes, what);
  };
  return {
      {"nothing", "",
       "load_model: \"x\" has no UNKNOWN piece among its 0; is it a SentencePiece .model file?"},
      {"text", "a red circle", not_a_model(12)},
      {"cut", good.substr(0, good.size() - 1), not_a_model(good.size() - 1)},
      {"cut_in_the_first_piece", good.substr(0, 5), not_a_model(5)},
      {"a_field_of_a_gigabyte", "\x0a\x80\x80\x80\x80\x04", not_a_model(6)},
      {"an_end_without_a_group", "\x0c", not_a_model(1)},
      {"no_unknown_piece", with([](auto& m) { m.pieces.erase(m.pieces.begin()); }),
       "load_model: \"x\" has no UNKNOWN piece among its 5; is it a SentencePiece .model file?"},
      {"two_unknown_pieces", with([](auto& m) { m.pieces[4].type = PieceType::kUnknown; }),
       "load_model: \"x\" has two UNKNOWN pieces, 0 and 4; exactly one must exist"},
      {"an_empty_piece", with([](auto& m) { m.pieces[3].text.clear(); }),
       "load_model: piece 3 of \"x\" is empty"},
      {"a_piece_twice", with([](auto& m) { m.pieces[5].text = "a"; }),
       "load_model: pieces 4 and 5 of \"x\" are both \"a\""},
      {"a_marker_twice", with([](auto& m) { m.pieces[2].text = "<s>"; }),
       "load_model: pieces 1 and 2 of \"x\" are both \"<s>\""},
      {"nothing_ordinary", with([](auto& m) { m.pieces.resize(3); }),
       "load_model: \"x\" has no ordinary pieces"},
      {"a_byte_without_fallback", with([](auto& m) {
         m.pieces[5] = {"<0x41>", 0, PieceType::kByte};
       }),
       "load_model: piece 5 of \"x\" is a BYTE piece, but byte_fallback is off"},
      {"a_byte_in_small_letters", with([](auto& m) {
         m.trainer.byte_fallback = true;
         m.pieces[5] = {"<0xff>", 0, PieceType::kByte};
       }),
       "load_model: BYTE piece 5 of \"x\" is \"<0xff>\"; expected \"<0xHH>\" with upper-case "
       "digits"},
      {"fallback_without_bytes", with([](auto& m) { m.trainer.byte_fallback = true; }),
       "load_model: \"x\" uses byte_fallback but lacks the BYTE piece \"<0x00>\""},
      {"a_table_of_four_bytes", with_table("abcd"), table_error(4, "is cut off")},
      {"a_table_without_trie", with_table(std::string(4, '\0') + "abcd"),
       table_error(8, "has a trie of broken size")},
      {"a_table_of_odd_size", with_table(std::string("\3\0\0\0", 4) + "abcd"),
       table_error(8, "has a trie of broken size")},
      {"a_table_longer_than_itself",
       with_table("\xFF\xFF\xFF\x7C"
                  "abcd"),
       table_error(8, "has a trie of broken size")},
      {"a_table_cut_in_its_trie", with_table(std::string("\x08\0\0\0", 4) + "abcd"),
       table_error(8, "is shorter than its trie")},
      {"a_failing_self_test", with([](auto& m) {
         m.self_test = {{"a", "\xE2\x96\x81 b"}};
       }),
       "load_model: self test 0 of \"x\" fails: \"a\" becomes \"\xE2\x96\x81 a\", but the file "
       "expects \"\xE2\x96\x81 b\"; the file is damaged, or was made by an incompatible version"},
  };
}

class CorruptModel : public ::testing::TestWithParam<Corrupt> {};

TEST_P(CorruptModel, IsRefused) {
  EXPECT_ERROR(PieceCodec(parse_model(GetParam().bytes, "x"), "x"), IoError,
               GetParam().error.c_str());
}

INSTANTIATE_TEST_SUITE_P(Files, CorruptModel, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(CorruptModel, ATableWithARuleThatPointsOutsideIsFoundByTheText) {
  // The root's child "A" is a leaf whose value lies at unit 0x10; its target begins at byte 100.
  std::vector<uint32_t> units(256, 0);
  const uint32_t at = 0x80 ^ 'A';
  units[0] = 0x80 << 10;
  units[at] = 'A' | 1u << 8 | (at ^ 0x10) << 10;
  units[0x10] = 1u << 31 | 100;
  units.insert(units.begin(), static_cast<uint32_t>(4 * units.size()));
  SentencePieceModel model = sound_model();
  for (const uint32_t unit : units) {
    for (int shift = 0; shift < 32; shift += 8) {
      model.normalizer.charsmap += static_cast<char>(unit >> shift & 0xff);
    }
  }
  model.normalizer.charsmap += std::string("a\0", 2);
  const PieceCodec codec(model, "x");
  EXPECT_FALSE(codec.encode("b").empty());
  EXPECT_ERROR(codec.encode("A"), IoError,
               "normalise: the table of \"x\" is damaged: a rule points outside it; fetch the "
               ".model file again");
}

TEST(CorruptModel, AnotherOrderOfSpecialPiecesIsNamed) {
  SentencePieceModel model = sound_model();
  std::swap(model.pieces[0], model.pieces[1]);
  EXPECT_ERROR(
      Tokenizer(model, "x"), IoError,
      "tokenizer: the XLM-R numbering needs the unknown piece, <s> and </s> as pieces 0, 1 "
      "and 2, but \"x\" has them at 1, 0 and 2; train it with unk_id 0, bos_id 1, "
      "eos_id 2");
}

}  // namespace
}  // namespace tessera::beit3
