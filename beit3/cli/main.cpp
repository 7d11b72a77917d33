#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/terminal.h"
#include "beit3/cli/version.h"

namespace {

using namespace tessera;
using namespace tessera::beit3::cli;

/// An error is one line, whatever was thrown.
int complain(const std::exception& error, int code) {
  say(std::string("beit3: ") + error.what());
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments == std::vector<std::string>{"--version"}) {
      print("beit3 " + std::string(version()) + "\n");
      finish_output();
      return kDone;
    }
    const int code = run_command_line(program(), arguments);
    finish_output();
    return code;
  } catch (const UsageError& e) {
    return complain(e, kUsage);
  } catch (const ValueError& e) {
    return complain(e, kUsage);
  } catch (const std::bad_alloc&) {
    say("beit3: out of memory");
    return kBadInput;
  } catch (const std::exception& e) {
    return complain(e, kBadInput);
  }
}
