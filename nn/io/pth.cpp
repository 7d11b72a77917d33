#include "nn/io/pth.h"

#include <filesystem>
#include <set>

#include <zip.h>

#include "nn/io/pickle_internal.h"
#include "tensor/base/error.h"
#include "tensor/ops/creation.h"

namespace tessera::nn {
namespace {

using detail::Pickle;
using detail::PickleValue;
using Kind = PickleValue::Kind;

/// Values at paths in all, how deep they nest, and the bytes of one path: lists may contain
/// themselves.
constexpr size_t kMostPaths = 1'000'000, kDeepest = 32, kMostPathBytes = 1024;
/// Bytes of all paths and texts: a text may stand at many paths.
constexpr size_t kMostTextBytes = 4 * kMaxPickleBytes;

struct StorageType {
  std::string_view name;
  DType dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"torch.FloatStorage", DType::f32}, {"torch.DoubleStorage", DType::f64},
    {"torch.HalfStorage", DType::f16},  {"torch.BFloat16Storage", DType::bf16},
    {"torch.LongStorage", DType::i64},  {"torch.IntStorage", DType::i32},
    {"torch.ByteStorage", DType::u8},   {"torch.BoolStorage", DType::boolean}};

DType dtype_of_storage(std::string_view name) {
  for (const StorageType& t : kStorageTypes) {
    if (t.name == name) return t.dtype;
  }
  fail<InternalError>("pth: storage type {} has no dtype", name);
}

/// The archive, whose members are stored as they are: each has at most the bytes of the file.
class Archive {
 public:
  explicit Archive(const std::string& path) : path_(path) {
    std::error_code unknown;
    bytes_ = std::filesystem::file_size(path, unknown);
    check<IoError>(!unknown, "{}: cannot be read: {}", path, unknown.message());
    int code = 0;
    zip_ = zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code);
    if (zip_ == nullptr) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string why = zip_error_strerror(&error);
      zip_error_fini(&error);
      fail<IoError>(
          "{}: {}; expected the zip archive that torch.save writes since PyTorch 1.6 (save older "
          "files again)",
          path, why);
    }
  }
  ~Archive() { zip_discard(zip_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  /// Of the whole file.
  uint64_t bytes() const { return bytes_; }

  /// The folder that holds all members: that of the only data.pkl.
  std::string prefix() const {
    constexpr std::string_view kEnd = "/data.pkl";
    std::string found;
    const zip_int64_t count = zip_get_num_entries(zip_, 0);
    std::set<std::string> names;
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(zip_, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      check<IoError>(name != nullptr && names.insert(name).second,
                     "{}: the archive has a member twice, or one without a name", path_);
      const std::string_view text = name;
      if (!text.ends_with(kEnd)) continue;
      check<IoError>(found.empty(), "{}: the archive has two data.pkl", path_);
      found = text.substr(0, text.size() - kEnd.size() + 1);
    }
    check<IoError>(!found.empty(), "{}: the archive has no data.pkl; it is not of torch.save",
                   path_);
    return found;
  }

  bool contains(const std::string& name) const {
    return zip_name_locate(zip_, name.c_str(), ZIP_FL_ENC_RAW) >= 0;
  }

  /// Bytes of a member. IoError if there is none, or if it is packed.
  size_t size(const std::string& name) const {
    zip_stat_t s;
    zip_stat_init(&s);
    check<IoError>(zip_stat(zip_, name.c_str(), ZIP_FL_ENC_RAW, &s) == 0,
                   "{}: the archive lacks {}", path_, name);
    check<IoError>((s.valid & ZIP_STAT_SIZE) != 0 && (s.valid & ZIP_STAT_COMP_METHOD) != 0 &&
                       s.comp_method == ZIP_CM_STORE && s.comp_size == s.size,
                   "{}: {} is packed or encrypted; torch.save does neither", path_, name);
    return s.size;
  }

  void read(const std::string& name, void* to, size_t bytes) const {
    zip_file_t* file = zip_fopen(zip_, name.c_str(), ZIP_FL_ENC_RAW);
    check<IoError>(file != nullptr, "{}: {} cannot be read: {}", path_, name, zip_strerror(zip_));
    size_t done = 0;
    while (done < bytes) {
      const zip_int64_t got = zip_fread(file, static_cast<char*>(to) + done, bytes - done);
      if (got <= 0) break;
      done += static_cast<size_t>(got);
    }
    // One byte further, so that the checksum at the end is looked at.
    char more = 0;
    const bool ended = done == bytes && zip_fread(file, &more, 1) == 0;
    zip_fclose(file);
    check<IoError>(ended, "{}: {} is damaged", path_, name);
  }

 private:
  const std::string& path_;
  uint64_t bytes_ = 0;
  zip_t* zip_ = nullptr;
};

class Reader {
 public:
  Reader(const std::string& path, const PthOptions& options)
      : path_(path), options_(options), archive_(path), prefix_(archive_.prefix()) {}

  PthFile run() {
    if (archive_.contains(prefix_ + "byteorder")) {
      const std::string order = text_of("byteorder", 16);
      check<IoError>(order == "little", "{}: its byte order is \"{}\"; only little is read", path_,
                     order == "big" ? order : "?");
    }
    pickle_ = detail::read_pickle(text_of("data.pkl", kMaxPickleBytes), path_);
    walk(pickle_.root, "", 0);
    return std::move(file_);
  }

 private:
  std::string text_of(const char* member, size_t most) const {
    const std::string name = prefix_ + member;
    const size_t bytes = archive_.size(name);
    check<IoError>(bytes <= most, "{}: {} has {} bytes; at most {} are read", path_, name, bytes,
                   most);
    std::string text(bytes, '\0');
    archive_.read(name, text.data(), bytes);
    return text;
  }

  void walk(uint32_t place, const std::string& path, size_t depth) {
    check<IoError>(++paths_ <= kMostPaths && depth <= kDeepest && path.size() <= kMostPathBytes,
                   "{}: more than {} values, {} levels, or {} bytes of a name", path_, kMostPaths,
                   kDeepest, kMostPathBytes);
    const PickleValue& v = pickle_.at(place);
    text_bytes_ += path.size() + (v.kind == Kind::text ? v.text.size() : 0);
    check<IoError>(text_bytes_ <= kMostTextBytes, "{}: its names and texts have more than {} bytes",
                   path_, kMostTextBytes);
    switch (v.kind) {
      case Kind::boolean:
      case Kind::integer:
        return put(file_.numbers, path, static_cast<double>(v.integer));
      case Kind::real:
        return put(file_.numbers, path, v.real);
      case Kind::text:
        return put(file_.strings, path, v.text);
      case Kind::tensor:
        if (options_.wanted && !options_.wanted(path)) return;
        return put(file_.tensors, path, tensor(v, path));
      case Kind::tuple:
      case Kind::list:
        for (size_t i = 0; i < v.items.size(); ++i) {
          walk(v.items[i], joined(path, std::to_string(i)), depth + 1);
        }
        return;
      case Kind::dict:
        for (size_t i = 0; i + 1 < v.items.size(); i += 2) {
          walk(v.items[i + 1], joined(path, key(v.items[i])), depth + 1);
        }
        return;
      case Kind::none:
      case Kind::name:
      case Kind::storage:
        return;
    }
  }

  static std::string joined(const std::string& path, const std::string& key) {
    return path.empty() ? key : path + "." + key;
  }

  std::string key(uint32_t place) const {
    const PickleValue& v = pickle_.at(place);
    check<IoError>(v.kind == Kind::text || v.kind == Kind::integer,
                   "{}: a key is neither text nor an integer", path_);
    return v.kind == Kind::text ? v.text : std::to_string(v.integer);
  }

  template <class Map, class Value>
  void put(Map& map, const std::string& path, Value value) {
    check<IoError>(map.emplace(path, std::move(value)).second, "{}: two values are called {}",
                   path_, path);
  }

  /// All elements of a storage, read once.
  const Tensor& storage(const PickleValue& v) {
    const auto found = storages_.find(v.text);
    if (found != storages_.end()) {
      check<IoError>(found->second.dtype() == dtype_of_storage(pickle_.at(v.items[0]).text),
                     "{}: storage {} has two element types", path_, found->first);
      return found->second;
    }
    const DType dtype = dtype_of_storage(pickle_.at(v.items[0]).text);
    const int64_t count = pickle_.at(v.items[1]).integer;
    const std::string name = prefix_ + "data/" + v.text;
    const size_t bytes = archive_.size(name);
    check<IoError>(count >= 0 && static_cast<uint64_t>(count) == bytes / size_of(dtype) &&
                       bytes % size_of(dtype) == 0,
                   "{}: storage {} is said to have {} elements of {}, but has {} bytes", path_,
                   v.text, count, dtype, bytes);
    // Members may lie over each other.
    check<IoError>(bytes <= archive_.bytes() - storage_bytes_,
                   "{}: its storages have more bytes than the file, which has {}", path_,
                   archive_.bytes());
    storage_bytes_ += bytes;
    const Tensor elements = empty({count}, {.dtype = dtype});
    if (bytes > 0) archive_.read(name, elements.mutable_view().data, bytes);
    if (dtype == DType::boolean) check_booleans(name, elements);
    return storages_.emplace(v.text, elements).first->second;
  }

  void check_booleans(const std::string& name, const Tensor& elements) const {
    const auto* values = static_cast<const unsigned char*>(elements.view().data);
    for (int64_t i = 0; i < elements.numel(); ++i) {
      check<IoError>(values[i] <= 1, "{}: {} holds booleans, but element {} is {}", path_, name, i,
                     static_cast<int>(values[i]));
    }
  }

  Tensor tensor(const PickleValue& v, const std::string& path) {
    const Tensor& elements = storage(pickle_.at(v.items[0]));
    const int64_t offset = pickle_.at(v.items[1]).integer;
    const std::vector<int64_t> sizes = integers(v.items[2]), steps = integers(v.items[3]);
    check<IoError>(sizes.size() == steps.size(), "{}: tensor {} has {} sizes and {} strides", path_,
                   path, sizes.size(), steps.size());
    // The last element, kept inside the storage step by step, so that nothing overflows.
    const int64_t count = elements.numel();
    bool inside = offset >= 0 && offset <= count, empty_tensor = false;
    int64_t last = offset, elements_wanted = 1;
    Shape shape;
    Strides strides;
    for (size_t i = 0; i < sizes.size() && inside; ++i) {
      const int64_t size = sizes[i], step = steps[i];
      inside = size >= 0 && step >= 0 && size <= count;
      if (!inside) break;
      empty_tensor = empty_tensor || size == 0;
      if (size > 1) {
        inside = step <= (count - last) / (size - 1);
        if (inside) last += (size - 1) * step;
        inside = inside && elements_wanted <= count / size;
        if (inside) elements_wanted *= size;
      }
      shape.push_back(size);
      strides.push_back(step);
    }
    check<IoError>(inside && (empty_tensor || last < count),
                   "{}: tensor {} does not lie inside its storage of {} elements", path_, path,
                   count);
    return Tensor(elements.storage(), elements.dtype(), shape, strides, offset);
  }

  std::vector<int64_t> integers(uint32_t place) const {
    std::vector<int64_t> values;
    for (uint32_t item : pickle_.at(place).items) values.push_back(pickle_.at(item).integer);
    return values;
  }

  const std::string& path_;
  const PthOptions& options_;
  Archive archive_;
  std::string prefix_;
  Pickle pickle_;
  PthFile file_;
  std::map<std::string, Tensor> storages_;
  size_t paths_ = 0, text_bytes_ = 0;
  uint64_t storage_bytes_ = 0;
};

}  // namespace

PthFile load_pth(const std::string& path, const PthOptions& options) {
  return Reader(path, options).run();
}

}  // namespace tessera::nn
