#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/recipe_options.h"
#include "beit3/cli/terminal.h"

namespace tessera::beit3::cli {

Command config_command() {
  auto o = std::make_shared<RecipeOptions>();
  Command show{.name = "show",
               .summary = "print the configuration that pretrain would use",
               .notes =
                   "It can be kept in a file, changed, and given to `beit3 pretrain "
                   "--config`.\n\n"
                   "examples:\n"
                   "  beit3 config show --preset micro > my.toml\n"
                   "  beit3 config show --config my.toml --steps 5000\n",
               .run = [o] {
                 const PretrainRecipe recipe = o->resolve();
                 validate(recipe);
                 print(to_toml(recipe));
                 return kDone;
               }};
  o->add_to(show.options);
  return {.name = "config", .summary = "show configurations", .children = {std::move(show)}};
}

}  // namespace tessera::beit3::cli
