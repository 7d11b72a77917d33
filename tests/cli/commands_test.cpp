#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace tessera::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// An error is one line that begins with the program's name.
void expect_error(const Outcome& outcome, int code, const std::string& part) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(part));
  const size_t last = outcome.err.rfind("beit3: ");
  ASSERT_NE(last, std::string::npos) << outcome.err;
  EXPECT_EQ(
      std::count(outcome.err.begin() + static_cast<std::ptrdiff_t>(last), outcome.err.end(), '\n'),
      1)
      << outcome.err;
}

TEST(Help, ExplainsEveryCommand) {
  const std::string root = run_beit3("help").out;
  for (const std::string command :
       {"data",        "data synth", "data check", "data show",      "tok",
        "tok train",   "tok encode", "tok decode", "tok info",       "tok compare",
        "vq",          "vq train",   "vq encode",  "vq recon",       "vq usage",
        "pretrain",    "resume",     "eval",       "fill",           "inspect",
        "gradcheck",   "parity",     "parity run", "config",         "config show",
        "bench",       "doctor",     "verify",     "verify threads", "verify resume",
        "verify accum"}) {
    const Outcome by_word = run_beit3("help " + command);
    EXPECT_EQ(by_word.code, 0) << command;
    EXPECT_THAT(by_word.out, HasSubstr("usage: beit3 " + command)) << command;
    EXPECT_EQ(run_beit3(command + " --help").out, by_word.out) << command;
    EXPECT_THAT(root, HasSubstr("  " + command.substr(0, command.find(' ')))) << command;
    const bool has_children = by_word.out.find("\ncommands:\n") != std::string::npos;
    EXPECT_TRUE(has_children || by_word.out.find("\nexamples:\n") != std::string::npos) << command;
    for (size_t at = 0, end = 0; at < by_word.out.size(); at = end + 1) {
      end = by_word.out.find('\n', at);
      EXPECT_LE(end - at, 101u) << by_word.out.substr(at, end - at);
    }
  }
  EXPECT_THAT(run_beit3("help exit-codes").out, HasSubstr("75"));
  EXPECT_EQ(run_beit3("").out, root);
}

TEST(Mistakes, AreErrorsWithASuggestion) {
  expect_error(run_beit3("pretrian"), 2, "did you mean \"pretrain\"?");
  expect_error(run_beit3("data sinth x"), 2, "did you mean \"synth\"?");
  expect_error(run_beit3("data synth x --tran 3"), 2, "did you mean --train?");
  expect_error(run_beit3("config show --train.step 3"), 2, "did you mean --train.steps?");
  expect_error(run_beit3("data synth x --train many"), 2, "--train");
  expect_error(run_beit3("data synth x --pairs 2"), 2, "--pairs is 2; expected 0 … 1");
  expect_error(run_beit3("data synth x --smaller-first 2"), 2, "--smaller-first is 2; expected 0");
  expect_error(run_beit3("data synth"), 2, "DIR");
  expect_error(run_beit3("eval x --hidden 1.5"), 2, "--hidden is 1.5; expected 0 … 1");
  expect_error(run_beit3("config show --optim.muon_lr -1"), 2, "must not be negative");
  expect_error(run_beit3("help nonsense-word"), 2, "nonsense-word");
  expect_error(run_beit3("gradcheck --op sofmax"), 2, "did you mean \"softmax\"?");
  expect_error(run_beit3("gradcheck --module nothing"), 2, "no parameter's name holds \"nothing\"");
  expect_error(run_beit3("gradcheck --op exp --preset nano"), 2, "--op looks at one op");
  expect_error(run_beit3("config show --preset naon"), 2, "nano");
  expect_error(run_beit3("config show --model.form giant"), 2, "released or paper");
  expect_error(run_beit3("config show --model.form paper --model.vl_layers 5"), 2, "0 … 4");
  // 4 * 10^11 parameters: no machine has the memory. Told before any file is looked for.
  expect_error(run_beit3("pretrain --out x --data.images p --tokenizer.text t --tokenizer.image v "
                         "--model.width 8192 --model.ffn 32768 --model.layers 256"),
               2, "choose a smaller model");
  expect_error(run_beit3("inspect"), 2, "--preset NAME");
  expect_error(run_beit3("inspect . --form paper"), 2, "--form goes with --preset");
  expect_error(run_beit3("config show --dtype f16"), 2, "f32 or bf16");
  expect_error(run_beit3("doctor --isa sse9"), 2, "sse9");
}

TEST(Data, IsDrawnCheckedAndShown) {
  const TemporaryFolder folder;
  const std::string world = folder / "world";
  const std::string draw = "data synth " + world + " --train 8 --heldout 4 --texts 6 --seed 3";
  EXPECT_EQ(run_beit3(draw).code, 0);
  EXPECT_THAT(run_beit3(draw).err, HasSubstr("already"));
  const Outcome checked = run_beit3("data check " + world);
  EXPECT_EQ(checked.code, 0) << checked.out;
  EXPECT_THAT(checked.out, HasSubstr("8"));
  const Outcome shown =
      run_beit3("data show " + world + " --split heldout --out " + folder / "s.png");
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(std::count(shown.out.begin(), shown.out.end(), '\n'), 4);
  EXPECT_THAT(read_text(folder / "s.png"), StartsWith("\x89PNG"));

  const std::string pairs = folder / "pairs";
  ASSERT_EQ(run_beit3("data synth " + pairs + " --train 5 --heldout 0 --texts 0 --pairs 1").code,
            0);
  const std::string lines = read_text(pairs + "/train.jsonl");
  int64_t told = 0;
  for (size_t at = 0; (at = lines.find("\"kind\":\"pair\"", at)) != lines.npos; ++at) ++told;
  EXPECT_EQ(told, 5);

  write_text(world + "/images/000002.png", "no picture");
  const Outcome broken = run_beit3("data check " + world);
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.out, HasSubstr("000002.png"));
  expect_error(run_beit3("data check " + folder / "absent"), 3, "absent");
  expect_error(run_beit3("data check " + world + " > /dev/full"), 3, "standard output");
}

TEST(Tok, TrainsEncodesAndDecodes) {
  const TemporaryFolder folder;
  const std::string model = folder / "text.model";
  std::string text;
  for (const char* size : {"small", "large"}) {
    for (const char* colour : {"red", "green", "blue"}) {
      text += std::string("a ") + size + " " + colour + " circle on a grey background\n";
    }
  }
  write_text(folder / "texts.txt", text);
  const Outcome trained =
      run_beit3("tok train --words --vocab-size 60 --out " + model + " " + folder / "texts.txt");
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.out, "");
  Outcome ids = run_beit3("tok encode " + model + " 'a red circle'");
  EXPECT_EQ(ids.code, 0);
  ids.out.pop_back();  // the end of the line
  EXPECT_EQ(run_beit3("tok decode " + model + " " + ids.out).out, "a red circle\n");
  EXPECT_EQ(run_beit3("tok encode " + model + " < " + folder / "texts.txt" +
                      " | \"$BEIT3_PROGRAM\"" + " tok decode " + model)
                .out,
            text);
  EXPECT_THAT(run_beit3("tok info " + model + " --pieces").out, HasSubstr("<mask>"));
  expect_error(run_beit3("tok decode " + model + " 9999"), 2, "9999");
  expect_error(run_beit3("tok train --out " + model + " " + folder / "texts.txt"), 2, "8000");
  expect_error(run_beit3("tok info " + folder / "texts.txt"), 3, "texts.txt");
}

TEST(Tok, TrainsBytePairsAndDrawsSegmentations) {
  const TemporaryFolder folder;
  const std::string bpe = folder / "bpe.model", text = "data/tokenizer/botchan.txt";
  const Outcome trained = run_beit3(
      "tok train --type bpe --byte-fallback --vocab-size 600 --user "
      "'<a>,<b>' --normalization identity --vocabulary --out " +
      bpe + " " + text);
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(read_text(folder / "bpe.vocab"), HasSubstr("\n<a>\t0\n<b>\t0\n<0x00>\t0\n"));
  EXPECT_THAT(run_beit3("tok info " + bpe).out, HasSubstr("bpe"));
  const std::string encode = "tok encode " + bpe + " 'the weather' --pieces";
  EXPECT_EQ(run_beit3(encode + " --sample 0").out, run_beit3(encode).out);
  EXPECT_EQ(run_beit3(encode + " --sample 1").out, "\u2581 t h e \u2581 w e a t h e r\n");
  expect_error(run_beit3(encode + " --nbest 3"), 2, "Unigram");
  expect_error(run_beit3("tok train --type word --out x.model " + text), 2, "unigram or bpe");
  expect_error(run_beit3("tok train --type bpe --words --out x.model " + text), 2, "--words");
}

TEST(Tok, EncodesInOtherWays) {
  const std::string encode = "tok encode data/tokenizer/uniident1k.model 'never saw' ";
  const Outcome best = run_beit3(encode + "--nbest 3 --pieces");
  EXPECT_EQ(best.code, 0) << best.err;
  EXPECT_EQ(std::count(best.out.begin(), best.out.end(), '\n'), 3);
  const std::string first = best.out.substr(0, best.out.find('\n'));
  EXPECT_EQ(first.substr(first.find('\t') + 1) + "\n", run_beit3(encode + "--pieces").out);
  EXPECT_EQ(run_beit3(encode + "--sample 0.1 --seed 4").out,
            run_beit3(encode + "--sample 0.1 --seed 4 --threads 1").out);
  EXPECT_THAT(run_beit3(encode + "--task coco_captioning").out, StartsWith("0 "));
  EXPECT_EQ(run_beit3(encode + "--length 3").out.substr(0, 2), "0 ");
  const std::string row = run_beit3(encode + "--task vqav2").out;
  EXPECT_EQ(std::count(row.begin(), row.end(), ' '), 63);
  const Outcome ids = run_beit3(encode), own = run_beit3(encode + "--model-ids");
  EXPECT_EQ(std::stoll(ids.out), std::stoll(own.out) + 1);
  expect_error(run_beit3(encode + "--task painting"), 2, "vqav2");
  expect_error(run_beit3(encode + "--sample much"), 2, "much");
  expect_error(run_beit3(encode + "--nbest 2 --task vqav2"), 2, "--nbest");
  // The same lines, whatever the threads.
  const std::string all = "tok encode data/tokenizer/uniident1k.model < data/tokenizer/botchan.txt";
  const std::string lines = run_beit3(all + " --threads 1").out;
  EXPECT_EQ(run_beit3(all + " --threads 3").out, lines);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4288);
}

TEST(Tok, ComparesRecordedCases) {
  const std::string compare = "tok compare --models data/tokenizer ";
  const Outcome equal =
      run_beit3(compare + "data/tokenizer/load_cases.jsonl data/tokenizer/vqa_answer_cases.jsonl");
  EXPECT_EQ(equal.code, 0) << equal.out;
  EXPECT_THAT(equal.out, HasSubstr("166 equal, 0 differ\n"));
  const TemporaryFolder folder;
  write_text(folder / "wrong.jsonl",
             "{\"kind\": \"vqa_norm\", \"text\": \"Two dogs\", \"norm\": \"2 cats\"}\n");
  const Outcome differs = run_beit3(compare + folder / "wrong.jsonl");
  EXPECT_EQ(differs.code, 1);
  EXPECT_THAT(differs.out, HasSubstr("line 1: norm: expected \"2 cats\", got \"2 dogs\""));
  EXPECT_THAT(differs.out, HasSubstr("0 equal, 1 differ\n"));
  expect_error(run_beit3(compare + folder / "absent.jsonl"), 3, "absent.jsonl");
  expect_error(run_beit3("tok compare x.jsonl"), 2, "--models");
}

TEST(Config, IsShownReadBackAndChecked) {
  const TemporaryFolder folder;
  const std::string file = folder / "c.toml";
  const Outcome shown =
      run_beit3("config show --preset micro --steps 77 --data.texts 'a \"b\".txt'");
  EXPECT_EQ(shown.code, 0) << shown.err;
  write_text(file, shown.out);
  EXPECT_EQ(run_beit3("config show --config " + file).out, shown.out);
  EXPECT_THAT(run_beit3("config show --config " + file + " --steps 5").out,
              HasSubstr("\nsteps = 5 "));
  write_text(file, "[train]\nsteps = 5\nimagse = 4\n");
  expect_error(run_beit3("config show --config " + file), 2, "c.toml:3: ");
  expect_error(run_beit3("config show --config " + file), 2, "did you mean \"train.images\"?");
  write_text(file, "[train]\nsteps = \"5\"\n");
  expect_error(run_beit3("config show --config " + file), 2, "expected a whole number");
  write_text(file, "[train\n");
  expect_error(run_beit3("config show --config " + file), 2, "c.toml:1: ");
  expect_error(run_beit3("config show --config " + folder / "absent.toml"), 3, "absent.toml");
}

TEST(Machine, IsDescribed) {
  const Outcome outcome = run_beit3("doctor --isa portable --threads 1");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("portable"));
  EXPECT_THAT(outcome.out, HasSubstr("OpenBLAS"));
  EXPECT_THAT(outcome.out, HasSubstr(" kernels\n"));
  EXPECT_THAT(run_beit3("--version").out, StartsWith("beit3 "));
}

TEST(Gradcheck, PassesForEveryOpAndEveryParameter) {
  const Outcome outcome = run_beit3("gradcheck --order 1 --threads 1");
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("ok     softmax "));
  for (const char* name : {"beit3.text_embed.weight", "mim_head.bias", "vision_embed.mask_token",
                           "layers.0.self_attn.q_proj.A.bias", "encoder.layers.1.ffn.B.fc2.weight",
                           "encoder.layer_norm.A.bias"}) {
    EXPECT_THAT(outcome.out, HasSubstr(name));
  }
  EXPECT_THAT(outcome.out, HasSubstr(" right, 0 wrong\n"));
}

TEST(Bench, TimesEveryKindOfWork) {
  for (const std::string what : {"step", "gemm", "attention", "ops"}) {
    const Outcome out =
        run_beit3("bench " + what + " --batch 1,1,1 --words 20 --codes 8 --seconds 0.001 --json");
    ASSERT_EQ(out.code, 0) << out.err;
    const nlohmann::json said = nlohmann::json::parse(out.out);
    EXPECT_GT(said.at("roof").at("flops").get<double>(), 0);
    ASSERT_FALSE(said.at("works").empty()) << what;
    for (const auto& work : said.at("works")) {
      EXPECT_GT(work.at("least_s").get<double>(), 0) << work.dump();
      EXPECT_LE(work.at("least_s"), work.at("median_s")) << work.dump();
      EXPECT_GT(work.at("flops").get<double>() + work.at("bytes").get<double>(), 0) << work.dump();
    }
  }
  EXPECT_THAT(run_beit3("bench ops --batch 1,0,0 --words 20 --codes 8 --seconds 0.001").out,
              HasSubstr("of copy"));
  EXPECT_EQ(run_beit3("bench step --batch 1,1,1 --words 20 --codes 8 --seconds 0.001 --dtype bf16 "
                      "--recompute --update-in-backward")
                .code,
            0);
  expect_error(run_beit3("bench step --dtype f16"), 2, "expected f32 or bf16");
  expect_error(run_beit3("bench gemm --dtype bf16"), 2, "leave them out of bench gemm");
  expect_error(run_beit3("bench gem"), 2, "did you mean \"gemm\"?");
  expect_error(run_beit3("bench --batch 1,2"), 2, "16,16,16");
  expect_error(run_beit3("bench --batch 0,0,0"), 2, "not all 0");
  expect_error(run_beit3("bench --gemm fast"), 2, "auto, openblas, packed, bf16x6, bf16x3 or bf16");
}

TEST(Parity, EndsWithOneUnlessSomethingWasComparedAndAllIsEqual) {
  const std::string recorded = "parity run data/beit3-parity ";
  const Outcome equal = run_beit3(recorded + "encoder-text --dtype f64");
  EXPECT_EQ(equal.code, 0) << equal.out;
  EXPECT_THAT(equal.out, HasSubstr("1 equal, 0 differ, 0 not supported yet\n"));
  const Outcome different = run_beit3(recorded + "encoder-text --tolerance 1e-12");
  EXPECT_EQ(different.code, 1);
  EXPECT_THAT(different.out, HasSubstr("hidden.layer0.attn"));
  EXPECT_THAT(different.out, HasSubstr("DIFFERS"));
  const Outcome later = run_beit3(recorded + "classification");
  EXPECT_EQ(later.code, 1);
  EXPECT_THAT(later.out, HasSubstr("not supported yet: needs the task image classification"));
  const Outcome json = run_beit3(recorded + "cosine_scheduler --json");
  EXPECT_EQ(json.code, 0);
  EXPECT_THAT(json.out, StartsWith("{\"equal\":1,\"different\":0,\"unsupported\":0,"));
  expect_error(run_beit3(recorded + "encoder-text --dtype f16"), 2, "--dtype");
}

TEST(Gradcheck, LooksAtOneModuleAndWritesJson) {
  const Outcome outcome =
      run_beit3("gradcheck --module layers.0.self_attn.out_proj --threads 1 --json");
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("{\"cases\": 16, \"wrong\": 0, \"worst\": {"));
  EXPECT_THAT(outcome.out, HasSubstr("layers.0.self_attn.out_proj.B.bias"));
}

TEST(Gradcheck, PassesForThePaperForm) {
  const Outcome checked = run_beit3("gradcheck --form paper --module layers.1.");
  EXPECT_EQ(checked.code, 0) << checked.out;
  EXPECT_THAT(checked.out, HasSubstr("layers.1.ffn.VL.fc2.weight"));
  EXPECT_THAT(checked.out, HasSubstr(" 0 wrong\n"));
}

TEST(Inspect, CountsWhatAPresetIsSpentOn) {
  const Outcome giant = run_beit3("inspect --preset giant");  // its parameters would take 7.8 GB
  EXPECT_EQ(giant.code, 0) << giant.err;
  EXPECT_THAT(giant.out, StartsWith("giant, paper form: 1408 wide, 40 layers"));
  EXPECT_THAT(giant.out, HasSubstr("\nfeed-forward VL           51927168  in 12 tensors\n"));
  EXPECT_THAT(giant.out, HasSubstr("\nattention                317419520  in 320 tensors\n"));
  EXPECT_THAT(run_beit3("inspect --preset base").out, HasSubstr("\n276510730 parameters: "));
  EXPECT_EQ(run_beit3("inspect --preset nano --form paper --only layers.3.ffn.VL.fc2").out,
            "beit3.encoder.layers.3.ffn.VL.fc2.weight  (96, 384)\n"
            "beit3.encoder.layers.3.ffn.VL.fc2.bias  (96)\n");
}

TEST(Inspect, RefusesWhatIsNoModel) {
  const TemporaryFolder folder;
  write_text(folder / "x.safetensors", "nothing of the kind");
  expect_error(run_beit3("inspect " + folder / "x.safetensors"), 3, "x.safetensors");
  expect_error(run_beit3("inspect " + folder / "absent"), 3, "absent");
  expect_error(run_beit3("parity run " + folder / "absent"), 3, "absent");
}

}  // namespace
}  // namespace tessera::testing
