#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "beit3/cli/command.h"
#include "beit3/pretrain/run_folder.h"
#include "beit3/pretrain/trainer.h"
#include "beit3/vqkd/vqkd.h"

namespace tessera::beit3::cli {

/// Which model to look at, and what to use instead of what it was trained with.
struct RunOptions {
  std::string path, text_tokenizer, image_tokenizer, held_out, held_out_texts, held_out_split;

  void add_to(std::vector<Option>& options);
};

/// A trained model with everything that is needed to ask it something.
struct LoadedRun {
  std::filesystem::path checkpoint;
  std::optional<RunFolder> folder;  ///< if the checkpoint lies in one
  PretrainRecipe recipe;            ///< paths are those of the folder and of the flags
  PretrainModel model;
  int64_t step = 0;
  Tokenizer tokenizer;
  std::unique_ptr<Vqkd> vq;
};

/// Opens a run folder (its newest checkpoint) or a checkpoint file. Throws IoError, and StateError
/// if a tokenizer is not the one that the model was trained with.
LoadedRun load_run(const RunOptions& options);

/// The kinds of words of a drawn world; empty if `data` is none.
std::map<std::string, std::string> lexicon_of(const std::string& data);

}  // namespace tessera::beit3::cli
