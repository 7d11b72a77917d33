#include "beit3/model/parameter_hash.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

Tensor f64(std::vector<double> values, const Shape& shape) { return from_data(values, shape); }

nn::StateDict two_tensors() {
  return {{"a.bias", from_values({1, -2})}, {"a.weight", f64({0, 1, 2, 3, 4, 5}, {2, 3})}};
}

// Computed by XXH64 written anew in Python, over the bytes that the header describes.
TEST(ParameterHash, IsThatOfTheDocumentedBytes) {
  EXPECT_EQ(parameter_hash({}), "ef46db3751d8e999");
  EXPECT_EQ(parameter_hash(two_tensors()), "514b0df6acb82f6c");
}

TEST(ParameterHash, DoesNotDependOnHowElementsLie) {
  nn::StateDict strided = two_tensors();
  strided["a.weight"] = transpose(f64({0, 3, 1, 4, 2, 5}, {3, 2}), 0, 1);
  EXPECT_EQ(parameter_hash(strided), parameter_hash(two_tensors()));
}

TEST(ParameterHash, SeesEveryChange) {
  const std::string whole = parameter_hash(two_tensors());
  std::vector<nn::StateDict> others(6, two_tensors());
  others[0]["a.weight"] = f64({0, 1, 2, 3, 4, std::nextafter(5.0, 6.0)}, {2, 3});
  others[1]["a.weight"] = f64({0, 1, 2, 3, 4, 5}, {3, 2});
  others[2]["a.bias"] = from_values({1, -2}, {.dtype = DType::f64});
  others[3]["b.weight"] = others[3].extract("a.weight").mapped();
  others[4].erase("a.bias");
  others[5]["a.weight"] = f64({-0.0, 1, 2, 3, 4, 5}, {2, 3});  // equal, but not the same bits
  for (size_t i = 0; i < others.size(); ++i) EXPECT_NE(parameter_hash(others[i]), whole) << i;
}

TEST(ParameterHash, WantsAscendingNames) {
  ParameterHash hash;
  hash.add("b", from_values({1}));
  EXPECT_ERROR(hash.add("a", from_values({1})), StateError,
               "parameter hash: \"a\" comes after \"b\"; add tensors in the order of their names");
  EXPECT_THROW(hash.add("b", from_values({1})), StateError);
}

}  // namespace
}  // namespace tessera::beit3
