#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "nn/module.h"

namespace tessera::nn {

/// The longest description of tensors that is read from a file of PyTorch.
inline constexpr size_t kMaxPickleBytes = 16'000'000;

/// What a file of PyTorch holds, by the path of keys that leads to each value, joined by dots:
/// "model.encoder.cls_token", "optimizer.state.3.exp_avg", "args.lr".
struct PthFile {
  StateDict tensors;
  std::map<std::string, double> numbers;  ///< integers and booleans too
  std::map<std::string, std::string> strings;
};

struct PthOptions {
  /// Which tensors to read; empty: all.
  std::function<bool(std::string_view path)> wanted = {};
};

/// Reads a file that torch.save wrote, in the form of a zip archive (PyTorch 1.6 or later).
///
/// Such files hold a program for Python's unpickler. Here it is read as data, by a reader that
/// knows only what describes tensors, numbers, text, lists and dictionaries, and calls nothing;
/// anything else is refused (see pickle_internal.h). Everything is checked against the sizes of the
/// archive before anything is allocated: each storage has to have exactly the bytes that the
/// description claims, and each tensor has to lie inside its storage. Tensors that share a storage
/// in the file share it here.
///
/// Throws IoError that names the file and what is wrong with it.
PthFile load_pth(const std::string& path, const PthOptions& options = {});

}  // namespace tessera::nn
