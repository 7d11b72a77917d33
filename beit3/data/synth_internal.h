#pragma once

#include "beit3/data/synth.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// Half of the height and width of a shape's bounding box, and the radius of its circumscribed
/// circle about the centre of that box; as multiples of its radius.
struct Extent {
  double half_height, half_width, circumscribed;
};
Extent extent_of(Shape shape);

/// Paints the background and the objects and fills in masks, areas and boxes.
void draw_scene(Scene& scene, const SceneOptions& options, RandomKey key);

/// Fills in `words` and `caption`. A pair whose larger object comes first is turned around before
/// it is told, with the chance `smaller_first`, where the caption tells no sizes.
void write_caption(Scene& scene, double smaller_first, RandomKey key);

/// Fills in `questions`.
void ask_questions(Scene& scene, int64_t count, RandomKey key);

/// The relation of b to a, where that of a to b is given.
Relation opposite(Relation relation);

std::string plural(Shape shape);
std::string number_word(int64_t n);  // one ... four

}  // namespace tessera::beit3
