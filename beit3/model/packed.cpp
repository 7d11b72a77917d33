#include "beit3/model/packed.h"

#include <algorithm>

namespace tessera::beit3 {

PackedLayout::PackedLayout(int64_t images, std::vector<int64_t> pair_lengths,
                           std::vector<int64_t> text_lengths, int64_t image_rows,
                           const std::vector<int64_t>& padding)
    : images_(images),
      image_rows_(image_rows),
      pair_lengths_(std::move(pair_lengths)),
      text_lengths_(std::move(text_lengths)) {
  int64_t row = image_count() * image_rows_;
  const int64_t vision = row;
  for (int64_t i = 0; i < pair_count() + text_count(); ++i) {
    const int64_t length = text_length(i);
    check<ShapeError>(length >= 1, "packed layout: text {} is empty", i);
    text_begin_.push_back(row);
    for (int64_t j = 0; j < length; ++j) text_places_.push_back(j);
    row += length;
  }
  const int64_t pairs_end = text_count() > 0 ? text_begin(pair_count()) : row;
  routes_ = Routes({{row}}, {{vision, row}}, {{image_begin(images_), pairs_end, row}});
  auto padded = [&](int64_t i) { return padding.empty() ? 0 : padding[static_cast<size_t>(i)]; };
  if (!padding.empty()) {
    text_factor_.assign(static_cast<size_t>(row - vision), 1.0f);
    for (int64_t i = 0; i < pair_count() + text_count(); ++i) {
      const auto end = text_factor_.begin() + (text_begin(i) + text_length(i) - vision);
      std::fill(end - padded(i), end, 0.0f);
    }
  }

  std::vector<Segment> segments;
  sequence_of_row_.assign(static_cast<size_t>(row), 0);
  auto mark = [&](int64_t begin, int64_t end) {
    std::fill(sequence_of_row_.begin() + begin, sequence_of_row_.begin() + end,
              static_cast<int64_t>(segments.size()));
  };
  for (int64_t i = 0; i < image_count(); ++i) {
    Segment s{image_begin(i), image_begin(i) + image_rows_, 0, 0};
    mark(s.begin0, s.end0);
    if (i >= images_) {
      s.begin1 = text_begin(i - images_);
      s.end1 = s.begin1 + text_length(i - images_);
      s.unseen = padded(i - images_);
      mark(s.begin1, s.end1);
    }
    segments.push_back(s);
  }
  for (int64_t i = pair_count(); i < pair_count() + text_count(); ++i) {
    Segment s{text_begin(i), text_begin(i) + text_length(i), 0, 0};
    s.unseen = padded(i);
    mark(s.begin0, s.end0);
    segments.push_back(s);
  }
  segments_ = Segments(std::move(segments), row);
}

Routes::Routes(RowGroups shared, RowGroups modality, RowGroups sequence)
    : groups_{std::move(shared), std::move(modality), std::move(sequence)} {
  for (RowGroups& groups : groups_) {
    for (size_t k = 0; k < groups.size(); ++k) {
      if (groups.begin(k) == groups.end(k)) groups.absent |= uint64_t{1} << k;
    }
  }
}

Routes Routes::of(const std::vector<int64_t>& rows) const {
  Routes chosen;
  for (size_t i = 0; i < groups_.size(); ++i) {
    chosen.groups_[i].absent = groups_[i].absent;
    for (size_t k = 0; k < groups_[i].size(); ++k) {
      chosen.groups_[i].ends[k] =
          std::lower_bound(rows.begin(), rows.end(), groups_[i].end(k)) - rows.begin();
    }
  }
  return chosen;
}

}  // namespace tessera::beit3
