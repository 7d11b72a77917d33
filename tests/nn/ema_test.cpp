#include "nn/optim/ema.h"

#include <gtest/gtest.h>

#include "tensor/ops/ops.h"
#include "tests/testing/errors.h"

namespace {

using namespace tessera;
using namespace tessera::nn;

struct Counted : Module {
  Tensor weight = parameter(full({2}, 1));
  Tensor count = zeros({}, {.dtype = DType::i64});
  void fields(FieldVisitor& v) override {
    v("weight", weight);
    v.buffer("count", count);
  }
};

TEST(Ema, AveragesParametersAndCopiesIntegers) {
  Counted module;
  Ema ema(module, 0.75);
  fill_(module.weight, 5);
  fill_(module.count, 3);
  ema.update(module);
  EXPECT_EQ(ema.state().at("weight").to_vector<double>(), (std::vector<double>{2, 2}));
  EXPECT_EQ(ema.state().at("count").item<int64_t>(), 3);
  ema.update(module);
  EXPECT_EQ(ema.state().at("weight").to_vector<double>()[0], 2.75);
  EXPECT_EQ(module.weight.to_vector<double>()[0], 5);

  Counted other;
  ema.copy_to(other);
  EXPECT_EQ(other.weight.to_vector<double>()[0], 2.75);
  Ema again(module, 0.75);
  again.load(ema.state());
  EXPECT_EQ(again.state().at("weight").to_vector<double>()[1], 2.75);
}

TEST(Ema, RefusesOtherNamesAndDecays) {
  struct Other : Module {
    Tensor a = parameter(zeros({1})), b = parameter(zeros({1}));
    void fields(FieldVisitor& v) override {
      v("a", a);
      v("b", b);
    }
  };
  Ema ema(Counted(), 0.5);
  EXPECT_ERROR(ema.update(Other()), StateError, "ema: \"a\" is not part of the average");
  EXPECT_ERROR(Ema(Counted(), 1), ValueError, "ema: decay is 1, but must be in [0, 1)");
}

}  // namespace
