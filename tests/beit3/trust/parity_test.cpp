// Every recorded number of the official implementations that the tree holds, in f32 and in f64.
#include "beit3/trust/parity.h"

#include <filesystem>
#include <map>

#include <gtest/gtest.h>
#include <unistd.h>

#include "nn/io/safetensors.h"
#include "tensor/ops/ops.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

struct Recording {
  const char* folder;
  const char* cases;
  DType dtype;
  size_t tensors;  // compared in all
};

class Recorded : public testing::TestWithParam<Recording> {};

TEST_P(Recorded, NumbersAreMet) {
  const Recording& r = GetParam();
  size_t compared = 0;
  for (const CaseReport& report : run_parity(r.folder, {r.cases}, {.dtype = r.dtype})) {
    EXPECT_TRUE(report.supported()) << report.name << ": " << report.unsupported;
    EXPECT_TRUE(report.ok()) << to_table({report});
    compared += report.tensors.size();
  }
  EXPECT_EQ(compared, r.tensors);
}

std::vector<Recording> recordings() {
  std::vector<Recording> all;
  for (DType dtype : {DType::f32, DType::f64}) {
    for (const auto& [folder, cases, tensors] : {std::tuple{"data/beit3-parity", "encoder-*", 198},
                                                 {"data/paper-parity", "*", 194},
                                                 {"data/beit3-parity", "optimizer", 49},
                                                 {"data/beit3-parity", "cosine_scheduler", 1},
                                                 {"data/vqkd-parity", "forward.f64", 73},
                                                 {"data/vqkd-parity", "train.f64", 49},
                                                 {"data/vqkd-parity", "quantizer-*", 44},
                                                 {"data/vqkd-parity", "kmeans*", 84},
                                                 {"data/vqkd-parity", "tokens", 9},
                                                 {"data/vqkd-parity", "preprocess", 12},
                                                 {"data/vqkd-parity", "resize-24", 14},
                                                 {"data/vqkd-parity", "teacher-*", 12},
                                                 {"data/vqkd-parity", "training.pth", 242},
                                                 {"data/pretrain-parity", "*", 164}}) {
      all.push_back({folder, cases, dtype, static_cast<size_t>(tensors)});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Recorded, testing::ValuesIn(recordings()), [](const auto& test) {
  std::string name;
  for (const char c : std::string(test.param.folder).substr(5) + "_" + test.param.cases) {
    if (std::isalnum(static_cast<unsigned char>(c))) name += c;
  }
  return name + "_" + std::to_string(test.index);
});

/// A copy of a folder of recordings that may be changed.
class Changed : public testing::Test {
 protected:
  Changed() : folder_(fs::temp_directory_path() / ("parity-" + std::to_string(getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* name : {"manifest.json", "encoder.weights.safetensors",
                             "encoder-text.safetensors", "encoder-image.safetensors"}) {
      fs::copy_file(fs::path("data/beit3-parity") / name, folder_ / name);
    }
  }
  ~Changed() override { fs::remove_all(folder_); }

  void change(const std::string& file, const std::function<void(nn::StateDict&)>& how) const {
    const std::string path = (folder_ / (file + ".safetensors")).string();
    nn::StateDict tensors = nn::load_safetensors(path).tensors;
    how(tensors);
    nn::save_safetensors(path, tensors);
  }

  fs::path folder_;
};

TEST_F(Changed, NamesTheFirstTensorThatDiffers) {
  change("encoder.weights", [](nn::StateDict& w) {
    const Tensor& weight = w.at("beit3.encoder.layers.1.ffn.B.fc1.weight");
    copy_into(weight + 1e-3, weight);
  });
  const std::vector<CaseReport> text = run_parity(folder_, {"encoder-text"});
  ASSERT_EQ(text.size(), 1u);
  EXPECT_FALSE(text[0].ok());
  ASSERT_NE(text[0].first_difference(), nullptr);
  EXPECT_EQ(text[0].first_difference()->name, "hidden.layer1");
  // Branch B takes no part in pictures.
  EXPECT_TRUE(run_parity(folder_, {"encoder-image"})[0].ok());
}

TEST_F(Changed, NamesARecordedTensorThatNothingIsHeldAgainst) {
  change("encoder-text", [](nn::StateDict& r) { r.emplace("hidden.layer7", ones({2})); });
  const CaseReport report = run_parity(folder_, {"encoder-text"})[0];
  EXPECT_EQ(report.not_compared, std::vector<std::string>{"hidden.layer7"});
  EXPECT_FALSE(report.ok());
}

TEST_F(Changed, AParameterThatStepsMovedElsewhereDiffers) {
  for (const char* name :
       {"vqa.safetensors", "vqa.weights.safetensors", "optimizer-after4.weights.safetensors"}) {
    fs::copy_file(fs::path("data/beit3-parity") / name, folder_ / name);
  }
  EXPECT_TRUE(run_parity(folder_, {"optimizer"})[0].ok());
  // A hundredth of what the head moves by in four steps.
  change("optimizer-after4.weights", [](nn::StateDict& w) {
    const Tensor& bias = w.at("head.3.bias");
    copy_into(bias + 2.5e-4, bias);
  });
  const CaseReport report = run_parity(folder_, {"optimizer"})[0];
  ASSERT_NE(report.first_difference(), nullptr);
  EXPECT_EQ(report.first_difference()->name, "after head.3.bias");
}

TEST_F(Changed, ATensorOfAnotherSizeIsAnError) {
  change("encoder-text", [](nn::StateDict& r) { r["hidden.layer0"] = ones({2}); });
  EXPECT_THROW(run_parity(folder_, {"encoder-text"}), ShapeError);
}

TEST(Parity, ChoosesCasesByPattern) {
  const auto reports = run_parity("data/beit3-parity", {"encoder-pair*"});
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].name, "encoder-pair");
  EXPECT_EQ(run_parity("data/beit3-parity", {"optimizer-after4"})[0].name, "optimizer");
}

TEST(Parity, SaysWhatCannotBeRunYet) {
  const CaseReport report = run_parity("data/beit3-parity", {"classification"})[0];
  EXPECT_FALSE(report.supported());
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.unsupported, "needs the task image classification");
}

TEST(Parity, NamesAnUnknownCase) {
  EXPECT_THROW(run_parity("data/beit3-parity", {"decoder-*"}), ValueError);
  EXPECT_THROW(run_parity("data/no-such-folder"), IoError);
  EXPECT_THROW(run_parity("data/beit3-parity", {"encoder-text"}, {.dtype = DType::bf16}),
               ValueError);
}

}  // namespace
}  // namespace tessera::beit3
