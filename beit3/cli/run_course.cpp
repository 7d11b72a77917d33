#include "beit3/cli/run_course.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <vector>

#include "beit3/cli/terminal.h"
#include "beit3/json/json.h"

namespace tessera::beit3::cli {
namespace {

using Row = std::vector<std::string>;

/// The number at a path of names; NaN where the line has none.
double number(const Json& line, std::initializer_list<const char*> path) {
  const Json* at = &line;
  for (const char* name : path) {
    if (!at->is_object() || !at->contains(name)) return NAN;
    at = &(*at)[name];
  }
  return at->is_number() ? at->get<double>() : NAN;
}

std::string cell(double value, int digits) {
  return std::isfinite(value) ? fixed(value, digits) : "";
}

/// "0.430 0.77": a loss and the share that was right.
std::string loss_and_accuracy(const Json& line, const char* part) {
  const double loss = number(line, {part, "loss"});
  return std::isfinite(loss) ? fixed(loss, 3) + " " + cell(number(line, {part, "accuracy"}), 2)
                             : "";
}

/// "0.73 (0.14)": the share that was right and, in brackets, that of a simple guess.
std::string score(const Json& s, const char* guess) {
  const double count = number(s, {"count"});
  if (!(count > 0)) return "";
  return fixed(number(s, {"right"}) / count, 2) + " (" + cell(number(s, {guess}) / count, 2) + ")";
}

/// Columns as wide as their widest cell; empty columns are left out.
std::string table(const Row& head, const std::vector<Row>& rows) {
  std::vector<size_t> widths(head.size(), 0);
  for (const Row& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string out;
  const auto add = [&](const Row& row) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (widths[c] == 0) continue;
      const size_t width = std::max(widths[c], head[c].size());
      out += std::string(2 + width - row[c].size(), ' ') + row[c];
    }
    out += "\n";
  };
  add(head);
  for (const Row& row : rows) add(row);
  return out;
}

std::string logged_table(const std::vector<Json>& logged, int64_t rows) {
  const auto n = static_cast<int64_t>(logged.size());
  const int64_t shown = std::min(rows, n);
  std::vector<Row> cells;
  for (int64_t i = 1; i <= shown; ++i) {  // the last line is the last row
    const Json& line = logged[static_cast<size_t>(i * n / shown - 1)];
    cells.push_back({cell(number(line, {"step"}), 0), cell(number(line, {"loss"}), 3),
                     loss_and_accuracy(line, "image"), loss_and_accuracy(line, "text"),
                     loss_and_accuracy(line, "pair_text"), cell(number(line, {"lr"}), 5),
                     cell(number(line, {"grad_norm"}), 2),
                     cell(number(line, {"samples_per_second"}), 0)});
  }
  return table({"step", "loss", "images", "texts", "pairs", "lr", "norm", "samples/s"}, cells);
}

std::string evaluation_table(const std::vector<Json>& evaluations) {
  std::set<std::string> kinds;
  for (const Json& line : evaluations) {
    const Json words = line["evaluation"].value("pair_words", Json::object());
    for (const auto& [kind, unused] : words.items()) kinds.insert(kind);
  }
  kinds.erase("function");                    // written by grammar, not by what a picture shows
  if (kinds.size() == 2) kinds.erase("all");  // the only other kind says the same
  const bool exact = evaluations.front()["evaluation"].value("exact_objects", false);
  Row head{"step", "patches", exact ? "objects" : "edges"};
  head.insert(head.end(), kinds.begin(), kinds.end());
  head.emplace_back("texts");
  std::vector<Row> cells;
  for (const Json& line : evaluations) {
    const Json& e = line["evaluation"];
    const Json words = e.value("pair_words", Json::object());
    Row row{cell(number(line, {"step"}), 0), score(e.value("patches", Json::object()), "copy"),
            score(e.value("shape_patches", Json::object()), "copy")};
    for (const std::string& kind : kinds) {
      row.push_back(score(words.value(kind, Json::object()), "wrong_picture"));
    }
    const Json texts = e.value("text_words", Json::object());
    row.push_back(score(texts.value("all", Json::object()), "majority"));
    cells.push_back(std::move(row));
  }
  return table(head, cells);
}

}  // namespace

std::string course_tables(const std::string& metrics, int64_t rows) {
  std::vector<Json> logged, evaluations;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    Json parsed = try_parse_json(line);
    if (!parsed.is_object() || !parsed.contains("step")) continue;
    if (!parsed.contains("evaluation")) {
      logged.push_back(std::move(parsed));
    } else if (parsed["evaluation"].is_object()) {
      evaluations.push_back(std::move(parsed));
    }
  }
  std::string out;
  if (!logged.empty()) {
    out += "\ntraining: loss and share right of what was masked\n" + logged_table(logged, rows);
  }
  if (!evaluations.empty()) {
    out +=
        "\nheld out: share right; in brackets, of patches a copy of the nearest visible one, of "
        "words\nof pairs the same with a wrong picture, of words of texts the most frequent "
        "one\n" +
        evaluation_table(evaluations);
  }
  return out;
}

}  // namespace tessera::beit3::cli
