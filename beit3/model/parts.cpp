#include "beit3/model/parts.h"

#include <algorithm>

namespace tessera::beit3 {
namespace {

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

/// Names of experts, as a part of a published name between dots.
constexpr std::string_view kExperts[] = {"A", "B", "V", "VL", "L"};

/// `part`, with the expert that the name speaks of.
std::string with_expert(std::string part, std::string_view name) {
  for (std::string_view expert : kExperts) {
    if (has(name, "." + std::string(expert) + ".")) return part + " " + std::string(expert);
  }
  return part;
}

std::string part_of(std::string_view name) {
  if (has(name, "text_embed.")) return "word embedding";
  if (has(name, "vision_embed.")) return "patch embedding";
  if (has(name, "embed_positions.A.")) return "positions of images";
  if (has(name, "embed_positions.B.")) return "positions of texts";
  if (belongs_to_norm(name)) return "norms";
  if (has(name, "self_attn.")) return with_expert("attention", name);
  if (has(name, "ffn.")) return with_expert("feed-forward", name);
  if (has(name, "mlm_head.")) return "head for words";
  if (has(name, "mim_head.")) return "head for codes";
  return "other";
}

}  // namespace

bool belongs_to_norm(std::string_view name) {
  return has(name, "layer_norm") || has(name, "layernorm") || has(name, "inner_attn_ln");
}

std::vector<PartCount> count_parts(const nn::Module& model) {
  std::vector<PartCount> parts;
  for (const nn::Field& field : model.list_fields()) {
    if (field.kind != nn::FieldKind::parameter) continue;
    const std::string part = part_of(field.name);
    auto at = std::find_if(parts.begin(), parts.end(),
                           [&](const PartCount& p) { return p.part == part; });
    if (at == parts.end()) at = parts.insert(at, {part, 0, 0});
    ++at->tensors;
    at->parameters += numel(field.shape());
  }
  return parts;
}

}  // namespace tessera::beit3
