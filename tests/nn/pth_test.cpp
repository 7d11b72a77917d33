#include "nn/io/pth.h"

#include <cstdio>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include "tests/testing/errors.h"
#include "tests/testing/stored_zip.h"

namespace tessera::nn {
namespace {

using tessera::testing::little;

// The pieces of a pickle, as Python writes them.
std::string text(const std::string& s) { return "X" + little(s.size(), 4) + s; }
std::string integer(int64_t n) { return "J" + little(static_cast<uint64_t>(n), 4); }
std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}
std::string integers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (int64_t v : values) items.push_back(integer(v));
  return tuple(items);
}
std::string ordered_dict() { return global("collections", "OrderedDict") + ")R"; }
std::string storage(const std::string& type, const std::string& key, int64_t count) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(count)}) +
         "Q";
}
std::string tensor(const std::string& stored, int64_t offset, const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({stored, integer(offset), integers(sizes), integers(strides), "\x89",
                ordered_dict()}) +
         "R";
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "}(";
  for (const auto& [key, value] : entries) out += text(key) + value;
  return out + "u";
}
std::string repeated(const std::string& piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}
std::string pickle(const std::string& value) { return "\x80\x02" + value + "."; }

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

using Members = std::vector<std::pair<std::string, std::string>>;

/// A file that is removed at the end.
class TemporaryPth {
 public:
  TemporaryPth() : path_(::testing::TempDir() + "pth-" + std::to_string(getpid()) + ".pth") {
    std::remove(path_.c_str());
  }
  ~TemporaryPth() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

  void write_zip(const Members& members, bool packed = false) const {
    std::remove(path_.c_str());
    int error = 0;
    zip_t* zip = zip_open(path_.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
    ASSERT_NE(zip, nullptr);
    for (const auto& [name, data] : members) {
      zip_source_t* source = zip_source_buffer(zip, data.data(), data.size(), 0);
      const zip_int64_t place = zip_file_add(zip, name.c_str(), source, ZIP_FL_OVERWRITE);
      ASSERT_GE(place, 0);
      zip_set_file_compression(zip, static_cast<zip_uint64_t>(place),
                               packed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    }
    ASSERT_EQ(zip_close(zip), 0);
  }
  void write_bytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  std::string read_bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_;
};

/// data.pkl and storage 0 of six floats.
Members archive(const std::string& pickled) {
  return {{"model/data.pkl", pickled},
          {"model/byteorder", "little"},
          {"model/data/0", bytes_of<float>({1, 2, 3, 4, 5, 6})},
          {"model/version", "3\n"}};
}

TEST(Pth, ReadsTensorsNumbersAndText) {
  const std::string floats = storage("FloatStorage", "0", 6);
  const std::string options = global("argparse", "Namespace") + ")\x81" +
                              dict({{"lr", "G\x3f\xe0" + std::string(6, '\0')},
                                    {"name", text("tiny")},
                                    {"flag", "\x88"},
                                    {"none", "N"},
                                    {"list", "](" + integer(-7) + text("x") + "e"}}) +
                              "b";
  const TemporaryPth file;
  file.write_zip(archive(pickle(dict({{"model", dict({{"w", tensor(floats, 0, {2, 3}, {3, 1})},
                                                      {"t", tensor(floats, 0, {3, 2}, {1, 3})},
                                                      {"s", tensor(floats, 5, {}, {})}})},
                                      {"args", options}}))));
  const PthFile read = load_pth(file.path());
  EXPECT_EQ(read.tensors.at("model.w").shape(), (Shape{2, 3}));
  EXPECT_EQ(read.tensors.at("model.w").to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read.tensors.at("model.t").to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(read.tensors.at("model.s").item<float>(), 6);
  EXPECT_EQ(read.tensors.at("model.t").storage(), read.tensors.at("model.w").storage());
  EXPECT_EQ(read.numbers.at("args.lr"), 0.5);
  EXPECT_EQ(read.numbers.at("args.flag"), 1);
  EXPECT_EQ(read.numbers.at("args.list.0"), -7);
  EXPECT_EQ(read.strings.at("args.name"), "tiny");
  EXPECT_EQ(read.strings.at("args.list.1"), "x");
  const PthFile some =
      load_pth(file.path(), {.wanted = [](std::string_view n) { return n == "model.s"; }});
  EXPECT_EQ(some.tensors.size(), 1u);
}

TEST(Pth, ReadsEveryElementType) {
  const TemporaryPth file;
  const std::pair<const char*, std::string> types[] = {
      {"DoubleStorage", bytes_of<double>({1, 2})},
      {"LongStorage", bytes_of<int64_t>({1, 2})},
      {"IntStorage", bytes_of<int32_t>({1, 2})},
      {"ByteStorage", bytes_of<uint8_t>({1, 2})},
      {"HalfStorage", bytes_of<uint16_t>({0x3c00, 0x4000})},
      {"BFloat16Storage", bytes_of<uint16_t>({0x3f80, 0x4000})}};
  for (const auto& [type, data] : types) {
    file.write_zip(
        {{"a/data.pkl", pickle(tensor(storage(type, "x", 2), 0, {2}, {1}))}, {"a/data/x", data}});
    EXPECT_EQ(load_pth(file.path()).tensors.at("").to(DType::f64).to_vector<double>(),
              (std::vector<double>{1, 2}))
        << type;
  }
  file.write_zip({{"a/data.pkl", pickle(tensor(storage("BoolStorage", "x", 2), 0, {2}, {1}))},
                  {"a/data/x", bytes_of<uint8_t>({1, 2})}});
  EXPECT_ERROR(load_pth(file.path()), IoError,
               (file.path() + ": a/data/x holds booleans, but element 1 is 2").c_str());
}

struct Refused {
  const char* name;
  std::string pickled;
  const char* error;  // after "PATH: "
};

std::vector<Refused> refused() {
  const std::string floats = storage("FloatStorage", "0", 6);
  auto whole = [&](const std::string& t) { return pickle(dict({{"w", t}})); };
  const std::string call = global("os", "system") + tuple({text("true")}) + "R";
  const std::string deep = repeated("](", 40) + "N" + repeated("e", 40);
  return {
      {"a_call", pickle(call),
       "byte 13 of the pickle: it names \"os.system\", which is not among what a file of tensors "
       "needs"},
      {"a_name_on_the_stack", pickle(text("os") + text("system") + "\x93"),
       "byte 21 of the pickle: it names \"os.system\", which is not among what a file of tensors "
       "needs"},
      {"an_allowed_name_called_as_another",
       pickle(global("torch", "FloatStorage") + tuple({integer(8)}) + "R"),
       "byte 30 of the pickle: torch.FloatStorage is called"},
      {"a_dictionary_with_arguments",
       pickle(global("collections", "OrderedDict") + tuple({"N"}) + "R"),
       "byte 31 of the pickle: collections.OrderedDict with arguments"},
      {"an_unknown_operation", pickle("i"),
       "byte 3 of the pickle: operation 105 is not among what a file of tensors needs"},
      {"protocol_5", "\x80\x05N.", "byte 2 of the pickle: protocol 5; 2 to 4 are read"},
      {"cut", "\x80\x02X\x05", "byte 3 of the pickle: 4 bytes are needed, 1 follow"},
      {"a_long_text", "\x80\x02X" + little(0xffffffff, 4),
       "byte 7 of the pickle: 4294967295 bytes are needed, 0 follow"},
      {"no_end", "\x80\x02N", "byte 3 of the pickle: 1 bytes are needed, 0 follow"},
      {"two_values", "\x80\x02NN.", "byte 5 of the pickle: does not end with one value"},
      {"no_value", "\x80\x02.", "byte 3 of the pickle: does not end with one value"},
      {"a_value_from_nowhere", pickle("h\x07"),
       "byte 4 of the pickle: value 7 is used before it is there"},
      {"an_integer_of_nine_bytes", pickle(std::string("\x8a\x09") + std::string(9, '\1')),
       "byte 4 of the pickle: an integer of 9 bytes; at most 8 are read"},
      {"a_key_without_value", pickle("}(" + text("a") + "u"),
       "byte 11 of the pickle: a key has no value"},
      {"items_of_nothing", pickle("N(Ne"),
       "byte 6 of the pickle: items without a list to put them into"},
      {"a_mark_that_is_not_there", pickle("]e"), "byte 4 of the pickle: a mark is missing"},
      {"attributes_of_itself",
       pickle(global("argparse", "Namespace") + ")\x81q\x01" + text("a") + "Ns" + "h\x01" + "b" +
              "h\x01" + "b" + "h\x01" + "b" + "h\x01" + "b" + "h\x01" + "b"),
       "byte 49 of the pickle: more references than bytes"},
      {"a_list_in_itself",
       pickle("]q\x01h\x01"
              "a"),
       "more than 1000000 values, 32 levels, or 1024 bytes of a name"},
      {"a_deep_list", pickle(deep), "more than 1000000 values, 32 levels, or 1024 bytes of a name"},
      {"a_text_at_many_places",
       pickle("](" + text(std::string(1'000'000, 'x')) + "q\x01" + repeated("h\x01", 70) + "e"),
       "its names and texts have more than 64000000 bytes"},
      {"a_name_twice", pickle("}(" + text("a") + integer(1) + text("a") + integer(2) + "u"),
       "two values are called a"},
      {"a_key_of_none", pickle("}NNs"), "a key is neither text nor an integer"},
      {"a_storage_that_is_none", pickle(tuple({text("storage")}) + "Q"),
       "byte 17 of the pickle: a reference to something that is no storage"},
      {"a_tensor_without_storage",
       pickle(global("torch._utils", "_rebuild_tensor_v2") + tuple({"N"}) + "R"),
       "byte 39 of the pickle: a tensor without storage, offset, sizes and strides"},
      {"nine_axes",
       whole(tensor(floats, 0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1))),
       "byte 227 of the pickle: a tensor of more than 8 axes"},
      {"a_missing_storage", whole(tensor(storage("FloatStorage", "1", 6), 0, {6}, {1})),
       "the archive lacks model/data/1"},
      {"a_storage_elsewhere", whole(tensor(storage("FloatStorage", "../data.pkl", 6), 0, {6}, {1})),
       "the archive lacks model/data/../data.pkl"},
      {"too_many_elements", whole(tensor(storage("FloatStorage", "0", 7), 0, {7}, {1})),
       "storage 0 is said to have 7 elements of f32, but has 24 bytes"},
      {"another_type", whole(tensor(storage("DoubleStorage", "0", 6), 0, {6}, {1})),
       "storage 0 is said to have 6 elements of f64, but has 24 bytes"},
      {"negative_count", whole(tensor(storage("FloatStorage", "0", -6), 0, {6}, {1})),
       "storage 0 is said to have -6 elements of f32, but has 24 bytes"},
      {"two_types",
       pickle(dict({{"a", tensor(floats, 0, {6}, {1})},
                    {"b", tensor(storage("IntStorage", "0", 6), 0, {6}, {1})}})),
       "storage 0 has two element types"},
      {"beyond_the_storage", whole(tensor(floats, 1, {2, 3}, {3, 1})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"far_beyond_the_storage", whole(tensor(floats, 0, {2}, {0x7fffffff})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"a_negative_offset", whole(tensor(floats, -1, {2}, {1})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"a_negative_stride", whole(tensor(floats, 5, {2}, {-1})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"a_negative_size", whole(tensor(floats, 0, {-2}, {1})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"repeated_elements", whole(tensor(floats, 0, {6, 6, 6}, {0, 0, 1})),
       "tensor w does not lie inside its storage of 6 elements"},
      {"sizes_without_strides", whole(tensor(floats, 0, {2, 3}, {1})),
       "tensor w has 2 sizes and 1 strides"},
  };
}

class RefusedPth : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedPth, SaysWhy) {
  const TemporaryPth file;
  file.write_zip(archive(GetParam().pickled));
  EXPECT_ERROR(load_pth(file.path()), IoError, (file.path() + ": " + GetParam().error).c_str());
}

INSTANTIATE_TEST_SUITE_P(Files, RefusedPth, ::testing::ValuesIn(refused()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Pth, RefusesArchivesThatTorchSaveDoesNotWrite) {
  const std::string good = pickle(tensor(storage("FloatStorage", "0", 6), 0, {6}, {1}));
  const TemporaryPth file;
  auto expect = [&](const std::string& why) {
    EXPECT_ERROR(load_pth(file.path()), IoError, (file.path() + ": " + why).c_str());
  };
  file.write_zip({{"model/data/0", "x"}});
  expect("the archive has no data.pkl; it is not of torch.save");
  file.write_zip({{"a/data.pkl", good}, {"b/data.pkl", good}});
  expect("the archive has two data.pkl");
  Members big = archive(good);
  big[1].second = "big";
  file.write_zip(big);
  expect("its byte order is \"big\"; only little is read");
  Members zeros = archive(good);
  zeros[0].second += std::string(100000, '\0');
  file.write_zip(zeros, true);
  EXPECT_THROW(load_pth(file.path()), IoError);
  file.write_zip(archive(std::string(kMaxPickleBytes + 1, 'N')));
  expect("model/data.pkl has 16000001 bytes; at most 16000000 are read");
  file.write_bytes("\x80\x02}q\x01.");
  EXPECT_THROW(load_pth(file.path()), IoError);
  EXPECT_THROW(load_pth(file.path() + ".absent"), IoError);
}

/// One storage's bytes hold the next storage, header and all: each lies inside the file, together
/// they are larger.
std::string overlapping_archive() {
  using namespace tessera::testing;
  const ZipEntry inner{"a/data/1", std::string(4000, '\0')};
  const ZipEntry outer{"a/data/0", std::string(2, '\0') + zip_member(inner)};
  const int64_t floats = static_cast<int64_t>(outer.data.size() / 4);
  const ZipEntry description{
      "a/data.pkl",
      pickle(dict({{"x", tensor(storage("FloatStorage", "0", floats), 0, {floats}, {1})},
                   {"y", tensor(storage("FloatStorage", "1", 1000), 0, {1000}, {1})}}))};
  const size_t outer_bytes = zip_member(outer).size();
  return zip_with_directory(
      zip_member(outer) + zip_member(description),
      {{outer, 0}, {inner, outer_bytes - zip_member(inner).size()}, {description, outer_bytes}});
}

TEST(Pth, StoragesTogetherHaveAtMostTheBytesOfTheFile) {
  const TemporaryPth file;
  const std::string bytes = overlapping_archive();
  file.write_bytes(bytes);
  EXPECT_ERROR(load_pth(file.path()), IoError,
               (file.path() + ": its storages have more bytes than the file, which has " +
                std::to_string(bytes.size()))
                   .c_str());
}

TEST(Pth, EveryCutAndEveryFlippedByteIsRefusedOrHarmless) {
  const TemporaryPth file;
  file.write_zip(
      archive(pickle(dict({{"w", tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1})}}))));
  const std::string good = file.read_bytes();
  ASSERT_EQ(load_pth(file.path()).tensors.size(), 1u);
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    file.write_bytes(good.substr(0, bytes));
    EXPECT_THROW(load_pth(file.path()), IoError) << bytes << " bytes";
  }
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x55);
    file.write_bytes(flipped);
    try {
      load_pth(file.path());
    } catch (const IoError&) {
      ++refused;
    }
  }
  // Times and the like may change.
  EXPECT_GT(refused, static_cast<int>(good.size() / 2));
}

}  // namespace
}  // namespace tessera::nn
