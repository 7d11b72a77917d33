#pragma once

#include <vector>

#include "nn/module.h"
#include "tensor/base/rng.h"

namespace tessera::beit3 {

/// z / max(|z|, 1e-12), a row at a time; its derivative at 0 is 0. z (N, D).
Tensor unit_rows(const Tensor& z);

/// Spherical k-means.
struct KMeans {
  Tensor means;                 ///< (K, D), unit rows
  std::vector<int64_t> counts;  ///< samples of each in the last assignment
  Tensor ids;                   ///< (N): that assignment
};
/// Repeats: give each sample to the mean with the largest dot product (the first of equals), make
/// each mean that of its samples and normalise it; a mean without samples stays. The last counts
/// belong to the means before the last step.
///
/// samples (N, D) unit rows; first (K, D). Source: Dhillon, Modha, "Concept decompositions for
/// large sparse text data using clustering", 2001; the treatment of empty clusters is BEiT v2's.
KMeans spherical_k_means(const Tensor& samples, const Tensor& first, int64_t iterations = 10);

/// What a lookup gives.
struct Quantized {
  Tensor ids;         ///< (N) i64
  Tensor normalised;  ///< (N, D): the unit rows that were looked up
  Tensor codes;       ///< (N, D): the codes, with the derivative of `normalised`
  Tensor commitment;  ///< scalar: mean over rows and channels of (code - normalised)^2
};

/// A codebook of unit vectors that follows what is looked up by moving averages, not by gradients.
///
/// Published names: cluster_size (buffer), embedding.{weight, cluster_size, embed_avg},
/// embedding.initted (buffer). The lookup changes nothing; training code calls `update`.
/// Source: van den Oord et al., arXiv:1711.00937, appendix A.1; normalised as in BEiT v2,
/// arXiv:2208.06366, section 3.1.
struct Quantizer : nn::Module {
  Tensor weight;                   // (K, D), unit rows; no gradient
  Tensor first_counts, embed_avg;  // (K), (K, D): published, and only written by the k-means start
  Tensor initted;                  // (1): 1 once the codes have been started
  Tensor cluster_size;             // (K): moving average of how often each code is used

  /// Random unit vectors.
  Quantizer(int64_t codes, int64_t width, RandomKey key, const TensorOptions& options = {});

  int64_t codes() const { return weight.size(0); }
  int64_t width() const { return weight.size(1); }
  /// Ids of the nearest codes of unit rows: the largest dot product, of equals the first. Works by
  /// blocks of rows.
  Tensor nearest(const Tensor& normalised) const;
  /// The rows of the codebook. ids (N) -> (N, D). Throws IndexError.
  Tensor lookup(const Tensor& ids) const;
  /// z (N, D), any length of rows. The derivative passes straight through to z's direction.
  Quantized operator()(const Tensor& z) const;

  /// k-means of a batch of unit rows, from K of them drawn at random (with repetitions if there
  /// are fewer rows than codes).
  void start(const Tensor& normalised, RandomKey key, int64_t iterations = 10);
  /// The same from given means (K, D).
  void start(const Tensor& normalised, const Tensor& first, int64_t iterations = 10);

  /// cluster_size = decay cluster_size + (1 - decay) n, where n counts the ids.
  void count(const Tensor& ids, double decay);
  /// `count`, then each used code moves: w = unit(decay w + (1 - decay) m), where m is the
  /// direction of the mean of its rows. Unused codes stay.
  void update(const Tensor& normalised, const Tensor& ids, double decay);
  /// Replaces `dead` codes by different rows, drawn with probability in proportion to `errors`,
  /// their squared distances to their codes if undefined. Returns the codes replaced: fewer if
  /// rows with an error run out. A pure function of its arguments.
  std::vector<int64_t> revive(const std::vector<int64_t>& dead, const Quantized& batch,
                              RandomKey key, const Tensor& errors = {});
  void fields(nn::FieldVisitor& v) override;
  std::string describe() const override;
};

}  // namespace tessera::beit3
