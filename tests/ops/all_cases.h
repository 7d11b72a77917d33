#pragma once

#include "tests/testing/op_case.h"

/// The tables of this folder, one a file.
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

}  // namespace tessera::testing
