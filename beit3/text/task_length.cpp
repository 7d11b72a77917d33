#include "beit3/text/task_length.h"

#include <string>

#include "tensor/base/error.h"

namespace tessera::beit3 {

const std::vector<TaskLength>& task_lengths() {
  static const std::vector<TaskLength> lengths = {
      {"vqav2", 64},          {"nlvr2", 64},           {"flickr30k", 64},
      {"coco_retrieval", 64}, {"coco_captioning", 32}, {"nocaps", 32},
  };
  return lengths;
}

int64_t task_length(std::string_view task) {
  std::string known;
  for (const TaskLength& length : task_lengths()) {
    if (length.task == task) return length.tokens;
    known += (known.empty() ? "" : ", ") + std::string(length.task);
  }
  fail<ValueError>("task_length: no task with text is called \"{}\"; there are {}", task, known);
}

}  // namespace tessera::beit3
