// Runs a fuzz target without a fuzzer: every file of its corpus, then seeded changes of them. The
// same inputs on every machine.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tensor/base/rng.h"
#include "tests/fuzz/fuzzing.h"

namespace {

using Bytes = std::vector<uint8_t>;

/// Files by name.
std::vector<Bytes> read_corpus(const char* folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

/// What libFuzzer does, too: bits, bytes, numbers at the ends of their range, pieces left out, put
/// in twice, or taken from another input.
class Mutator {
 public:
  Mutator(const std::vector<Bytes>& corpus, uint64_t seed)
      : corpus_(corpus), random_(tessera::RandomKey{seed}) {}

  Bytes next() {
    Bytes bytes = any_input();
    for (int64_t n = 1 + random_.integer(4); n > 0; --n) change(bytes);
    return bytes;
  }

 private:
  const Bytes& any_input() { return corpus_[below(corpus_.size())]; }
  size_t below(size_t n) { return static_cast<size_t>(random_.integer(static_cast<int64_t>(n))); }

  void change(Bytes& bytes) {
    constexpr size_t kLongestPiece = 64, kMostBytes = size_t{1} << 16;
    if (bytes.empty()) {
      bytes.push_back(static_cast<uint8_t>(random_.word()));
      return;
    }
    const size_t at = below(bytes.size());
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const size_t length = 1 + below(std::min(kLongestPiece, bytes.size() - at));
    switch (random_.integer(7)) {
      case 0:
        *here = static_cast<uint8_t>(*here ^ 1u << random_.integer(8));
        break;
      case 1:
        *here = static_cast<uint8_t>(random_.word());
        break;
      case 2:
        put_number(bytes, at);
        break;
      case 3:
        bytes.erase(here, here + static_cast<std::ptrdiff_t>(length));
        break;
      case 4:
        if (bytes.size() < kMostBytes) {
          const Bytes piece(here, here + static_cast<std::ptrdiff_t>(length));
          bytes.insert(here, piece.begin(), piece.end());
        }
        break;
      case 5: {
        const Bytes& other = any_input();
        if (other.empty()) break;
        const size_t from = below(other.size());
        const size_t taken = std::min({length, other.size() - from});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), taken, here);
        break;
      }
      default:
        bytes.resize(at);
    }
  }

  void put_number(Bytes& bytes, size_t at) {
    constexpr uint64_t kEnds[] = {0,      1,          0x7f,       0x80,       0xff,       0x7fff,
                                  0xffff, 0x7fffffff, 0x80000000, 0xffffffff, ~0ull >> 1, ~0ull};
    const uint64_t value = kEnds[below(std::size(kEnds))];
    const size_t width = std::min(size_t{1} << random_.integer(4), bytes.size() - at);
    for (size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }

  const std::vector<Bytes>& corpus_;
  tessera::RandomStream random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CORPUS MUTATIONS\n", argv[0]);
    return 2;
  }
  const std::vector<Bytes> corpus = read_corpus(argv[1]);
  const int mutations = std::atoi(argv[2]);
  if (corpus.empty() || mutations <= 0) {
    std::fprintf(stderr, "%s: no inputs in %s, or no mutations\n", argv[0], argv[1]);
    return 2;
  }
  for (const Bytes& bytes : corpus) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  Mutator mutator(corpus, /*seed=*/1);
  for (int i = 0; i < mutations; ++i) {
    const Bytes bytes = mutator.next();
    // If this one crashes, it lies here for a debugger and for the corpus.
    if (const char* keep = std::getenv("REPLAY_KEEP")) {
      std::ofstream(keep, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu inputs, %d changes of them\n", corpus.size(), mutations);
}
