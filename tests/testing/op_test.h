#pragma once

#include <gtest/gtest.h>

#include "tests/testing/op_case.h"

namespace tessera::testing {

/// The harness. Instantiate with a table: see tests/ops/.
class OpTest : public ::testing::TestWithParam<OpCase> {};

inline std::string case_name(const ::testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
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

}  // namespace tessera::testing
