#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tessera::beit3::cli {

/// One flag or place of a command line, and where its value goes.
struct Option {
  using Target = std::variant<bool*, int64_t*, uint64_t*, double*, std::string*,
                              std::vector<std::string>*, std::function<void(std::string)>>;

  /// "--steps", "--text,-t", or without dashes the name of a place: "FILE".
  std::string names;
  Target target;
  std::string help;
  std::string value = "";  ///< what help writes for the value; "": by the target's type
  bool required = false;

  bool is_place() const { return names.front() != '-'; }
  bool is_flag() const { return std::holds_alternative<bool*>(target); }
  std::vector<std::string> spellings() const;
};

/// A command says once what it takes; parsing, checks and help come from that.
struct Command {
  std::string name;
  std::string summary;     ///< a line for lists
  std::string notes = {};  ///< what help says below the options: rules, examples
  std::vector<Option> options = {};
  std::vector<Command> children = {};
  std::function<int()> run = {};  ///< returns the exit code; targets are filled before
};

/// Finds the command, fills its targets and runs it. Throws UsageError, with the nearest known
/// word where one is mistyped.
int run_command_line(const Command& root, const std::vector<std::string>& arguments);

/// Help of the command at `path` below the root. Throws UsageError if there is none.
std::string help_text(const Command& root, const std::vector<std::string>& path);

/// For flags that take a share of something. Throws UsageError unless it is 0 … 1.
void check_share(std::string_view flag, double share);

}  // namespace tessera::beit3::cli
