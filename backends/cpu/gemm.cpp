#include "backends/cpu/gemm.h"

#include <atomic>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/openblas_core.h"
#include "backends/cpu/openblas_gemm.h"
#include "backends/cpu/packed_gemm.h"
#include "tensor/base/error.h"

namespace tessera {
namespace {

std::atomic<Gemm> chosen{Gemm::automatic};

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
  Gemm gemm = Gemm::automatic;
  if (name == "openblas") {
    gemm = Gemm::openblas;
  } else if (name == "packed") {
    gemm = Gemm::packed;
  } else {
    check<ValueError>(name == "auto", "set_gemm: \"{}\"; expected auto, openblas or packed", name);
  }
  chosen.store(gemm, std::memory_order_relaxed);
}

Gemm active_gemm() {
  const Gemm gemm = chosen.load(std::memory_order_relaxed);
  if (gemm != Gemm::automatic) return gemm;
  // What the processor has, not what `set_isa` asks for: the bits shall not depend on that. Without
  // a fused multiply-add in hardware the portable kernels are of use for comparison only.
  return best_isa() == Isa::portable ? Gemm::openblas : Gemm::packed;
}

std::string gemm_description() {
  if (active_gemm() == Gemm::openblas) return "OpenBLAS, " + openblas_description();
  return "packed, " + std::string(to_string(active_isa())) + " kernels";
}

void CpuBackend::products(std::span<const Product> products) {
  for (const Product& p : products) {
    check_matrix(p.a);
    check_matrix(p.b);
  }
  active_gemm() == Gemm::openblas ? openblas_products(products) : packed_products(products);
}

}  // namespace tessera
