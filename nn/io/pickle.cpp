#include <algorithm>
#include <bit>
#include <map>

#include "nn/io/pickle_internal.h"
#include "tensor/base/error.h"

namespace tessera::nn::detail {
namespace {

using Kind = PickleValue::Kind;

/// A large model with its optimizer has some ten thousand values.
constexpr size_t kMostValues = 1'000'000;
constexpr size_t kMostAxes = 8, kMostKeyBytes = 64;

/// Operation codes, by the names of Python's pickletools.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

constexpr std::string_view kNamespace = "argparse.Namespace";
constexpr std::string_view kDictNames[] = {"collections.OrderedDict", kNamespace};
constexpr std::string_view kTensorName = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kParameterName = "torch._utils._rebuild_parameter";
constexpr std::string_view kStorageNames[] = {
    "torch.FloatStorage", "torch.DoubleStorage", "torch.HalfStorage", "torch.BFloat16Storage",
    "torch.LongStorage",  "torch.IntStorage",    "torch.ByteStorage", "torch.BoolStorage"};

template <size_t n>
bool is_one_of(std::string_view name, const std::string_view (&names)[n]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Pickle run() {
    for (uint8_t op = operation(); op != kStop; op = operation()) execute(op);
    require(stack_.size() == 1 && marks_.empty(), "does not end with one value");
    pickle_.root = stack_[0];
    return std::move(pickle_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(std::string_view text, const Args&... args) const {
    fail<IoError>("{}: byte {} of the pickle: {}", where_, at_, format(text, args...));
  }
  template <class... Args>
  void require(bool ok, std::string_view text, const Args&... args) const {
    if (!ok) refuse(text, args...);
  }

  std::string_view take(size_t count) {
    require(count <= bytes_.size() - at_, "{} bytes are needed, {} follow", count,
            bytes_.size() - at_);
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  uint8_t operation() { return static_cast<uint8_t>(take(1)[0]); }
  /// Little endian.
  uint64_t number(size_t count) {
    uint64_t value = 0;
    const std::string_view part = take(count);
    for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(part[i]);
    return value;
  }
  std::string line() {
    const size_t end = bytes_.find('\n', at_);
    require(end != bytes_.npos, "a name has no end");
    const std::string text(take(end - at_));
    take(1);
    return text;
  }

  PickleValue& value(uint32_t place) { return pickle_.values[place]; }
  void push(PickleValue v) {
    require(pickle_.values.size() < kMostValues, "more than {} values", kMostValues);
    pickle_.values.push_back(std::move(v));
    stack_.push_back(static_cast<uint32_t>(pickle_.values.size() - 1));
  }
  void push_integer(int64_t i) { push({.kind = Kind::integer, .integer = i}); }
  void push_name(const std::string& name) {
    require(is_one_of(name, kDictNames) || is_one_of(name, kStorageNames) || name == kTensorName ||
                name == kParameterName,
            "it names {}, which is not among what a file of tensors needs", shown(name));
    push({.kind = Kind::name, .text = name});
  }
  uint32_t pop() {
    require(!stack_.empty() && (marks_.empty() || stack_.size() > marks_.back()),
            "a value is missing");
    const uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  /// Everything since the last mark.
  std::vector<uint32_t> pop_marked() {
    require(!marks_.empty(), "a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push({.kind = Kind::tuple, .items = std::move(items)});
  }

  static std::string shown(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, 60)) {
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    return out + "\"";
  }

  /// Appends to the list or dictionary on top.
  void extend(Kind kind, const std::vector<uint32_t>& items) {
    require(!stack_.empty() && (marks_.empty() || stack_.size() > marks_.back()) &&
                value(stack_.back()).kind == kind,
            "items without a {} to put them into", kind == Kind::list ? "list" : "dictionary");
    require(kind == Kind::list || items.size() % 2 == 0, "a key has no value");
    std::vector<uint32_t>& all = value(stack_.back()).items;
    // An honest file has a byte for each reference; a dictionary that is its own attributes has
    // not.
    references_ += items.size();
    require(references_ <= bytes_.size(), "more references than bytes");
    all.insert(all.end(), items.begin(), items.end());
  }
  void extend_by_popped(Kind kind, size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    extend(kind, items);
  }

  /// What the allowed names make of their arguments.
  void reduce() {
    const uint32_t arguments = pop(), callee = pop();
    const PickleValue &a = value(arguments), &name = value(callee);
    require(name.kind == Kind::name && a.kind == Kind::tuple, "a call of something without a name");
    if (is_one_of(name.text, kDictNames)) {
      require(a.items.empty(), "{} with arguments", name.text);
      push({.kind = Kind::dict, .text = name.text});
    } else if (name.text == kTensorName) {
      // storage, offset, sizes, strides, requires_grad, hooks, and sometimes more
      require(a.items.size() >= 6 && value(a.items[0]).kind == Kind::storage &&
                  value(a.items[1]).kind == Kind::integer && is_integers(a.items[2]) &&
                  is_integers(a.items[3]),
              "a tensor without storage, offset, sizes and strides");
      push({.kind = Kind::tensor, .items = {a.items.begin(), a.items.begin() + 4}});
    } else if (name.text == kParameterName) {
      require(!a.items.empty() && value(a.items[0]).kind == Kind::tensor,
              "a parameter without tensor");
      stack_.push_back(a.items[0]);
    } else {
      refuse("{} is called", name.text);
    }
  }
  bool is_integers(uint32_t place) {
    const PickleValue& v = value(place);
    require(v.kind != Kind::tuple || v.items.size() <= kMostAxes, "a tensor of more than {} axes",
            kMostAxes);
    return v.kind == Kind::tuple && std::all_of(v.items.begin(), v.items.end(), [&](uint32_t i) {
             return value(i).kind == Kind::integer;
           });
  }

  /// ("storage", type, key, device, number of elements)
  void storage() {
    const PickleValue& v = value(pop());
    auto kind_of = [&](size_t i) { return value(v.items[i]).kind; };
    require(v.kind == Kind::tuple && v.items.size() == 5 && kind_of(0) == Kind::text &&
                value(v.items[0]).text == "storage" && kind_of(1) == Kind::name &&
                is_one_of(value(v.items[1]).text, kStorageNames) && kind_of(2) == Kind::text &&
                kind_of(4) == Kind::integer,
            "a reference to something that is no storage");
    require(value(v.items[2]).text.size() <= kMostKeyBytes, "a storage with a key of {} bytes",
            value(v.items[2]).text.size());
    push(
        {.kind = Kind::storage, .text = value(v.items[2]).text, .items = {v.items[1], v.items[4]}});
  }

  /// Attributes of an object: of a Namespace its content; what an OrderedDict carries beside its
  /// entries (PyTorch's versions of modules) is dropped.
  void build() {
    const uint32_t state = pop();
    require(!stack_.empty() && value(stack_.back()).kind == Kind::dict &&
                value(state).kind == Kind::dict,
            "attributes of something that is no object");
    if (value(stack_.back()).text == kNamespace) {
      extend(Kind::dict, std::vector<uint32_t>(value(state).items));
    }
  }

  uint32_t remembered(uint64_t place) {
    const auto found = memo_.find(place);
    require(found != memo_.end(), "value {} is used before it is there", place);
    return found->second;
  }
  void remember(uint64_t place) {
    require(!stack_.empty() && memo_.size() < kMostValues, "a value is missing, or too many are");
    memo_[place] = stack_.back();
  }

  void execute(uint8_t op) {
    switch (op) {
      case kProto: {
        const uint64_t protocol = number(1);
        require(protocol >= 2 && protocol <= 4, "protocol {}; 2 to 4 are read", protocol);
        return;
      }
      case kFrame:
        number(8);
        return;
      case kMark:
        return marks_.push_back(stack_.size());
      case kPop:
        pop();
        return;
      case kNone:
        return push({.kind = Kind::none});
      case kNewTrue:
      case kNewFalse:
        return push({.kind = Kind::boolean, .integer = op == kNewTrue});
      case kBinInt:
        return push_integer(static_cast<int32_t>(number(4)));
      case kBinInt1:
        return push_integer(static_cast<int64_t>(number(1)));
      case kBinInt2:
        return push_integer(static_cast<int64_t>(number(2)));
      case kLong1: {
        const size_t count = number(1);
        require(count <= 8, "an integer of {} bytes; at most 8 are read", count);
        const uint64_t bits = number(count);
        const unsigned unused = static_cast<unsigned>(64 - 8 * count);
        return push_integer(count == 0 ? 0 : static_cast<int64_t>(bits << unused) >> unused);
      }
      case kBinFloat: {  // big endian
        uint64_t bits = 0;
        for (const char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
        return push({.kind = Kind::real, .real = std::bit_cast<double>(bits)});
      }
      case kBinUnicode:
        return push({.kind = Kind::text, .text = std::string(take(number(4)))});
      case kShortBinUnicode:
        return push({.kind = Kind::text, .text = std::string(take(number(1)))});
      default:
        return execute_structure(op);
    }
  }

  void execute_structure(uint8_t op) {
    switch (op) {
      case kEmptyDict:
        return push({.kind = Kind::dict});
      case kEmptyList:
        return push({.kind = Kind::list});
      case kEmptyTuple:
        return push({.kind = Kind::tuple});
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push_tuple(static_cast<size_t>(op - kTuple1 + 1));
      case kTuple:
        return push({.kind = Kind::tuple, .items = pop_marked()});
      case kList:
        return push({.kind = Kind::list, .items = pop_marked()});
      case kDict: {
        const std::vector<uint32_t> items = pop_marked();
        push({.kind = Kind::dict});
        return extend(Kind::dict, items);
      }
      case kAppend:
        return extend_by_popped(Kind::list, 1);
      case kAppends:
        return extend(Kind::list, pop_marked());
      case kSetItem:
        return extend_by_popped(Kind::dict, 2);
      case kSetItems:
        return extend(Kind::dict, pop_marked());
      case kGlobal: {
        const std::string module = line();
        return push_name(module + "." + line());
      }
      case kStackGlobal: {
        const uint32_t name = pop(), module = pop();
        require(value(name).kind == Kind::text && value(module).kind == Kind::text,
                "a name that is no text");
        return push_name(value(module).text + "." + value(name).text);
      }
      case kBinGet:
        return stack_.push_back(remembered(number(1)));
      case kLongBinGet:
        return stack_.push_back(remembered(number(4)));
      case kBinPut:
        return remember(number(1));
      case kLongBinPut:
        return remember(number(4));
      case kMemoize:
        return remember(memo_.size());
      case kBinPersId:
        return storage();
      case kNewObj:
      case kReduce:
        return reduce();
      case kBuild:
        return build();
      default:
        refuse("operation {} is not among what a file of tensors needs", static_cast<int>(op));
    }
  }

  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 0;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::map<uint64_t, uint32_t> memo_;
  size_t references_ = 0;
};

}  // namespace

Pickle read_pickle(std::string_view bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

}  // namespace tessera::nn::detail
