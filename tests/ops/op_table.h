#pragma once

#include "tests/testing/op_case.h"

/// The table of ops. Samples stand beside what else is tested of their op, one file an op;
/// rejected calls in rejected_*.cpp.
namespace tessera::testing {

std::vector<OpCase> attention_cases();
std::vector<OpCase> cast_cases();
std::vector<OpCase> cross_entropy_cases();
std::vector<OpCase> dropout_cases();
std::vector<OpCase> elementwise_cases();
std::vector<OpCase> gelu_layer_norm_cases();
std::vector<OpCase> index_cases();
std::vector<OpCase> layer_norm_cases();
std::vector<OpCase> matmul_cases();
std::vector<OpCase> reduce_cases();
std::vector<OpCase> shape_ops_cases();
std::vector<OpCase> softmax_cases();

std::vector<Rejection> rejected_elementwise();
std::vector<Rejection> rejected_shapes();
std::vector<Rejection> rejected_indices();
std::vector<Rejection> rejected_updates();
std::vector<Rejection> rejected_fused();

/// One record an op, sorted by name.
const std::vector<OpEntry>& op_table();

}  // namespace tessera::testing
