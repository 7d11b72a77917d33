#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include <dlfcn.h>
#include <unistd.h>

#include "backends/registry.h"
#include "beit3/cli/commands.h"
#include "beit3/cli/exit_codes.h"
#include "beit3/cli/machine_memory.h"
#include "beit3/cli/machine_options.h"
#include "beit3/cli/terminal.h"
#include "beit3/cli/version.h"
#include "tensor/base/parallel.h"

namespace tessera::beit3::cli {
namespace {

/// The file that a function of a shared library comes from; empty if the program has none.
std::string library_of(const char* symbol) {
  void* address = dlsym(RTLD_DEFAULT, symbol);
  Dl_info info{};
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr) return {};
  char resolved[4096];
  const char* path = realpath(info.dli_fname, resolved);
  return path != nullptr ? path : info.dli_fname;
}

/// What a function `const char* f()` of a shared library says.
std::string said_by(const char* symbol) {
  using Speaker = const char* (*)();
  const auto speaker = reinterpret_cast<Speaker>(dlsym(RTLD_DEFAULT, symbol));
  const char* said = speaker != nullptr ? speaker() : nullptr;
  return said != nullptr ? said : "";
}

void line(std::string_view name, const std::string& value) {
  print(padded(name, 16) + (value.empty() ? "unknown" : value) + "\n");
}

std::string jpeg_text() {
  const std::string file = library_of("jpeg_start_decompress");
  if (file.empty()) return "built in";
  // The turbo variant exports functions that the old library lacks.
  const bool turbo = dlsym(RTLD_DEFAULT, "jpeg_skip_scanlines") != nullptr;
  return (turbo ? "libjpeg-turbo, " : "libjpeg, ") + file;
}

int doctor(const MachineOptions& machine) {
  machine.apply();
  line("beit3", std::string(version()));
  line("processor", cpu_description());
  line("instructions", active_instruction_set());
  line("threads", format("{} (of {} cores)", thread_count(),
                         static_cast<int64_t>(std::thread::hardware_concurrency())));
  line("memory", memory_text());
  line("products", products_description());
  line("AMX", amx_description());
  line("OpenBLAS", said_by("openblas_get_config"));
  line("", library_of("openblas_get_config"));
  line("JPEG", jpeg_text());
  line("Unicode", "utf8proc " + said_by("utf8proc_version") + ", Unicode " +
                      said_by("utf8proc_unicode_version"));
#if defined(__clang__)
  line("compiler", std::string("clang ") + __clang_version__);
#else
  line("compiler", std::string("g++ ") + __VERSION__);
#endif
  return kDone;
}

}  // namespace

Command doctor_command() {
  auto o = std::make_shared<MachineOptions>();
  Command command{.name = "doctor",
                  .summary = "say what this machine and this build have",
                  .notes = "examples:\n  beit3 doctor\n  beit3 doctor --isa portable\n",
                  .run = [o] { return doctor(*o); }};
  o->add_to(command.options);
  return command;
}

}  // namespace tessera::beit3::cli
