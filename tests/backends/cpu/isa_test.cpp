#include <cstdio>
#include <cstring>
#include <functional>

#include <gtest/gtest.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/registry.h"
#include "tensor/base/parallel.h"
#include "tests/backends/cpu/host_array.h"

/// The families give the same bits on every instruction set of this machine and with any number of
/// threads.
namespace tessera {
namespace {

std::vector<Isa> isas_here() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa <= best_isa()) isas.push_back(isa);
  }
  return isas;
}

/// A NaN's sign and payload are nobody's business; everything else is compared bit by bit.
std::vector<double> values_of(HostArray& y) {
  std::vector<double> values;
  for (int64_t i = 0; i < y.numel(); ++i) {
    const double v = y.get(i);
    values.push_back(std::isnan(v) ? 12345.678 : v);
  }
  return values;
}

/// `f` fills a result anew; every setting must give the first one's bits.
void expect_same_bits(const char* what, const std::function<HostArray()>& f) {
  const Isa isa = active_isa();
  const int threads = thread_count();
  std::vector<double> first;
  for (Isa set : isas_here()) {
    for (int count : {1, 2, 3, 4}) {
      set_isa(set);
      set_thread_count(count);
      HostArray result = f();
      std::vector<double> values = values_of(result);
      if (first.empty()) first = values;
      EXPECT_EQ(std::memcmp(first.data(), values.data(), values.size() * sizeof(double)), 0)
          << what << " on " << to_string(set) << " with " << count << " threads";
    }
  }
  set_isa(isa);
  set_thread_count(threads);
}

const Shape kShape{131, 517};

HostArray input(uint64_t key, DType dtype = DType::f32) {
  HostArray x(dtype, kShape);
  x.random(key, -5, 5);
  if (is_floating(dtype)) {
    x.set(100, std::nan(""));
    x.set(200, HUGE_VAL);
    x.set(300, -HUGE_VAL);
    x.set(400, 0);
  }
  return x;
}

TEST(SameBits, WhatThisMachineRuns) {
  RecordProperty("instruction_sets", std::string(to_string(best_isa())));
  std::string text;
  for (Isa isa : isas_here()) text += std::string(to_string(isa)) + " ";
  printf("[ compared ] %s(of portable avx2 avx512)\n", text.c_str());
}

TEST(SameBits, Unary) {
  for (DType dtype : {DType::f32, DType::bf16}) {
    const HostArray x = input(1, dtype);
    for (int index = 0; index < UnaryFunctors::size; ++index) {
      expect_same_bits(("unary " + std::to_string(index)).c_str(), [&] {
        HostArray y(dtype, kShape), from = x;
        cpu_backend().unary({index, 1.5, 2.5}, from.in(), y.view());
        return y;
      });
    }
  }
}

TEST(SameBits, Binary) {
  HostArray a = input(1), b = input(2);
  for (int index = 0; index < BinaryFunctors::size; ++index) {
    expect_same_bits("binary", [&] {
      HostArray y(DType::f32, kShape);
      cpu_backend().binary({index}, a.in(), b.in(), y.view());
      return y;
    });
  }
}

TEST(SameBits, Copies) {
  HostArray x = input(1);
  for (DType dtype : {DType::f32, DType::bf16}) {
    for (Layout layout : kOutputLayouts) {
      expect_same_bits("copy", [&] {
        HostArray y(dtype, kShape, layout);
        cpu_backend().copy(x.in(), y.view());
        return y;
      });
    }
  }
}

TEST(SameBits, Reductions) {
  for (DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    HostArray x(dtype, {131, 1030});
    x.random(4);
    for (const Shape& reduced : {Shape{1, 1030}, Shape{131, 1}, Shape{1, 1}}) {
      for (ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min}) {
        expect_same_bits("reduce", [&] {
          HostArray y(dtype, reduced);
          cpu_backend().reduce(op, x.in(), y.view());
          return y;
        });
      }
    }
    expect_same_bits("argmax", [&] {
      HostArray y(DType::i64, {131, 1});
      cpu_backend().argmax(x.in(), 1, y.view());
      return y;
    });
  }
}

TEST(SameBits, IndexAdd) {
  HostArray x = input(1), index(DType::i64, {131});
  index.random(2, 0, 90);
  expect_same_bits("index_add", [&] {
    HostArray y(DType::f32, {90, 517});
    y.fill([](int64_t) { return 0.1; });
    cpu_backend().index_add(x.in(), index.in(), 0, y.view());
    return y;
  });
}

TEST(SameBits, Random) {
  HostArray x = input(1);
  for (DType dtype : {DType::f32, DType::f64}) {
    expect_same_bits("uniform", [&] {
      HostArray y(dtype, kShape);
      cpu_backend().uniform({9}, y.view());
      return y;
    });
    expect_same_bits("normal", [&] {
      HostArray y(dtype, kShape);
      cpu_backend().normal({9}, y.view());
      return y;
    });
  }
  expect_same_bits("dropout", [&] {
    HostArray y(DType::f32, kShape);
    cpu_backend().dropout({9}, 0.3, x.in(), y.view());
    return y;
  });
}

TEST(SameBits, Updates) {
  for (DType dtype : {DType::f32, DType::f64}) {
    HostArray g(dtype, kShape), start(dtype, kShape);
    g.random(1);
    start.random(2);
    expect_same_bits("adamw", [&] {
      HostArray p = start, m(dtype, kShape), v(dtype, kShape), average = start;
      m.fill([](int64_t) { return 0.01; });
      v.fill([](int64_t) { return 0.02; });
      const AdamWTensor t{.param = p.view(),
                          .grad = g.in(),
                          .m = m.view(),
                          .v = v.view(),
                          .average = average.view(),
                          .lr = 1e-3,
                          .weight_decay = 0.05};
      cpu_backend().adamw({&t, 1}, {.step = 3, .average_decay = 0.9, .grad_scale = {}});
      return p;
    });
    expect_same_bits("global_norm", [&] {
      HostArray y(dtype, {});
      const ConstView views[] = {g.in(), start.in()};
      cpu_backend().global_norm(views, y.view());
      return y;
    });
  }
}

TEST(InstructionSet, IsChosenByName) {
  const std::string before = active_instruction_set();
  set_instruction_set("portable");
  EXPECT_EQ(active_instruction_set(), "portable");
  EXPECT_NE(cpu_description().find("kernels use portable"), std::string::npos);
  try {
    set_instruction_set("sse9");
    FAIL() << "no exception";
  } catch (const ValueError& e) {
    EXPECT_NE(std::string(e.what()).find("'sse9' is no instruction set; this machine has portable"),
              std::string::npos)
        << e.what();
  }
  if (best_isa() < Isa::avx512) {
    EXPECT_THROW(set_isa(Isa::avx512), ValueError);
  }
  set_instruction_set(before);
}

}  // namespace
}  // namespace tessera
