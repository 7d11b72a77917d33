#include "beit3/model/positions.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops/creation.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/shape_ops.h"

namespace tessera::beit3 {
namespace {

/// Keys' kernel at distance x >= 0.
double cubic(double x) {
  constexpr double a = -0.75;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// (grid, old): each new place as a sum of old ones.
Tensor weights(int64_t old, const ResampleOptions& o, const TensorOptions& options) {
  std::vector<double> w(static_cast<size_t>(o.grid * old), 0.0);
  for (int64_t place = 0; place < o.grid; ++place) {
    const double center = (static_cast<double>(place) + 0.5) * o.step - 0.5;
    const int64_t left = static_cast<int64_t>(std::floor(center));
    for (int64_t tap = left - 1; tap <= left + 2; ++tap) {
      const int64_t from = std::clamp<int64_t>(tap, 0, old - 1);
      w[static_cast<size_t>(place * old + from)] +=
          cubic(std::fabs(center - static_cast<double>(tap)));
    }
  }
  return from_data(w, {o.grid, old}, options.device).to(options.dtype);
}

}  // namespace

Tensor resample_positions(const Tensor& table, const ResampleOptions& o) {
  const int64_t rows = table.rank() == 2 ? table.size(0) - o.special_rows : 0;
  const int64_t old = static_cast<int64_t>(std::lround(std::sqrt(std::max<int64_t>(rows, 0))));
  check<ShapeError>(rows > 0 && old * old == rows && o.grid > 0,
                    "positions: the table is {}; expected {} special rows and a square of places",
                    table.shape(), o.special_rows);
  const int64_t width = table.size(1);
  const Tensor w = weights(old, o, table.options());
  const Tensor places = slice(table, 0, o.special_rows, table.size(0));
  const Tensor down = reshape(matmul(w, reshape(places, {old, old * width})), {o.grid, old, width});
  const Tensor across = matmul(w, down);  // (grid, old) times (grid, old, C)
  return concat({slice(table, 0, 0, o.special_rows), reshape(across, {o.grid * o.grid, width})}, 0);
}

}  // namespace tessera::beit3
