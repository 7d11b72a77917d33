#include "beit3/data/loader.h"

#include <atomic>
#include <chrono>
#include <memory>

#include <gtest/gtest.h>

#include "beit3/image/encode.h"
#include "tensor/base/error.h"
#include "tests/beit3/data/temporary_folder.h"

namespace tessera::beit3 {
namespace {

TEST(Prefetcher, HandsOutStepsInOrderForAnyNumberOfThreads) {
  for (const int threads : {0, 1, 2, 5}) {
    const auto make = [](int64_t step) {
      // The later step is often done first.
      std::this_thread::sleep_for(std::chrono::microseconds(step % 3 == 0 ? 300 : 10));
      return std::make_unique<int64_t>(step * step);  // may only be moved
    };
    Prefetcher<std::unique_ptr<int64_t>> items(make, {.threads = threads, .first_step = 7});
    for (int64_t step = 7; step < 60; ++step) {
      EXPECT_EQ(items.step(), step);
      EXPECT_EQ(*items.next(), step * step);
    }
  }
}

TEST(Prefetcher, CarriesExceptionsToTheStepThatMetThem) {
  for (const int threads : {0, 3}) {
    Prefetcher<int64_t> items(
        [](int64_t step) {
          check<IoError>(step != 4, "step {}", step);
          return step;
        },
        {.threads = threads});
    for (int64_t step = 0; step < 4; ++step) EXPECT_EQ(items.next(), step);
    EXPECT_THROW(items.next(), IoError);
    EXPECT_EQ(items.next(), 5);
  }
}

TEST(Prefetcher, KeepsWithinItsDepthAndItsEnd) {
  std::atomic<int64_t> made{0};
  const auto make = [&](int64_t step) {
    ++made;
    return step;
  };
  {
    Prefetcher<int64_t> items(make, {.threads = 3, .depth = 5});
    EXPECT_EQ(items.next(), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_LE(made, 6);
  }
  Prefetcher<int64_t> few(make, {.threads = 2, .end_step = 2});
  few.next();
  few.next();
  EXPECT_THROW(few.next(), StateError);
  EXPECT_THROW(Prefetcher<int64_t>(make, {.threads = -1}), ValueError);
}

class ReaderTest : public ::testing::Test {
 protected:
  /// Twelve pictures, of which 3, 4 and 9 are broken in different ways.
  ReaderTest() {
    for (int i = 0; i < 12; ++i) {
      const auto bytes = encode_png(make_image(4, 4, {static_cast<uint8_t>(i), 0, 0}));
      std::string text(bytes.begin(), bytes.end());
      if (i == 3) text.resize(text.size() / 2);
      if (i == 4) text = "not a picture";
      if (i == 9) text.clear();
      folder_.put((i < 10 ? "0" : "") + std::to_string(i) + ".png", text);
    }
    data_ = open_dataset(folder_.path());
  }

  TemporaryFolder folder_;
  DataSet data_;
};

TEST_F(ReaderTest, BrokenPicturesAreReplacedByTheNextOfTheOrder) {
  const EpochOrder order(12, RandomKey{8});
  ImageReader reader(data_);
  int64_t replaced = 0;
  for (int64_t p = 0; p < 36; ++p) {
    const ReadSample sample = read_sample(reader, order, p);
    int64_t expected = p;
    const auto broken = [&](int64_t i) { return i == 3 || i == 4 || i == 9; };
    while (broken(order.at(expected))) ++expected;
    EXPECT_EQ(sample.record, order.at(expected));
    EXPECT_EQ(sample.skipped, expected - p);
    EXPECT_EQ(sample.image->rgb[0], sample.record);
    replaced += sample.skipped > 0;
  }
  EXPECT_EQ(replaced, 9);
  EXPECT_EQ(reader.broken().count, 3);
  EXPECT_EQ(reader.broken().messages.size(), 3u);
}

TEST_F(ReaderTest, DoesNotDependOnThreads) {
  const EpochOrder order(12, RandomKey{8});
  std::vector<std::vector<int64_t>> seen;
  for (const int threads : {0, 1, 4}) {
    ImageReader reader(data_, 1 << 20);
    Prefetcher<std::vector<int64_t>> batches(
        [&](int64_t step) {
          std::vector<int64_t> records;
          for (int64_t i = 0; i < 5; ++i) {
            records.push_back(read_sample(reader, order, step * 5 + i).record);
          }
          return records;
        },
        {.threads = threads, .first_step = 2});
    std::vector<int64_t> all;
    for (int i = 0; i < 20; ++i) {
      for (const int64_t record : batches.next()) all.push_back(record);
    }
    seen.push_back(all);
  }
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_EQ(seen[0], seen[2]);
}

TEST_F(ReaderTest, TheCacheIsBoundedAndSparesTheFiles) {
  ImageReader reader(data_, 2 * 48 + 10);  // room for two pictures
  const auto first = reader.read(0);
  reader.read(1);
  reader.read(2);
  EXPECT_EQ(reader.cached_bytes(), 96u);
  EXPECT_EQ(reader.read(0), first);  // the same object
  EXPECT_NE(reader.read(2), reader.read(2));
  std::filesystem::remove(data_.records[1].image_path);
  EXPECT_EQ(reader.read(1)->rgb[0], 1);
}

TEST_F(ReaderTest, SubsetsAndHopelessSets) {
  ImageReader reader(data_);
  const std::vector<int64_t> good = {1, 3, 5}, bad = {3, 4, 9};
  const EpochOrder order(3, RandomKey{1}, false);
  EXPECT_EQ(read_sample(reader, order, 1, &good).record, 5);
  EXPECT_EQ(read_sample(reader, order, 3, &good).record, 1);
  EXPECT_THROW(read_sample(reader, order, 0, &bad), IoError);
  EXPECT_THROW(read_sample(reader, order, 0), ValueError);  // an order of another size
}

}  // namespace
}  // namespace tessera::beit3
