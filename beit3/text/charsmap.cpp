#include "beit3/text/charsmap.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "beit3/text/byte_trie.h"
#include "beit3/text/utf8.h"
#include "tensor/base/error.h"

namespace tessera::beit3 {
namespace {

constexpr uint32_t kLeafBit = 1u << 8;
constexpr uint32_t kWideBit = 1u << 9;
constexpr uint32_t kValueBit = 1u << 31;

uint32_t label_of(uint32_t unit) { return unit & (kValueBit | 0xFF); }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & kWideBit) >> 6); }

uint32_t load_u32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void store_u32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}

/// One state of the minimal automaton of the rules: what may follow, and the value ending here.
struct State {
  int64_t value = -1;
  std::vector<std::pair<uint8_t, uint32_t>> children;  // label, state; labels ascending

  bool operator==(const State&) const = default;
};

struct StateHash {
  size_t operator()(const State& s) const {
    uint64_t h = static_cast<uint64_t>(s.value) + 0x9E3779B97F4A7C15ull;
    const auto mix = [&](uint64_t x) { h = (h ^ x) * 0xBF58476D1CE4E5B9ull, h ^= h >> 29; };
    for (const auto& [label, to] : s.children) mix(static_cast<uint64_t>(to) << 8 | label);
    return static_cast<size_t>(h);
  }
};

/// Builds the minimal automaton from keys that arrive in ascending order: a node is finished, and
/// merged with an equal one, as soon as a later key leaves it.
class Minimiser {
 public:
  void add(std::string_view key, uint32_t value) {
    size_t shared = 0;
    while (shared < key.size() && shared < path_.size() && path_[shared] == key[shared]) ++shared;
    close_down_to(shared);
    path_ = key;
    open_.resize(key.size() + 1);
    open_.back().value = value;
  }

  uint32_t finish() {
    close_down_to(0);
    return intern(open_[0]);
  }

  const std::vector<State>& states() const { return states_; }

 private:
  void close_down_to(size_t depth) {
    while (open_.size() > depth + 1) {
      const uint32_t done = intern(open_.back());
      open_.pop_back();
      open_.back().children.emplace_back(static_cast<uint8_t>(path_[open_.size() - 1]), done);
    }
  }

  uint32_t intern(State& state) {
    const auto [at, is_new] = ids_.try_emplace(state, static_cast<uint32_t>(states_.size()));
    if (is_new) states_.push_back(std::move(state));
    return at->second;
  }

  std::string path_;
  std::vector<State> open_ = std::vector<State>(1);
  std::vector<State> states_;
  std::unordered_map<State, uint32_t, StateHash> ids_;
};

std::vector<uint32_t> lay_out(const std::vector<State>& states, uint32_t root) {
  constexpr uint32_t kNowhere = 0xFFFFFFFF;
  std::vector<uint32_t> base_of(states.size(), kNowhere);
  std::vector<uint32_t> units;
  SlotAllocator slots;
  std::vector<uint8_t> labels;
  struct Visit {
    uint32_t slot, label, state;
  };
  std::vector<Visit> todo{{0, 0, root}};
  while (!todo.empty()) {
    const auto [slot, label, id] = todo.back();
    todo.pop_back();
    const State& state = states[id];
    uint32_t base = base_of[id];
    const bool is_new = base == kNowhere;
    if (is_new) {
      labels.clear();
      if (state.value >= 0) labels.push_back(0);
      for (const auto& [next, to] : state.children) labels.push_back(next);
      base = base_of[id] = slots.place(labels, slot);
      units.resize(slots.size(), 0xFFFFFFFF);
    }
    const uint32_t distance = slot ^ base;
    uint32_t unit = label;
    if (distance < (1u << 21)) {
      unit |= distance << 10;
    } else {
      check<InternalError>(distance % 256 == 0,
                           "compile_charsmap: table too large to share states");
      unit |= (distance >> 8) << 10 | kWideBit;
    }
    units[slot] = unit | (state.value >= 0 ? kLeafBit : 0);
    if (!is_new) continue;
    if (state.value >= 0) units[base] = static_cast<uint32_t>(state.value) | kValueBit;
    for (const auto& [next, to] : state.children) todo.push_back({base ^ next, next, to});
  }
  return units;
}

}  // namespace

Charsmap::Charsmap(std::string_view blob, std::string_view name) : name_(name) {
  if (blob.empty()) return;
  const auto refuse = [&](std::string_view what) {
    fail<IoError>(
        "load_model: the normalisation table of \"{}\" ({} bytes) {}; fetch the .model "
        "file again",
        name, blob.size(), what);
  };
  if (blob.size() <= 4) refuse("is cut off");
  const uint32_t trie_bytes = load_u32(blob.data());
  if (trie_bytes == 0 || trie_bytes % 4 != 0) refuse("has a trie of broken size");
  if (trie_bytes > blob.size() - 4) refuse("is shorter than its trie");
  units_.resize(trie_bytes / 4);
  for (size_t i = 0; i < units_.size(); ++i) units_[i] = load_u32(blob.data() + 4 + 4 * i);
  targets_ = blob.substr(4 + trie_bytes);
}

uint32_t Charsmap::child(uint32_t p, unsigned char label) const {
  const uint32_t q = p ^ offset_of(units_[p]) ^ label;
  return q < units_.size() && label_of(units_[q]) == label ? q : 0;
}

Charsmap::Match Charsmap::longest_prefix(std::string_view text) const {
  if (units_.empty()) return {};
  const auto size = static_cast<uint32_t>(units_.size());
  uint32_t p = 0, leaf = 0;
  size_t matched_bytes = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto label = static_cast<unsigned char>(text[i]);
    if (label == 0) break;  // the child 0 is the value, not a byte
    p = child(p, label);
    if (p == 0) break;
    if (units_[p] & kLeafBit) {
      leaf = p ^ offset_of(units_[p]);
      matched_bytes = i + 1;
    }
  }
  if (matched_bytes == 0) return {};
  const uint32_t offset = leaf < size ? units_[leaf] & ~kValueBit : kValueBit;
  const size_t end = offset < targets_.size() ? targets_.find('\0', offset) : std::string::npos;
  check<IoError>(end != std::string::npos,
                 "normalise: the table of \"{}\" is damaged: a rule points outside it; fetch the "
                 ".model file again",
                 name_);
  return {matched_bytes, std::string_view(targets_).substr(offset, end - offset)};
}

bool Charsmap::leaves_alone_before_ascii(unsigned char c) const {
  if (units_.empty()) return true;
  const uint32_t p = c == 0 ? 0 : child(0, c);
  if (p == 0) return true;
  if (units_[p] & kLeafBit) return false;
  for (unsigned char next = 1; next < 0x80; ++next) {
    if (child(p, next) != 0) return false;
  }
  return true;
}

std::string compile_charsmap(const RewriteRules& rules) {
  if (rules.empty()) return {};
  struct Rule {
    std::string source;
    uint32_t target;
  };
  std::vector<Rule> sorted;
  sorted.reserve(rules.size());
  std::string targets;
  std::unordered_map<std::string, uint32_t> target_at;
  for (const auto& [source, target] : rules) {
    check<ValueError>(!source.empty() && source.find(U'\0') == std::u32string::npos &&
                          target.find(U'\0') == std::u32string::npos,
                      "compile_charsmap: a rule has an empty source or contains U+0000");
    std::string text = to_utf8(target);
    const auto [at, is_new] = target_at.try_emplace(text, static_cast<uint32_t>(targets.size()));
    if (is_new) targets.append(text).push_back('\0');
    check<ValueError>(targets.size() < kValueBit, "compile_charsmap: the targets exceed 2 GiB");
    sorted.push_back({to_utf8(source), at->second});
  }
  // Code point order and byte order agree, so the rules are sorted already.
  Minimiser minimiser;
  for (const Rule& rule : sorted) minimiser.add(rule.source, rule.target);
  const uint32_t root = minimiser.finish();
  const std::vector<uint32_t> units = lay_out(minimiser.states(), root);
  std::string blob;
  blob.reserve(4 + 4 * units.size() + targets.size());
  store_u32(blob, static_cast<uint32_t>(4 * units.size()));
  for (const uint32_t unit : units) store_u32(blob, unit);
  return blob + targets;
}

}  // namespace tessera::beit3
