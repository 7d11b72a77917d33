#pragma once

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "beit3/pretrain/recipe.h"

namespace tessera::beit3 {

/// Everything a run leaves, in one folder:
///
///   config.toml               the resolved recipe
///   text.model, image.vq      copies of both tokenizers, so that the folder stands alone
///   metrics.jsonl             a JSON object a logged step, and a evaluation
///   log.txt                   what the program said
///   checkpoints/00001600.safetensors
///   sheets/00001600.png
class RunFolder {
 public:
  /// Creates the folder with config.toml and copies of the tokenizers; the recipe returned by
  /// `recipe` names the copies. Throws IoError if it holds a run already (remedy: resume, or
  /// another folder).
  static RunFolder create(const std::filesystem::path& path, PretrainRecipe recipe);
  /// Opens an existing run. Throws IoError, naming what is missing.
  static RunFolder open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const PretrainRecipe& recipe() const { return recipe_; }

  std::filesystem::path checkpoint_path(int64_t step) const;
  std::filesystem::path sheet_path(int64_t step) const;
  /// All checkpoints, oldest first.
  std::vector<std::filesystem::path> checkpoints() const;
  /// The newest checkpoint, if there is one.
  std::optional<std::filesystem::path> newest_checkpoint() const;
  /// Removes all but the newest `keep` checkpoints, and what a killed program left of one. Not
  /// while one is being written.
  void prune(int64_t keep) const;

  /// Appends one line; a torn line of an earlier end is closed first.
  void add_metrics(const std::string& json_line) const;
  /// Drops the lines of steps after `step`: a resumed run writes them again.
  void truncate_metrics(int64_t step) const;
  void add_log(const std::string& line) const;

 private:
  std::filesystem::path path_;
  PretrainRecipe recipe_;
};

/// Reads a recipe written by `to_toml`, or by hand: unknown keys and wrong types are ValueErrors
/// with file, line and a suggestion. Keys that are absent keep the value of `base`.
PretrainRecipe read_recipe(const std::filesystem::path& toml, const PretrainRecipe& base = {});

}  // namespace tessera::beit3
