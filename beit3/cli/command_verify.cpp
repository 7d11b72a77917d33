#include <filesystem>
#include <memory>

#include <unistd.h>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/recipe_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/trust/verify.h"

namespace tessera::beit3::cli {
namespace {

struct VerifyOptions {
  RecipeOptions recipe;
  MachineOptions machine;
  int64_t over = 3, most_threads = 8;
};

/// A folder of this process for checkpoints, removed in the end.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() / format("beit3-verify-{}", getpid())) {
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    check<IoError>(!error, "cannot make {}: {}; set TMPDIR to a folder that can be written",
                   path_.string(), error.message());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

using Verifier =
    std::function<bool(const PretrainRecipe&, const VerifyOptions&, const VerifyListener&)>;

int verify(const VerifyOptions& o, const Verifier& verifier) {
  check<UsageError>(o.over >= 1 && o.over <= 1000, "--over is {}; expected 1 … 1000 steps", o.over);
  check<UsageError>(o.most_threads >= 2 && o.most_threads <= 64,
                    "--most-threads is {}; expected 2 … 64", o.most_threads);
  o.machine.apply();
  const PretrainRecipe recipe = o.recipe.resolve();
  validate(recipe);
  const bool same = verifier(recipe, o, [](const VerifyRow& row) {
    print(format("{}{}parameters {}  loss {}  |g| {}\n", row.same ? "ok      " : "DIFFERS ",
                 padded(row.way, 34), row.hash, short_number(row.loss, 8),
                 short_number(row.grad_norm, 6)));
  });
  print(same ? "the same every way\n" : "NOT the same every way\n");
  return same ? kDone : kDifference;
}

Command verify_child(std::string name, std::string summary, std::string notes,
                     const Verifier& verifier) {
  auto o = std::make_shared<VerifyOptions>();
  notes +=
      "\nThe configuration is that of `pretrain`. Ends with 1 if something differs.\n\n"
      "examples:\n  beit3 verify " +
      name + " --config my.toml\n  beit3 verify " + name +
      " --data.images world --data.pairs world \\\n"
      "      --data.texts world/texts.txt --tokenizer.text text.model \\\n"
      "      --tokenizer.image image.vq\n";
  Command command{
      .name = name, .summary = std::move(summary), .notes = std::move(notes), .run = [o, verifier] {
        return verify(*o, verifier);
      }};
  if (name != "accum") command.options.push_back({"--over", &o->over, "steps that are run (3)"});
  if (name == "threads") {
    command.options.push_back({"--most-threads", &o->most_threads, "threads to go up to (8)"});
  }
  o->machine.add_to(command.options);
  o->recipe.add_to(command.options);
  return command;
}

}  // namespace

Command verify_command() {
  return {
      .name = "verify",
      .summary = "show that results depend on the configuration alone",
      .children = {
          verify_child("threads", "the same bits with any number of threads",
                       "Runs the first steps with 1, 2, 3 … threads and compares all parameters.\n",
                       [](const PretrainRecipe& recipe, const VerifyOptions& o,
                          const VerifyListener& listener) {
                         return verify_threads(recipe, o.over, static_cast<int>(o.most_threads),
                                               listener);
                       }),
          verify_child(
              "resume", "the same bits when stopped and resumed at any step",
              "Runs the first steps straight through, then saves and resumes after each.\n",
              [](const PretrainRecipe& recipe, const VerifyOptions& o,
                 const VerifyListener& listener) {
                const ScratchFolder folder;
                return verify_resume(recipe, o.over, folder.path(), listener);
              }),
          verify_child(
              "accum", "the same step when its batch is cut into pieces",
              "Answers at all masked positions are the same bits (with the packed products,\n"
              "which are the default); gradients, sums over positions in another order, agree\n"
              "within the rounding of such sums.\n",
              [](const PretrainRecipe& recipe, const VerifyOptions&,
                 const VerifyListener& listener) {
                return verify_accumulation(recipe, listener);
              })}};
}

}  // namespace tessera::beit3::cli
