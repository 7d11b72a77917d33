#include "beit3/model/positions.h"

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera::beit3 {
namespace {

const TensorOptions kF64{.dtype = DType::f64};

/// The weights of one axis: resampling the unit vectors of a G x G table whose rows are equal.
Tensor one_axis(int64_t from, int64_t to) {
  const Tensor lines = eye(from, kF64);                    // (column, C)
  const Tensor table = expand(lines, {from, from, from});  // (row, column, C)
  const Tensor places = reshape(table.contiguous(), {from * from, from});
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const Tensor all = resample_positions(places, {.special_rows = 0, .grid = to, .step = step});
  return slice(all, 0, 0, to);
}

// Expected values: PyTorch's bicubic interpolation without smoothing.
TEST(Positions, WeightsOfOneAxis) {
  const Tensor w = one_axis(4, 6);
  testing::expect_close(
      slice(w, 0, 0, 3),
      from_data(std::vector<double>{1.086806, -0.086806, 0, 0, 0.5, 0.59375, -0.09375, 0, -0.086805,
                                    0.943287, 0.160880, -0.017361},
                {3, 4}),
      1e-6);
  const Tensor large = one_axis(14, 24);
  testing::expect_close(
      slice(slice(large, 0, 3, 4), 1, 0, 4),
      from_data(std::vector<double>{-0.085341, 0.538502, 0.647696, -0.100857}, {1, 4}), 1e-6);
  testing::expect_close(sum(large, {1}), ones({24}, kF64), 1e-14);
}

TEST(Positions, RowsAndColumnsAlike) {
  const Tensor table = from_data(std::vector<double>{9, 1, 2, 3, 5}, {5, 1});
  const Tensor out = resample_positions(table, {.special_rows = 1, .grid = 3, .step = 2.0 / 3});
  testing::expect_values(
      out, {10, 1},
      {9, 0.747119, 1.282986, 1.818854, 1.869792, 2.75, 3.630208, 2.992465, 4.217014, 5.441563},
      1e-6);
}

TEST(Positions, AreDifferentiable) {
  const GradcheckReport report = gradcheck(
      [](const Tensors& in) -> Tensors {
        return {resample_positions(in[0], {.special_rows = 2, .grid = 2, .step = 3 / 2.1})};
      },
      {testing::random({11, 3}, 1)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(Positions, RefuseATableThatIsNoSquare) {
  EXPECT_ERROR(resample_positions(zeros({8, 4}), {.special_rows = 1, .grid = 2}), ShapeError,
               "positions: the table is (8, 4); expected 1 special rows and a square of places");
}

}  // namespace
}  // namespace tessera::beit3
