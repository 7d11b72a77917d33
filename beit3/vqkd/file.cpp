#include <xxhash.h>

#include "beit3/vqkd/file_internal.h"
#include "nn/state_dict.h"
#include "tensor/base/dtype.h"

namespace tessera::beit3 {
namespace detail {

nn::SafetensorsMetadata vqkd_metadata(const Vqkd& vq) {
  return {{"kind", std::string(kVqkdKind)},
          {"config", to_json(vq.config())},
          {"hash", hex_digits(content_hash(vq))}};
}

std::string metadata_field(const nn::SafetensorsMetadata& metadata, std::string_view name,
                           const std::string& path) {
  const auto found = metadata.find(std::string(name));
  check<IoError>(found != metadata.end(), "{}: the metadata have no \"{}\"", path, name);
  return found->second;
}

VqkdConfig checked_config(const nn::SafetensorsFile& file, const std::string& path) {
  const auto kind = file.metadata.find("kind");
  check<IoError>(kind != file.metadata.end() && kind->second == kVqkdKind,
                 "{} is no image tokenizer; make one with `beit3 vq train`", path);
  const VqkdConfig config =
      vqkd_config_from_json(metadata_field(file.metadata, "config", path), path);
  // Before anything of the size that the configuration claims is made.
  int64_t held = 0;
  for (const auto& [name, tensor] : file.tensors) held += tensor.numel();
  check<IoError>(least_parameters(config) <= held,
                 "{}: the file holds {} numbers, but its configuration needs at least {}", path,
                 held, least_parameters(config));
  return config;
}

void load_checked(Vqkd& vq, const nn::StateDict& tensors, const nn::SafetensorsMetadata& metadata,
                  const std::string& path) {
  nn::StateDict own;
  for (const auto& [name, tensor] : tensors) {
    if (!is_training_state(name)) own.emplace(name, tensor);
  }
  const std::string hash = metadata_field(metadata, "hash", path);
  try {
    nn::load_state(vq.state(), own, path);
  } catch (const StateError& error) {
    throw IoError(error.what());
  }
  check<IoError>(hash == hex_digits(content_hash(vq)),
                 "{}: the tensors are not those that were written; the file is damaged", path);
}

bool is_training_state(std::string_view name) {
  return name.starts_with(kOptimizerPrefix) || name.starts_with(kTrainerPrefix);
}

}  // namespace detail

void save_vqkd(const Vqkd& vq, const std::string& path) {
  nn::save_safetensors(path, vq.state(), detail::vqkd_metadata(vq));
}

Vqkd load_vqkd(const std::string& path) {
  const nn::SafetensorsFile file = nn::load_safetensors(
      path, {.wanted = [](std::string_view name) { return !detail::is_training_state(name); }});
  Vqkd vq(detail::checked_config(file, path));
  detail::load_checked(vq, file.tensors, file.metadata, path);
  return vq;
}

uint64_t content_hash(const Vqkd& vq) {
  struct Free {
    void operator()(XXH64_state_t* state) const { XXH64_freeState(state); }
  };
  const std::unique_ptr<XXH64_state_t, Free> state(XXH64_createState());
  check<OutOfMemory>(state != nullptr, "content_hash: no memory for the state of the hash");
  XXH64_reset(state.get(), 0);
  const std::string config = to_json(vq.config());
  XXH64_update(state.get(), config.data(), config.size());
  for (const auto& [name, tensor] : vq.state()) {
    if (name.starts_with("quantize.") && name != "quantize.embedding.weight") continue;
    const Tensor whole = tensor.to(kCpu).contiguous();
    const std::string head = format("{} {} {}", name, whole.dtype(), whole.shape());
    XXH64_update(state.get(), head.data(), head.size());
    XXH64_update(state.get(), whole.view().data, whole.bytes());
  }
  return XXH64_digest(state.get());
}

}  // namespace tessera::beit3
