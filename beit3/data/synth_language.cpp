#include <algorithm>
#include <map>
#include <utility>

#include "beit3/data/synth_internal.h"

namespace tessera::beit3 {
namespace {

constexpr std::string_view kShapeNames[] = {"circle", "square", "triangle", "star"};
constexpr std::string_view kColourNames[] = {"red",    "green",  "blue", "yellow",
                                             "purple", "orange", "pink", "cyan"};
constexpr std::string_view kSizeNames[] = {"small", "large"};
constexpr std::string_view kBackgroundNames[] = {"white", "grey", "black", "brown"};
constexpr std::string_view kRelationNames[] = {"left", "right", "above", "below"};
constexpr std::string_view kPlaceNames[] = {"unclear", "top", "bottom", "middle"};
constexpr std::string_view kKindNames[] = {"single", "pair", "same", "groups"};
constexpr std::string_view kWordKindNames[] = {"function", "colour",   "shape", "size",
                                               "count",    "relation", "place", "background"};
constexpr std::string_view kNumbers[] = {"none", "one", "two", "three", "four"};
constexpr std::string_view kFunctionWords[] = {
    "a",  "an",  "and",     "are",   "at",  "background", "here", "in",    "is", "of",
    "on", "one", "picture", "scene", "see", "shows",      "the",  "there", "we", "with"};

/// Collects the words of a caption.
class Sentence {
 public:
  Sentence(const Scene& scene, RandomStream& random) : scene_(scene), random_(random) {}

  /// Function words, separated by spaces.
  Sentence& say(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find(' '), text.size());
      words_.push_back({std::string(text.substr(0, end)), WordKind::function});
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return *this;
  }

  Sentence& word(std::string_view text, WordKind kind) {
    words_.push_back({std::string(text), kind});
    return *this;
  }

  /// "small red circle"; the size is left out where it would not be news.
  Sentence& thing(const SceneObject& object, double size_chance, int64_t count = 1) {
    if (random_.chance(size_chance)) word(to_string(object.size), WordKind::size);
    word(to_string(object.colour), WordKind::colour);
    return word(count == 1 ? std::string(to_string(object.shape)) : plural(object.shape),
                WordKind::shape);
  }

  /// "a large red star", "three blue squares". Two of a kind may have any size, more are small.
  Sentence& group(const SceneObject& object, int64_t count, double size_chance) {
    if (count == 1) return say("a").thing(object, size_chance);
    word(number_word(count), WordKind::count);
    return thing(object, size_chance, count);
  }

  Sentence& background_word() { return word(to_string(scene_.background), WordKind::background); }

  Sentence& on_background() { return say("on a").background_word().say("background"); }

  Sentence& relation() {
    word(to_string(scene_.relation), WordKind::relation);
    const bool sideways = scene_.relation == Relation::left || scene_.relation == Relation::right;
    return sideways ? say("of") : *this;
  }

  /// "at the top", "in the middle".
  Sentence& place() {
    say(scene_.place == Place::middle ? "in the" : "at the");
    return word(to_string(scene_.place), WordKind::place);
  }

  std::vector<Word> finish() {
    for (size_t i = 0; i + 1 < words_.size(); ++i) {
      const std::string& next = words_[i + 1].text;
      if (words_[i].text == "a" && next[0] == 'o') words_[i].text = "an";  // an orange circle
    }
    return std::move(words_);
  }

 private:
  const Scene& scene_;
  RandomStream& random_;
  std::vector<Word> words_;
};

void tell_single(Sentence& s, const Scene& scene, RandomStream& random) {
  const SceneObject& object = scene.objects[0];
  constexpr double kSize = 0.7;
  if (scene.place != Place::unclear && random.chance(0.7)) {
    switch (random.integer(5)) {
      case 0:
        s.say("the picture shows a").thing(object, kSize).place();
        return;
      case 1:
        s.say("a").background_word().say("picture with a").thing(object, kSize).place();
        return;
      case 2:
        s.say("there is a").thing(object, kSize).place().say("of the picture");
        return;
      case 3:
        s.place().say("of a").background_word().say("scene is a").thing(object, kSize);
        return;
      default:
        s.place().say("we see a").thing(object, kSize).on_background();
        return;
    }
  }
  switch (random.integer(6)) {
    case 0:
      s.say("a").thing(object, kSize).on_background();
      return;
    case 1:
      s.say("there is a").thing(object, kSize).on_background();
      return;
    case 2:
      s.say("the picture shows a").thing(object, kSize).on_background();
      return;
    case 3:
      s.say("a").background_word().say("scene with a").thing(object, kSize);
      return;
    case 4:
      s.say("here is a").thing(object, kSize).on_background();
      return;
    default:
      s.say("on a").background_word().say("background there is one").thing(object, kSize);
  }
}

void tell_pair(Sentence& s, Scene& scene, double smaller_first, RandomStream& random) {
  SceneObject &a = scene.objects[0], &b = scene.objects[1];
  const double size = random.chance(0.4) ? 1.0 : 0.0;  // of both or of none
  // Where sizes are told the order stays as it is: it would give them away. Without the habit
  // nothing is drawn, so that the rest of the caption is what it always was.
  if (size == 0 && a.size > b.size && smaller_first > 0 && random.chance(smaller_first)) {
    std::swap(a, b);
    scene.relation = opposite(scene.relation);
  }
  switch (random.integer(6)) {
    case 0:
      s.say("a").thing(a, size).say("is").relation().say("a").thing(b, size);
      return;
    case 1:
      s.say("there is a").thing(a, size).relation().say("a").thing(b, size);
      return;
    case 2:
      s.say("the").thing(a, size).say("is").relation().say("the").thing(b, size);
      return;
    case 3:
      s.say("a").thing(a, size).relation().say("a").thing(b, size).on_background();
      return;
    case 4:
      s.say("the picture shows a").thing(a, size).relation().say("a").thing(b, size);
      return;
    default:
      s.on_background().say("a").thing(a, size).say("is").relation().say("a").thing(b, size);
  }
}

void tell_same(Sentence& s, const Scene& scene, RandomStream& random) {
  const SceneObject& object = scene.objects[0];
  const int64_t count = scene.first_group;
  const double size = count == 2 ? 0.6 : 0.0;
  switch (random.integer(6)) {
    case 0:
      s.group(object, count, size).on_background();
      return;
    case 1:
      s.say("there are").group(object, count, size).say("in the picture");
      return;
    case 2:
      s.say("the picture shows").group(object, count, size).on_background();
      return;
    case 3:
      s.say("a").background_word().say("picture with").group(object, count, size);
      return;
    case 4:
      s.say("we see").group(object, count, size).on_background();
      return;
    default:
      s.say("here are").group(object, count, size).say("in a").background_word().say("scene");
  }
}

void tell_groups(Sentence& s, const Scene& scene, RandomStream& random) {
  const SceneObject &a = scene.objects.front(), &b = scene.objects.back();
  const int64_t n = scene.first_group, m = static_cast<int64_t>(scene.objects.size()) - n;
  const double size_a = n == 1 ? 0.5 : 0.0, size_b = m == 1 ? 0.5 : 0.0;
  const auto both = [&] { s.group(a, n, size_a).say("and").group(b, m, size_b); };
  switch (random.integer(5)) {
    case 0:
      both();
      return;
    case 1:
      both();
      s.on_background();
      return;
    case 2:
      s.say("the picture shows");
      both();
      return;
    case 3:
      s.say("a").background_word().say("scene with");
      both();
      return;
    default:
      s.say("we see");
      both();
      s.on_background();
  }
}

std::vector<Word> make_lexicon() {
  std::map<std::string, WordKind> words;
  const auto add = [&](std::string_view word, WordKind kind) { words[std::string(word)] = kind; };
  for (const auto word : kFunctionWords) add(word, WordKind::function);
  for (const auto word : kShapeNames) {
    add(word, WordKind::shape);
    add(std::string(word) + "s", WordKind::shape);
  }
  for (const auto word : kColourNames) add(word, WordKind::colour);
  for (const auto word : kSizeNames) add(word, WordKind::size);
  for (const auto word : kBackgroundNames) add(word, WordKind::background);
  for (const auto word : kRelationNames) add(word, WordKind::relation);
  for (int i = 1; i <= 3; ++i) add(kPlaceNames[i], WordKind::place);
  for (int i = 2; i <= 4; ++i) add(kNumbers[i], WordKind::count);
  std::vector<Word> lexicon;
  for (const auto& [word, kind] : words) lexicon.push_back({word, kind});
  return lexicon;
}

}  // namespace

std::string_view to_string(Shape v) { return kShapeNames[static_cast<size_t>(v)]; }
std::string_view to_string(Colour v) { return kColourNames[static_cast<size_t>(v)]; }
std::string_view to_string(SizeClass v) { return kSizeNames[static_cast<size_t>(v)]; }
std::string_view to_string(Background v) { return kBackgroundNames[static_cast<size_t>(v)]; }
std::string_view to_string(Relation v) { return kRelationNames[static_cast<size_t>(v)]; }
std::string_view to_string(Place v) { return kPlaceNames[static_cast<size_t>(v)]; }
std::string_view to_string(SceneKind v) { return kKindNames[static_cast<size_t>(v)]; }
std::string_view to_string(WordKind v) { return kWordKindNames[static_cast<size_t>(v)]; }

std::string plural(Shape shape) { return std::string(to_string(shape)) + "s"; }

std::string number_word(int64_t n) { return std::string(kNumbers[n]); }

void write_caption(Scene& scene, double smaller_first, RandomKey key) {
  RandomStream random(key);
  Sentence sentence(scene, random);
  switch (scene.kind) {
    case SceneKind::single:
      tell_single(sentence, scene, random);
      break;
    case SceneKind::pair:
      tell_pair(sentence, scene, smaller_first, random);
      break;
    case SceneKind::same:
      tell_same(sentence, scene, random);
      break;
    case SceneKind::groups:
      tell_groups(sentence, scene, random);
      break;
  }
  scene.words = sentence.finish();
  scene.caption.clear();
  for (const Word& word : scene.words) {
    if (!scene.caption.empty()) scene.caption += ' ';
    scene.caption += word.text;
  }
}

const std::vector<Word>& world_lexicon() {
  static const std::vector<Word> kLexicon = make_lexicon();
  return kLexicon;
}

}  // namespace tessera::beit3
