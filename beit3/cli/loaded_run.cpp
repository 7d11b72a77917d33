#include "beit3/cli/loaded_run.h"

#include "beit3/cli/exit_codes.h"
#include "beit3/data/world.h"
#include "beit3/vqkd/train.h"

namespace tessera::beit3::cli {
namespace {

namespace fs = std::filesystem;

/// The run folder that a checkpoint lies in, if it does.
std::optional<RunFolder> folder_of(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint).parent_path().parent_path();
  if (!fs::exists(folder / "config.toml")) return std::nullopt;
  return RunFolder::open(folder);
}

void check_same(std::string_view what, const std::string& path, const std::string& hash,
                const std::string& expected) {
  check<StateError>(hash == expected,
                    "{} is not the {} that the model was trained with (hash {}, not {})", path,
                    what, hash, expected);
}

}  // namespace

void RunOptions::add_to(std::vector<Option>& options) {
  options.push_back({"RUN", &path, "run folder, or one of its checkpoints", "", true});
  options.push_back({"--held-out", &held_out, "other held-out pictures or pairs", "PATH"});
  options.push_back({"--held-out-texts", &held_out_texts, "other held-out texts", "PATH"});
  options.push_back({"--held-out-split", &held_out_split, "which split of them", "NAME"});
  options.push_back(
      {"--text-tokenizer", &text_tokenizer, "for a checkpoint without its folder", "FILE"});
  options.push_back(
      {"--image-tokenizer", &image_tokenizer, "for a checkpoint without its folder", "FILE"});
}

LoadedRun load_run(const RunOptions& options) {
  fs::path checkpoint = options.path;
  std::optional<RunFolder> folder;
  if (fs::is_directory(checkpoint)) {
    folder = RunFolder::open(checkpoint);
    const auto newest = folder->newest_checkpoint();
    check<IoError>(newest.has_value(), "{} has no checkpoint yet; `beit3 resume {}` goes on",
                   options.path, options.path);
    checkpoint = *newest;
  } else {
    check<IoError>(fs::exists(checkpoint), "{}: there is no such file or folder", options.path);
    folder = folder_of(checkpoint);
  }
  LoadedModel loaded = load_pretrained(checkpoint);
  PretrainRecipe recipe = std::move(loaded.recipe);
  if (folder) {
    recipe.data = folder->recipe().data;
    recipe.text_tokenizer = folder->recipe().text_tokenizer;
    recipe.image_tokenizer = folder->recipe().image_tokenizer;
  }
  auto replace = [](std::string& target, const std::string& given) {
    if (!given.empty()) target = given;
  };
  replace(recipe.text_tokenizer, options.text_tokenizer);
  replace(recipe.image_tokenizer, options.image_tokenizer);
  replace(recipe.data.held_out, options.held_out);
  replace(recipe.data.held_out_texts, options.held_out_texts);
  replace(recipe.data.held_out_split, options.held_out_split);
  Tokenizer tokenizer = Tokenizer::load(recipe.text_tokenizer);
  auto vq = std::make_unique<Vqkd>(load_vqkd(recipe.image_tokenizer));
  check_same("text tokenizer", recipe.text_tokenizer, hex_digits(tokenizer.hash()),
             loaded.text_tokenizer_hash);
  check_same("image tokenizer", recipe.image_tokenizer, hex_digits(content_hash(*vq)),
             loaded.image_tokenizer_hash);
  return {.checkpoint = checkpoint,
          .folder = std::move(folder),
          .recipe = std::move(recipe),
          .model = std::move(loaded.model),
          .step = loaded.step,
          .tokenizer = std::move(tokenizer),
          .vq = std::move(vq)};
}

std::map<std::string, std::string> lexicon_of(const std::string& data) {
  if (data.empty()) return {};
  fs::path folder = data;
  if (!fs::is_directory(folder)) folder = folder.parent_path();
  if (!fs::exists(folder / "words.json")) return {};
  return read_lexicon((folder / "words.json").string());
}

}  // namespace tessera::beit3::cli
