#include <algorithm>
#include <string>
#include <utility>

#include "beit3/data/synth_internal.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

std::string name_of(Colour colour, Shape shape) {
  return format("{} {}", to_string(colour), to_string(shape));
}

std::string name_of(const SceneObject& object) { return name_of(object.colour, object.shape); }

std::string with_article(const std::string& name) { return (name[0] == 'o' ? "an " : "a ") + name; }

int64_t count_of(const Scene& scene, Colour colour, Shape shape) {
  return std::count_if(scene.objects.begin(), scene.objects.end(), [&](const SceneObject& o) {
    return o.colour == colour && o.shape == shape;
  });
}

int64_t count_shape(const Scene& scene, Shape shape) {
  return std::count_if(scene.objects.begin(), scene.objects.end(),
                       [&](const SceneObject& o) { return o.shape == shape; });
}

int64_t count_colour(const Scene& scene, Colour colour) {
  return std::count_if(scene.objects.begin(), scene.objects.end(),
                       [&](const SceneObject& o) { return o.colour == colour; });
}

std::string relation_phrase(Relation relation) {
  const bool sideways = relation == Relation::left || relation == Relation::right;
  return format(sideways ? "{} of" : "{}", to_string(relation));
}

/// Questions whose answer is the same word for every scene would teach nothing; the yes/no ones
/// choose their answer first, so that both are equally frequent.
void ask_yes_no(const Scene& scene, RandomStream& random, std::vector<Question>& out) {
  const bool yes = random.chance(0.5);
  const SceneObject& object =
      scene
          .objects[static_cast<size_t>(random.integer(static_cast<int64_t>(scene.objects.size())))];
  Colour colour = object.colour;
  Shape shape = object.shape;
  while (!yes && count_of(scene, colour, shape) > 0) {
    // Change one property only: the hard case.
    if (random.chance(0.5)) {
      colour = static_cast<Colour>(random.integer(kColours));
    } else {
      shape = static_cast<Shape>(random.integer(kShapes));
    }
  }
  out.push_back(
      {"yes/no", format("is there {}", with_article(name_of(colour, shape))), yes ? "yes" : "no"});
  if (scene.kind != SceneKind::pair) return;
  const bool holds = random.chance(0.5);
  const Relation asked = holds ? scene.relation : opposite(scene.relation);
  out.push_back({"yes/no",
                 format("is the {} {} the {}", name_of(scene.objects[0]), relation_phrase(asked),
                        name_of(scene.objects[1])),
                 holds ? "yes" : "no"});
}

void ask_about_objects(const Scene& scene, std::vector<Question>& out) {
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    const SceneObject& o = scene.objects[i];
    const bool repeated =
        i > 0 && o.colour == scene.objects[i - 1].colour && o.shape == scene.objects[i - 1].shape;
    if (repeated) continue;
    const int64_t same = count_of(scene, o.colour, o.shape);
    // The name must point at one colour, one shape, one object.
    if (count_shape(scene, o.shape) == same) {
      out.push_back({"colour",
                     same == 1 ? format("what colour is the {}", to_string(o.shape))
                               : format("what colour are the {}", plural(o.shape)),
                     std::string(to_string(o.colour))});
    }
    if (count_colour(scene, o.colour) == same) {
      out.push_back({"shape",
                     same == 1 ? format("what shape is the {} one", to_string(o.colour))
                               : format("what shape are the {} ones", to_string(o.colour)),
                     std::string(to_string(o.shape))});
    }
    if (same == 1) {
      out.push_back(
          {"size", format("is the {} small or large", name_of(o)), std::string(to_string(o.size))});
    }
  }
}

void ask_relation(const Scene& scene, std::vector<Question>& out) {
  if (scene.kind == SceneKind::single && scene.place != Place::unclear) {
    out.push_back({"place",
                   format("where in the picture is the {}", to_string(scene.objects[0].shape)),
                   std::string(to_string(scene.place))});
  }
  if (scene.kind != SceneKind::pair) return;
  const SceneObject &a = scene.objects[0], &b = scene.objects[1];
  out.push_back({"relation", format("where is the {} seen from the {}", name_of(a), name_of(b)),
                 std::string(to_string(scene.relation))});
  out.push_back({"shape",
                 format("what shape is {} the {}", relation_phrase(scene.relation), name_of(b)),
                 std::string(to_string(a.shape))});
  out.push_back({"colour",
                 format("what colour is the shape {} the {}",
                        relation_phrase(opposite(scene.relation)), name_of(a)),
                 std::string(to_string(b.colour))});
}

}  // namespace

void ask_questions(Scene& scene, int64_t count, RandomKey key) {
  RandomStream random(key);
  std::vector<Question> all;
  all.push_back(
      {"background", "what colour is the background", std::string(to_string(scene.background))});
  all.push_back({"count", "how many shapes are there",
                 number_word(static_cast<int64_t>(scene.objects.size()))});
  const SceneObject& named = scene.objects.back();
  const Shape asked =
      random.chance(0.7) ? named.shape : static_cast<Shape>(random.integer(kShapes));
  all.push_back({"count", format("how many {} are there", plural(asked)),
                 number_word(count_shape(scene, asked))});
  ask_yes_no(scene, random, all);
  ask_about_objects(scene, all);
  ask_relation(scene, all);
  // The first `count` of a drawn order.
  const size_t wanted = std::min(all.size(), static_cast<size_t>(count));
  for (size_t i = 0; i < wanted; ++i) {
    const int64_t left = static_cast<int64_t>(all.size() - i);
    std::swap(all[i], all[i + static_cast<size_t>(random.integer(left))]);
  }
  all.resize(wanted);
  scene.questions = std::move(all);
}

}  // namespace tessera::beit3
