#pragma once

#include <span>

#include "tensor/base/backend_types.h"

namespace tessera {

/// Dense products of f32 or f64 by our own kernels (isa/gemm.h).
///
/// A row of the result depends on its row of A, on B and on the length of the sum alone: not on its
/// neighbours, the tile it falls into, the number of threads or the instruction set. So a packed
/// batch equals its sequences one by one, and a micro-batch the whole, to the bit.
///
/// An element is the sum of parts of `kGemmDepth` terms each. A part is one chain of fused
/// multiply-adds, ascending from zero; parts are added in order, the bias and what c held with the
/// first.
///
/// `sums` are made where `sums_as_it_packs`, in the same order; others are left to the caller.
void packed_products(std::span<const Product> products);
bool sums_as_it_packs(const Product& product);

/// The same, f32 alone, by way of 1, 2 or 3 bf16 parts (isa/split_gemm.h), on AMX where it works
/// and in vectors elsewhere: the same bits. `sums` are left to the caller.
void split_products(std::span<const Product> products, int parts);

/// Terms of a part. At tiles of 16 columns a panel of B and one of A fill most of a first-level
/// cache of 32 KB.
inline constexpr int64_t kGemmDepth = 256;

}  // namespace tessera
