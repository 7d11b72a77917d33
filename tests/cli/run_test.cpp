#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nn/io/safetensors.h"
#include "tensor/ops/random.h"
#include "tests/cli/program.h"

namespace tessera::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A small world, its tokenizers, and flags of a run that takes a second.
class Run : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    const std::string world = *folder / "world";
    ASSERT_EQ(run_beit3("data synth " + world + " --train 40 --heldout 12 --texts 40").code, 0);
    ASSERT_EQ(run_beit3("tok train --words --vocab-size 100 --out " + *folder / "text.model" + " " +
                        world + " " + world + "/texts.txt")
                  .code,
              0);
    const Outcome vq = run_beit3("vq train --data " + world + " --out " + *folder / "image.vq" +
                                 " --steps 4 --codes 16");
    ASSERT_TRUE(vq.code == 0 || vq.code == 8) << vq.err;
    flags = " --data.images " + world + " --data.pairs " + world + " --data.texts " + world +
            "/texts.txt --data.held_out " + world + " --tokenizer.text " + *folder / "text.model" +
            " --tokenizer.image " + *folder / "image.vq" +
            " --model.width 16 --model.layers 1 --model.heads 2 --model.ffn 32 --train.images 2"
            " --train.texts 2 --train.pairs 2 --steps 8 --log.every 2 --optim.warmup 2 ";
  }
  static void TearDownTestSuite() { delete folder; }

  static std::string pretrain(const std::string& name, const std::string& more = "") {
    return "pretrain --out " + *folder / name + flags + more;
  }
  /// What the last line says about all parameters.
  static std::string hash_of(const Outcome& outcome) {
    const size_t at = outcome.err.rfind("(parameters ");
    return at == std::string::npos ? outcome.err : outcome.err.substr(at);
  }

  static TemporaryFolder* folder;
  static std::string flags;
};
TemporaryFolder* Run::folder = nullptr;
std::string Run::flags;

TEST_F(Run, TrainsEvaluatesAndShows) {
  const Outcome dry = run_beit3(pretrain("whole", "--dry-run"));
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_FALSE(std::filesystem::exists(*folder / "whole"));
  const Outcome trained = run_beit3(pretrain("whole"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("masked patches"));
  const std::string metrics = read_text(*folder / "whole/metrics.jsonl");
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 5);  // 4 lines and an evaluation
  EXPECT_THAT(read_text(*folder / "whole/sheets/00000008.png"), StartsWith("\x89PNG"));

  const Outcome evaluated = run_beit3("eval " + *folder / "whole" + " --json --samples 6");
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out, StartsWith("{"));
  EXPECT_THAT(evaluated.out, EndsWith("}\n"));
  // One word of each caption is hidden instead of half of them.
  const Outcome single = run_beit3("eval " + *folder / "whole" + " --samples 6 --hidden 0");
  EXPECT_THAT(single.out, ContainsRegex("masked words of captions[^\n]*\n  all +[.0-9]+ +[.0-9]+ +"
                                        "[.0-9]+ +6\n"));
  const Outcome filled =
      run_beit3("fill " + *folder / "whole" + " --count 2 --sheet " + *folder / "f.png");
  EXPECT_EQ(filled.code, 0) << filled.err;
  EXPECT_THAT(filled.out, HasSubstr("wrong picture"));
  EXPECT_THAT(read_text(*folder / "f.png"), StartsWith("\x89PNG"));
  const Outcome answer = run_beit3("fill " + *folder / "whole" + " --image " + *folder / "world" +
                                   "/images/000041.png --text 'a [?] circle'");
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_THAT(answer.out, EndsWith("circle\n"));
  EXPECT_EQ(run_beit3("fill " + *folder / "whole" + " --text 'a circle'").code, 2);
  write_text(*folder / "whole/metrics.jsonl", metrics + "{\"step\": 9, \"lo");  // a torn line
  const Outcome course = run_beit3("inspect " + *folder / "whole");
  EXPECT_EQ(course.code, 0) << course.err;
  EXPECT_THAT(course.out, HasSubstr("00000008.safetensors"));
  EXPECT_THAT(course.out, HasSubstr("\n     2  "));  // logged
  EXPECT_THAT(course.out, HasSubstr("held out: "));
  EXPECT_THAT(course.out, HasSubstr("background"));
  EXPECT_THAT(course.out, EndsWith(")\n"));
  EXPECT_THAT(run_beit3("inspect " + *folder / "whole/checkpoints/00000008.safetensors").out,
              HasSubstr("mlm_head"));

  const Outcome again = run_beit3(pretrain("whole"));
  EXPECT_EQ(again.code, 3);
  EXPECT_THAT(again.err, HasSubstr("beit3 resume"));
  EXPECT_THAT(run_beit3("resume " + *folder / "whole").err, HasSubstr("complete"));
}

TEST_F(Run, ResumesBitForBit) {
  const Outcome whole = run_beit3(pretrain("unbroken"));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const Outcome part = run_beit3(pretrain("parts", "--max-steps 3"));
  ASSERT_EQ(part.code, 0) << part.err;
  EXPECT_THAT(part.err, HasSubstr("beit3 resume"));
  EXPECT_EQ(run_beit3("resume " + *folder / "parts" + " --max-steps 2 --threads 1").code, 0);
  const Outcome rest = run_beit3("resume " + *folder / "parts");
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(hash_of(rest), hash_of(whole));
}

TEST_F(Run, TrainsThePaperForm) {
  const std::string form = " --model.form paper --model.layers 2 --model.vl_layers 1 --steps 4";
  const Outcome whole = run_beit3(pretrain("paper", form));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(run_beit3(pretrain("paper-parts", form + " --max-steps 2")).code, 0);
  EXPECT_EQ(hash_of(run_beit3("resume " + *folder / "paper-parts")), hash_of(whole));
  EXPECT_EQ(run_beit3("eval " + *folder / "paper" + " --samples 6").code, 0);
  EXPECT_EQ(run_beit3("fill " + *folder / "paper" + " --count 2 --sheet " + *folder / "p.png").code,
            0);
  EXPECT_THAT(run_beit3("inspect " + *folder / "paper").out, HasSubstr("paper form"));
  for (const char* way : {"threads --over 2 --most-threads 3", "resume --over 2", "accum"}) {
    const Outcome same = run_beit3(std::string("verify ") + way + flags + form);
    EXPECT_EQ(same.code, 0) << way << "\n" << same.out << same.err;
  }
}

TEST_F(Run, SaysTheHashOfItsParameters) {
  const Outcome trained = run_beit3(pretrain("hashed", "--steps 2"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string hash = hash_of(trained).substr(12, 16);  // after "(parameters "
  const std::string file = *folder / "hashed/checkpoints/00000002.safetensors";
  const Outcome same = run_beit3("inspect " + file);
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, EndsWith("\nparameters " + hash + ", as recorded\n"));
  nn::SafetensorsFile changed = nn::load_safetensors(file);
  changed.tensors.at("mim_head.bias").data<float>()[1] += 1;
  nn::save_safetensors(*folder / "changed.safetensors", changed.tensors, changed.metadata);
  const Outcome other = run_beit3("inspect " + *folder / "changed.safetensors");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.out, HasSubstr(", NOT as recorded"));
}

TEST_F(Run, SavesWhenInterrupted) {
  const std::string command = pretrain("stopped", "--steps 100000");
  // The signal comes once steps are being made, however long the start takes on a busy machine.
  const std::string when_it_runs =
      "sh -c '\"$@\" & run=$!; until [ -s \"$0\" ]; do kill -0 $run || exit 99; sleep 0.05; done; "
      "kill -INT $run; wait $run' " +
      *folder / "stopped/metrics.jsonl";
  const Outcome stopped = run_beit3(command, when_it_runs);
  EXPECT_EQ(stopped.code, 75) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("saved; go on with: beit3 resume"));
  EXPECT_FALSE(std::filesystem::is_empty(*folder / "stopped/checkpoints"));
  const Outcome resumed = run_beit3("resume " + *folder / "stopped" + " --max-steps 1");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST_F(Run, PassesOverADamagedCheckpoint) {
  ASSERT_EQ(run_beit3(pretrain("damaged", "--log.save_every 2 --max-steps 4")).code, 0);
  const std::string newest = *folder / "damaged/checkpoints/00000004.safetensors";
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) / 2);
  const Outcome resumed = run_beit3("resume " + *folder / "damaged");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("cannot use"));
  EXPECT_EQ(run_beit3("eval " + *folder / "damaged" + " --samples 2").code, 0);
}

TEST_F(Run, RefusesWhatDoesNotFit) {
  const Outcome missing = run_beit3(pretrain("bad", "--data.images " + *folder / "nowhere"));
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("nowhere"));
  EXPECT_FALSE(std::filesystem::exists(*folder / "bad"));  // the next try is not in the way
  EXPECT_EQ(run_beit3(pretrain("bad", "--model.patch 16")).code, 2);
}

TEST_F(Run, ComplainsAboutHeldOutDataBeforeItTrains) {
  const std::string older = *folder / "older";
  std::filesystem::copy(*folder / "world", older, std::filesystem::copy_options::recursive);
  std::string world = read_text(older + "/world.json");
  const std::string now = "\"version\": 5";
  ASSERT_NE(world.find(now), std::string::npos);
  std::ofstream(older + "/world.json")
      << world.replace(world.find(now), now.size(), "\"version\": 1");
  for (const auto& [flag, said] :
       {std::pair("--data.held_out " + *folder / "nowhere", "nowhere"),
        std::pair("--data.held_out_texts " + *folder / "nowhere.txt", "nowhere.txt"),
        std::pair(std::string("--data.held_out_split nothing"), "no nothing.jsonl"),
        std::pair("--data.held_out " + *folder / "world" + "/texts.txt", "holds no picture"),
        std::pair("--data.held_out " + older, "drawn world of version 1")}) {
    for (const char* dry : {"", " --dry-run"}) {
      const Outcome refused = run_beit3(pretrain("late", flag + dry));
      EXPECT_EQ(refused.code, 3) << flag;
      EXPECT_THAT(refused.err, HasSubstr(said));
      EXPECT_FALSE(std::filesystem::exists(*folder / "late"));
    }
  }
}

TEST_F(Run, UsesTheImageTokenizer) {
  const std::string vq = *folder / "image.vq", world = *folder / "world";
  const Outcome usage = run_beit3("vq usage " + vq + " --data " + world);
  EXPECT_TRUE(usage.code == 0 || usage.code == 8) << usage.err;
  EXPECT_THAT(usage.out, HasSubstr("perplexity"));
  EXPECT_EQ(run_beit3("vq recon " + vq + " --data " + world + " --out " + *folder / "r.png").code,
            0);
  EXPECT_THAT(read_text(*folder / "r.png"), StartsWith("\x89PNG"));
  const Outcome codes = run_beit3("vq encode " + vq + " " + world + "/images/000000.png");
  EXPECT_EQ(codes.code, 0) << codes.err;
  EXPECT_EQ(std::count(codes.out.begin(), codes.out.end(), '\n'), 1);
  EXPECT_EQ(run_beit3("vq train --data " + *folder / "nowhere" + " --out " + *folder / "x.vq").code,
            3);
}

TEST_F(Run, GoesOnWithAnImageTokenizer) {
  const std::string world = *folder / "world", whole = *folder / "whole.vq",
                    parts = *folder / "parts.vq";
  const auto train = [&](const std::string& out, const std::string& more) {
    return run_beit3("vq train --data " + world + " --out " + out +
                     " --steps 6 --codes 16 --batch 8 --width 16 --heads 2 " + more);
  };
  const auto ended = [](const Outcome& o) { return o.code == 0 || o.code == 8; };  // 8: collapsed
  ASSERT_TRUE(ended(train(whole, "")));
  EXPECT_THAT(train(parts, "--resume").err, HasSubstr("nothing to resume"));
  const Outcome stopped = train(parts, "--max-steps 4");
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("--resume goes on"));
  EXPECT_FALSE(std::filesystem::exists(parts));
  EXPECT_EQ(train(parts, "").code, 2);  // does not begin anew unasked
  EXPECT_EQ(train(parts, "--resume --lr 0.1").code, 3);
  const Outcome resumed = train(parts, "--resume");
  EXPECT_TRUE(ended(resumed)) << resumed.err;
  EXPECT_TRUE(read_text(parts) == read_text(whole));
  EXPECT_FALSE(std::filesystem::exists(parts + ".training"));
  EXPECT_EQ(train(*folder / "nowhere/a.vq", "").code, 3);
}

TEST_F(Run, TeachesAnImageTokenizerByFeatures) {
  const std::string features = *folder / "features.safetensors";
  const auto write = [&](int64_t pictures, int64_t patches) {
    nn::save_safetensors(features, {{"features", normal({pictures, patches, 5}, RandomKey{1})}},
                         {});
  };
  const std::string command = "vq train --data " + *folder / "world" + " --out " +
                              *folder / "taught.vq" +
                              " --steps 2 --codes 16 --width 16 --heads 2 --teacher " + features;
  write(40, 64);
  const Outcome taught = run_beit3(command);
  EXPECT_TRUE(taught.code == 0 || taught.code == 8) << taught.err;
  EXPECT_THAT(run_beit3("inspect " + *folder / "taught.vq").out, HasSubstr("(5,"));
  EXPECT_EQ(run_beit3(command + " --augment").code, 2);
  write(39, 64);
  EXPECT_THAT(run_beit3(command).err, HasSubstr("there are no features of picture 39"));
  write(40, 16);
  EXPECT_THAT(run_beit3(command).err, HasSubstr("features of 16 patches"));
}

}  // namespace
}  // namespace tessera::testing
