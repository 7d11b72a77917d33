#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "beit3/data/synth.h"

namespace tessera::beit3 {

/// How much of the drawn world is written to a folder.
struct WorldOptions {
  SceneOptions scene{};
  int64_t train = 12'000;    // pictures with captions to learn from
  int64_t held_out = 2'000;  // others, to evaluate on
  int64_t texts = 12'000;    // captions of scenes that are never drawn
  /// Also COCO-like instance files with masks (about 0.5 KB a scene).
  bool instances = true;
  int threads = 2;
  /// Called now and then, from any thread but never from two at once; may throw to stop.
  std::function<void(int64_t done, int64_t total)> progress{};
};

/// Writes a world into the folder `path`:
///
///   images/000000.png ...  train pictures first, then the held-out ones
///   train.jsonl, heldout.jsonl  a line a picture: image, text, id, label, kind, background,
///                          objects (shape, colour, size, box [left, top, width, height], area),
///                          questions (kind, question, answer)
///   texts.txt              one caption a line
///   words.json             every word of the captions and its kind
///   instances_train.json, instances_heldout.json  boxes and masks as COCO writes them (masks as
///                          run lengths down the columns, uncompressed)
///   world.json, README.txt what it is and how it was made
///
/// The same options give the same bytes, for any number of threads. Everything is written to a
/// folder beside `path`, which takes its place when complete; an older world there is replaced. If
/// `path` is a folder with anything in it that is no part of a world, nothing is touched.
///
/// Throws IoError (no room, a folder that is not a world, ...), ValueError for bad options.
void write_world(const std::string& path, const WorldOptions& options);

/// True if the folder holds a complete world.
bool is_world(const std::string& path);

/// True if the folder holds the very world that these options describe: nothing needs drawing.
bool is_world_of(const std::string& path, const WorldOptions& options);

/// How the scenes of a world were drawn, from its world.json: its held-out picture i is
/// make_scene(options, kFirstHeldOut + i). Throws IoError if the file is malformed.
SceneOptions read_scene_options(const std::string& path);

/// Reads words.json: word -> name of its kind ("colour", "function", ...). Throws IoError.
std::map<std::string, std::string> read_lexicon(const std::string& path);

}  // namespace tessera::beit3
