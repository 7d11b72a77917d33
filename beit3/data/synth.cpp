#include "beit3/data/synth.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "beit3/data/synth_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

// Sub-streams of the key of one scene.
constexpr uint64_t kContentStream = 0, kLayoutStream = 1, kPaintStream = 2, kCaptionStream = 3,
                   kQuestionStream = 4;

// A scene that has found no room after so many placements has options that do not fit.
constexpr int kMaxPlacements = 20'000;
// Radii are drawn anew after so many placements: two of the largest shapes fit only just.
constexpr int kPlacementsPerRadii = 50;

// "left of" is said only if the horizontal distance is this much larger than the vertical one.
constexpr double kDominance = 1.4;
constexpr double kGap = 1.0, kMargin = 0.5;  // between objects, and to the edge

void check_options(const SceneOptions& o, int64_t index) {
  check<ValueError>(index >= 0, "drawn world: scene {} was asked for; expected >= 0", index);
  check<ValueError>(o.side >= 16 && o.side <= 4096, "drawn world: side is {}; expected 16 to 4096",
                    o.side);
  check<ValueError>(o.small_min > 0 && o.small_min <= o.small_max && o.small_max <= o.large_min &&
                        o.large_min <= o.large_max && o.large_max <= 30,
                    "drawn world: radii are {} to {} and {} to {}; expected ascending, at most 30",
                    o.small_min, o.small_max, o.large_min, o.large_max);
  check<ValueError>(o.colour_jitter >= 0 && o.colour_jitter <= 64 && o.gradient >= 0 &&
                        o.gradient <= 255 && o.noise >= 0 && o.noise <= 64 && o.questions >= 0,
                    "drawn world: colour_jitter {}, gradient {}, noise {}, questions {}: one is "
                    "out of range (0 to 64, 255, 64; >= 0)",
                    o.colour_jitter, o.gradient, o.noise, o.questions);
  double sum = 0;
  for (const double share : o.shares) {
    check<ValueError>(share >= 0, "drawn world: a share of scene kinds is {}; expected >= 0",
                      share);
    sum += share;
  }
  check<ValueError>(sum > 0, "drawn world: the shares of scene kinds are all 0");
  check<ValueError>(o.smaller_first >= 0 && o.smaller_first <= 1,
                    "drawn world: smaller_first is {}; expected 0 to 1", o.smaller_first);
}

SceneKind draw_kind(const SceneOptions& options, RandomStream& random) {
  double sum = 0;
  for (const double share : options.shares) sum += share;
  double at = random.uniform() * sum;
  size_t last = 0;  // the last kind with a share, should rounding lead past the end
  for (size_t k = 0; k < options.shares.size(); ++k) {
    if (options.shares[k] == 0) continue;
    last = k;
    if (at < options.shares[k]) break;
    at -= options.shares[k];
  }
  return static_cast<SceneKind>(last);
}

template <class Name>
Name draw_one(RandomStream& random, int64_t count) {
  return static_cast<Name>(random.integer(count));
}

/// What is in the scene; positions come later. Three or more objects are small, so that they fit;
/// captions then keep silent about their size, which would give itself away.
void draw_content(Scene& scene, RandomStream& random) {
  scene.background = draw_one<Background>(random, kBackgrounds);
  const auto draw_object = [&] {
    SceneObject object;
    object.shape = draw_one<Shape>(random, kShapes);
    object.colour = draw_one<Colour>(random, kColours);
    object.size = draw_one<SizeClass>(random, 2);
    return object;
  };
  SceneObject first = draw_object();
  switch (scene.kind) {
    case SceneKind::single:
      scene.objects = {first};
      scene.first_group = 1;
      scene.place = random.chance(0.7) ? static_cast<Place>(1 + random.integer(3)) : Place::unclear;
      return;
    case SceneKind::same: {
      const int64_t count = 2 + random.integer(3);
      if (count > 2) first.size = SizeClass::small;
      scene.objects.assign(static_cast<size_t>(count), first);
      scene.first_group = count;
      return;
    }
    case SceneKind::pair:
    case SceneKind::groups: {
      SceneObject second = draw_object();
      while (second.shape == first.shape && second.colour == first.colour) second = draw_object();
      if (scene.kind == SceneKind::pair) {
        scene.objects = {first, second};
        scene.first_group = 1;
        scene.relation = draw_one<Relation>(random, 4);
        return;
      }
      constexpr int64_t kCounts[5][2] = {{1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 2}};
      const auto& counts = kCounts[random.integer(5)];
      if (counts[0] > 1) first.size = SizeClass::small;
      if (counts[1] > 1) second.size = SizeClass::small;
      scene.objects.assign(static_cast<size_t>(counts[0]), first);
      scene.objects.insert(scene.objects.end(), static_cast<size_t>(counts[1]), second);
      scene.first_group = counts[0];
      return;
    }
  }
}

bool apart(const SceneObject& a, const SceneObject& b, double gap) {
  const Extent ea = extent_of(a.shape), eb = extent_of(b.shape);
  const double dx = std::abs(a.x - b.x), dy = std::abs(a.y - b.y);
  // With a turn the bounding box of the upright shape says nothing: circles alone decide.
  const bool upright = a.angle == 0 && b.angle == 0;
  if (upright && (dx >= ea.half_width * a.radius + eb.half_width * b.radius + gap ||
                  dy >= ea.half_height * a.radius + eb.half_height * b.radius + gap)) {
    return true;
  }
  return std::hypot(dx, dy) >= ea.circumscribed * a.radius + eb.circumscribed * b.radius + gap;
}

bool relation_holds(Relation relation, const SceneObject& a, const SceneObject& b) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  switch (relation) {
    case Relation::left:
      return dx >= kDominance * std::abs(dy);
    case Relation::right:
      return -dx >= kDominance * std::abs(dy);
    case Relation::above:
      return dy >= kDominance * std::abs(dx);
    case Relation::below:
      return -dy >= kDominance * std::abs(dx);
  }
  return false;
}

bool place_holds(Place place, const SceneObject& object, double side) {
  const double x = object.x / side - 0.5, y = object.y / side - 0.5;
  switch (place) {
    case Place::top:
      return y <= -0.12;
    case Place::bottom:
      return y >= 0.12;
    case Place::middle:
      return std::abs(x) <= 0.07 && std::abs(y) <= 0.07;
    case Place::unclear:
      return true;
  }
  return false;
}

void draw_radii(Scene& scene, const SceneOptions& options, double unit, RandomStream& random) {
  for (SceneObject& object : scene.objects) {
    object.radius = unit * (object.size == SizeClass::small
                                ? random.uniform(options.small_min, options.small_max)
                                : random.uniform(options.large_min, options.large_max));
    object.angle =
        object.shape == Shape::circle || options.rotation == 0
            ? 0.0
            : random.uniform(-options.rotation, options.rotation) * (std::numbers::pi / 180);
  }
}

bool try_positions(Scene& scene, const SceneOptions& options, double unit, RandomStream& random) {
  const double side = static_cast<double>(options.side);
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    SceneObject& object = scene.objects[i];
    const Extent extent = extent_of(object.shape);
    const bool turned = object.angle != 0;
    const double half_width = turned ? extent.circumscribed : extent.half_width;
    const double half_height = turned ? extent.circumscribed : extent.half_height;
    const double mx = half_width * object.radius + kMargin * unit;
    const double my = half_height * object.radius + kMargin * unit;
    if (2 * mx > side || 2 * my > side) return false;
    object.x = random.uniform(mx, side - mx);
    object.y = random.uniform(my, side - my);
    for (size_t j = 0; j < i; ++j) {
      if (!apart(object, scene.objects[j], kGap * unit)) return false;
    }
  }
  if (scene.kind == SceneKind::pair) {
    return relation_holds(scene.relation, scene.objects[0], scene.objects[1]);
  }
  return scene.kind != SceneKind::single || place_holds(scene.place, scene.objects[0], side);
}

void lay_out(Scene& scene, const SceneOptions& options, RandomStream& random) {
  const double unit = static_cast<double>(options.side) / 64.0;
  for (int attempt = 0; attempt < kMaxPlacements; ++attempt) {
    if (attempt % kPlacementsPerRadii == 0) draw_radii(scene, options, unit, random);
    if (try_positions(scene, options, unit, random)) return;
  }
  fail<ValueError>(
      "drawn world: {} shapes with radii {} to {} find no room in a picture (lengths count for a "
      "side of 64); make the radii smaller",
      scene.objects.size(), options.small_min, options.large_max);
}

Scene compose(const SceneOptions& options, int64_t index) {
  check_options(options, index);
  const RandomKey key = RandomKey{options.seed}.fold(static_cast<uint64_t>(index));
  Scene scene;
  RandomStream content(key.fold(kContentStream));
  scene.kind = draw_kind(options, content);
  draw_content(scene, content);
  RandomStream layout(key.fold(kLayoutStream));
  lay_out(scene, options, layout);
  const double smaller_first = index < kFirstHeldOut ? options.smaller_first : 0;
  write_caption(scene, smaller_first, key.fold(kCaptionStream));
  scene.label = static_cast<int64_t>(scene.objects[0].colour) * kShapes +
                static_cast<int64_t>(scene.objects[0].shape);
  ask_questions(scene, options.questions, key.fold(kQuestionStream));
  return scene;
}

}  // namespace

Relation opposite(Relation relation) {
  switch (relation) {
    case Relation::left:
      return Relation::right;
    case Relation::right:
      return Relation::left;
    case Relation::above:
      return Relation::below;
    case Relation::below:
      return Relation::above;
  }
  return relation;
}

Scene describe_scene(const SceneOptions& options, int64_t index) { return compose(options, index); }

Scene make_scene(const SceneOptions& options, int64_t index) {
  Scene scene = compose(options, index);
  const RandomKey key = RandomKey{options.seed}.fold(static_cast<uint64_t>(index));
  draw_scene(scene, options, key.fold(kPaintStream));
  return scene;
}

std::string class_name(int64_t label) {
  check<IndexError>(label >= 0 && label < kClasses, "class_name: label {} is not in 0 to {}", label,
                    kClasses - 1);
  return format("{} {}", to_string(static_cast<Colour>(label / kShapes)),
                to_string(static_cast<Shape>(label % kShapes)));
}

}  // namespace tessera::beit3
