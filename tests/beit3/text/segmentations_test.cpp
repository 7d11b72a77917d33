#include "beit3/text/segmentations.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "recorded_models.h"
#include "tensor/base/error.h"

namespace tessera::beit3::testing {
namespace {

const PieceCodec& unigram() {
  static const std::unique_ptr<const PieceCodec> codec = recorded_codec("uniident1k");
  return *codec;
}
const PieceCodec& bpe() {
  static const std::unique_ptr<const PieceCodec> codec = recorded_codec("bpeunused1k");
  return *codec;
}

std::vector<std::string> pieces_of(const std::vector<PieceToken>& tokens) {
  std::vector<std::string> pieces;
  for (const PieceToken& token : tokens) pieces.push_back(token.text);
  return pieces;
}

using Shares = std::map<std::vector<std::string>, double>;

/// How often each segmentation comes out of many draws.
Shares draw_many(const Segmentations& ways, const std::string& text, const SegmentationDraw& draw,
                 int times) {
  Shares shares;
  for (int i = 0; i < times; ++i) {
    shares[pieces_of(ways.sample(text, draw, RandomKey{5}.fold(static_cast<uint64_t>(i))))] +=
        1.0 / times;
  }
  return shares;
}

/// A share of n draws has the standard deviation sqrt(p (1 - p) / n); six of them are exceeded
/// once in 10^9.
void expect_share(double share, double p, int n) {
  EXPECT_NEAR(share, p, 6 * std::sqrt(p * (1 - p) / n) + 1e-12);
}

TEST(Segmentations, ProbabilitiesOfAllWaysAddUp) {
  const Segmentations ways(unigram());
  for (const double alpha : {0.0, 0.1, 1.0}) {
    for (const std::string text : {"hello", "a caf\u00e9 in T\u014dky\u014d", "", "zzz"}) {
      const SegmentationTotals totals = ways.totals(text, alpha);
      const auto all = ways.best(text, 1024, alpha);
      ASSERT_LT(all.size(), 1024u);
      EXPECT_EQ(static_cast<double>(all.size()), totals.paths) << text;
      double sum = 0, entropy = 0;
      for (const ScoredTokens& way : all) {
        sum += std::exp(way.log_probability);
        entropy -= std::exp(way.log_probability) * way.log_probability;
      }
      // f64 sums of at most 1024 terms, exponents below 1000.
      EXPECT_NEAR(sum, 1, 1024 * 1000 * 2.3e-16) << text;
      EXPECT_NEAR(entropy, totals.entropy, 1024 * 1000 * 2.3e-16) << text;
    }
  }
}

TEST(Segmentations, BestComeInOrderAndCoverTheText) {
  const Segmentations ways(unigram());
  const std::string text = "He never saw such a wonderful thing.";
  const auto best = ways.best(text, 50);
  ASSERT_EQ(best.size(), 50u);
  EXPECT_EQ(pieces_of(best[0].tokens), pieces_of(unigram().encode_tokens(text)));
  EXPECT_EQ(pieces_of(ways.best(text, 1)[0].tokens), pieces_of(best[0].tokens));
  std::set<std::vector<std::string>> distinct;
  for (size_t i = 0; i < best.size(); ++i) {
    EXPECT_LE(best[i].score, best[i > 0 ? i - 1 : 0].score);
    distinct.insert(pieces_of(best[i].tokens));
    EXPECT_EQ(unigram().decode_pieces(pieces_of(best[i].tokens)), text);
  }
  EXPECT_EQ(distinct.size(), best.size());
}

TEST(Segmentations, DrawsFollowTheDistribution) {
  constexpr int kDraws = 20000;
  const Segmentations ways(unigram());
  for (const double alpha : {0.1, 0.5}) {
    const Shares shares = draw_many(ways, "the hat", {.alpha = alpha}, kDraws);
    const auto all = ways.best("the hat", 1024, alpha);
    EXPECT_GT(all.size(), 5u);
    for (const ScoredTokens& way : all) {
      const auto found = shares.find(pieces_of(way.tokens));
      expect_share(found == shares.end() ? 0 : found->second, std::exp(way.log_probability),
                   kDraws);
    }
    const auto among = draw_many(ways, "the hat", {.alpha = alpha, .among = 2}, kDraws);
    EXPECT_LE(among.size(), 2u);
    const double odds = std::exp(all[0].log_probability - all[1].log_probability);
    expect_share(among.at(pieces_of(all[0].tokens)), odds / (1 + odds), kDraws);
  }
  EXPECT_EQ(pieces_of(ways.sample("the hat", {}, RandomKey{3})),
            pieces_of(ways.sample("the hat", {}, RandomKey{3})));
}

TEST(Segmentations, BpeDropoutLeavesMergesOut) {
  constexpr int kDraws = 20000;
  const Segmentations ways(bpe());
  const auto plain = pieces_of(bpe().encode_tokens("of"));
  EXPECT_EQ(pieces_of(ways.sample("of", {.alpha = 0}, RandomKey{1})), plain);
  EXPECT_EQ(pieces_of(ways.sample("of", {.alpha = 1}, RandomKey{1})),
            (std::vector<std::string>{"\u2581", "o", "f"}));
  const std::string text = "I never saw such a man of wonder";
  std::set<std::vector<std::string>> distinct;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto pieces = pieces_of(ways.sample(text, {.alpha = 0.3}, RandomKey{i}));
    EXPECT_EQ(bpe().decode_pieces(pieces), text);
    distinct.insert(pieces);
  }
  EXPECT_GT(distinct.size(), 100u);
  // A text of one possible merge keeps it with probability 1 - alpha.
  SentencePieceModel tiny;
  tiny.pieces = {{"<unk>", 0, PieceType::kUnknown}, {"ab", 0}, {"a", -1}, {"b", -2}};
  tiny.trainer.model_type = PieceModelType::kBpe;
  tiny.normalizer.add_dummy_prefix = false;
  const PieceCodec codec(tiny);
  const Shares shares = draw_many(Segmentations(codec), "ab", {.alpha = 0.3}, kDraws);
  expect_share(shares.at({"ab"}), 0.7, kDraws);
}

TEST(Segmentations, RefusesWhatAModelCannotDo) {
  EXPECT_THROW(Segmentations(bpe()).best("a", 2), ValueError);
  EXPECT_THROW(Segmentations(bpe()).totals("a", 1), ValueError);
  EXPECT_THROW(Segmentations(bpe()).sample("a", {.alpha = 0.1, .among = 3}, {}), ValueError);
  EXPECT_THROW(Segmentations(unigram()).best("a", 0), ValueError);
  EXPECT_THROW(Segmentations(unigram()).best("a", 1025), ValueError);
  EXPECT_THROW(Segmentations(unigram()).sample("a", {.alpha = -1}, {}), ValueError);
  EXPECT_THROW(Segmentations(unigram()).sample("a", {.alpha = 1, .among = 513}, {}), ValueError);
}

}  // namespace
}  // namespace tessera::beit3::testing
