#include "beit3/trust/report.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>

#include "beit3/json/json.h"

namespace tessera::beit3 {
namespace {

/// How many steps from one float to the next lead from `x` to `y`, in a format; both zeros are one
/// place.
template <class Float, class Bits>
double steps_between(double x, double y) {
  constexpr Bits kSign = Bits{1} << (8 * sizeof(Bits) - 1);
  const Bits a = std::bit_cast<Bits>(static_cast<Float>(x));
  const Bits b = std::bit_cast<Bits>(static_cast<Float>(y));
  // Subtracted as integers: a double would not hold the places of doubles exactly.
  const Bits from = a & ~kSign, to = b & ~kSign;
  const bool one_side = (a & kSign) == (b & kSign);
  return static_cast<double>(!one_side ? from + to : from > to ? from - to : to - from);
}

double ulps_between(double a, double b, bool coarse) {
  if (a == b) return 0;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::infinity();
  return coarse ? steps_between<float, uint32_t>(a, b) : steps_between<double, uint64_t>(a, b);
}

std::string cell(const char* form, double value) {
  char text[32];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

std::string columns(const std::string& name, const Comparison& c) {
  std::string padded = name;
  padded.resize(std::max<size_t>(name.size(), 58), ' ');
  return padded + cell("  %9.2e", c.max_difference) + cell("  %9.2e", c.relative()) +
         cell("  %9.3g", c.ulps) + cell("  %8.0e", c.tolerance);
}

const char* result_of(const CaseReport& report) {
  if (!report.supported()) return "unsupported";
  return report.ok() ? "equal" : "different";
}

void add_tensors(std::string& out, const CaseReport& report, bool all) {
  const Comparison* first = report.first_difference();
  if (!all && first == nullptr) return;
  for (const Comparison& c : report.tensors) {
    out += columns("    " + c.name, c) + (c.ok() ? "\n" : "  DIFFERS\n");
    if (!all && &c == first) break;
  }
}

Json json_of(const CaseReport& report) {
  Json json{{"name", report.name},
            {"dtype", std::string(to_string(report.dtype))},
            {"result", result_of(report)}};
  if (!report.supported()) {
    json["why"] = report.unsupported;
    return json;
  }
  const Comparison* first = report.first_difference();
  json["first_difference"] = first == nullptr ? Json() : Json(first->name);
  json["not_compared"] = report.not_compared;
  json["tensors"] = Json::array();
  for (const Comparison& c : report.tensors) {
    json["tensors"].push_back({{"name", c.name},
                               {"max_abs", c.max_difference},
                               {"relative", c.relative()},
                               {"ulps", c.ulps},
                               {"tolerance", c.tolerance},
                               {"ok", c.ok()}});
  }
  return json;
}

}  // namespace

Comparison compare(std::string name, const Tensor& ours, const Tensor& recorded, double tolerance) {
  check<ShapeError>(ours.numel() == recorded.numel(), "parity: {} is {} here, but {} in the record",
                    name, ours.shape(), recorded.shape());
  const std::vector<double> a = ours.to_vector<double>(), b = recorded.to_vector<double>();
  Comparison c{.name = std::move(name), .tolerance = tolerance};
  const bool coarse = ours.dtype() != DType::f64 || recorded.dtype() != DType::f64;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = a[i] == b[i] ? 0 : std::fabs(a[i] - b[i]);
    c.max_difference =
        std::max(c.max_difference,
                 std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference);
    if (std::isfinite(b[i])) c.scale = std::max(c.scale, std::fabs(b[i]));
    c.ulps = std::max(c.ulps, ulps_between(a[i], b[i], coarse));
  }
  return c;
}

bool CaseReport::ok() const {
  return supported() && !tensors.empty() && not_compared.empty() && first_difference() == nullptr;
}

const Comparison* CaseReport::first_difference() const {
  for (const Comparison& c : tensors) {
    if (!c.ok()) return &c;
  }
  return nullptr;
}

const Comparison* CaseReport::worst() const {
  const auto found = std::max_element(
      tensors.begin(), tensors.end(),
      [](const Comparison& a, const Comparison& b) { return a.relative() < b.relative(); });
  return found == tensors.end() ? nullptr : &*found;
}

std::string to_table(const std::vector<CaseReport>& reports, bool every_tensor) {
  std::string out;
  for (const CaseReport& report : reports) {
    std::string head = report.supported() ? report.ok() ? "equal    " : "DIFFERS  " : "-        ";
    head += report.name;
    head.resize(std::max<size_t>(head.size() + 1, 40), ' ');
    if (!report.supported()) {
      out += head + "not supported yet: " + report.unsupported + "\n";
      continue;
    }
    out += head + std::string(to_string(report.dtype)) + "  " +
           std::to_string(report.tensors.size()) + " tensors\n";
    const bool all = every_tensor || reports.size() == 1;
    if (all || !report.ok()) {
      std::string titles = "    tensor";
      titles.resize(58, ' ');
      out += titles + "    max abs   relative       ulps   allowed\n";
    }
    add_tensors(out, report, all);
    const Comparison* worst = report.worst();
    if (!all && report.ok() && worst != nullptr) {
      out += columns("    worst: " + worst->name, *worst) + "\n";
    }
    for (const std::string& name : report.not_compared) {
      out += "    " + name + ": recorded, but not compared  DIFFERS\n";
    }
  }
  return out;
}

std::string to_json(const std::vector<CaseReport>& reports) {
  Json json{{"equal", 0}, {"different", 0}, {"unsupported", 0}};
  json["cases"] = Json::array();
  for (const CaseReport& report : reports) {
    json[result_of(report)] = json[result_of(report)].get<int64_t>() + 1;
    json["cases"].push_back(json_of(report));
  }
  return json_text(json);
}

}  // namespace tessera::beit3
