// Recipes and checkpoints that must be refused, each with the exact error.
#include <functional>

#include "beit3/pretrain/run_folder.h"
#include "nn/io/safetensors.h"
#include "tensor/ops/creation.h"
#include "tests/beit3/data/temporary_folder.h"
#include "tests/beit3/pretrain/trainer_testing.h"
#include "tests/testing/errors.h"

namespace tessera::beit3 {
namespace {

struct Corrupt {
  const char* name;
  std::string text;
  std::string error;  // after the file's path
};

std::string repeated(const std::string& piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

std::vector<Corrupt> recipes() {
  return {
      {"a_wrong_name", "[train]\nstpes = 5\n",
       ":2: \"train.stpes\" is no configuration key; did you mean \"train.steps\"?"},
      {"a_name_far_from_all", "zzzzzzzzzzzzzzzzzzzz = 5\n",
       ":1: \"zzzzzzzzzzzzzzzzzzzz\" is no configuration key; `beit3 config show` lists them"},
      {"text_for_a_number", "[train]\n\nsteps = \"many\"\n",
       ":3: train.steps is text; expected a whole number"},
      {"a_fraction", "train.steps = 1.5\n", ":1: train.steps is a number; expected a whole number"},
      {"a_number_for_text", "[data]\nimages = 7\n",
       ":2: data.images is a whole number; expected text in quotes"},
      {"a_number_for_a_switch", "[data]\naugment = 1\n",
       ":2: data.augment is a whole number; expected true or false"},
      {"a_list", "[optim]\nlr = [1, 2]\n", ":2: optim.lr is a list; expected a number"},
      {"a_date", "[optim]\nlr = 1979-05-27\n", ":2: optim.lr is a date or time; expected a number"},
      {"a_negative_seed", "train.seed = -1\n", ":1: train.seed is -1; expected 0 or more"},
      {"an_unknown_way_to_start", "model.init = \"zero\"\n",
       ":1: model.init is \"zero\"; expected scaled, paper or official"},
      {"a_section_in_a_section", "[train.steps]\nx = 1\n",
       ":1: train.steps is a section; expected a whole number"},
      {"no_value", "[train]\nsteps =\n",
       ":2: Error while parsing key-value pair: expected value, saw '\\n'"},
      {"no_name_of_a_section", "[\nx]\n", ": this is no TOML; is a name missing behind \"[\"?"},
      {"no_end_of_a_text", "[data]\nimages = \"a\n",
       ":2: Error while parsing string: unescaped control characters other than TAB (U+0009) are "
       "explicitly prohibited"},
      {"a_key_twice", "[train]\nsteps = 1\nsteps = 2\n",
       ":3: Error while parsing key-value pair: cannot redefine existing integer 'steps'"},
      {"a_number_beyond_64_bits", "train.steps = 9223372036854775808\n",
       ":1: Error while parsing decimal integer: '9223372036854775808' is not representable in 64 "
       "bits"},
      {"bytes_that_are_no_text", "[data]\nimages = \"\xFF\"\n", ":2: bytes that are no UTF-8"},
      {"a_deep_key", repeated("a.", 500'000) + "a = 1\n", ":1: a key has more than 8 dots"},
      {"a_deep_section", "# 1.2.3.4.5.6.7.8.9.0\n[" + repeated("a.", 9) + "a]\n",
       ":2: a key has more than 8 dots"},
      {"deep_lists", "a = " + repeated("[", 100'000),
       ":1: Error while parsing value: exceeded maximum nested value depth of 256 "
       "(TOML_MAX_NESTED_VALUES)"},
      {"a_quote_inside_a_number", "train.seed = 0x'\xD0\xA4'\n",
       ":1: Error while parsing hexadecimal integer: expected digit, saw '\"'"},
      {"a_letter_outside_quotes", "\xD0\xA4 = 1\n",
       ":1: a letter outside ASCII stands outside quotes; put texts in \"…\""},
      {"a_letter_behind_a_backslash", "name = \"\"\"a\n\\\xC3\xA9\"\"\"\n",
       ":2: a backslash stands before a letter outside ASCII"},
  };
}

class CorruptRecipe : public ::testing::TestWithParam<Corrupt> {};

TEST_P(CorruptRecipe, IsRefused) {
  const TemporaryFolder folder;
  const std::string path = folder.put("recipe.toml", GetParam().text);
  EXPECT_ERROR(read_recipe(path), ValueError, (path + GetParam().error).c_str());
}

INSTANTIATE_TEST_SUITE_P(Files, CorruptRecipe, ::testing::ValuesIn(recipes()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Recipe, TextsMayHoldDotsQuotesAndLettersOfAllKinds) {
  const TemporaryFolder folder;
  const std::string dots = repeated("../", 20) + "caf\xC3\xA9 \xF0\x9F\x98\x80";
  const PretrainRecipe read = read_recipe(folder.put(
      "recipe.toml", "\xEF\xBB\xBF# 1.2.3.4.5.6.7.8.9.10 \xC3\xA9 \"\n[data]\nimages = \"" + dots +
                         "\" # \"\n\"pairs\" = 'C:\\new\"" + dots + "'\r\ntexts = \"\"\"\n" + dots +
                         "\\\n \xC3\xA9\\u00E9\"\"\"\"\"\nheld_out = '\'\'\na'b\\\"\"\"" + dots +
                         "'\'\'\'\n[train]\nsteps = 7"));
  EXPECT_EQ(read.data.images, dots);
  EXPECT_EQ(read.data.pairs, "C:\\new\"" + dots);
  EXPECT_EQ(read.data.texts, dots + "\xC3\xA9\xC3\xA9\"\"");
  EXPECT_EQ(read.data.held_out, "a'b\\\"\"\"" + dots + "'");
  EXPECT_EQ(read.steps, 7);
}

TEST(Recipe, TextsWithControlCharactersReadBack) {
  const TemporaryFolder folder;
  PretrainRecipe r;
  for (int c = 1; c < 0x80; ++c) r.data.images += static_cast<char>(c);
  EXPECT_EQ(read_recipe(folder.put("recipe.toml", to_toml(r))).data.images, r.data.images);
}

class CorruptCheckpoint : public Trainer {
 protected:
  /// What `load_pretrained` says of a sound checkpoint after a change, after its path.
  static void expect(const std::function<void(nn::SafetensorsFile&)>& change,
                     const std::string& message) {
    const std::string path = (folder / "checkpoint.safetensors").string();
    PretrainTrainer(recipe()).save(path);
    nn::SafetensorsFile file = nn::load_safetensors(path);
    change(file);
    nn::save_safetensors(path, file.tensors, file.metadata);
    EXPECT_ERROR(load_pretrained(path), IoError, (path + message).c_str());
  }
};

TEST_F(CorruptCheckpoint, IsRefusedBeforeAModelOfItsSizesIsMade) {
  expect([](auto& f) { f.metadata.clear(); },
         " is no checkpoint of a pretraining run: it says no \"format\"");
  expect([](auto& f) { f.metadata["format"] = "else"; }, " is no checkpoint of a pretraining run");
  expect([](auto& f) { f.metadata.erase("text_rows"); },
         " is no checkpoint of a pretraining run: it says no \"text_rows\"");
  expect([](auto& f) { f.metadata["codes"] = "many"; },
         ": \"codes\" is \"many\"; expected 0 … 16777216");
  expect([](auto& f) { f.metadata["step"] = "-3"; },
         ": \"step\" is \"-3\"; expected 0 … 1125899906842624");
  expect([](auto& f) { f.metadata["recipe.model.heads"] = "5"; },
         ": its recipe does not hold: model.width 32 is no multiple of model.heads 5");
  expect([](auto& f) { f.metadata["recipe.model.wings"] = "5"; },
         ": its recipe does not hold: \"model.wings\" is no configuration key; did you mean "
         "\"model.width\"?");
  expect([](auto& f) { f.metadata["recipe.model.layers"] = "4000000000000"; },
         ": the file holds 82610 numbers, but the model of its recipe has at least 4.9152e+16");
  expect([](auto& f) { f.metadata["recipe.model.image_size"] = "8000000000000"; },
         ": the file holds 82610 numbers, but the model of its recipe has at least 3.2e+25");
  expect([](auto& f) { f.tensors.erase("mlm_head.weight"); },
         ": 1 of 95 names missing: \"mlm_head.weight\"");
}

}  // namespace
}  // namespace tessera::beit3
