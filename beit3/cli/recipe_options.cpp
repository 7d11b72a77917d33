#include "beit3/cli/recipe_options.h"

#include <map>

#include "beit3/pretrain/run_folder.h"

namespace tessera::beit3::cli {
namespace {

/// Makes one flag a field.
struct FlagMaker final : RecipeVisitor {
  RecipeOptions& target;
  std::vector<Option>& options;
  FlagMaker(RecipeOptions& t, std::vector<Option>& o) : target(t), options(o) {}

  void add(std::string_view name, std::string_view help, std::string value, const char* kind) {
    // Fields that are often set also have a short name.
    static const std::map<std::string_view, std::string_view> short_names{
        {"train.steps", "--steps"},
        {"train.seed", "--seed"},
        {"train.overfit", "--overfit"},
        {"train.dtype", "--dtype"},
        {"optim.lr", "--lr"}};
    std::string names = "--" + std::string(name);
    if (const auto found = short_names.find(name); found != short_names.end()) {
      names += "," + std::string(found->second);
    }
    if (value.empty()) value = "none";
    options.push_back({std::move(names),
                       [t = &target, key = std::string(name)](std::string text) {
                         t->given.emplace_back(key, std::move(text));
                       },
                       std::string(help) + " (" + value + ")", kind});
  }
  void operator()(std::string_view n, int64_t& v, std::string_view h) override {
    add(n, h, std::to_string(v), "N");
  }
  void operator()(std::string_view n, uint64_t& v, std::string_view h) override {
    add(n, h, std::to_string(v), "N");
  }
  void operator()(std::string_view n, double&, std::string_view h) override {
    // As the configuration file writes it.
    for (const auto& [key, text] : field_values({})) {
      if (key == n) return add(n, h, text, "X");
    }
  }
  void operator()(std::string_view n, bool& v, std::string_view h) override {
    add(n, h, v ? "true" : "false", "true|false");
  }
  void operator()(std::string_view n, std::string& v, std::string_view h) override {
    add(n, h, v, n.substr(0, 5) == "data." || n.substr(0, 10) == "tokenizer." ? "PATH" : "WORD");
  }
};

}  // namespace

void RecipeOptions::add_to(std::vector<Option>& options) {
  std::string presets;
  for (const std::string& name : model_preset_names()) {
    presets += (presets.empty() ? "" : ", ") + name;
  }
  options.push_back({"--preset", &preset, "sizes of the model: " + presets + " (nano)", "NAME"});
  options.push_back({"--config", &config, "configuration file; flags override it", "FILE.toml"});
  PretrainRecipe defaults;
  FlagMaker maker(*this, options);
  visit_fields(defaults, maker);
}

PretrainRecipe RecipeOptions::resolve() const {
  PretrainRecipe recipe;
  if (!preset.empty()) recipe.model = model_preset(preset);
  if (!config.empty()) recipe = read_recipe(config, recipe);
  for (const auto& [key, value] : given) set_field(recipe, key, value);
  return recipe;
}

}  // namespace tessera::beit3::cli
