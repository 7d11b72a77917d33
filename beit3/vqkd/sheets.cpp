#include "beit3/vqkd/sheets.h"

#include <algorithm>
#include <numeric>

#include "beit3/image/transform.h"
#include "nn/patch_embed.h"

namespace tessera::beit3 {
namespace {

std::vector<Image> pictures_of(const Tensor& images) {
  const int64_t height = images.size(2), width = images.size(3);
  const std::vector<float> values = images.to_vector<float>();
  std::vector<Image> all;
  for (int64_t i = 0; i < images.size(0); ++i) {
    all.push_back(from_floats(values.data() + i * 3 * height * width, height, width));
  }
  return all;
}

}  // namespace

Image reconstruction_sheet(const Vqkd& vq, const Tensor& images, int64_t columns) {
  check<ValueError>(columns > 0, "reconstruction_sheet: {} columns", columns);
  const std::vector<Image> given = pictures_of(images),
                           kept = pictures_of(vq.decode_pixels(vq.encode(images)));
  std::vector<SheetRow> rows;
  for (size_t begin = 0; begin < given.size(); begin += static_cast<size_t>(columns)) {
    const size_t end = std::min(given.size(), begin + static_cast<size_t>(columns));
    auto part = [&](const std::vector<Image>& all) {
      return std::vector<Image>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                all.begin() + static_cast<std::ptrdiff_t>(end));
    };
    rows.push_back({"picture", part(given), {}});
    rows.push_back({"from its codes", part(kept), {}});
  }
  return contact_sheet(rows, {.title = format("{} codes of {} x {} pixels", vq.config().codes,
                                              vq.config().patch, vq.config().patch)});
}

CodeMeans::CodeMeans(int64_t codes, int64_t patch)
    : patch_(patch),
      sums_(static_cast<size_t>(codes * 3 * patch * patch), 0.0),
      counts_(static_cast<size_t>(codes), 0) {}

void CodeMeans::add(const Tensor& images, const Tensor& ids) {
  const Tensor rows = nn::patches(images, patch_);
  const std::vector<int64_t> codes = ids.to_vector<int64_t>();
  check<ShapeError>(static_cast<int64_t>(codes.size()) == rows.size(0),
                    "code means: {} codes for {} patches", codes.size(), rows.size(0));
  count_codes(codes, counts_);
  const std::vector<float> values = rows.to_vector<float>();
  const size_t width = static_cast<size_t>(rows.size(1));
  for (size_t row = 0; row < codes.size(); ++row) {
    double* sum = sums_.data() + static_cast<size_t>(codes[row]) * width;
    for (size_t i = 0; i < width; ++i) sum[i] += static_cast<double>(values[row * width + i]);
  }
}

Image CodeMeans::mean(int64_t code) const {
  check<IndexError>(code >= 0 && code < static_cast<int64_t>(counts_.size()),
                    "code means: code {} is not in 0 … {}", code, counts_.size() - 1);
  const double n = static_cast<double>(counts_[static_cast<size_t>(code)]);
  if (n == 0) return {};
  const int64_t width = 3 * patch_ * patch_;
  std::vector<float> pixels;
  for (int64_t i = 0; i < width; ++i) {
    pixels.push_back(static_cast<float>(sums_[static_cast<size_t>(code * width + i)] / n));
  }
  return from_floats(pixels.data(), patch_, patch_);
}

Image code_sheet(const CodeMeans& means, int64_t columns) {
  check<ValueError>(columns > 0, "code_sheet: {} columns", columns);
  const std::vector<int64_t>& counts = means.counts();
  std::vector<int64_t> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return counts[static_cast<size_t>(a)] > counts[static_cast<size_t>(b)];
  });
  std::vector<SheetRow> rows;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % static_cast<size_t>(columns) == 0) rows.push_back({});
    rows.back().images.push_back(means.mean(order[i]));
    rows.back().captions.push_back(
        format("{}: {}", order[i], counts[static_cast<size_t>(order[i])]));
  }
  return contact_sheet(rows,
                       {.title = "mean patch of each code, and how often it occurs", .cell = 64});
}

}  // namespace tessera::beit3
