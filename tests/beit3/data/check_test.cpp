#include "beit3/data/check.h"

#include <gtest/gtest.h>

#include "beit3/image/encode.h"
#include "tests/beit3/data/temporary_folder.h"

namespace tessera::beit3 {
namespace {

TEST(CheckDataset, CountsWhatIsThereAndListsWhatIsBroken) {
  const TemporaryFolder folder;
  const auto png = [](int64_t height, int64_t width, uint8_t shade) {
    const auto bytes = encode_png(make_image(height, width, {shade, 0, 0}));
    return std::string(bytes.begin(), bytes.end());
  };
  folder.put("1.png", png(4, 6, 1));
  folder.put("2.png", png(8, 2, 1));
  folder.put("3.png", png(4, 6, 1));
  folder.put("4.png", "broken");
  folder.put("data.jsonl",
             "{\"image\": \"1.png\", \"text\": \"a red  picture\", \"label\": 2}\n"
             "{\"image\": \"2.png\", \"text\": \"red\", \"label\": 0}\n"
             "{\"image\": \"3.png\", \"text\": \"red\"}\n"
             "{\"image\": \"4.png\"}\n"
             "{\"image\": \"1.png\", \"text_segment\": [4, 5]}\n"
             "{\"image\": \"missing.png\"}\n"
             "{\"text\": \"words alone\"}\n");
  const DataSet data = open_dataset(folder / "data.jsonl");
  for (const int threads : {0, 1, 3}) {
    int64_t done = 0;
    const DataReport report = check_dataset(
        data, {.threads = threads, .progress = [&](int64_t n, int64_t) { done = n; }});
    EXPECT_EQ(done, 5);
    EXPECT_EQ(report.records, 7);
    EXPECT_EQ(report.images, 6);
    EXPECT_EQ(report.texts, 5);
    EXPECT_EQ(report.pairs, 4);
    EXPECT_EQ(report.broken, 2);
    ASSERT_EQ(report.broken_messages.size(), 2u);
    EXPECT_NE(report.broken_messages[0].find("4.png"), std::string::npos);
    EXPECT_EQ(report.heights.smallest, 4);
    EXPECT_EQ(report.heights.largest, 8);
    EXPECT_EQ(report.widths.count, 3);
    EXPECT_EQ(report.text_words.largest, 3);
    EXPECT_EQ(report.text_words.smallest, 1);
    EXPECT_EQ(report.text_ids.mean, 2);
    EXPECT_EQ(report.duplicate_images, 1);
    EXPECT_EQ(report.duplicate_names[0], data.image_name(2) + " = " + data.image_name(0));
    EXPECT_EQ(report.duplicate_texts, 1);
    EXPECT_EQ(report.label_counts, (std::vector<int64_t>{1, 0, 1}));
    const std::string text = to_text(report, data);
    EXPECT_NE(text.find("pictures   6 (2 broken)"), std::string::npos) << text;
  }
}

TEST(CheckDataset, TakesTextsAlone) {
  const TemporaryFolder folder;
  const DataSet data = open_dataset(folder.put("t.txt", "one\ntwo words\none\n"));
  const DataReport report = check_dataset(data);
  EXPECT_EQ(report.images, 0);
  EXPECT_EQ(report.duplicate_texts, 1);
  EXPECT_FALSE(to_text(report, data).empty());
}

}  // namespace
}  // namespace tessera::beit3
