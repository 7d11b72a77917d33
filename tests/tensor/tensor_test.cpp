#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera {
namespace {

using testing::expect_close;
using testing::expect_equal;
using testing::expect_values;
using testing::random;
using testing::Recorder;
using testing::watched;

TEST(Tensor, UndefinedSaysSo) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_FALSE(none.tracked());
  EXPECT_FALSE(none.exclusive());
  EXPECT_ERROR(none.shape(), StateError,
               "tensor: it is undefined (absent, or moved from): it has no shape and no elements; "
               "test with .defined()");
  EXPECT_THROW(none.dtype(), StateError);
  EXPECT_THROW(none.view(), StateError);
  EXPECT_THROW(none + none, StateError);
}

TEST(Tensor, KnowsItsShape) {
  const Tensor x = zeros({2, 0, 3}, {.dtype = DType::bf16});
  EXPECT_EQ(x.rank(), 3);
  EXPECT_EQ(x.size(-1), 3);
  EXPECT_EQ(x.numel(), 0);
  EXPECT_EQ(x.bytes(), 0u);
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_ERROR(x.size(3), ShapeError, "size: axis 3 is outside a tensor of rank 3");
  EXPECT_EQ(scalar(1).numel(), 1);
}

TEST(Tensor, CopiesShareElements) {
  const Tensor x = from_values({1, 2, 3});
  const Tensor y = x;
  EXPECT_TRUE(y.is(x));
  fill_(y, 7);
  expect_values(x, {3}, {7, 7, 7});
  EXPECT_FALSE(x.exclusive());
  Tensor alone = clone(x);
  EXPECT_TRUE(alone.exclusive());
  const Tensor view = slice(alone, 0, 1, 2);
  EXPECT_FALSE(alone.exclusive());
}

TEST(Tensor, ItemAndVectorConvert) {
  EXPECT_EQ(scalar(2.5).item<double>(), 2.5);
  EXPECT_EQ(scalar(2.5, {.dtype = DType::bf16}).item<int64_t>(), 2);
  EXPECT_TRUE(scalar(0.5).item<bool>());
  EXPECT_EQ(from_data(std::vector<int64_t>{int64_t{1} << 60 | 1}, {1}).item<int64_t>(),
            int64_t{1} << 60 | 1);
  EXPECT_ERROR(zeros({2}).item<float>(), ShapeError,
               "item: the tensor is (2), but must have one element");
  EXPECT_EQ((from_values({0, 2}).to_vector<bool>()), (std::vector<bool>{false, true}));
  EXPECT_EQ((transpose(reshape(arange(6), {2, 3})).to_vector<int64_t>()),
            (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  EXPECT_TRUE(zeros({0}).to_vector<float>().empty());
}

TEST(Tensor, DataAsksForItsDtype) {
  const Tensor x = zeros({2});
  EXPECT_EQ(x.data<float>()[1], 0.0f);
  EXPECT_ERROR(
      x.data<double>(), DTypeError,
      "data: the tensor is f32, but was asked for as f64; convert it with .to(DType::f64)");
}

TEST(Tensor, RefusesViewsBeyondItsStorage) {
  const Tensor x = zeros({4});
  EXPECT_ERROR(Tensor(x.storage(), DType::f32, {3}, {2}, 0), InternalError,
               "tensor: shape (3) with strides (2) from element 0 reaches beyond its 16 bytes");
}

TEST(Tensor, RefusesImpossibleSizes) {
  EXPECT_ERROR(empty({2, -1}), ShapeError, "empty: shape (2, -1) has a negative size");
  EXPECT_ERROR(empty({int64_t{1} << 40, int64_t{1} << 40}), OutOfMemory,
               "empty: shape (1099511627776, 1099511627776) of f32 has more bytes than fit into 63 "
               "bits");
  EXPECT_THROW(empty({int64_t{1} << 40, int64_t{1} << 40, 0}), OutOfMemory);
}

TEST(Tensor, OtherDevicesAreRefusedByName) {
  EXPECT_THROW(zeros({1}, {.device = {DeviceKind::cuda, 0}}), DeviceError);
}

TEST(Version, CountsEveryWriter) {
  const Tensor x = zeros({3});
  const auto version = [&] { return x.storage()->version(); };
  EXPECT_EQ(version(), 0u);
  fill_(x, 1);
  EXPECT_EQ(version(), 1u);
  EXPECT_STREQ(x.storage()->last_change(), "fill_");
  copy_into(ones({1}), x);
  EXPECT_EQ(version(), 2u);
  EXPECT_STREQ(x.storage()->last_change(), "copy_into");
  index_add_(x, from_data(std::vector<int64_t>{1}, {1}), ones({1}));
  EXPECT_EQ(version(), 3u);
  EXPECT_STREQ(x.storage()->last_change(), "index_add_");
  fill_(slice(x, 0, 0, 1), 9);  // through a view
  EXPECT_EQ(version(), 4u);
  // Reading, and making new tensors, is no change.
  (void)(x + x).to_vector<float>();
  EXPECT_EQ(version(), 4u);
}

TEST(Assign, EveryCopyOfTheHandleSees) {
  const Tensor x = zeros({2, 2}), same = x, view = slice(x, 0, 0, 1);
  x.assign(transpose(reshape(arange(4).to(DType::f32), {2, 2})));
  expect_values(same, {2, 2}, {0, 2, 1, 3});
  expect_values(view, {1, 2}, {0, 0});  // of the former storage
  EXPECT_STREQ(x.storage()->last_change(), "assign");
  EXPECT_ERROR(x.assign(zeros({4})), ShapeError,
               "assign: the tensor is (2, 2), but its new elements are (4)");
  EXPECT_ERROR(x.assign(zeros({2, 2}, {.dtype = DType::f64})), DTypeError,
               "assign: the tensor is f32, but its new elements are f64; convert them with "
               ".to(DType::f32)");
}

TEST(InPlace, RefusesResultsOfRecordedOps) {
  const auto inner = std::make_shared<Recorder>(/*of_leaves=*/false);
  const auto outer = std::make_shared<Recorder>();
  const Tensor y = watched(zeros({2, 3}), inner);
  EXPECT_ERROR(fill_(y, 1), StateError,
               "fill_: would change the result (2, 3) of a recorded op in place; write into "
               ".detach() or a .clone() of it");
  EXPECT_THROW(copy_into(y, y), StateError);
  EXPECT_THROW(index_add_(y, arange(2), zeros({2, 3})), StateError);
  EXPECT_THROW(y.assign(zeros({2, 3})), StateError);
  const Tensor leaf = watched(zeros({2, 3}), outer);
  fill_(leaf, 1);
  EXPECT_ERROR(fill_(expand(zeros({1, 3}), {2, 3}), 1), StateError,
               "fill_: axis 0 of y (2, 3) repeats one element (it was expanded), so it cannot be "
               "written; use .contiguous()");
}

TEST(CopyInto, BroadcastsConvertsAndMayOverlap) {
  const Tensor y = zeros({2, 3}, {.dtype = DType::i64});
  copy_into(from_values({1.9, -1.9, 3}), y);
  expect_values(y, {2, 3}, {1, -1, 3, 1, -1, 3});
  EXPECT_ERROR(copy_into(zeros({4}), y), ShapeError,
               "copy_into: shapes (4) and (2, 3) do not broadcast: axis -1 has sizes 4 and 3");
  EXPECT_ERROR(copy_into(zeros({2, 2, 3}), y), ShapeError,
               "copy_into: x is (2, 2, 3), which does not broadcast to y (2, 3)");
  const Tensor x = arange(5);
  copy_into(slice(x, 0, 0, 4), slice(x, 0, 1, 5));
  expect_values(x, {5}, {0, 0, 1, 2, 3});
}

TEST(Cast, ConvertsBetweenAllDtypes) {
  const DType all[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                       DType::i64, DType::i32, DType::u8,   DType::boolean};
  for (DType from : all) {
    for (DType to : all) {
      const Tensor x = from_values({0, 1, 2, 100}).to(from);
      const Tensor y = x.to(to);
      EXPECT_EQ(y.dtype(), to);
      EXPECT_EQ(y.is(x), from == to);
      const bool cut = from == DType::boolean || to == DType::boolean;
      expect_values(y, {4},
                    cut ? std::vector<double>{0, 1, 1, 1} : std::vector<double>{0, 1, 2, 100});
    }
  }
}

TEST(Record, HoldsInputsOutputsAndOrder) {
  const auto recorder = std::make_shared<Recorder>();
  const Tensor x = watched(random({4, 6}, 1, DType::f32), recorder);
  const Tensor b = zeros({6});
  const Tensor y = x + b;
  ASSERT_EQ(recorder->records.size(), 1u);
  const OpRecord& r = recorder->records[0];
  EXPECT_EQ(r.op->name(), "add");
  EXPECT_TRUE(r.type == typeid(Binary<Add>));
  ASSERT_EQ(r.inputs.size(), 2u);
  EXPECT_TRUE(r.inputs[0].is(x));
  EXPECT_TRUE(r.inputs[1].is(b));  // not broadcast
  EXPECT_TRUE(r.outputs[0].is(y));
  (void)(b + b);
  EXPECT_EQ(recorder->records.size(), 1u);  // nothing tracked
  (void)(x > 0);
  (void)argmax(x, 1);
  (void)x.to(DType::i64);
  EXPECT_EQ(recorder->records.size(), 1u);  // not differentiable
}

TEST(Record, ViewsRecordWhatTheyDid) {
  const auto recorder = std::make_shared<Recorder>();
  const Tensor x = watched(zeros({2, 3, 4}), recorder);
  const std::vector<std::pair<std::string, std::function<Tensor()>>> cases = {
      {"reshape",
       [&] {
         return reshape(x, {6, 4});
       }},
      {"permute", [&] { return transpose(x); }},
      {"expand",
       [&] {
         return expand(x, {5, 2, 3, 4});
       }},
      {"slice", [&] { return slice(x, 1, 0, 3, 2); }},
      {"reshape", [&] { return unsqueeze(x, 0); }},
      {"clone", [&] { return clone(x); }},
      {"cast", [&] { return x.to(DType::f64); }}};
  for (const auto& [name, run] : cases) {
    recorder->records.clear();
    (void)run();
    ASSERT_EQ(recorder->records.size(), 1u) << name;
    EXPECT_EQ(recorder->records[0].op->name(), name);
  }
}

TEST(Print, ShowsShapeDtypeAndElements) {
  EXPECT_EQ(to_string(Tensor()), "undefined tensor");
  EXPECT_EQ(to_string(scalar(2.5)), "() f32 2.5");
  EXPECT_EQ(to_string(arange(3)), "(3) i64 [0, 1, 2]");
  EXPECT_EQ(to_string(from_values({1, 0}).to(DType::boolean)), "(2) bool [true, false]");
  EXPECT_EQ(to_string(transpose(reshape(arange(4), {2, 2}))), "(2, 2) i64\n[[0, 2],\n [1, 3]]");
  EXPECT_EQ(to_string(zeros({2, 1, 2}, {.dtype = DType::bf16})),
            "(2, 1, 2) bf16\n[[[0, 0]],\n\n [[0, 0]]]");
  EXPECT_EQ(to_string(arange(20)), "(20) i64 [0, 1, 2, ..., 17, 18, 19]");
  EXPECT_EQ(to_string(zeros({0, 3})), "(0, 3) f32 []");
  EXPECT_EQ(to_string(from_values({1.0 / 3, INFINITY})), "(2) f32 [0.333333, inf]");
}

TEST(Creation, MakesWhatItSays) {
  expect_values(full({2}, 1.5), {2}, {1.5, 1.5});
  expect_values(arange(3, {.dtype = DType::f32}, 1, 0.5), {3}, {1, 1.5, 2});
  expect_values(arange(3, {.dtype = DType::bf16}), {3}, {0, 1, 2});
  expect_values(eye(2), {2, 2}, {1, 0, 0, 1});
  EXPECT_EQ(eye(0).numel(), 0);
  EXPECT_ERROR(from_data(std::vector<float>{1, 2, 3}, {2, 2}), ShapeError,
               "from_data: 3 elements, but shape (2, 2) has 4");
  EXPECT_ERROR(arange(-1), ShapeError, "arange: n is -1, but must not be negative");
}

}  // namespace
}  // namespace tessera
