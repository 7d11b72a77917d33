#pragma once

#include "beit3/vqkd/vqkd.h"
#include "nn/io/safetensors.h"

namespace tessera::beit3::detail {

/// Value of "kind" in the metadata of a tokenizer's file.
inline constexpr std::string_view kVqkdKind = "tessera-vqkd";
/// Names that begin so belong to the training, not to the tokenizer.
inline constexpr std::string_view kOptimizerPrefix = "optimizer.", kTrainerPrefix = "trainer.";
bool is_training_state(std::string_view name);

/// kind, config and hash of a tokenizer.
nn::SafetensorsMetadata vqkd_metadata(const Vqkd& vq);
/// Throws IoError if it is missing.
std::string metadata_field(const nn::SafetensorsMetadata& metadata, std::string_view name,
                           const std::string& path);
/// The configuration of a tokenizer's file; IoError if it is none, or speaks of more parameters
/// than the file holds.
VqkdConfig checked_config(const nn::SafetensorsFile& file, const std::string& path);
/// Takes over the tokenizer's tensors; IoError if they do not fit, or are not those that were
/// saved.
void load_checked(Vqkd& vq, const nn::StateDict& tensors, const nn::SafetensorsMetadata& metadata,
                  const std::string& path);

}  // namespace tessera::beit3::detail
