#include <algorithm>
#include <optional>
#include <set>

#include <nlohmann/json.hpp>

#include "nn/io/safetensors_header_internal.h"

namespace tessera::nn::detail {

namespace {

constexpr std::string_view kMetadata = "__metadata__";

struct DTypeName {
  std::string_view name;
  DType dtype;
};
constexpr DTypeName kDTypes[] = {
    {"F32", DType::f32}, {"F64", DType::f64}, {"BF16", DType::bf16}, {"F16", DType::f16},
    {"I64", DType::i64}, {"I32", DType::i32}, {"U8", DType::u8},     {"BOOL", DType::boolean}};

std::string_view name_of(DType dtype) {
  for (const DTypeName& d : kDTypes) {
    if (d.dtype == dtype) return d.name;
  }
  fail<InternalError>("safetensors: dtype {} has no name", dtype);
}

/// Text from a file as it may stand in a message: short, without control characters.
std::string shown(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kMost)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out + (text.size() > kMost ? "…\"" : "\"");
}

/// Reads the header as a stream of events, so that no tree of a stranger's making is ever built:
/// the only structure is the one expected, at most three levels deep. What is kept is bounded by
/// the header's length.
class Handler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Handler(SafetensorsHeader& header, const std::string& path) : header_(header), path_(path) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const std::string& text) override {
    return unexpected("the number " + text.substr(0, 40));
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_integer(int64_t value) override {
    if (at_ != At::shape && at_ != At::offsets) return unexpected("a number");
    refuse("tensor {}: {} {} is negative", shown(entry_.name), place(), value);
  }
  bool number_unsigned(uint64_t value) override {
    if (at_ == At::shape) {
      check_format(entry_.shape.rank() < kMaxRank, "tensor {} has more than {} axes",
                   shown(entry_.name), kMaxRank);
      check_format(value <= static_cast<uint64_t>(INT64_MAX), "tensor {}: size {} is too large",
                   shown(entry_.name), value);
      entry_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (at_ != At::offsets) return unexpected("a number");
    check_format(offsets_ < 2, "tensor {}: data_offsets must be two numbers", shown(entry_.name));
    (offsets_++ == 0 ? entry_.begin_bytes : entry_.end_bytes) = value;
    return true;
  }
  bool string(std::string& text) override {
    if (at_ == At::metadata) {
      header_.metadata[key_] = text;
      return true;
    }
    if (at_ != At::entry || key_ != "dtype") return unexpected("text");
    for (const DTypeName& d : kDTypes) {
      if (d.name != text) continue;
      entry_.dtype = d.dtype;
      return true;
    }
    refuse(
        "tensor {}: dtype {} is not supported; expected F64, F32, F16, BF16, I64, I32, U8 or BOOL",
        shown(entry_.name), shown(text));
  }
  bool start_object(size_t) override {
    if (at_ == At::start) {
      at_ = At::top;
    } else if (at_ == At::top && key_ == kMetadata) {
      at_ = At::metadata;
      keys_.clear();
    } else if (at_ == At::top) {
      at_ = At::entry;
      entry_ = {};
      entry_.name = key_;
      offsets_ = 0;
      keys_.clear();
    } else {
      return unexpected("an object");
    }
    return true;
  }
  bool key(std::string& name) override {
    if (at_ == At::top) {
      check_format(names_.insert(name).second, "the name {} occurs twice", shown(name));
    } else {
      check_format(keys_.insert(name).second, "{}: the key {} occurs twice",
                   at_ == At::metadata ? std::string(kMetadata) : "tensor " + shown(entry_.name),
                   shown(name));
      check_format(at_ != At::entry || name == "dtype" || name == "shape" || name == "data_offsets",
                   "tensor {}: unknown key {}", shown(entry_.name), shown(name));
    }
    key_ = name;
    return true;
  }
  bool end_object() override {
    if (at_ == At::entry) {
      for (const char* wanted : {"dtype", "shape", "data_offsets"}) {
        check_format(keys_.contains(wanted), "tensor {} has no {}", shown(entry_.name), wanted);
      }
      header_.entries.push_back(std::move(entry_));
    }
    at_ = at_ == At::top ? At::end : At::top;
    return true;
  }
  bool start_array(size_t) override {
    if (at_ != At::entry || (key_ != "shape" && key_ != "data_offsets")) {
      return unexpected("an array");
    }
    at_ = key_ == "shape" ? At::shape : At::offsets;
    return true;
  }
  bool end_array() override {
    check_format(at_ == At::shape || offsets_ == 2, "tensor {}: data_offsets must be two numbers",
                 shown(entry_.name));
    at_ = At::entry;
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    // The parser's own words repeat the position in a form of their own.
    if (error.id == 406) refuse("a number of the header is out of range");
    refuse("the header is no JSON: byte {} is unexpected", position);
  }

 private:
  enum class At { start, top, metadata, entry, shape, offsets, end };

  template <class... Args>
  [[noreturn]] void refuse(std::string_view pattern, const Args&... args) const {
    throw IoError(path_ + ": " + format(pattern, args...));
  }
  template <class... Args>
  void check_format(bool ok, std::string_view pattern, const Args&... args) const {
    if (!ok) refuse(pattern, args...);
  }
  std::string_view place() const { return at_ == At::shape ? "size" : "offset"; }
  [[noreturn]] bool unexpected(const std::string& what) const {
    switch (at_) {
      case At::start:
        refuse("the header is {}, but must be an object", what);
      case At::metadata:
        refuse("{}: {} is {}, but must be text", kMetadata, shown(key_), what);
      case At::top:
        refuse("{} is {}, but must be an object", shown(key_), what);
      case At::entry:
        refuse("tensor {}: {} is {}", shown(entry_.name), key_, what);
      case At::shape:
        refuse("tensor {}: a size is {}", shown(entry_.name), what);
      case At::offsets:
        refuse("tensor {}: an offset is {}", shown(entry_.name), what);
      case At::end:
        break;
    }
    refuse("there is {} after the header", what);
  }

  SafetensorsHeader& header_;
  const std::string& path_;
  At at_ = At::start;
  std::string key_;
  SafetensorsEntry entry_;
  int offsets_ = 0;
  std::set<std::string, std::less<>> names_, keys_;
};

/// Bytes of the elements; nothing if that overflows.
std::optional<size_t> bytes_of(const SafetensorsEntry& e) {
  size_t bytes = size_of(e.dtype);
  // A size of zero makes the product zero whatever the others are, but they must fit all the same:
  // strides are computed from them.
  size_t without_zeros = bytes;
  for (const int64_t size : e.shape) {
    bytes *= static_cast<size_t>(size);
    if (size == 0) continue;
    if (__builtin_mul_overflow(without_zeros, static_cast<size_t>(size), &without_zeros)) return {};
    if (without_zeros > static_cast<size_t>(INT64_MAX)) return {};
  }
  return bytes;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, size_t data_bytes,
                                           const std::string& path) {
  SafetensorsHeader header;
  check<IoError>(!json.empty() && json[0] == '{', "{}: the header does not begin with \"{\"", path);
  Handler handler(header, path);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);

  for (const SafetensorsEntry& e : header.entries) {
    const std::optional<size_t> bytes = bytes_of(e);
    check<IoError>(bytes.has_value(), "{}: tensor {} {} is too large", path, shown(e.name),
                   e.shape);
    check<IoError>(e.begin_bytes <= e.end_bytes,
                   "{}: tensor {} lies at bytes [{}, {}): it ends before it begins", path,
                   shown(e.name), e.begin_bytes, e.end_bytes);
    check<IoError>(
        e.end_bytes <= data_bytes,
        "{}: tensor {} lies at bytes [{}, {}), but the file has {} after its header; was "
        "it cut off?",
        path, shown(e.name), e.begin_bytes, e.end_bytes, data_bytes);
    check<IoError>(e.end_bytes - e.begin_bytes == *bytes,
                   "{}: tensor {}, {} {}, has {} bytes, but needs {}", path, shown(e.name), e.dtype,
                   e.shape, e.end_bytes - e.begin_bytes, *bytes);
  }
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
                     return std::pair(a.begin_bytes, a.end_bytes) <
                            std::pair(b.begin_bytes, b.end_bytes);
                   });
  // No byte twice and none unaccounted for: nothing can hide in a file.
  size_t end = 0;
  for (const SafetensorsEntry& e : header.entries) {
    check<IoError>(e.begin_bytes >= end, "{}: tensor {} begins at byte {}, inside the one before",
                   path, shown(e.name), e.begin_bytes);
    check<IoError>(e.begin_bytes == end, "{}: bytes [{}, {}) before tensor {} belong to none", path,
                   end, e.begin_bytes, shown(e.name));
    end = e.end_bytes;
  }
  check<IoError>(end == data_bytes, "{}: {} bytes after the last tensor belong to none", path,
                 data_bytes - end);
  return header;
}

std::string write_safetensors_header(const std::vector<SafetensorsEntry>& entries,
                                     const SafetensorsMetadata& metadata) {
  // Piece by piece, so that the order of the file is kept.
  auto quoted = [](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      fail<ValueError>("save_safetensors: {} is not UTF-8", shown(text));
    }
  };
  std::string json = "{";
  auto separate = [&] {
    if (json.back() != '{') json += ',';
  };
  if (!metadata.empty()) {
    json += quoted(std::string(kMetadata)) + ":{";
    for (const auto& [key, value] : metadata) {
      separate();
      json += quoted(key) + ':' + quoted(value);
    }
    json += '}';
  }
  for (const SafetensorsEntry& e : entries) {
    separate();
    json += quoted(e.name) + format(":{\"dtype\":\"{}\",\"shape\":[", name_of(e.dtype));
    for (int i = 0; i < e.shape.rank(); ++i) {
      json += (i > 0 ? "," : "") + std::to_string(e.shape[i]);
    }
    json += format("],\"data_offsets\":[{},{}]}", e.begin_bytes, e.end_bytes);
  }
  json += '}';
  while (json.size() % 8 != 0) json += ' ';
  return json;
}

}  // namespace tessera::nn::detail
