#include "beit3/cli/command.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "beit3/pretrain/recipe.h"

namespace tessera::beit3::cli {
namespace {

/// A command with the words that led to it.
struct Place {
  const Command* command;
  std::string path;  // "beit3 data synth"
};

const Command* child(const Command& command, std::string_view name) {
  for (const Command& c : command.children) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

[[noreturn]] void no_such_command(const Place& place, const std::string& word) {
  std::vector<std::string> known;
  for (const Command& c : place.command->children) known.push_back(c.name);
  const std::string near = nearest_word(word, known);
  fail<UsageError>(
      "\"{}\" is no command of {}; {}", word, place.path,
      near.empty() ? "see: " + place.path + " --help" : "did you mean \"" + near + "\"?");
}

bool is_help(std::string_view word) { return word == "--help" || word == "-h"; }

bool looks_like_flag(std::string_view word) { return word.size() > 2 && word.substr(0, 2) == "--"; }

/// Says which flag is unknown, and which is near, before anything else is complained about.
void refuse_unknown_flags(const Place& place, const std::vector<std::string>& arguments) {
  std::vector<std::string> known{"--help"};
  for (const Option& option : place.command->options) {
    for (std::string& s : option.spellings()) known.push_back(std::move(s));
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") return;
    if (!looks_like_flag(argument)) continue;
    const std::string flag = argument.substr(0, argument.find('='));
    if (std::find(known.begin(), known.end(), flag) != known.end()) continue;
    const std::string near = nearest_word(flag, known);
    fail<UsageError>(
        "{} is no flag of {}; {}", flag, place.path,
        near.empty() ? "see: " + place.path + " --help" : "did you mean " + near + "?");
  }
}

void add_option(CLI::App& app, const Option& option) {
  CLI::Option* added = std::visit(
      [&](const auto& target) -> CLI::Option* {
        using T = std::decay_t<decltype(target)>;
        if constexpr (std::is_same_v<T, bool*>) {
          return app.add_flag(option.names, *target);
        } else if constexpr (std::is_same_v<T, std::function<void(std::string)>>) {
          return app.add_option_function<std::string>(option.names, target)->take_last();
        } else if constexpr (std::is_same_v<T, std::vector<std::string>*>) {
          return app.add_option(option.names, *target);
        } else {
          return app.add_option(option.names, *target)->take_last();
        }
      },
      option.target);
  if (option.required) added->required();
}

std::string value_name(const Option& option) {
  if (!option.value.empty()) return option.value;
  switch (option.target.index()) {
    case 1:
    case 2:
      return "N";
    case 3:
      return "X";
    default:
      return "TEXT";
  }
}

bool takes_many(const Option& option) {
  return std::holds_alternative<std::vector<std::string>*>(option.target);
}

std::string usage_line(const Place& place) {
  std::string line = place.path;
  if (!place.command->children.empty()) return line + " COMMAND …";
  for (const Option& option : place.command->options) {
    if (!option.is_place()) continue;
    const std::string name = option.names + (takes_many(option) ? "…" : "");
    line += option.required ? " " + name : " [" + name + "]";
  }
  for (const Option& option : place.command->options) {
    if (!option.is_place() && option.required) {
      line += " " + option.spellings().front() + " " + value_name(option);
    }
  }
  return line + " [flags]";
}

/// "  left            right", the right side wrapped and indented.
void add_entry(std::string& out, std::string left, const std::string& right) {
  constexpr size_t kLeft = 32;
  left = "  " + left;
  if (left.size() + 2 > kLeft) {
    out += left + "\n";
    left.clear();
  }
  left.resize(kLeft, ' ');
  bool first = true;
  for (const std::string& line : wrapped(right, 96 - kLeft)) {
    out += (first ? left : std::string(kLeft, ' ')) + line + "\n";
    first = false;
  }
}

std::string help_of(const Place& place) {
  const Command& command = *place.command;
  std::string out = command.summary + "\n\nusage: " + usage_line(place) + "\n";
  if (!command.children.empty()) {
    out += "\ncommands:\n";
    for (const Command& c : command.children) add_entry(out, c.name, c.summary);
  }
  if (!command.options.empty()) out += "\n";
  for (const bool places : {true, false}) {
    for (const Option& option : command.options) {
      if (option.is_place() != places) continue;
      std::string left = places ? option.names : "";
      if (!places) {
        for (const std::string& s : option.spellings()) left += (left.empty() ? "" : ", ") + s;
        if (!option.is_flag()) left += " " + value_name(option);
      }
      add_entry(out, left, option.help);
    }
  }
  if (!command.notes.empty()) out += "\n" + command.notes;
  return out;
}

}  // namespace

std::vector<std::string> Option::spellings() const {
  std::vector<std::string> all;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    all.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

std::string help_text(const Command& root, const std::vector<std::string>& path) {
  Place place{&root, root.name};
  for (const std::string& word : path) {
    const Command* next = child(*place.command, word);
    if (next == nullptr) no_such_command(place, word);
    place = {next, place.path + " " + word};
  }
  return help_of(place);
}

int run_command_line(const Command& root, const std::vector<std::string>& arguments) {
  Place place{&root, root.name};
  size_t used = 0;
  while (used < arguments.size() && !place.command->children.empty()) {
    if (is_help(arguments[used])) {
      print(help_of(place));
      return kDone;
    }
    const Command* next = child(*place.command, arguments[used]);
    if (next == nullptr) no_such_command(place, arguments[used]);
    place = {next, place.path + " " + arguments[used++]};
  }
  const std::vector<std::string> rest(arguments.begin() + static_cast<std::ptrdiff_t>(used),
                                      arguments.end());
  const auto end = std::find(rest.begin(), rest.end(), "--");
  if (std::any_of(rest.begin(), end, is_help)) {
    print(help_of(place));
    return kDone;
  }
  check<UsageError>(place.command->run != nullptr, "{} needs a command; see: {} --help", place.path,
                    place.path);
  refuse_unknown_flags(place, rest);
  const std::string words = place.path.substr(std::min(root.name.size() + 1, place.path.size()));
  CLI::App app;
  app.set_help_flag();
  for (const Option& option : place.command->options) add_option(app, option);
  try {
    app.parse(std::vector<std::string>(rest.rbegin(), rest.rend()));
  } catch (const CLI::ConversionError& e) {
    std::string what = e.what();  // "Could not convert: --train = x"
    what.erase(0, what.find(": ") + 2);
    fail<UsageError>("{}: \"{}\" is no number, or out of range", words, what);
  } catch (const CLI::ParseError& e) {
    std::string what = e.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    fail<UsageError>("{}: {}; see: {} --help", words, what, place.path);
  }
  return place.command->run();
}

void check_share(std::string_view flag, double share) {
  check<UsageError>(share >= 0 && share <= 1, "{} is {}; expected 0 … 1", flag, share);
}

}  // namespace tessera::beit3::cli
