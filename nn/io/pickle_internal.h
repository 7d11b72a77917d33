#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::nn::detail {

/// What a pickle describes. Values refer to others by their places in `Pickle::values`; lists and
/// dictionaries may contain themselves.
struct PickleValue {
  enum class Kind {
    none,
    boolean,  // integer: 0 or 1
    integer,  // integer
    real,     // real
    text,     // text
    tuple,    // items
    list,     // items
    dict,     // items: key, value, key, value, …; text: its class, if it is of one
    name,     // text: a global, of the allowed ones
    storage,  // text: the storage's key; items: its type (a name) and its number of elements
    tensor,   // items: storage, offset, sizes (tuple), strides (tuple)
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double real = 0;
  std::string text = {};
  std::vector<uint32_t> items = {};
};

struct Pickle {
  std::vector<PickleValue> values;
  uint32_t root = 0;

  const PickleValue& at(uint32_t place) const { return values[place]; }
};

/// Reads a pickle of protocol 2 to 4 that holds what PyTorch writes: numbers, text, lists, tuples,
/// dictionaries, tensors, and the options of a command line. It is data and stays data: nothing it
/// names is looked up, imported or called; the few names of the list below stand for kinds of
/// values, all others are refused.
///
///   collections.OrderedDict, argparse.Namespace          a dictionary
///   torch._utils._rebuild_tensor_v2, _rebuild_parameter   a tensor
///   torch.FloatStorage and the like                      an element type
///
/// Memory is bounded by the number of bytes. `where` opens the messages. Throws IoError.
/// Source of the format: PEP 307, PEP 3154, and the description in Python's pickletools.
Pickle read_pickle(std::string_view bytes, const std::string& where);

}  // namespace tessera::nn::detail
