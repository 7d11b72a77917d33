#include "beit3/data/world.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include <unistd.h>

#include "beit3/image/encode.h"
#include "beit3/image/files.h"
#include "beit3/json/json.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatName = "drawn world";
constexpr int kFormatVersion = 5;
constexpr const char* kMembers[] = {
    "images",     "train.jsonl",          "heldout.jsonl", "texts.txt",
    "words.json", "instances_train.json", "README.txt",    "instances_heldout.json",
    "world.json"};
constexpr int64_t kChunk = 64;  // scenes a thread takes at a time

std::string image_name(int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  return "images/" + digits + ".png";
}

/// What decides the bytes of a world.
std::string description(const WorldOptions& options) {
  const SceneOptions& s = options.scene;
  Json classes = Json::array();
  for (int64_t label = 0; label < kClasses; ++label) classes.push_back(class_name(label));
  const Json world = {{"format", kFormatName},
                      {"version", kFormatVersion},
                      {"seed", s.seed},
                      {"train", options.train},
                      {"held_out", options.held_out},
                      {"texts", options.texts},
                      {"instances", options.instances},
                      {"scene",
                       {{"side", s.side},
                        {"small_radius", {s.small_min, s.small_max}},
                        {"large_radius", {s.large_min, s.large_max}},
                        {"colour_jitter", s.colour_jitter},
                        {"gradient", s.gradient},
                        {"noise", s.noise},
                        {"rotation", s.rotation},
                        {"shares", {s.shares[0], s.shares[1], s.shares[2], s.shares[3]}},
                        {"smaller_first", s.smaller_first},
                        {"questions", s.questions}}},
                      {"classes", classes}};
  return json_text(world, 1) + "\n";
}

constexpr std::string_view kReadme =
    "A drawn world: pictures of coloured shapes with exact captions, questions and answers,\n"
    "class labels, boxes and masks. Everything was made by a program from the seed in world.json;\n"
    "the same options make the same files.\n\n"
    "images/           PNG pictures\n"
    "train.jsonl       one line a picture: image, text, id, label, kind, background, objects\n"
    "                  (box: left, top, width, height), questions\n"
    "heldout.jsonl     the same for pictures kept for evaluation\n"
    "texts.txt         captions of scenes that were not drawn\n"
    "words.json        every word and what it speaks of\n"
    "instances_*.json  boxes and masks, COCO-like; masks are run lengths down the columns\n"
    "world.json        seed, options, class names\n";

/// The lines of one picture in train.jsonl and in the instances file.
struct Lines {
  std::string record, image, annotations;
};

/// Run lengths of a mask down the columns, beginning with a run of zeros.
std::string run_lengths(const std::vector<uint8_t>& mask, int64_t side) {
  std::string out;
  int64_t length = 0;
  uint8_t current = 0;
  for (int64_t column = 0; column < side; ++column) {
    for (int64_t row = 0; row < side; ++row) {
      const uint8_t value = mask[static_cast<size_t>(row * side + column)];
      if (value != current) {
        out += std::to_string(length) + ",";
        length = 0;
        current = value;
      }
      ++length;
    }
  }
  return out + std::to_string(length);
}

/// The words of the world need no escapes, so the lines are put together by hand: it saves a
/// quarter of the time that drawing takes.
Lines lines_of(const Scene& scene, int64_t id, int64_t side, bool instances) {
  Lines lines;
  std::string& r = lines.record;
  r = format(R"({"image":"{}","text":"{}","id":{},"label":{},"kind":"{}","background":"{}")",
             image_name(id), scene.caption, id, scene.label, to_string(scene.kind),
             to_string(scene.background));
  r += R"(,"objects":[)";
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    const SceneObject& o = scene.objects[i];
    const std::string box =
        format("[{},{},{},{}]", o.box_left, o.box_top, o.box_width, o.box_height);
    r += format(R"({}{"shape":"{}","colour":"{}","size":"{}","box":{},"area":{}})",
                i == 0 ? "" : ",", to_string(o.shape), to_string(o.colour), to_string(o.size), box,
                o.area);
    if (!instances) continue;
    const int64_t category = static_cast<int64_t>(o.colour) * kShapes + int64_t(o.shape) + 1;
    lines.annotations += format(
        R"({}{"id":{},"image_id":{},"category_id":{},"bbox":{},"area":{},"iscrowd":0,)",
        i == 0 ? "" : ",\n", id * 16 + static_cast<int64_t>(i) + 1, id, category, box, o.area);
    lines.annotations += format(R"("segmentation":{"size":[{},{}],"counts":[{}]}})", side, side,
                                run_lengths(o.mask, side));
  }
  r += R"(],"questions":[)";
  for (size_t i = 0; i < scene.questions.size(); ++i) {
    const Question& q = scene.questions[i];
    r += format(R"({}{"kind":"{}","question":"{}","answer":"{}"})", i == 0 ? "" : ",", q.kind,
                q.question, q.answer);
  }
  r += "]}\n";
  lines.image = format(R"({"id":{},"file_name":"{}","width":{},"height":{}})", id, image_name(id),
                       side, side);
  return lines;
}

std::string instances_file(const std::vector<Lines>& lines, size_t first, size_t end) {
  std::string out = "{\"images\":[\n";
  for (size_t i = first; i < end; ++i) out += (i == first ? "" : ",\n") + lines[i].image;
  out += "],\n\"annotations\":[\n";
  for (size_t i = first; i < end; ++i) out += (i == first ? "" : ",\n") + lines[i].annotations;
  out += "],\n\"categories\":[\n";
  for (int64_t label = 0; label < kClasses; ++label) {
    out +=
        format(R"({}{"id":{},"name":"{}"})", label == 0 ? "" : ",\n", label + 1, class_name(label));
  }
  return out + "]}\n";
}

/// Draws all pictures into `folder`; returns their lines, train first.
std::vector<Lines> draw_pictures(const fs::path& folder, const WorldOptions& options) {
  const int64_t total = options.train + options.held_out;
  std::vector<Lines> lines(static_cast<size_t>(total));
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  int64_t done = 0;
  std::exception_ptr error;
  const auto draw_one = [&](int64_t id) {
    const int64_t index = id < options.train ? id : kFirstHeldOut + id - options.train;
    const Scene scene = make_scene(options.scene, index);
    write_file_plainly((folder / image_name(id)).string(), encode_png_stored(scene.image));
    lines[static_cast<size_t>(id)] = lines_of(scene, id, options.scene.side, options.instances);
  };
  const auto work = [&] {
    try {
      for (;;) {
        const int64_t first = next.fetch_add(kChunk);
        if (first >= total) return;
        const int64_t end = std::min(total, first + kChunk);
        for (int64_t id = first; id < end; ++id) draw_one(id);
        const std::lock_guard lock(mutex);
        done += end - first;
        if (options.progress) options.progress(done, total);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = total;  // the others stop at their next chunk
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < std::max(1, options.threads); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
  return lines;
}

void write_members(const fs::path& folder, const WorldOptions& options) {
  fs::create_directory(folder / "images");
  const std::vector<Lines> lines = draw_pictures(folder, options);
  const auto put = [&](const char* name, std::string_view bytes) {
    write_file_plainly((folder / name).string(), bytes);
  };
  const size_t train = static_cast<size_t>(options.train), total = lines.size();
  std::string records[2];
  for (size_t i = 0; i < total; ++i) records[i < train ? 0 : 1] += lines[i].record;
  put("train.jsonl", records[0]);
  put("heldout.jsonl", records[1]);
  if (options.instances) {
    put("instances_train.json", instances_file(lines, 0, train));
    put("instances_heldout.json", instances_file(lines, train, total));
  }
  std::string texts;
  for (int64_t i = 0; i < options.texts; ++i) {
    texts += describe_scene(options.scene, kFirstTextOnly + i).caption + "\n";
  }
  put("texts.txt", texts);
  Json words = Json::object();
  for (const Word& word : world_lexicon()) words[word.text] = to_string(word.kind);
  put("words.json", json_text(words, 1) + "\n");
  put("README.txt", kReadme);
  put("world.json", description(options));  // last: its presence says that the rest is complete
}

/// Refuses a folder with anything of somebody else's in it.
void check_replaceable(const fs::path& path) {
  if (!fs::exists(path)) return;
  check<IoError>(fs::is_directory(path), "write_world: \"{}\" exists and is not a folder",
                 path.string());
  if (fs::is_empty(path)) return;
  check<IoError>(is_world(path.string()),
                 "write_world: folder \"{}\" is not empty and does not hold a drawn world; choose "
                 "another folder or empty it yourself",
                 path.string());
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    check<IoError>(
        std::find(std::begin(kMembers), std::end(kMembers), name) != std::end(kMembers),
        "write_world: folder \"{}\" holds a drawn world, but also \"{}\", which replacing "
        "the world would destroy; move it elsewhere or choose another folder",
        path.string(), name);
  }
}

/// Removes a folder when it goes out of scope, unless it has been moved away.
struct TemporaryFolder {
  fs::path path;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

void write_world(const std::string& path, const WorldOptions& options) {
  check<ValueError>(options.train >= 0 && options.held_out >= 0 && options.texts >= 0 &&
                        options.train <= 100'000'000 && options.held_out <= 100'000'000 &&
                        options.texts <= 100'000'000,
                    "write_world: train {}, held_out {}, texts {}; each must be 0 to 100 million",
                    options.train, options.held_out, options.texts);
  check<ValueError>(!path.empty(), "write_world: the folder has no name");
  try {
    fs::path target = fs::absolute(path).lexically_normal();
    if (!target.has_filename()) target = target.parent_path();  // "world/"
    check_replaceable(target);
    fs::create_directories(target.parent_path());
    const std::string mark = std::to_string(::getpid());
    TemporaryFolder fresh{target.string() + ".tmp-" + mark};
    fs::remove_all(fresh.path);
    fs::create_directory(fresh.path);
    write_members(fresh.path, options);
    TemporaryFolder old{target.string() + ".old-" + mark};
    const bool replaces = fs::exists(target);
    if (replaces) fs::rename(target, old.path);
    try {
      fs::rename(fresh.path, target);
    } catch (...) {
      if (replaces) fs::rename(old.path, target);
      throw;
    }
  } catch (const fs::filesystem_error& error) {
    fail<IoError>("write_world: {}", error.what());
  }
}

bool is_world(const std::string& path) {
  std::error_code ignored;
  const fs::path file = fs::path(path) / "world.json";
  if (!fs::is_regular_file(file, ignored)) return false;
  const Json world = try_parse_json(read_text_file(file.string(), 1 << 20));
  return world.is_object() && world.value("format", Json()) == kFormatName;
}

bool is_world_of(const std::string& path, const WorldOptions& options) {
  return is_world(path) &&
         read_text_file((fs::path(path) / "world.json").string(), 1 << 20) == description(options);
}

SceneOptions read_scene_options(const std::string& path) {
  const std::string file = (fs::path(path) / "world.json").string();
  try {
    const Json world = parse_json(read_text_file(file, 1 << 20));
    const int64_t version = world.at("version").get<int64_t>();
    check<IoError>(version == kFormatVersion,
                   "\"{}\" describes a drawn world of version {}; this program draws version {}. "
                   "Draw it anew: beit3 data synth DIR --again",
                   file, version, kFormatVersion);
    const Json& scene = world.at("scene");
    SceneOptions s;
    s.seed = world.at("seed").get<uint64_t>();
    s.side = scene.at("side").get<int64_t>();
    s.small_min = scene.at("small_radius").at(0).get<double>();
    s.small_max = scene.at("small_radius").at(1).get<double>();
    s.large_min = scene.at("large_radius").at(0).get<double>();
    s.large_max = scene.at("large_radius").at(1).get<double>();
    s.colour_jitter = scene.at("colour_jitter").get<int64_t>();
    s.gradient = scene.at("gradient").get<double>();
    s.noise = scene.at("noise").get<double>();
    s.rotation = scene.at("rotation").get<double>();
    for (size_t i = 0; i < s.shares.size(); ++i)
      s.shares[i] = scene.at("shares").at(i).get<double>();
    s.smaller_first = scene.at("smaller_first").get<double>();
    s.questions = scene.at("questions").get<int64_t>();
    return s;
  } catch (const Json::exception& error) {
    fail<IoError>("read_scene_options: \"{}\" does not describe a drawn world: {}", file,
                  error.what());
  }
}

std::map<std::string, std::string> read_lexicon(const std::string& path) {
  const Json json = try_parse_json(read_text_file(path, 64 << 20));
  check<IoError>(json.is_object(), "read_lexicon: \"{}\" is not a JSON object of words", path);
  std::map<std::string, std::string> lexicon;
  for (const auto& [word, kind] : json.items()) {
    check<IoError>(kind.is_string(), "read_lexicon: \"{}\": the kind of \"{}\" is not a string",
                   path, word);
    lexicon[word] = kind.get<std::string>();
  }
  return lexicon;
}

}  // namespace tessera::beit3
