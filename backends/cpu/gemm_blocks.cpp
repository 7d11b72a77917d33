#include "backends/cpu/gemm_blocks.h"

#include <algorithm>

#include "tensor/base/parallel.h"

namespace tessera {
namespace {

constexpr int64_t kRows = 144;  // 144 x 256 of A lie in the second-level cache
constexpr int64_t kCols = 768;  // 144 x 768 of C too, where it has 1 MB
// Of blocks that pack B. 256 x 256 of A, 256 x 768 of B and as much of C are 1.8 MB. Narrower ones
// would pack A more often; where A is read as it lies, they leave more of it in the cache.
constexpr int64_t kPackingRows = 256;
constexpr int64_t kPackingCols = 768;
constexpr int64_t kInPlaceCols = 256;
constexpr int64_t kLeastCols = 64;  // narrower pieces read A too often
constexpr int64_t kMostPieces = 16;

struct Size {
  int64_t rows, cols;
};

int64_t pieces_of(int64_t n, int64_t piece) { return (n + piece - 1) / piece; }

int64_t rows_of_block(const GemmExtent& p, int64_t tile_rows) {
  const int64_t most = std::max(kRows / tile_rows, int64_t{1}) * tile_rows;
  return round_up(pieces_of(p.rows, pieces_of(p.rows, most)), tile_rows);
}
/// Pieces of the columns of one block of rows.
int64_t col_pieces(const GemmExtent& p, int64_t wanted) {
  return std::max(pieces_of(p.cols, kCols), std::min(wanted, pieces_of(p.cols, kLeastCols)));
}

/// In how many pieces columns are cut so that hardly a thread is without a block in the end.
int64_t balanced_pieces(std::span<const GemmExtent> products, int64_t tile_rows) {
  const int64_t threads = thread_count();
  int64_t best = 1;
  double least = 1e9;
  for (int64_t wanted = 1; wanted <= kMostPieces && least > 1.03; ++wanted) {
    int64_t blocks = 0;
    for (const GemmExtent& p : products) {
      if (!p.packs_b)
        blocks += pieces_of(p.rows, rows_of_block(p, tile_rows)) * col_pieces(p, wanted);
    }
    if (blocks == 0) break;
    const double turns = static_cast<double>(pieces_of(blocks, threads) * threads);
    const double stretch = turns / static_cast<double>(blocks);
    if (stretch < least) {
      least = stretch;
      best = wanted;
    }
  }
  return best;
}

/// Of a block that packs B: no thread without one in the end, and little packed twice.
Size size_that_packs(const GemmExtent& p, int64_t tile_rows, int64_t tile_cols) {
  constexpr double kPacking = 8;  // an element packed costs as much as so many multiply-adds
  const int64_t threads = thread_count();
  const int64_t least_rows = pieces_of(p.rows, kPackingRows),
                least_cols = pieces_of(p.cols, p.packs_a ? kPackingCols : kInPlaceCols);
  // More pieces than threads beyond the least help no balance, and none is smaller than a tile.
  const int64_t more = std::min(threads - 1, kMostPieces);
  const int64_t most_rows = std::min(least_rows + more, pieces_of(p.rows, tile_rows));
  const int64_t most_cols = std::min(least_cols + more, pieces_of(p.cols, tile_cols));
  Size best{};
  double least = 0;
  for (int64_t r = least_rows; r <= most_rows; ++r) {
    for (int64_t c = least_cols; c <= most_cols; ++c) {
      const Size size{round_up(pieces_of(p.rows, r), tile_rows),
                      round_up(pieces_of(p.cols, c), tile_cols)};
      const int64_t blocks = pieces_of(p.rows, size.rows) * pieces_of(p.cols, size.cols);
      const double cost =  // of the thread that has most to do
          static_cast<double>(pieces_of(blocks, threads) * size.rows * size.cols) *
          (1 + kPacking / static_cast<double>(size.rows) +
           (p.packs_a ? kPacking / static_cast<double>(size.cols) : 0));
      if (best.rows == 0 || cost < least) {
        best = size;
        least = cost;
      }
    }
  }
  return best;
}

}  // namespace

std::vector<GemmRange> cut_blocks(std::span<const GemmExtent> products, int64_t tile_rows,
                                  int64_t tile_cols) {
  std::vector<GemmRange> blocks;
  const int64_t wanted = balanced_pieces(products, tile_rows);
  for (const bool packs_b : {true, false}) {  // large blocks first: small ones fill the gaps
    for (size_t i = 0; i < products.size(); ++i) {
      const GemmExtent& p = products[i];
      if (p.packs_b != packs_b) continue;
      const Size size = packs_b
                            ? size_that_packs(p, tile_rows, tile_cols)
                            : Size{rows_of_block(p, tile_rows),
                                   round_up(pieces_of(p.cols, col_pieces(p, wanted)), tile_cols)};
      for (int64_t row = 0; row < p.rows; row += size.rows) {
        for (int64_t col = 0; col < p.cols; col += size.cols) {
          blocks.push_back({static_cast<int64_t>(i), row, std::min(size.rows, p.rows - row), col,
                            std::min(size.cols, p.cols - col)});
        }
      }
    }
  }
  return blocks;
}

}  // namespace tessera
