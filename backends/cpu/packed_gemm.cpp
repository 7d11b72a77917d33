#include "backends/cpu/packed_gemm.h"

#include <algorithm>
#include <vector>

#include "backends/cpu/amx.h"
#include "backends/cpu/cpu_features.h"
#include "backends/cpu/gemm_blocks.h"
#include "backends/cpu/isa/split_gemm.h"
#include "backends/cpu/scratch.h"
#include "tensor/base/parallel.h"

/// Two parallel regions a round: B is packed by all threads, then blocks of rows are multiplied. A
/// round takes as many terms of the sums as keep what is packed near 16 MB; one is the rule.
///
/// Where B serves few rows, a block packs what it needs, kGemmDepth terms at a time. That stays in
/// the second-level cache, where B packed beforehand would be written to memory and read again by
/// every block. So does a block that has to pack A too (the gradient of a weight: both sides lie
/// across the sums, which are long) on processors whose second-level cache holds both.
namespace tessera {
namespace {

constexpr int64_t kPackedElements = 4 << 20;  // of all products of a round
constexpr int64_t kCachedElements = 1 << 18;  // packed, they stay in the second-level cache
constexpr int64_t kFewRows = 512;             // b is not packed often either
constexpr int64_t kFewRowsAcross = 1024;
constexpr int64_t kBothPacked = 7 << 18;   // bytes: 256 x 256 of a, 256 x 768 of b and as much of c
constexpr int64_t kSerialPack = 1 << 14;   // fewer elements are not worth a region
constexpr int64_t kSerialTerms = 1 << 18;  // some 5 us of multiply-adds are not either

const GemmKernels& gemm_kernels() { return TESSERA_OF_ACTIVE_ISA(gemm_kernels); }
const GemmHalf<float>& split_kernels(int parts) {
  const SplitKernels& kernels = TESSERA_OF_ACTIVE_ISA(split_kernels);
  const size_t i = static_cast<size_t>(parts - 1);
  return amx_works() ? kernels.amx[i] : kernels.twin[i];
}

/// The matrix's lines (rows of A, columns of B) as the kernels pack them. The step of an axis of
/// size 1 means nothing: it becomes 1 where that makes lines contiguous.
template <class T>
GemmSource<T> source_of(const ConstView& m, int line_axis) {
  const int k_axis = 1 - line_axis;
  const int64_t k_step = m.shape[k_axis] == 1 ? 1 : m.strides[k_axis];
  const int64_t line_step = m.shape[line_axis] == 1 ? 1 : m.strides[line_axis];
  return {m.as<T>(), line_step, k_step};
}

/// One product in the current round.
template <class T>
struct Work {
  const Product* product;
  bool packs_a, packs_b;  // a block at a time; if B is, all terms in the first round
  GemmSource<T> a, b;
  int64_t rows, cols, depth;    // of the whole product
  int64_t padded_cols;          // of B packed beforehand, in whole panels
  int64_t begin = 0, end = 0;   // terms of this round
  std::byte* packed = nullptr;  // panels of B, one part of kGemmDepth after the other
  const T* bias = nullptr;
  std::vector<T> strided_bias = {};  // a copy, if it does not lie side by side
};

bool lies_across(const Product& p) { return p.a.shape[1] != 1 && p.a.strides[1] != 1; }

/// Does a block pack what it needs of b?
bool packs_b_by_block(const Product& p) {
  const int64_t rows = p.c.shape[0];
  if (!lies_across(p)) return rows <= kFewRows;
  if (cpu_features().l2_bytes < kBothPacked) return false;
  return rows <= kFewRowsAcross || p.b.numel() > kCachedElements;
}

struct PackTask {
  int64_t work, k, col, cols;
};

template <class T>
class Run {
 public:
  Run(const GemmHalf<T>& kernels, std::span<const Product> products) : kernels_(kernels) {
    work_.reserve(products.size());
    for (const Product& p : products) {
      if (p.c.numel() > 0) add(p);
    }
    if (work_.empty()) return;
    std::vector<GemmExtent> extents;
    int64_t padded = 0, longest = 0;
    for (const Work<T>& w : work_) {
      extents.push_back({w.rows, w.cols, w.packs_a, w.packs_b});
      padded += w.padded_cols;
      if (!w.packs_b) longest = std::max(longest, w.depth);
    }
    blocks_ = cut_blocks(extents, kernels_.tile_rows, kernels_.tile_cols);
    // A round's share of the memory is the same for every product.
    const int64_t depth =
        std::max(kPackedElements / std::max<int64_t>(padded, 1) / kGemmDepth, int64_t{1}) *
        kGemmDepth;
    int64_t begin = 0;
    do {  // once for sums of no terms too
      round(begin, depth);
      begin += depth;
    } while (begin < longest);
  }

 private:
  void add(const Product& p) {
    const bool in_place = kernels_.reads_in_place;
    const bool packs_b = in_place && packs_b_by_block(p);
    const int64_t cols = p.c.shape[1];
    work_.push_back({.product = &p,
                     .packs_a = !in_place || lies_across(p),
                     .packs_b = packs_b,
                     .a = source_of<T>(p.a, 0),
                     .b = source_of<T>(p.b, 1),
                     .rows = p.c.shape[0],
                     .cols = cols,
                     .depth = p.a.shape[1],
                     .padded_cols = packs_b ? 0 : round_up(cols, kernels_.tile_cols)});
    lay_bias(work_.back());
  }

  static void lay_bias(Work<T>& w) {
    const ConstView& bias = w.product->bias;
    if (!bias) return;
    w.bias = bias.as<T>();
    const int64_t count = bias.shape[0];
    if (count == 1 || bias.strides[0] == 1) return;
    for (int64_t j = 0; j < count; ++j) w.strided_bias.push_back(w.bias[j * bias.strides[0]]);
    w.bias = w.strided_bias.data();
  }

  void round(int64_t begin, int64_t depth) {
    int64_t elements = 0, terms = 0;
    for (Work<T>& w : work_) {
      w.begin = std::min(begin, w.depth);
      w.end = std::min(begin + depth, w.depth);
      if (w.packs_b) {
        w.begin = begin == 0 ? 0 : w.depth;
        w.end = w.depth;
      }
      elements += padded_depth(w.end - w.begin) * w.padded_cols;
      terms += (w.end - w.begin) * w.rows * w.cols;
    }
    const Scratch packed(static_cast<size_t>(elements * kernels_.packed_bytes));
    std::byte* at = packed.as<std::byte>();
    tasks_.clear();
    for (size_t i = 0; i < work_.size(); ++i) {
      Work<T>& w = work_[i];
      if (w.packs_b) continue;
      w.packed = at;
      at += padded_depth(w.end - w.begin) * w.padded_cols * kernels_.packed_bytes;
      constexpr int64_t kCols = 128;  // 128 x 256 elements take some 20 us
      for (int64_t k = w.begin; k < w.end; k += kGemmDepth) {
        for (int64_t col = 0; col < w.cols; col += kCols) {
          tasks_.push_back({static_cast<int64_t>(i), k, col, std::min(kCols, w.cols - col)});
        }
      }
    }
    const auto pack = [&](int64_t i) { pack_b(tasks_[static_cast<size_t>(i)]); };
    const int64_t count = static_cast<int64_t>(tasks_.size());
    if (elements < kSerialPack) {
      for (int64_t i = 0; i < count; ++i) pack(i);
    } else {
      parallel_for(count, pack);
    }
    const auto part = [&](int64_t i) { multiply(blocks_[static_cast<size_t>(i)]); };
    const int64_t blocks = static_cast<int64_t>(blocks_.size());
    if (terms < kSerialTerms) {
      parallel_for(1, [&](int64_t) {
        for (int64_t i = 0; i < blocks; ++i) part(i);
      });
    } else {
      parallel_for(blocks, part);
    }
  }

  static int64_t depth_at(const Work<T>& w, int64_t k) { return std::min(kGemmDepth, w.end - k); }
  int64_t padded_depth(int64_t depth) const { return round_up(depth, kernels_.depth_step); }
  Scratch panels_for(int64_t lines) const {
    return Scratch(static_cast<size_t>(lines * kGemmDepth * kernels_.packed_bytes));
  }
  std::byte* panels(const Work<T>& w, int64_t k, int64_t col) const {
    const int64_t before = (k - w.begin) * w.padded_cols + col * padded_depth(depth_at(w, k));
    return w.packed + before * kernels_.packed_bytes;
  }

  void pack_b(const PackTask& t) const {
    const Work<T>& w = work_[static_cast<size_t>(t.work)];
    kernels_.pack_b(part_of(w.b, t.col, t.k), t.cols, depth_at(w, t.k), panels(w, t.k, t.col));
  }

  /// The terms of some lines from `line` and `k` on.
  static GemmSource<T> part_of(GemmSource<T> m, int64_t line, int64_t k) {
    m.from += line * m.line_step + k * m.k_step;
    return m;
  }

  /// All terms of this round, added up in the block of c.
  void multiply(const GemmRange& block) const {
    const Work<T>& w = work_[static_cast<size_t>(block.product)];
    if (w.begin == w.end && w.begin > 0) return;  // done in earlier rounds
    const Product& p = *w.product;
    const int64_t c_row = p.c.shape[0] == 1 ? p.c.shape[1] : p.c.strides[0];
    const Scratch a_panels = panels_for(w.packs_a ? round_up(block.rows, kernels_.tile_rows) : 0);
    const Scratch b_panels = panels_for(w.packs_b ? round_up(block.cols, kernels_.tile_cols) : 0);
    T* const sums = kernels_.sum_a && block.col == 0 && sums_as_it_packs(p)
                        ? p.sums.template as<T>() + block.row
                        : nullptr;
    int64_t k = w.begin;
    do {
      const GemmSource<T> a = part_of(w.a, block.row, k), b = part_of(w.b, block.col, k);
      GemmBlock<T> part{.rows = block.rows,
                        .cols = block.cols,
                        .depth = depth_at(w, k),
                        .a = a.from,
                        .a_row = a.line_step,
                        .b = w.packs_b ? b_panels.data() : panels(w, k, block.col),
                        .c = p.c.as<T>() + block.row * c_row + block.col,
                        .c_row = c_row,
                        .bias = w.bias && k == 0 ? w.bias + block.col : nullptr,
                        .accumulate = p.accumulate || k > 0};
      if (w.packs_a) {
        kernels_.pack_a(a, block.rows, part.depth, a_panels.data());
        part.packed_a = a_panels.data();
      }
      if (sums != nullptr) {
        kernels_.sum_a(a_panels.data(), block.rows, part.depth, sums, p.accumulate_sums || k > 0);
      }
      if (w.packs_b) kernels_.pack_b(b, block.cols, part.depth, b_panels.data());
      kernels_.multiply(part);
      k += kGemmDepth;
    } while (k < w.end);
  }

  const GemmHalf<T>& kernels_;
  std::vector<Work<T>> work_;
  std::vector<GemmRange> blocks_;
  std::vector<PackTask> tasks_;
};

}  // namespace

bool sums_as_it_packs(const Product& p) {
  return p.sums && lies_across(p) && (p.sums.strides[0] == 1 || p.sums.shape[0] == 1);
}

void packed_products(std::span<const Product> products) {
  if (products.empty()) return;
  if (products[0].c.dtype == DType::f64) {
    Run<double>(gemm_kernels().f64, products);
  } else {
    Run<float>(gemm_kernels().f32, products);
  }
}

void split_products(std::span<const Product> products, int parts) {
  if (products.empty()) return;
  Run<float>(split_kernels(parts), products);
}

}  // namespace tessera
