#pragma once

#include <string>

#include "tensor/tensor.h"

namespace tessera {

/// What was recorded behind `ys`, one op a line in recording order: its number, name, shape and
/// dtype, where its inputs come from, and how much it keeps. Example:
///
///     1  mul (2, 3) f32 <- leaf a (2, 3) f32, leaf b (3) f32; keeps 36 bytes
///     2  sum () f32 <- 1
///
/// Inputs whose derivative nobody wants are written "-".
std::string graph_text(std::span<const Tensor> ys);
inline std::string graph_text(const Tensor& y) { return graph_text(std::span(&y, 1)); }

/// The same for Graphviz: `dot -Tsvg`.
std::string graph_dot(std::span<const Tensor> ys);
inline std::string graph_dot(const Tensor& y) { return graph_dot(std::span(&y, 1)); }

}  // namespace tessera
