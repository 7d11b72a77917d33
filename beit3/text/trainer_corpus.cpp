#include <algorithm>
#include <set>
#include <unordered_map>

#include "beit3/text/byte_trie.h"
#include "beit3/text/normalizer.h"
#include "beit3/text/piece_codec.h"
#include "beit3/text/trainer_corpus_internal.h"
#include "beit3/text/unicode_rules.h"
#include "beit3/text/unicode_scripts.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"
#include "tensor/base/parallel.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {
namespace {

constexpr char32_t kSpaceMarkCodePoint = 0x2581;
constexpr std::string_view kBarrierText = "\xE2\x96\x85";

void check_options(const TrainerOptions& options) {
  const TrainerSpec& s = options.spec;
  const auto in_range = [](std::string_view name, double value, double low, double high) {
    check<ValueError>(value >= low && value <= high, "train: {} is {}, but must be in [{}, {}]",
                      name, value, low, high);
  };
  in_range("vocab_size", s.vocab_size, 1, kMaxPieces);
  in_range("character_coverage", static_cast<double>(s.character_coverage),
           static_cast<double>(0.98f), 1);
  in_range("max_sentencepiece_length", s.max_sentencepiece_length, 1, 512);
  in_range("num_sub_iterations", s.num_sub_iterations, 1, 10);
  in_range("num_threads", s.num_threads, 1, 1024);
  in_range("self_test_sample_size", s.self_test_sample_size, 0, 1000);
  in_range("shrinking_factor", static_cast<double>(s.shrinking_factor), 0.5,
           static_cast<double>(0.95f));
  in_range("max_sentence_length", s.max_sentence_length, 10, 1 << 30);
  in_range("seed_sentencepiece_size", s.seed_sentencepiece_size, 1, kMaxPieces);
  check<ValueError>(s.input_sentence_size == 0 || s.input_sentence_size > 100,
                    "train: input_sentence_size is {}, but must be 0 (all) or above 100",
                    s.input_sentence_size);
  check<ValueError>(
      !s.unk_piece.empty() && !s.bos_piece.empty() && !s.eos_piece.empty() && !s.pad_piece.empty(),
      "train: unk_piece, bos_piece, eos_piece and pad_piece must not be empty");
}

std::map<int32_t, Piece> meta_pieces(const TrainerSpec& spec) {
  std::map<int32_t, Piece> meta;
  std::map<std::string, int32_t> id_of;
  const auto fix = [&](int32_t id, const std::string& text, PieceType type) {
    if (id < 0) return;
    check<ValueError>(id < spec.vocab_size, "train: {} has id {}, but vocab_size is {}", text, id,
                      spec.vocab_size);
    check<ValueError>(
        meta.try_emplace(id, Piece{text, 0.0f, type}).second && id_of.try_emplace(text, id).second,
        "train: {} with id {} clashes with another special piece", text, id);
  };
  check<ValueError>(spec.unk_id >= 0, "train: unk_id is {}, but an unknown piece is needed",
                    spec.unk_id);
  fix(spec.unk_id, spec.unk_piece, PieceType::kUnknown);
  fix(spec.bos_id, spec.bos_piece, PieceType::kControl);
  fix(spec.eos_id, spec.eos_piece, PieceType::kControl);
  fix(spec.pad_id, spec.pad_piece, PieceType::kControl);

  int32_t next = 0;
  std::set<std::string> seen;
  const auto add = [&](const std::string& text, PieceType type) {
    check<ValueError>(!text.empty() && text != spec.unk_piece && seen.insert(text).second,
                      "train: symbol \"{}\" is empty, repeated or the unknown piece", text);
    if (const auto at = id_of.find(text); at != id_of.end()) {
      meta[at->second].type = type;
      return;
    }
    while (meta.contains(next)) ++next;
    meta[next] = {text, 0.0f, type};
  };
  for (const std::string& text : spec.control_symbols) add(text, PieceType::kControl);
  for (const std::string& text : spec.user_defined_symbols) add(text, PieceType::kUserDefined);
  if (spec.byte_fallback) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (int b = 0; b < 256; ++b) {
      add({'<', '0', 'x', kDigits[b >> 4], kDigits[b & 15], '>'}, PieceType::kByte);
    }
  }
  return meta;
}

/// The lines that take part: not empty, not too long, without the barrier; a sample if asked for.
std::vector<std::string_view> choose_lines(std::span<const std::string> lines,
                                           const TrainerOptions& options) {
  const uint64_t limit = options.spec.input_sentence_size;
  const auto max_bytes = static_cast<size_t>(options.spec.max_sentence_length);
  std::vector<std::string_view> chosen;
  RandomStream random(RandomKey{options.seed}.fold(0x6C696E65));  // "line"
  int64_t seen = 0;
  for (const std::string& line : lines) {
    if (line.empty() || line.size() > max_bytes || line.find(kBarrierText) != std::string::npos) {
      continue;
    }
    ++seen;
    if (limit == 0 || chosen.size() < limit) {
      chosen.push_back(line);
    } else if (!options.spec.shuffle_input_sentence) {
      break;
    } else if (const auto at = static_cast<uint64_t>(random.integer(seen)); at < limit) {
      chosen[at] = line;  // reservoir sampling: every line is equally likely to stay
    }
  }
  check<ValueError>(!chosen.empty(),
                    "train: none of the {} lines can be used (empty, or longer than "
                    "max_sentence_length = {} bytes)",
                    lines.size(), options.spec.max_sentence_length);
  return chosen;
}

/// Each longest occurrence of a meta piece becomes a TAB, across which no piece may reach.
std::string cut_meta_pieces(const std::string& text, const ByteTrie& meta) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = meta.longest_prefix(std::string_view(text).substr(at)).bytes;
    if (bytes > 0) {
      out += '\t';
      at += bytes;
    } else {
      const size_t character = lead_length(text[at], text.size() - at);
      out.append(text, at, character);
      at += character;
    }
  }
  return out;
}

std::vector<std::pair<char32_t, int64_t>> find_alphabet(const std::vector<WeightedText>& sentences,
                                                        const TrainerSpec& spec) {
  struct Entry {
    char32_t c;
    int64_t count;
    bool required;
  };
  std::unordered_map<char32_t, Entry> counts;
  int64_t total = 0;
  for (const WeightedText& sentence : sentences) {
    std::string_view rest = sentence.text;
    while (!rest.empty()) {
      const Utf8Character c = decode_utf8(rest);
      counts.try_emplace(c.value, Entry{c.value, 0, false}).first->second.count += sentence.count;
      total += sentence.count;
      rest.remove_prefix(c.bytes);
    }
  }
  for (const char32_t c : to_code_points(spec.required_chars)) {
    counts.try_emplace(c, Entry{c, 0, false}).first->second.required = true;
  }
  std::vector<Entry> order;
  for (const auto& [c, entry] : counts) order.push_back(entry);
  std::sort(order.begin(), order.end(), [](const Entry& a, const Entry& b) {
    if (a.required != b.required) return a.required;
    return a.count != b.count ? a.count > b.count : a.c < b.c;
  });
  std::vector<std::pair<char32_t, int64_t>> alphabet;
  int64_t covered = 0;
  for (const Entry& entry : order) {
    const auto coverage =
        static_cast<float>(static_cast<double>(covered) / static_cast<double>(total));
    if (coverage >= spec.character_coverage) break;
    covered += entry.count;
    if (entry.c != U'\t') alphabet.emplace_back(entry.c, entry.count);
  }
  // Required characters were only first in being chosen.
  std::sort(alphabet.begin(), alphabet.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return alphabet;
}

bool is_digit(char32_t c) { return (c >= U'0' && c <= U'9') || (c >= 0xFF10 && c <= 0xFF19); }

/// Calls emit(word) for every word of a sentence.
template <class Emit>
void for_each_word(std::string_view text, const TrainerSpec& spec, Emit&& emit) {
  const bool keep_runs = spec.allow_whitespace_only_pieces;
  const size_t mark_bytes = kSpaceMark.size();
  size_t begin = 0;
  bool after_mark = false;
  for (size_t at = 0; at < text.size();) {
    const bool mark = text.substr(at).starts_with(kSpaceMark);
    const size_t bytes = mark ? mark_bytes : lead_length(text[at], text.size() - at);
    // Prefix mode cuts in front of a mark, suffix mode behind it; a run of marks may stay whole.
    const bool cut = spec.treat_whitespace_as_suffix ? after_mark && !(keep_runs && mark)
                                                     : mark && !(keep_runs && after_mark);
    if (cut && at > begin) {
      emit(text.substr(begin, at - begin));
      begin = at;
    }
    after_mark = mark;
    at += bytes;
  }
  if (begin < text.size()) emit(text.substr(begin));
}

}  // namespace

TrainingCorpus prepare_corpus(std::span<const std::string> lines, const TrainerOptions& options) {
  check_options(options);
  const TrainerSpec& spec = options.spec;
  TrainingCorpus corpus;
  corpus.meta = meta_pieces(spec);
  corpus.normalizer = {.name = options.normalization,
                       .charsmap = compile_charsmap(builtin_rewrite_rules(options.normalization)),
                       .add_dummy_prefix = options.add_dummy_prefix,
                       .remove_extra_whitespaces = options.remove_extra_whitespaces,
                       .escape_whitespaces = true,
                       .rule_tsv = {}};
  const std::vector<std::string_view> chosen = choose_lines(lines, options);

  std::vector<ByteTrie::Entry> meta_texts;
  for (const auto& [id, piece] : corpus.meta) meta_texts.push_back({piece.text, 0});
  const ByteTrie meta(std::move(meta_texts));
  const Normalizer normalizer(corpus.normalizer, {}, spec.treat_whitespace_as_suffix, "training");
  corpus.sentences.resize(chosen.size());
  parallel_ranges(static_cast<int64_t>(chosen.size()), 256, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      corpus.sentences[i] = {cut_meta_pieces(normalizer.normalize_text(chosen[i]), meta), 1};
    }
  });
  std::erase_if(corpus.sentences, [](const WeightedText& s) { return s.text.empty(); });
  check<ValueError>(!corpus.sentences.empty(), "train: all {} lines are blank", lines.size());

  corpus.alphabet = find_alphabet(corpus.sentences, spec);
  const size_t least = corpus.alphabet.size() + corpus.meta.size();
  check<ValueError>(least <= static_cast<size_t>(spec.vocab_size),
                    "train: vocab_size is {}, but {} characters and {} special pieces need at "
                    "least {}; raise vocab_size or lower character_coverage ({})",
                    spec.vocab_size, corpus.alphabet.size(), corpus.meta.size(), least,
                    spec.character_coverage);

  std::vector<char32_t> known;
  for (const auto& [c, count] : corpus.alphabet) known.push_back(c);
  std::sort(known.begin(), known.end());
  for (WeightedText& sentence : corpus.sentences) {
    std::string text;
    text.reserve(sentence.text.size());
    std::string_view rest = sentence.text;
    while (!rest.empty()) {
      const Utf8Character c = decode_utf8(rest);
      const bool keep = std::binary_search(known.begin(), known.end(), c.value);
      text += keep ? rest.substr(0, c.bytes) : kBarrierText;
      rest.remove_prefix(c.bytes);
    }
    sentence.text = std::move(text);
  }

  RandomStream random(RandomKey{options.seed}.fold(0x74657374));  // "test"
  std::set<int64_t> picks;
  const auto wanted =
      std::min<size_t>(static_cast<size_t>(spec.self_test_sample_size), chosen.size());
  while (picks.size() < wanted) picks.insert(random.integer(static_cast<int64_t>(chosen.size())));
  for (const int64_t i : picks)
    corpus.self_test_inputs.emplace_back(chosen[static_cast<size_t>(i)]);
  return corpus;
}

std::vector<WeightedText> corpus_words(const std::vector<WeightedText>& sentences,
                                       const TrainerSpec& spec) {
  if (!spec.split_by_whitespace) return sentences;
  std::unordered_map<std::string_view, int64_t> counts;  // views into the sentences
  for (const WeightedText& sentence : sentences) {
    for_each_word(sentence.text, spec,
                  [&](std::string_view word) { counts[word] += sentence.count; });
  }
  std::vector<WeightedText> words;
  words.reserve(counts.size());
  for (const auto& [word, count] : counts) words.push_back({std::string(word), count});
  std::sort(words.begin(), words.end(), [](const WeightedText& a, const WeightedText& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
  return words;
}

bool is_admissible(std::u32string_view piece, const TrainerSpec& spec) {
  constexpr uint8_t kAny = 255;
  const size_t size = piece.size();
  if (size == 0 || size > static_cast<size_t>(spec.max_sentencepiece_length)) return false;
  const bool only_marks =
      spec.allow_whitespace_only_pieces &&
      std::all_of(piece.begin(), piece.end(), [](char32_t c) { return c == kSpaceMarkCodePoint; });
  uint8_t previous = kAny;
  for (size_t at = 0; at < size; ++at) {
    const char32_t c = piece[at];
    if (c == kBarrier || c == 0 || c == U'\t' || c == U' ') return false;
    if (c == kSpaceMarkCodePoint) {
      const size_t home = spec.treat_whitespace_as_suffix ? size - 1 : 0;
      const size_t far_end = size - 1 - home;
      if (only_marks) continue;
      if (spec.split_by_whitespace ? at != home : at == far_end && size > 1) return false;
      continue;
    }
    uint8_t script = script_of(c);
    if (script == kScriptInherited) script = previous;
    if (is_digit(c)) {
      if (!spec.split_by_number) script = kAny;
      if (spec.split_digits && size > 1) return false;
    }
    if (spec.split_by_unicode_script && script != kAny && previous != kAny && script != previous) {
      return false;
    }
    previous = script;
  }
  return true;
}

SentencePieceModel assemble_model(const TrainingCorpus& corpus, std::vector<ScoredText> learned,
                                  const TrainerOptions& options, PieceModelType type) {
  SentencePieceModel model;
  model.trainer = options.spec;
  model.trainer.model_type = type;
  model.normalizer = corpus.normalizer;
  const size_t size = learned.size() + corpus.meta.size();
  const auto wanted = static_cast<size_t>(options.spec.vocab_size);
  if (size < wanted) {
    check<ValueError>(!options.spec.hard_vocab_limit,
                      "train: vocab_size is {}, but this corpus yields at most {} pieces; set "
                      "vocab_size to {} or less, give more text, or turn hard_vocab_limit off",
                      wanted, size, size);
    model.trainer.vocab_size = static_cast<int32_t>(size);
  }
  auto next = learned.begin();
  for (size_t id = 0; id < size; ++id) {
    const auto fixed = corpus.meta.find(static_cast<int32_t>(id));
    if (fixed != corpus.meta.end()) {
      model.pieces.push_back(fixed->second);
      continue;
    }
    check<ValueError>(next != learned.end(),
                      "train: a special piece has an id above the {} pieces of this corpus", size);
    model.pieces.push_back({std::move(next->text), next->score, PieceType::kNormal});
    ++next;
  }
  if (!corpus.self_test_inputs.empty()) {
    const PieceCodec codec(model, "trained model");
    for (const std::string& input : corpus.self_test_inputs) {
      std::string expected;
      for (const PieceToken& token : codec.encode_tokens(input)) {
        if (!expected.empty()) expected += ' ';
        expected += token.text;
      }
      model.self_test.push_back({input, expected});
    }
  }
  return model;
}

}  // namespace tessera::beit3
