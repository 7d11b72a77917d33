#pragma once

#include <string>
#include <utility>
#include <vector>

#include "beit3/cli/command.h"
#include "beit3/pretrain/recipe.h"

namespace tessera::beit3::cli {

/// Where a recipe comes from: a preset, then a file, then flags; the later wins.
struct RecipeOptions {
  std::string preset, config;
  std::vector<std::pair<std::string, std::string>> given;  ///< flags, in order

  /// Adds --preset, --config, and a flag for every field of a recipe. This must stay where it is.
  void add_to(std::vector<Option>& options);
  /// Throws ValueError or IoError. The recipe is not validated yet.
  PretrainRecipe resolve() const;
};

}  // namespace tessera::beit3::cli
