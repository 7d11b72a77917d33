#pragma once

#include <gtest/gtest.h>

#include "tests/testing/variants.h"

namespace tessera::testing {

/// What is checked of every record of the table, one test an aspect and op; each loops over the
/// cases that it generates and names the one that fails. See op_test.cpp, op_derivatives_test.cpp
/// and op_memory_test.cpp.
class OpTest : public ::testing::TestWithParam<OpEntry> {};

/// One generated case.
struct GeneratedCase {
  const OpCase* sample;
  DType dtype;
  Variant variant;
  std::string name() const {
    return format("{} [{}; {}]", sample->full_name(), dtype, variant.name);
  }
};

/// Every sample in every dtype and layout: forward parity.
std::vector<GeneratedCase> forward_cases(const OpEntry& entry);
/// Every differentiable sample with elements in f64, in every layout: first derivatives.
std::vector<GeneratedCase> gradient_cases(const OpEntry& entry);
/// Those of one layout for all inputs: second and higher derivatives.
std::vector<GeneratedCase> higher_cases(const OpEntry& entry);

/// Are derivatives of the case taken in its dtype? f16 only stores.
inline bool derived(const GeneratedCase& g) {
  return g.sample->differentiable && is_floating(g.dtype) && g.dtype != DType::f16;
}

/// Leaves with the elements and strides of the defined floating tensors among `xs`; others as they
/// are.
Tensors leaves_of(const Tensors& xs);

/// Random weights for the projection of `ys`, undefined for outputs that have no derivative.
Tensors weights_of(const Tensors& ys, uint64_t seed);

/// Derivatives of order `order` of random projections of f's outputs by all floating inputs. All
/// but the last are recorded; the last is if `record_last`.
Tensors derivatives(const CaseFunction& f, const Tensors& inputs, int order,
                    bool record_last = false);

/// The tolerance of derivatives of case `c`: rounding of sums of `length` terms as large as the
/// largest element of `expected`, several deep.
double derivative_bound(DType dtype, const OpCase& c, const Tensor& expected);

/// Elements of `actual` within what `expected` says of their rounding, in the dtype of `actual`;
/// inputs were of `dtype`. Returns what is wrong; empty: nothing.
std::string difference(const Tensor& actual, const Grid& expected, DType dtype, const OpCase& c);

}  // namespace tessera::testing
