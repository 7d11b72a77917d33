#include "nn/io/safetensors.h"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nn/io/atomic_file.h"
#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;
namespace fs = std::filesystem;

/// An empty folder for one test.
class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("safetensors_" + std::to_string(::getpid()) + "_" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name = "x.safetensors") const { return (folder_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  std::string content() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_;
};

StateDict every_dtype() {
  StateDict all;
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32,
                            DType::u8, DType::boolean}) {
    all.emplace(std::string("of ") + std::string(to_string(dtype)),
                arange(6, {.dtype = DType::f32}).to(dtype));
  }
  all.emplace("scalar", scalar(2.5));
  all.emplace("empty", zeros({3, 0, 2}));
  all.emplace("of rank 8", ones({1, 2, 1, 1, 3, 1, 1, 1}));
  all.emplace("transposed", transpose(reshape(arange(6), {2, 3})));
  all.emplace("name with \"quotes\", \n and \u00fc", ones({1}));
  all.emplace("", ones({1}));
  return all;
}

TEST_F(SafetensorsTest, RoundTripOfEveryDtype) {
  const StateDict all = every_dtype();
  const SafetensorsMetadata metadata = {{"format", "pt"}, {"\u00fc \"", "\n"}};
  save_safetensors(path(), all, metadata);
  const SafetensorsFile file = load_safetensors(path());
  EXPECT_EQ(file.metadata, metadata);
  ASSERT_EQ(file.tensors.size(), all.size());
  for (const auto& [name, tensor] : all) {
    const Tensor& got = file.tensors.at(name);
    EXPECT_EQ(got.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(got.shape(), tensor.shape()) << name;
    EXPECT_EQ(got.to_vector<double>(), tensor.to_vector<double>()) << name;
  }
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, EqualContentsGiveEqualBytesAndAlignedElements) {
  save_safetensors(path(), every_dtype());
  const std::string first = content();
  save_safetensors(path(), every_dtype());
  EXPECT_EQ(content(), first);
  uint64_t header = 0;
  std::memcpy(&header, first.data(), 8);
  EXPECT_EQ(header % 8, 0u);
  const SafetensorsReader reader(path());
  for (const SafetensorsEntry& e : reader.entries()) {
    EXPECT_EQ(e.begin_bytes % size_of(e.dtype), 0u) << e.name;
  }
}

TEST_F(SafetensorsTest, TheBytesAreThoseOfTheFormat) {
  save_safetensors(path(), {{"b", from_values({1, -2})}, {"a", ones({2}, {.dtype = DType::u8})}},
                   {{"k", "v"}});
  std::string json =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}})";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string expected(1, static_cast<char>(json.size()));
  expected += std::string(7, '\0') + json;
  expected += std::string("\0\0\x80\x3f\0\0\0\xc0\1\1", 10);
  EXPECT_EQ(content(), expected);
}

TEST_F(SafetensorsTest, NothingAtAllIsAFileToo) {
  save_safetensors(path(), {});
  EXPECT_TRUE(load_safetensors(path()).tensors.empty());
}

TEST_F(SafetensorsTest, ReadsByName) {
  save_safetensors(path(), {{"a", ones({2})}, {"b", zeros({3})}});
  const SafetensorsReader reader(path());
  EXPECT_TRUE(reader.contains("a"));
  EXPECT_FALSE(reader.contains("c"));
  EXPECT_EQ(reader.load("b").shape(), Shape({3}));
  EXPECT_ERROR(reader.load("c"), IoError, (path() + ": has no tensor \"c\"").c_str());
  const SafetensorsFile part =
      load_safetensors(path(), {.wanted = [](std::string_view name) { return name == "b"; }});
  EXPECT_EQ(part.tensors.size(), 1u);
  EXPECT_TRUE(part.tensors.contains("b"));
}

TEST_F(SafetensorsTest, RefusesToWriteWhatNobodyCouldRead) {
  EXPECT_ERROR(save_safetensors(path(), {{"__metadata__", ones({1})}}), ValueError,
               "save_safetensors: the name \"__metadata__\" is reserved");
  EXPECT_ERROR(save_safetensors(path(), {{"\xff", ones({1})}}), ValueError,
               "save_safetensors: \"\xff\" is not UTF-8");
  EXPECT_ERROR(save_safetensors(path(), {{"a", Tensor()}}), ValueError,
               "save_safetensors: \"a\" is undefined");
  EXPECT_EQ(files(), 0u);
}

TEST_F(SafetensorsTest, AKilledWriteLeavesTheOldFile) {
  save_safetensors(path(), {{"old", ones({4})}});
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(path());
    const std::string half(100000, 'x');
    file.write(half.data(), half.size());
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(load_safetensors(path()).tensors.contains("old"));
  EXPECT_EQ(files(), 2u);  // what the killed program had written stays beside it
  save_safetensors(path(), {{"new", ones({4})}});
  EXPECT_TRUE(load_safetensors(path()).tensors.contains("new"));
}

TEST_F(SafetensorsTest, AFullDiskIsAnErrorAndLeavesTheOldFile) {
  save_safetensors(path(), {{"old", ones({4})}});
  // A limit of file size fails in write() exactly as a full disk does, with a reason of its own.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      const std::string big(100000, 'x');
      write_file_atomically(path(), big.data(), big.size());
    } catch (const IoError& error) {
      const std::string expected = "write: cannot write \"" + path() + "\": File too large";
      ::_exit(error.what() == expected ? 7 : 8);
    } catch (...) {
    }
    ::_exit(9);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_TRUE(load_safetensors(path()).tensors.contains("old"));
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, AFolderThatIsNotThere) {
  const std::string nowhere = path("no/x.safetensors");
  EXPECT_ERROR(save_safetensors(nowhere, {}), IoError,
               ("write: cannot create a file beside \"" + nowhere + "\": No such file or directory")
                   .c_str());
  EXPECT_ERROR(load_safetensors(nowhere), IoError,
               (nowhere + ": cannot open: No such file or directory").c_str());
  EXPECT_ERROR(load_safetensors(folder_.string()), IoError,
               (folder_.string() + ": is no regular file").c_str());
}

TEST_F(SafetensorsTest, AFileWithoutCommitVanishes) {
  {
    AtomicFile file(path());
    file.write("abc", 3);
    EXPECT_EQ(files(), 1u);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(SafetensorsTest, AFileThatShrinksWhileItIsReadIsAnError) {
  save_safetensors(path(), {{"a", ones({1000})}});
  const SafetensorsReader reader(path());
  const uintmax_t size = fs::file_size(path());
  fs::resize_file(path(), size - 400);
  EXPECT_ERROR(
      reader.load("a"), IoError,
      (path() + ": ends at byte " + std::to_string(size - 400) + ", while it was read").c_str());
}

}  // namespace
