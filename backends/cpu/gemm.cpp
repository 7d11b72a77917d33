#include "backends/cpu/gemm.h"

#include <atomic>
#include <utility>

#include "backends/cpu/amx.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/openblas_core.h"
#include "backends/cpu/openblas_gemm.h"
#include "backends/cpu/packed_gemm.h"
#include "tensor/base/error.h"

namespace tessera {
namespace {

std::atomic<Gemm> chosen{Gemm::automatic};

struct Name {
  std::string_view name;
  Gemm gemm;
  int parts = 0;  // of numbers that are split
};
// In the order of Gemm.
constexpr Name kNames[] = {{"auto", Gemm::automatic},   {"openblas", Gemm::openblas},
                           {"packed", Gemm::packed},    {"bf16x6", Gemm::bf16x6, 3},
                           {"bf16x3", Gemm::bf16x3, 2}, {"bf16", Gemm::bf16, 1}};
const Name& active_name() { return kNames[static_cast<size_t>(active_gemm())]; }

/// One of the two strides is 1 and the other steps over that axis; those of an axis of size 1 mean
/// nothing.
void check_matrix(const ConstView& m) {
  const auto side_by_side = [&](int axis) {
    const int other = 1 - axis;
    return (m.strides[axis] == 1 || m.shape[axis] <= 1) &&
           (m.strides[other] >= m.shape[axis] || m.shape[other] <= 1);
  };
  check<InternalError>(side_by_side(0) || side_by_side(1),
                       "products: a matrix {} has strides {}; one of them must be 1", m.shape,
                       m.strides);
}

}  // namespace

void set_gemm(std::string_view name) {
  for (const Name& known : kNames) {
    if (name == known.name) return chosen.store(known.gemm, std::memory_order_relaxed);
  }
  fail<ValueError>(
      "dense products by \"{}\"; expected auto, openblas, packed, bf16x6, bf16x3 or bf16", name);
}

Gemm active_gemm() {
  const Gemm gemm = chosen.load(std::memory_order_relaxed);
  if (gemm != Gemm::automatic) return gemm;
  // What the processor has, not what `set_isa` asks for: the bits shall not depend on that. Without
  // a fused multiply-add in hardware the portable kernels are of use for comparison only.
  return best_isa() == Isa::portable ? Gemm::openblas : Gemm::packed;
}

std::string gemm_description() {
  const Name& active = active_name();
  if (active.gemm == Gemm::openblas) return "OpenBLAS, " + openblas_description();
  if (active.parts == 0) return "packed, " + std::string(to_string(active_isa())) + " kernels";
  if (amx_works()) return format("{}, AMX tiles", active.name);
  return format("{}, {} vectors in place of AMX ({}): slow, for comparison only", active.name,
                to_string(active_isa()), amx_trouble());
}

std::string amx_description() {
  if (amx_works()) return "works, for --gemm bf16x6, bf16x3 and bf16";
  return "not used: " + std::string(amx_trouble());
}

void CpuBackend::products(std::span<const Product> products) {
  for (const Product& p : products) {
    check_matrix(p.a);
    check_matrix(p.b);
  }
  if (products.empty()) return;
  const Name& active = active_name();
  const bool f64 = products[0].c.dtype == DType::f64;
  const bool packed = active.gemm == Gemm::packed || (active.parts > 0 && f64);
  if (packed) {
    packed_products(products);
  } else if (active.parts > 0) {
    split_products(products, active.parts);
  } else {
    openblas_products(products);
  }
  for (const Product& p : products) {
    if (!p.sums || (packed && sums_as_it_packs(p))) continue;
    ConstView columns = p.a;
    std::swap(columns.shape[0], columns.shape[1]);
    std::swap(columns.strides[0], columns.strides[1]);
    View sums = p.sums;
    sums.shape = {1, p.sums.shape[0]};
    sums.strides = {p.sums.strides[0], p.sums.strides[0]};
    reduce(ReduceOp::sum, columns, sums, p.accumulate_sums);
  }
}

}  // namespace tessera
