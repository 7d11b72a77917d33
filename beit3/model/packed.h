#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tensor/ops/attention.h"
#include "tensor/ops/row_groups.h"

namespace tessera::beit3 {

/// Which rows of a pass use the same parameters.
enum class Routing {
  shared,    ///< all rows
  modality,  ///< rows of images | rows of texts, of pairs or not
  sequence,  ///< images alone | pairs, both their parts | texts alone
};

/// Every routing of a pass, as cuts of its rows into consecutive ranges.
class Routes {
 public:
  Routes() = default;
  /// A range without rows is absent: nothing of that kind is in the batch.
  Routes(RowGroups shared, RowGroups modality, RowGroups sequence);

  const RowGroups& operator[](Routing routing) const {
    return groups_[static_cast<size_t>(routing)];
  }
  /// The routes of the chosen rows (ascending) alone. None becomes absent by that.
  Routes of(const std::vector<int64_t>& rows) const;

 private:
  std::array<RowGroups, 3> groups_{RowGroups{{0}}, RowGroups{{0, 0}}, RowGroups{{0, 0, 0}}};
};

/// The shape of one packed pass: which row of the matrix belongs to whom.
///
/// Rows stand in the order *image | pair-image | pair-text | text*, nothing is padded, so that
/// every routing is a cut into ranges. The two ranges of a pair meet in attention.
class PackedLayout {
 public:
  PackedLayout() = default;
  /// images        images alone
  /// pair_lengths  ids of each pair's text; a pair has an image too
  /// text_lengths  ids of each text alone
  /// image_rows    rows of one image, CLS included
  /// padding       for each text (of pairs, then alone) how many of its ids, at its end, are
  /// padding
  ///               as the reference has it: their rows see the others and are not seen, and start
  ///               as zeros. Empty: none. For comparisons only.
  PackedLayout(int64_t images, std::vector<int64_t> pair_lengths, std::vector<int64_t> text_lengths,
               int64_t image_rows, const std::vector<int64_t>& padding = {});

  int64_t rows() const { return routes_[Routing::shared].rows(); }
  /// Images in all: alone, then of pairs.
  int64_t image_count() const { return images_ + pair_count(); }
  int64_t images() const { return images_; }
  int64_t pair_count() const { return static_cast<int64_t>(pair_lengths_.size()); }
  int64_t text_count() const { return static_cast<int64_t>(text_lengths_.size()); }
  int64_t vision_rows() const { return routes_[Routing::modality].end(0); }
  int64_t text_rows() const { return rows() - vision_rows(); }
  int64_t image_rows() const { return image_rows_; }

  /// First row of image i (images alone come first, then those of pairs).
  int64_t image_begin(int64_t i) const { return i * image_rows_; }
  /// First row of text i (pairs' texts come first, then texts alone).
  int64_t text_begin(int64_t i) const { return text_begin_[static_cast<size_t>(i)]; }
  int64_t text_length(int64_t i) const {
    return i < pair_count() ? pair_lengths_[static_cast<size_t>(i)]
                            : text_lengths_[static_cast<size_t>(i - pair_count())];
  }

  const Routes& routes() const { return routes_; }
  const Segments& segments() const { return segments_; }
  /// For each text row its place in its text: 0, 1, …
  const std::vector<int64_t>& text_places() const { return text_places_; }
  /// 1 for each text row, 0 where it is padding; empty if there is none.
  const std::vector<float>& text_factor() const { return text_factor_; }
  /// For each row a number of its sequence (images alone, pairs, texts), for drop path.
  const std::vector<int64_t>& sequence_of_row() const { return sequence_of_row_; }

 private:
  int64_t images_ = 0, image_rows_ = 1;
  std::vector<int64_t> pair_lengths_, text_lengths_, text_begin_, text_places_, sequence_of_row_;
  std::vector<float> text_factor_;
  Routes routes_;
  Segments segments_;
};

}  // namespace tessera::beit3
