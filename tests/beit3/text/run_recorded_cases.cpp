// Runs a whole folder of recorded tokenizer cases and prints how many agree. Not part of CTest.
//
//   run_recorded_cases FOLDER     with cases*.jsonl, xlmr_cases.jsonl, load_cases.jsonl, *.model

#include <cstdio>
#include <exception>
#include <functional>

#include "recorded_cases.h"

namespace {

using namespace tessera::beit3::testing;  // a program of one purpose

int run(const std::string& path, const std::function<std::string(const Json&)>& difference) {
  std::map<std::string, std::pair<int, int>> counts;
  int wrong = 0;
  for (const Json& c : read_cases(path)) {
    const std::string group = c.value("model", std::string("load"));
    std::string what;
    try {
      what = difference(c);
    } catch (const std::exception& error) {
      what = error.what();
    }
    ++counts[group].second;
    if (what.empty()) {
      ++counts[group].first;
    } else if (++wrong <= 10) {
      std::printf("%s: %s differs: %s\n", path.c_str(), what.c_str(),
                  c.dump().substr(0, 400).c_str());
    }
  }
  for (const auto& [group, count] : counts) {
    std::printf("%-14s %5d of %5d equal\n", group.c_str(), count.first, count.second);
  }
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = argv[1];
  Codecs codecs(folder);
  int wrong = 0;
  for (const char* name : {"/cases.jsonl", "/cases_extra.jsonl"}) {
    std::printf("%s\n", name + 1);
    wrong += run(folder + name, [&](const Json& c) { return difference(codecs[c["model"]], c); });
  }
  std::printf("xlmr_cases.jsonl\n");
  wrong += run(folder + "/xlmr_cases.jsonl",
               [&](const Json& c) { return xlmr_difference(codecs[c["model"]], c); });
  std::printf("load_cases.jsonl\n");
  wrong += run(folder + "/load_cases.jsonl", load_difference);
  return wrong == 0 ? 0 : 1;
}
