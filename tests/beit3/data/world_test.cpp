#include "beit3/data/world.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "beit3/data/manifest.h"
#include "beit3/image/files.h"
#include "tensor/base/error.h"
#include "tests/beit3/data/temporary_folder.h"

namespace tessera::beit3 {
namespace {

const WorldOptions kSmall{.scene = {.seed = 5}, .train = 150, .held_out = 20, .texts = 30};

TEST(World, IsWrittenAndReadBack) {
  const TemporaryFolder folder;
  const std::string path = folder / "deep/world";
  int64_t last = 0;
  WorldOptions options = kSmall;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 170);
    EXPECT_GT(done, last);
    last = done;
  };
  write_world(path, options);
  EXPECT_EQ(last, 170);
  EXPECT_TRUE(is_world(path));
  EXPECT_TRUE(is_world_of(path, options));
  EXPECT_FALSE(is_world_of(path, {}));
  EXPECT_TRUE(read_scene_options(path) == options.scene);

  const DataSet train = open_dataset(path), held_out = open_dataset(path, {.split = "heldout"});
  ASSERT_EQ(train.size(), 150);
  ASSERT_EQ(held_out.size(), 20);
  EXPECT_EQ(train.pairs(), 150);
  for (const int64_t i : {0, 77, 149}) {
    const Scene scene = make_scene(options.scene, i);
    EXPECT_EQ(train.image(i), scene.image);
    EXPECT_EQ(train.records[static_cast<size_t>(i)].text, scene.caption);
    EXPECT_EQ(train.records[static_cast<size_t>(i)].label, scene.label);
  }
  EXPECT_EQ(held_out.image(3), make_scene(options.scene, kFirstHeldOut + 3).image);
  const DataSet texts = open_dataset(path + "/texts.txt");
  ASSERT_EQ(texts.size(), 30);
  EXPECT_EQ(texts.records[7].text, describe_scene(options.scene, kFirstTextOnly + 7).caption);
  const auto lexicon = read_lexicon(path + "/words.json");
  EXPECT_EQ(lexicon.size(), world_lexicon().size());
  EXPECT_EQ(lexicon.at("orange"), "colour");
  EXPECT_EQ(lexicon.at("left"), "relation");

  const auto instances = nlohmann::json::parse(read_text_file(path + "/instances_heldout.json"));
  ASSERT_EQ(instances["images"].size(), 20u);
  EXPECT_EQ(instances["categories"].size(), static_cast<size_t>(kClasses));
  for (const auto& object : instances["annotations"]) {
    const auto& counts = object["segmentation"]["counts"];
    int64_t covered = 0, all = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      all += counts[i].get<int64_t>();
      if (i % 2 == 1) covered += counts[i].get<int64_t>();
    }
    EXPECT_EQ(all, 64 * 64);
    EXPECT_EQ(covered, object["area"]);
  }
}

TEST(World, OfAnotherVersionIsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder / "world", file = path + "/world.json";
  WorldOptions options = kSmall;
  options.train = options.held_out = options.texts = 1;
  write_world(path, options);
  nlohmann::json world = nlohmann::json::parse(read_text_file(file));
  world["version"] = 1;
  write_file_atomically(file, world.dump());
  try {
    read_scene_options(path);
    FAIL() << "not refused";
  } catch (const IoError& error) {
    EXPECT_EQ(std::string(error.what()),
              "\"" + file +
                  "\" describes a drawn world of version 1; this program draws version 5. " +
                  "Draw it anew: beit3 data synth DIR --again");
  }
}

TEST(World, DoesNotDependOnThreads) {
  const TemporaryFolder folder;
  WorldOptions options = kSmall;
  options.threads = 1;
  write_world(folder / "one", options);
  options.threads = 4;
  write_world(folder / "four", options);
  for (const char* name : {"train.jsonl", "heldout.jsonl", "texts.txt", "words.json", "world.json",
                           "instances_train.json", "images/000000.png", "images/000169.png"}) {
    EXPECT_EQ(read_text_file(folder / ("one/" + std::string(name))),
              read_text_file(folder / ("four/" + std::string(name))))
        << name;
  }
}

TEST(World, NeverDestroysWhatIsNotItsOwn) {
  const TemporaryFolder folder;
  const WorldOptions options{.train = 3, .held_out = 1, .texts = 1};
  folder.put("mine/thesis.txt", "years of work");
  EXPECT_THROW(write_world(folder / "mine", options), IoError);
  EXPECT_EQ(read_text_file(folder / "mine/thesis.txt"), "years of work");

  std::filesystem::create_directory(folder / "empty");
  write_world(folder / "empty", options);
  const WorldOptions other{.scene = {.seed = 9}, .train = 2, .held_out = 1, .texts = 1};
  write_world(folder / "empty/", other);  // replaces the older world
  EXPECT_EQ(open_dataset(folder / "empty").size(), 2);
  EXPECT_TRUE(is_world_of(folder / "empty", other));
  folder.put("empty/run.log", "a run in the folder of the world");
  EXPECT_THROW(write_world(folder / "empty", options), IoError);
  EXPECT_TRUE(is_world_of(folder / "empty", other));

  folder.put("file", "x");
  EXPECT_THROW(write_world(folder / "file", options), IoError);
  EXPECT_THROW(write_world(folder / "file/inside", options), IoError);
  EXPECT_THROW(write_world(folder / "x", {.train = -1}), ValueError);
}

TEST(World, LeavesNothingBehindWhenStopped) {
  const TemporaryFolder folder;
  WorldOptions options = kSmall;
  options.progress = [](int64_t, int64_t) { throw StateError("stop"); };
  EXPECT_THROW(write_world(folder / "world", options), StateError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace tessera::beit3
