#pragma once

#include <memory>
#include <vector>

#include "beit3/data/loader.h"
#include "beit3/model/model.h"
#include "beit3/pretrain/recipe.h"
#include "beit3/text/tokenizer.h"

namespace tessera::beit3 {

/// The data of a run: sources opened, texts encoded, orders fixed. Shared by all batches.
///
/// Which samples a step sees, how they are cropped and what is masked are functions of (seed, step)
/// alone. Broken pictures are replaced by the next of the order (see read_sample) and counted.
class PretrainData {
 public:
  /// Opens the sources of the recipe. Throws IoError for a missing or unusable source, ValueError
  /// where the recipe asks for samples of a kind that it names no source for.
  PretrainData(const PretrainRecipe& recipe, const Tokenizer& tokenizer);

  const PretrainRecipe& recipe() const { return recipe_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

  /// A source of one kind.
  struct Source {
    DataSet data;
    std::unique_ptr<ImageReader> reader;    // of sources with pictures
    std::vector<int64_t> usable;            // records of this kind
    std::vector<std::vector<int64_t>> ids;  // of texts: <s> content </s>, by place in usable
    std::unique_ptr<EpochOrder> order;
    bool present() const { return order != nullptr; }
  };
  const Source& images() const { return images_; }
  const Source& texts() const { return texts_; }
  const Source& pairs() const { return pairs_; }

  /// Pictures that could not be read so far, of all sources.
  int64_t broken() const;
  /// A number that changes when sources or their order do: a resumed run compares it.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  Source open(std::string_view kind, const std::string& path, bool needs_image, bool needs_text,
              uint64_t stream) const;

  PretrainRecipe recipe_;
  Tokenizer tokenizer_;
  Source images_, texts_, pairs_;
  uint64_t fingerprint_ = 0;
};

/// One packed batch, or a piece of one, on the host.
struct PretrainBatch {
  int64_t step = 0;
  PackedLayout layout;
  std::vector<float> pixels;            // (image count, 3, S, S), normalised
  std::vector<float> tokenizer_pixels;  // the same crops in [0, 1], for the image tokenizer
  std::vector<uint8_t> masked;          // (image count * N)
  std::vector<int64_t> ids;             // text rows, with <mask> where masked
  /// Rows whose results the loss reads, ascending: patches of images, of pairs, then ids of pairs,
  /// of texts.
  std::vector<int64_t> keep;
  int64_t image_patches = 0, pair_patches = 0, pair_words = 0, text_words = 0;  // parts of keep
  std::vector<int64_t> patch_index;  // masked patches as index into (image count * N)
  std::vector<int64_t> word_labels;  // the hidden ids
  std::vector<int64_t> samples;      // a number of each sequence, for drop path
};

/// Fills in what the loss reads, once layout, ids and `masked` are there: `keep`, `patch_index`,
/// and how many patches of each kind there are. `words` are the places of the hidden ids among all
/// ids, ascending; who hides them counts them.
void list_hidden(PretrainBatch& batch, const std::vector<int64_t>& words);

/// Piece `piece` of the batch of `step`.
PretrainBatch make_batch(const PretrainData& data, int64_t step, int64_t piece = 0);

/// The packed input on the device of the model.
PackedInput packed_input(const PretrainBatch& batch, const ModelConfig& config);

}  // namespace tessera::beit3
