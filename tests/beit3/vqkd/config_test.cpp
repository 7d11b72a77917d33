#include "beit3/vqkd/config.h"

#include "beit3/vqkd/usage.h"
#include "tensor/base/error.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

TEST(VqkdConfigTest, JsonThereAndBack) {
  VqkdConfig config{.width = 96, .decoder_width = 48, .codes = 77};
  EXPECT_EQ(vqkd_config_from_json(to_json(config), "file"), complete(config));
  EXPECT_EQ(vqkd_config_from_json(to_json(published_vqkd("clip-3")), "file"),
            published_vqkd("clip-3"));
}

TEST(VqkdConfigTest, RefusesWhatDoesNotFit) {
  EXPECT_ERROR(complete({.image_size = 60}), ValueError,
               "image tokenizer: image_size 60 is no multiple of patch 8");
  EXPECT_ERROR(complete({.heads = 5}), ValueError,
               "image tokenizer: width 64 is no multiple of heads 5");
  EXPECT_ERROR(complete({.codes = 1}), ValueError,
               "image tokenizer: codes is 1; it must be at least 2");
  EXPECT_ERROR(complete({.target = VqkdTarget::features}), ValueError,
               "image tokenizer: target_width is missing; give the width of the features");
  EXPECT_THROW(published_vqkd("clip-2"), ValueError);
}

TEST(VqkdConfigTest, RefusesMalformedJson) {
  const std::string good = to_json(VqkdConfig{});
  auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{}"),
        with("\"patch\":8", "\"patch\":\"8\""), with("\"patch\":8", "\"patch\":0"),
        with("\"patch\":8", "\"patch\":7"), with("\"target\":\"pixels\"", "\"target\":\"x\""),
        with("\"patch\"", "\"batch\""), with("{", "{\"more\":1,"),
        with("\"encoder_layers\":2", "\"encoder_layers\":65537")}) {
    EXPECT_THROW(vqkd_config_from_json(bad, "file"), IoError) << bad;
  }
}

TEST(CodeUsageTest, CountsAndPerplexity) {
  std::vector<int64_t> counts(4);
  count_codes(std::vector<int64_t>{0, 0, 2, 2}, counts);
  EXPECT_EQ(counts, (std::vector<int64_t>{2, 0, 2, 0}));
  const CodeUsage usage = usage_of(counts);
  EXPECT_EQ(usage.used, 2);
  EXPECT_EQ(usage.share(), 0.5);
  EXPECT_NEAR(usage.perplexity, 2, 1e-12);
  EXPECT_FALSE(has_collapsed(usage));
  EXPECT_TRUE(has_collapsed(usage, {.min_share = 0.6}));
  EXPECT_TRUE(has_collapsed(usage_of(std::vector<int64_t>{1000, 1, 1, 1})));
  EXPECT_EQ(usage_of(std::vector<int64_t>{0, 0}).perplexity, 0);
  EXPECT_ERROR(count_codes(std::vector<int64_t>{4}, counts), IndexError,
               "count_codes: id 4 is not in 0 … 3");
}

}  // namespace
}  // namespace tessera::beit3
