#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "beit3/image/image.h"

namespace tessera::beit3 {

// The drawn world: small pictures of coloured shapes with exact captions, questions and answers,
// labels, masks and boxes. Nothing in it needs a download, and there is no end to it: scene i of a
// seed is a pure function of (options, i), whatever was drawn before.

enum class Shape : uint8_t { circle, square, triangle, star };
enum class Colour : uint8_t { red, green, blue, yellow, purple, orange, pink, cyan };
enum class SizeClass : uint8_t { small, large };
enum class Background : uint8_t { white, grey, black, brown };
enum class Relation : uint8_t { left, right, above, below };
/// Where the only object of a scene stands, where that is clear enough to be said.
enum class Place : uint8_t { unclear, top, bottom, middle };
/// One object; two objects with a relation; two to four of the same; two groups, three or four
/// objects in all.
enum class SceneKind : uint8_t { single, pair, same, groups };
/// What a word of a caption speaks of, so that accuracy can be reported by kind.
enum class WordKind : uint8_t { function, colour, shape, size, count, relation, place, background };

inline constexpr int64_t kShapes = 4, kColours = 8, kBackgrounds = 4, kWordKinds = 8;

std::string_view to_string(Shape shape);
std::string_view to_string(Colour colour);
std::string_view to_string(SizeClass size);
std::string_view to_string(Background background);
std::string_view to_string(Relation relation);
std::string_view to_string(Place place);
std::string_view to_string(SceneKind kind);
std::string_view to_string(WordKind kind);

/// What the world looks like. Lengths are in pixels of a picture of side 64 and grow with `side`.
struct SceneOptions {
  uint64_t seed = 0;
  int64_t side = 64;
  double small_min = 7.8, small_max = 9.0;    // radius
  double large_min = 12.5, large_max = 15.0;  // radius
  int64_t colour_jitter = 8;                  // largest change of each channel of an object
  double gradient = 14;                       // largest change of grey across the background
  double noise = 2;                           // standard deviation of every channel
  double rotation = 0;                        // largest turn of a shape, degrees
  /// Shares of the kinds single, pair, same, groups; they need not sum to 1.
  std::array<double, 4> shares{0.30, 0.30, 0.22, 0.18};
  /// How often a caption to learn from that tells how a small and a large shape stand begins with
  /// the small one (else: either, by chance). As in speech, what is placed tends to be smaller than
  /// what it is placed by (figure and ground: Talmy, "Toward a Cognitive Semantics", 2000, volume
  /// 1, chapter 5). Captions that tell sizes never have this habit, which would give them away, nor
  /// have held-out ones: there it is of no help. The pictures show the same at any value.
  double smaller_first = 0;
  int64_t questions = 4;  // at most so many a scene

  bool operator==(const SceneOptions&) const = default;
};

struct Word {
  std::string text;
  WordKind kind = WordKind::function;
  bool operator==(const Word&) const = default;
};

struct Question {
  std::string kind;  // background, count, colour, shape, size, relation, place, yes/no
  std::string question, answer;
  bool operator==(const Question&) const = default;
};

struct SceneObject {
  Shape shape{};
  Colour colour{};
  SizeClass size{};
  double x = 0, y = 0, radius = 0;  // pixels; (0, 0) is the upper left corner of the picture
  double angle = 0;                 // radians, clockwise
  Rgb paint{};                      // the colour with its jitter
  // Only in drawn scenes: pixels covered by at least one half, their number and their bounding box.
  std::vector<uint8_t> mask;  // side x side, 0 or 1
  int64_t area = 0;
  int64_t box_left = 0, box_top = 0, box_width = 0, box_height = 0;
};

/// One scene. Objects do not overlap; the caption's first object comes first.
struct Scene {
  SceneKind kind{};
  Background background{};
  Place place = Place::unclear;  // of a single object
  Relation relation{};           // pair: objects[0] is `relation` objects[1]
  int64_t first_group = 0;       // same, groups: objects of the first group
  std::vector<SceneObject> objects;
  std::vector<Word> words;  // the caption
  std::string caption;      // words joined by spaces, lower case, no full stop
  std::vector<Question> questions;
  int64_t label = 0;  // class of the first object, see `class_name`
  Image image;        // empty in a scene that was only described
};

/// Scene `index` of the world, drawn. Throws ValueError if the options are out of range or the
/// shapes do not fit the picture.
Scene make_scene(const SceneOptions& options, int64_t index);

/// The same scene without picture, masks, areas and boxes: all but the drawing, which takes the
/// time.
Scene describe_scene(const SceneOptions& options, int64_t index);

/// Indices from here on are used for held-out scenes and for texts of scenes that are never drawn.
inline constexpr int64_t kFirstHeldOut = int64_t{1} << 40;
inline constexpr int64_t kFirstTextOnly = int64_t{1} << 41;

/// Every word captions may use, sorted; a word has the same kind wherever it stands.
const std::vector<Word>& world_lexicon();

/// Label of an object: colour * 4 + shape, below kClasses; and its name, "red circle".
inline constexpr int64_t kClasses = kShapes * kColours;
std::string class_name(int64_t label);

/// The reference colour of a name, before jitter.
Rgb paint_of(Colour colour);
Rgb paint_of(Background background);

}  // namespace tessera::beit3
