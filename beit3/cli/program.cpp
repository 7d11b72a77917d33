#include <memory>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"

namespace tessera::beit3::cli {
namespace {

constexpr const char* kStart =
    "To begin:\n"
    "  beit3 data synth world                         draw a small world to learn from\n"
    "  beit3 tok train --words --vocab-size 100 --out text.model world/texts.txt\n"
    "  beit3 vq train --data world --out image.vq\n"
    "  beit3 pretrain --preset nano --out run --data.images world --data.pairs world \\\n"
    "      --data.texts world/texts.txt --data.held_out world \\\n"
    "      --tokenizer.text text.model --tokenizer.image image.vq\n"
    "  beit3 eval run\n"
    "  beit3 fill run\n"
    "\n"
    "Data go to the standard output, everything else to the standard error.\n"
    "More: beit3 help COMMAND, beit3 help exit-codes\n";

constexpr const char* kExitCodes =
    "   0  done\n"
    "   1  a check was carried out and failed (data check, tok compare, gradcheck, parity,\n"
    "      verify)\n"
    "   2  the command line or a configuration value makes no sense\n"
    "   3  a file cannot be read or written, or holds something malformed; no memory\n"
    "   8  an image tokenizer collapsed: it uses only a few of its codes\n"
    "  75  stopped by Ctrl-C or SIGTERM; a pretraining run is saved and can go on\n";

Command help_command() {
  auto path = std::make_shared<std::vector<std::string>>();
  return {.name = "help",
          .summary = "explain a command, with examples",
          .notes = "examples:\n  beit3 help data synth\n  beit3 help exit-codes\n",
          .options = {{"COMMAND", path.get(), "the command to explain, or exit-codes"}},
          .run = [path] {
            if (path->size() == 1 && path->front() == "exit-codes") {
              print(kExitCodes);
            } else {
              print(help_text(program(), *path));
            }
            return kDone;
          }};
}

}  // namespace

Command program() {
  return {
      .name = "beit3",
      .summary = "Pretrain a small BEiT-3 on images, texts and image-text pairs, and look at it.",
      .notes = kStart,
      .children = {data_command(), tok_command(), vq_command(), pretrain_command(),
                   resume_command(), eval_command(), fill_command(), inspect_command(),
                   gradcheck_command(), parity_command(), verify_command(), config_command(),
                   bench_command(), doctor_command(), help_command()},
      .run = [] {
        print(help_text(program(), {}));
        return kDone;
      }};
}

}  // namespace tessera::beit3::cli
