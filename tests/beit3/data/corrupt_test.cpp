// Data sets that must be refused, each with the exact error.
#include <functional>

#include <gtest/gtest.h>

#include "beit3/data/manifest.h"
#include "tensor/base/error.h"
#include "tests/beit3/data/tar_member.h"
#include "tests/beit3/data/temporary_folder.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

struct Corrupt {
  std::string name;
  std::string file;  // its ending tells its kind
  std::string bytes;
  std::string error;  // PATH stands for the file's path
};

/// A tar archive with one member whose header was changed, its checksum made right again.
std::string tar_with(const std::function<void(std::string& header)>& change) {
  std::string tar = tar_member("1.png", "abc") + std::string(1024, '\0');
  change(tar);
  tar.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[i]);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  return tar.replace(148, 7, text, 7);
}

std::vector<Corrupt> json_lines() {
  const std::string expected =
      R"(; expected an object a line, like {"image": "a.png", "text": "a cat"})";
  std::vector<Corrupt> all;
  const auto add = [&](const char* name, const std::string& line, const std::string& error) {
    all.push_back({name, "x.jsonl", line, "PATH:" + error});
  };
  add("cut_line", "{\"text\": \"a\"}\n{\"text\": \n", "2: the line is no JSON" + expected);
  add("plain_text", "a red circle", "1: the line is no JSON" + expected);
  add("not_utf8", "{\"text\": \"\xFF\xFE\"}", "1: the line is no JSON" + expected);
  add("two_objects", "{\"text\": \"a\"} {\"text\": \"b\"}", "1: the line is no JSON" + expected);
  add("zero_byte", std::string("{\"text\": \"a\0\"}", 13), "1: the line is no JSON" + expected);
  add("huge_number", "{\"text\": \"a\", \"scores\": [1e999]}", "1: the line is no JSON" + expected);
  add("list", "[1, 2]", "1: the line is a list" + expected);
  add("number", "\n7", "2: the line is a number" + expected);
  add("null", "null", "1: the line is null" + expected);
  add("deep", "{\"a\": " + std::string(100'000, '['), "1: JSON is nested more than 64 deep");
  add("text_is_number", "{\"text\": 5}", "1: \"text\" is a number; expected text");
  add("image_is_list", "{\"image\": [\"a\"]}", "1: \"image\" is a list; expected text");
  add("split_is_object", "{\"text\": \"a\", \"split\": {}}",
      "1: \"split\" is an object; expected text");
  add("label_is_fraction", "{\"text\": \"a\", \"label\": 1.5}",
      "1: \"label\" is 1.5; expected a whole number below 2^63");
  add("label_is_text", "{\"text\": \"a\", \"label\": \"cat\"}",
      "1: \"label\" is text; expected a whole number below 2^63");
  add("label_beyond_63_bits", "{\"text\": \"a\", \"label\": 18446744073709551615}",
      "1: \"label\" is 18446744073709551615; expected a whole number below 2^63");
  add("image_id_is_boolean", "{\"text\": \"a\", \"image_id\": true}",
      "1: \"image_id\" is true or false; expected a whole number below 2^63");
  add("labels_are_a_number", "{\"text\": \"a\", \"labels\": 3}",
      "1: \"labels\" is a number; expected a list of numbers");
  add("labels_beyond_63_bits", "{\"text\": \"a\", \"labels\": [9223372036854775808]}",
      "1: \"labels\" holds 9223372036854775808; expected whole numbers below 2^63");
  add(
      "too_many_labels",
      "{\"text\": \"a\", \"labels\": [0" +
          [] {
            std::string zeros;
            for (int i = 0; i < 1 << 20; ++i) zeros += ",0";
            return zeros;
          }() +
          "]}",
      "1: \"labels\" has 1048577 numbers; at most 1048576 are read");
  add("scores_hold_text", "{\"text\": \"a\", \"scores\": [0.5, \"1\"]}",
      "1: \"scores\" holds text; expected numbers");
  add("ids_hold_text", "{\"text_segment\": [1, \"a\"]}",
      "1: \"text_segment\" holds text; expected whole numbers below 2^63");
  add("ids_hold_fractions", "{\"text_segment\": [1.25]}",
      "1: \"text_segment\" holds 1.25; expected whole numbers below 2^63");
  add("neither_picture_nor_text", "{\"label\": 1}",
      "1: neither a picture (\"image\") nor a text (\"text\") is named");
  add("long_line", "{\"text\": \"" + std::string((16 << 20) - 10, 'x') + "\"}",
      "1: the line has 16777218 bytes; at most 16777216 are read");
  return all;
}

std::vector<Corrupt> other_files() {
  const std::string good = tar_member("1.png", "abc") + std::string(1024, '\0');
  std::string damaged = good;
  damaged[3] = 'x';
  return {
      {"jsonl_without_records", "x.jsonl", "\n \n", "open_dataset: \"PATH\" holds no record"},
      {"tsv_without_tab", "x.tsv", "1\tone\nno tab\n",
       "PATH:2: expected an id, a tab and a caption"},
      {"tsv_without_caption", "x.tsv", "1\t", "PATH:1: expected an id, a tab and a caption"},
      {"tsv_with_a_word", "x.tsv", "word\tcaption\n",
       "PATH:1: \"word\" is neither a number nor the name of a picture (.jpg, .jpeg, .png)"},
      {"tsv_with_a_huge_id", "x.tsv", "9223372036854775808\tcaption\n",
       "PATH:1: \"9223372036854775808\" is neither a number nor the name of a picture (.jpg, "
       ".jpeg, .png)"},
      {"text_with_a_zero_byte", "x.txt", std::string("one\na\0b", 7),
       "PATH:2: a zero byte; expected a text file, UTF-8"},
      {"packed", "x.tar.gz", "x",
       "open_dataset: \"PATH\" is not a data set; expected a folder, .jsonl, .tsv, .tar or a text "
       "file"},
      {"picture", "x.png", "x",
       "open_dataset: \"PATH\" is not a data set; expected a folder, .jsonl, .tsv, .tar or a text "
       "file"},
      {"tar_of_nothing", "x.tar", "", "open_dataset: \"PATH\" holds no record"},
      {"tar_with_damaged_header", "x.tar", damaged,
       "tar: \"PATH\" is damaged: no member header at byte 0"},
      {"tar_of_text", "x.tar", std::string(600, 'x'),
       "tar: \"PATH\" is damaged: no member header at byte 0"},
      {"tar_cut_in_a_header", "x.tar", good.substr(0, 300),
       "tar: \"PATH\" is truncated: 300 bytes are left at byte 0, but a header has 512"},
      {"tar_cut_in_a_member", "x.tar", good.substr(0, 514),
       "tar: \"PATH\" is truncated: the member at byte 0 has 3 bytes, but 2 follow"},
      {"tar_compressed", "x.tar", "\x1F\x8B" + good,
       "tar: \"PATH\" is compressed; unpack it with gunzip first"},
      {"tar_with_a_size_in_words", "x.tar",
       tar_with([](std::string& h) { h.replace(124, 5, "many!"); }),
       "tar: \"PATH\" is damaged: the member at byte 0 has no valid size"},
      {"tar_with_a_negative_size", "x.tar",
       tar_with([](std::string& h) { h.replace(124, 12, 12, '\xff'); }),
       "tar: \"PATH\" is damaged: the member at byte 0 has no valid size"},
      {"tar_with_a_huge_size", "x.tar",
       tar_with([](std::string& h) { h.replace(124, 11, "77777777777"); }),
       "tar: \"PATH\" is truncated: the member at byte 0 has 8589934591 bytes, but 1536 follow"},
      {"tar_with_a_huge_name", "x.tar", tar_member("l", std::string(70'000, 'n'), 'L'),
       "tar: \"PATH\": a name of 70000 bytes at byte 0; at most 65536 are read"},
  };
}

class CorruptDataSet : public ::testing::TestWithParam<Corrupt> {};

TEST_P(CorruptDataSet, IsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.put(GetParam().file, GetParam().bytes);
  std::string expected = GetParam().error;
  expected.replace(expected.find("PATH"), 4, path);
  EXPECT_ERROR(open_dataset(path), IoError, expected.c_str());
}

std::string name_of(const ::testing::TestParamInfo<Corrupt>& test) { return test.param.name; }
INSTANTIATE_TEST_SUITE_P(JsonLines, CorruptDataSet, ::testing::ValuesIn(json_lines()), name_of);
INSTANTIATE_TEST_SUITE_P(Others, CorruptDataSet, ::testing::ValuesIn(other_files()), name_of);

TEST(CorruptFolder, WithoutDataIsRefused) {
  const TemporaryFolder folder;
  EXPECT_ERROR(open_dataset(folder / "none"), IoError,
               format("open_dataset: there is no \"{}\"", folder / "none").c_str());
  folder.put("notes.md", "x");
  EXPECT_ERROR(open_dataset(folder.path()), IoError,
               format("open_dataset: folder \"{}\" has no train.jsonl, no pictures (.jpg, .jpeg, "
                      ".png), no subfolders with pictures, and neither train.tar nor train.tsv nor "
                      "train.txt",
                      folder.path())
                   .c_str());
}

TEST(CorruptTar, SaysWhichMemberIsMissingOrTooLarge) {
  const TemporaryFolder folder;
  const std::string path =
      folder.put("x.tar", tar_member("1.png", "abc") + std::string(1024, '\0'));
  const TarIndex tar(path);
  EXPECT_ERROR(tar.read("2.png"), IoError,
               format("tar: \"{}\" has no member \"2.png\"", path).c_str());
  EXPECT_ERROR(
      tar.read("1.png", 2), IoError,
      format("tar: \"{}\": member \"1.png\" has 3 bytes; at most 2 are read here", path).c_str());
}

}  // namespace
}  // namespace tessera::beit3
