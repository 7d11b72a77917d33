#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera::beit3 {

/// How long the text of a model input is: tokens, <s>, </s> and padding included.
struct TaskLength {
  std::string_view task;
  int64_t tokens;
};

/// The fine-tuning tasks that read text. Pass the length to `pack_text`, which cuts on the right
/// and pads. Source: the published code of BEiT-3 (arXiv:2208.10442), its default of 64, and 32
/// for captions as in its training recipe.
const std::vector<TaskLength>& task_lengths();

/// The length of a task. Throws ValueError, naming the known ones, for any other.
int64_t task_length(std::string_view task);

}  // namespace tessera::beit3
