// Files that must be refused, each with the exact error.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "nn/io/safetensors.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

struct Corrupt {
  const char* name;
  std::string bytes;
  std::string error;  // after "PATH: "
};

std::string length(uint64_t n) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(n >> (8 * i) & 0xff);
  return bytes;
}

/// A file with this header, and `data` bytes of zeros behind it.
std::string file(const std::string& json, size_t data = 0) {
  return length(json.size()) + json + std::string(data, '\0');
}

/// A header with one tensor "a".
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

std::vector<Corrupt> cases() {
  const std::string good = R"({"dtype":"U8","shape":[2],"data_offsets":)";
  std::string bad_bool = file(entry("BOOL", "[3]", "[0,3]"), 3);
  bad_bool.back() = 2;
  std::string deep = R"({"a":)";
  deep += std::string(100000, '[');
  return {
      {"empty", "", "has 0 bytes, too few for a safetensors file, which has at least 10"},
      {"seven_bytes", "1234567",
       "has 7 bytes, too few for a safetensors file, which has at least 10"},
      {"huge_header", length(100'000'001) + "{}",
       "its header claims 100000001 bytes, more than the 100000000 allowed; is it a safetensors "
       "file?"},
      {"header_of_all_ones", std::string(8, '\xff') + "{}",
       "its header claims 18446744073709551615 bytes, more than the 100000000 allowed; is it a "
       "safetensors file?"},
      {"header_longer_than_file", length(10) + "{}",
       "its header claims 10 bytes, but 2 follow; the file is cut off, or no safetensors file"},
      {"no_header", length(0), "the header does not begin with \"{\""},
      {"begins_with_space", file(" {}"), "the header does not begin with \"{\""},
      {"array", file("[]"), "the header does not begin with \"{\""},
      {"cut_json", file(R"({"a":)"), "the header is no JSON: byte 6 is unexpected"},
      {"text_after_json", file("{} x"), "the header is no JSON: byte 4 is unexpected"},
      {"two_objects", file("{}{}"), "the header is no JSON: byte 3 is unexpected"},
      {"not_utf8", file("{\"\xff\":1}"), "the header is no JSON: byte 3 is unexpected"},
      {"zero_byte_in_name", file(std::string("{\"a\0b\":1}", 9)),
       "the header is no JSON: byte 4 is unexpected"},
      {"tensor_is_number", file(R"({"a":1})"), "\"a\" is a number, but must be an object"},
      {"tensor_is_null", file(R"({"a":null})"), "\"a\" is null, but must be an object"},
      {"tensor_is_list", file(R"({"a":[]})"), "\"a\" is an array, but must be an object"},
      {"deep", file(deep), "\"a\" is an array, but must be an object"},
      {"same_name_twice", file(R"({"a":)" + good + R"([0,2]},"a":)" + good + "[2,4]}}", 4),
       "the name \"a\" occurs twice"},
      {"same_name_escaped", file(R"({"a":)" + good + R"([0,2]},"\u0061":)" + good + "[2,4]}}", 4),
       "the name \"a\" occurs twice"},
      {"same_key_twice", file(R"({"a":{"dtype":"U8","dtype":"F64"}})"),
       "tensor \"a\": the key \"dtype\" occurs twice"},
      {"unknown_key", file(R"({"a":{"dtype":"U8","strides":[1]}})"),
       "tensor \"a\": unknown key \"strides\""},
      {"no_dtype", file(R"({"a":{"shape":[],"data_offsets":[0,0]}})"), "tensor \"a\" has no dtype"},
      {"no_shape", file(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})"),
       "tensor \"a\" has no shape"},
      {"no_offsets", file(R"({"a":{"dtype":"U8","shape":[0]}})"),
       "tensor \"a\" has no data_offsets"},
      {"unknown_dtype", file(entry("I16", "[1]", "[0,2]"), 2),
       "tensor \"a\": dtype \"I16\" is not supported; expected F64, F32, F16, BF16, I64, I32, U8 "
       "or BOOL"},
      {"dtype_is_number", file(R"({"a":{"dtype":1}})"), "tensor \"a\": dtype is a number"},
      {"shape_is_text", file(R"({"a":{"shape":"2"}})"), "tensor \"a\": shape is text"},
      {"shape_of_text", file(entry("U8", R"(["2"])", "[0,2]"), 2), "tensor \"a\": a size is text"},
      {"shape_of_lists", file(entry("U8", "[[2]]", "[0,2]"), 2),
       "tensor \"a\": a size is an array"},
      {"negative_size", file(entry("U8", "[-2]", "[0,2]"), 2), "tensor \"a\": size -2 is negative"},
      {"fractional_size", file(entry("U8", "[2.5]", "[0,2]"), 2),
       "tensor \"a\": a size is the number 2.5"},
      {"size_beyond_64_bits", file(entry("U8", "[18446744073709551616]", "[0,2]"), 2),
       "tensor \"a\": a size is the number 18446744073709551616"},
      {"size_beyond_63_bits", file(entry("U8", "[18446744073709551615]", "[0,2]"), 2),
       "tensor \"a\": size 18446744073709551615 is too large"},
      {"product_overflows_to_zero", file(entry("U8", "[4294967296,4294967296]", "[0,0]")),
       "tensor \"a\" (4294967296, 4294967296) is too large"},
      {"bytes_overflow", file(entry("F64", "[4611686018427387904]", "[0,0]")),
       "tensor \"a\" (4611686018427387904) is too large"},
      {"zero_hides_an_overflow", file(entry("U8", "[0,4294967296,4294967296]", "[0,0]")),
       "tensor \"a\" (0, 4294967296, 4294967296) is too large"},
      {"nine_axes", file(entry("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1),
       "tensor \"a\" has more than 8 axes"},
      {"one_offset", file(entry("U8", "[2]", "[0]"), 2),
       "tensor \"a\": data_offsets must be two numbers"},
      {"three_offsets", file(entry("U8", "[2]", "[0,2,2]"), 2),
       "tensor \"a\": data_offsets must be two numbers"},
      {"negative_offset", file(entry("U8", "[2]", "[-1,1]"), 2),
       "tensor \"a\": offset -1 is negative"},
      {"offsets_reversed", file(entry("U8", "[2]", "[2,0]"), 2),
       "tensor \"a\" lies at bytes [2, 0): it ends before it begins"},
      {"offset_beyond_file", file(entry("U8", "[4]", "[0,4]"), 2),
       "tensor \"a\" lies at bytes [0, 4), but the file has 2 after its header; was it cut off?"},
      {"terabytes", file(entry("F32", "[1099511627776]", "[0,4398046511104]"), 2),
       "tensor \"a\" lies at bytes [0, 4398046511104), but the file has 2 after its header; was it "
       "cut off?"},
      {"too_few_bytes", file(entry("F32", "[2]", "[0,7]"), 7),
       "tensor \"a\", f32 (2), has 7 bytes, but needs 8"},
      {"hole_before", file(entry("U8", "[2]", "[1,3]"), 3),
       "bytes [0, 1) before tensor \"a\" belong to none"},
      {"rest_after", file(entry("U8", "[2]", "[0,2]"), 5),
       "3 bytes after the last tensor belong to none"},
      {"rest_without_tensors", file("{}", 1), "1 bytes after the last tensor belong to none"},
      {"overlap", file(R"({"a":)" + good + R"([0,2]},"b":)" + good + "[1,3]}}", 3),
       "tensor \"b\" begins at byte 1, inside the one before"},
      {"hole_between", file(R"({"a":)" + good + R"([0,2]},"b":)" + good + "[3,5]}}", 5),
       "bytes [2, 3) before tensor \"b\" belong to none"},
      {"metadata_is_text", file(R"({"__metadata__":"x"})"),
       "\"__metadata__\" is text, but must be an object"},
      {"metadata_of_numbers", file(R"({"__metadata__":{"epoch":3}})"),
       "__metadata__: \"epoch\" is a number, but must be text"},
      {"metadata_nested", file(R"({"__metadata__":{"a":{}}})"),
       "__metadata__: \"a\" is an object, but must be text"},
      {"metadata_key_twice", file(R"({"__metadata__":{"a":"1","a":"2"}})"),
       "__metadata__: the key \"a\" occurs twice"},
      {"metadata_twice", file(R"({"__metadata__":{},"__metadata__":{}})"),
       "the name \"__metadata__\" occurs twice"},
      {"boolean_two", bad_bool, "tensor \"a\" is boolean, but element 2 is 2"},
  };
}

class CorruptSafetensors : public testing::TestWithParam<Corrupt> {};

TEST_P(CorruptSafetensors, IsRefused) {
  const std::string path = testing::TempDir() + "corrupt_" + std::to_string(::getpid()) + "_" +
                           GetParam().name + ".safetensors";
  std::ofstream(path, std::ios::binary) << GetParam().bytes;
  EXPECT_ERROR(load_safetensors(path), IoError, (path + ": " + GetParam().error).c_str());
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Files, CorruptSafetensors, testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(CutSafetensors, EveryCutOfAGoodFileIsRefused) {
  const std::string good = file(entry("F32", "[2]", "[0,8]"), 8);
  const std::string path = testing::TempDir() + "cut_" + std::to_string(::getpid());
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << good.substr(0, bytes);
    EXPECT_THROW(load_safetensors(path), IoError) << bytes << " bytes";
  }
  std::filesystem::remove(path);
}

}  // namespace
