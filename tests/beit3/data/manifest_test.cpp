#include "beit3/data/manifest.h"

#include <gtest/gtest.h>

#include "beit3/image/encode.h"
#include "tensor/base/error.h"
#include "tests/beit3/data/tar_member.h"
#include "tests/beit3/data/temporary_folder.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

std::string png(uint8_t shade) {
  const auto bytes = encode_png(make_image(4, 5, {shade, shade, shade}));
  return {bytes.begin(), bytes.end()};
}

TEST(OpenDataset, AFolderOfPicturesWithTextsBesideThem) {
  const TemporaryFolder folder;
  folder.put("b.png", png(2));
  folder.put("a.PNG", png(1));
  folder.put("b.txt", " a small picture \n");
  folder.put(".hidden.png", "x");
  folder.put("notes.md", "x");
  const DataSet set = open_dataset(folder.path());
  EXPECT_EQ(set.kind, DataKind::image_folder);
  ASSERT_EQ(set.size(), 2);
  EXPECT_EQ(set.records[0].text, "");
  EXPECT_EQ(set.records[1].text, "a small picture");
  EXPECT_EQ(set.image(1).at(0, 0)[0], 2);
  EXPECT_EQ(set.images(), 2);
  EXPECT_EQ(set.pairs(), 1);
}

TEST(OpenDataset, ClassFolders) {
  const TemporaryFolder folder;
  folder.put("dog/1.png", png(1));
  folder.put("cat/1.png", png(2));
  folder.put("cat/2.png", png(3));
  folder.put("empty/readme", "x");
  const DataSet set = open_dataset(folder.path());
  EXPECT_EQ(set.kind, DataKind::class_folders);
  EXPECT_EQ(set.classes, (std::vector<std::string>{"cat", "dog"}));
  ASSERT_EQ(set.size(), 3);
  EXPECT_EQ(set.records[0].label, 0);
  EXPECT_EQ(set.records[2].label, 1);
}

TEST(OpenDataset, JsonLinesWithOurAndTheOfficialNames) {
  const TemporaryFolder folder;
  folder.put("sub/1.png", png(7));
  const std::string file = folder.put(
      "data.jsonl",
      "\xEF\xBB\xBF{\"image\": \"sub/1.png\", \"text\": \"gr\\u00fcn\", \"label\": 3}\r\n"
      "\n"
      "{\"image_path\": \"sub/1.png\", \"text_segment\": [5, 6, 7], \"image_id\": 12, \"qid\": 4, "
      "\"labels\": [1, 2], \"scores\": [0.5, 1], \"label\": null, \"extra\": {\"deep\": [1]}}\n"
      "{\"text\": \"only words\", \"split\": \"val\", \"label\": \"True\"}");
  const DataSet set = open_dataset(file);
  ASSERT_EQ(set.size(), 3);
  EXPECT_EQ(set.records[0].text, "gr\xC3\xBCn");
  EXPECT_EQ(set.records[0].label, 3);
  EXPECT_EQ(set.image(0).rgb[0], 7);
  EXPECT_EQ(set.records[1].text_ids, (std::vector<int64_t>{5, 6, 7}));
  EXPECT_EQ(set.records[1].image_id, 12);
  EXPECT_EQ(set.records[1].question_id, 4);
  EXPECT_EQ(set.records[1].labels, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(set.records[1].scores, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(set.records[2].label, 1);
  EXPECT_EQ(set.pairs(), 2);
  EXPECT_EQ(open_dataset(file, {.split = "train"}).size(), 2);
  EXPECT_EQ(open_dataset(folder.path(), {.split = "val"}).size(), 3);  // two name no split
  EXPECT_THROW(open_dataset(file, {.max_records = 2}), IoError);
}

TEST(OpenDataset, TextLinesAndTsv) {
  const TemporaryFolder folder;
  const DataSet text = open_dataset(folder.put("t.txt", "one\n\n two words\r\nlast"));
  ASSERT_EQ(text.size(), 3);
  EXPECT_EQ(text.records[1].text, " two words");
  EXPECT_EQ(text.records[2].text, "last");
  folder.put("train.txt", "of the folder");
  EXPECT_EQ(open_dataset(folder.path()).records[0].text, "of the folder");
  EXPECT_THROW(open_dataset(folder.path(), {.split = "heldout"}), IoError);
  const DataSet tsv = open_dataset(folder.put("t.tsv", "139\tA woman.\n285\tA bear\tor two.\n"));
  ASSERT_EQ(tsv.size(), 2);
  EXPECT_EQ(tsv.records[1].image_id, 285);
  EXPECT_EQ(tsv.records[1].text, "A bear\tor two.");
}

TEST(OpenDataset, TarOfClassFoldersAndTarBesideJsonLines) {
  const TemporaryFolder folder;
  const std::string end(1024, '\0');
  const std::string long_name = "cat/" + std::string(150, 'n') + ".png";
  folder.put("train.tar", tar_member("./dog/1.png", png(9)) + tar_member("cat/", "", '5') +
                              tar_member("././@LongLink", long_name, 'L') +
                              tar_member("cat/short.png", png(8)) +
                              tar_member("dog/1.txt", "a dog") + end);
  const DataSet set = open_dataset(folder.path());
  EXPECT_EQ(set.kind, DataKind::image_tar);
  EXPECT_EQ(set.classes, (std::vector<std::string>{"cat", "dog"}));
  ASSERT_EQ(set.size(), 2);
  EXPECT_EQ(set.records[0].image_path, long_name);
  EXPECT_EQ(set.records[1].text, "a dog");
  EXPECT_EQ(set.records[1].label, 1);
  EXPECT_EQ(set.image(1).rgb[0], 9);
  EXPECT_EQ(set.image_name(1), folder / "train.tar" + ": dog/1.png");

  const TemporaryFolder other;
  other.put("images.tar", tar_member("1.png", png(3)) + end);
  other.put("pairs.jsonl",
            "{\"image\": \"1.png\", \"caption\": \"x\"}\n"
            "{\"image\": \"2.png\", \"caption\": \"y\"}\n");
  const DataSet pairs = open_dataset(other.path());
  EXPECT_EQ(pairs.image(0).rgb[0], 3);
  EXPECT_THROW(pairs.image(1), IoError);  // no such member
  EXPECT_THROW(pairs.image(2), IndexError);
}

TEST(OpenDataset, TheEmojiExample) {
  const std::string path = "../examples/data/emoji";
  const DataSet train = open_dataset(path), held_out = open_dataset(path, {.split = "heldout"});
  EXPECT_EQ(train.pairs(), 440);
  EXPECT_EQ(held_out.pairs(), 60);
  EXPECT_EQ(train.image(0).height, 72);
}

}  // namespace
}  // namespace tessera::beit3
