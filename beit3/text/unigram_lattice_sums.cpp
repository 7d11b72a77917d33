// Sums over all segmentations of a text, in f64: a finished model's distribution. The f32 sums of a
// training, whose rounding is part of its result, are in unigram_lattice.cpp.

#include "beit3/text/unigram_lattice_internal.h"

namespace tessera::beit3 {

std::vector<double> UnigramLattice::forward_sums(double theta) const {
  std::vector<double> forward(size_ + 1, 0.0);
  std::vector<uint8_t> reached(size_ + 1, 0);
  for (const Node& node : nodes_) {
    const double path = theta * static_cast<double>(node.score) + forward[node.begin];
    double& sum = forward[node.end];
    sum = reached[node.end] ? log_sum_exp(sum, path) : path;
    reached[node.end] = 1;
  }
  return forward;
}

UnigramLattice::Totals UnigramLattice::totals(double theta) const {
  // With P(l | r) the probability that the path through position r comes by node l, the entropy of
  // the paths up to r is H(r) = sum over l ending at r of P(l | r) (H(begin of l) - log P(l | r)).
  const std::vector<double> forward = forward_sums(theta);
  std::vector<double> paths(size_ + 1, 0.0), entropy(size_ + 1, 0.0);
  paths[0] = 1;
  for (const Node& node : nodes_) {
    const double log_p =
        theta * static_cast<double>(node.score) + forward[node.begin] - forward[node.end];
    paths[node.end] += paths[node.begin];
    entropy[node.end] += std::exp(log_p) * (entropy[node.begin] - log_p);
  }
  return {paths[size_], forward[size_], entropy[size_]};
}

UnigramLattice::Path UnigramLattice::sample(double theta, RandomStream& random) const {
  const std::vector<double> forward = forward_sums(theta);
  std::vector<std::vector<uint32_t>> ending(size_ + 1);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    ending[nodes_[i].end].push_back(static_cast<uint32_t>(i));
  }
  Path path;
  for (uint32_t end = size_; end > 0;) {
    // The last node takes what rounding leaves over.
    double left = random.uniform();
    uint32_t drawn = ending[end].back();
    for (const uint32_t i : ending[end]) {
      const Node& node = nodes_[i];
      left -=
          std::exp(theta * static_cast<double>(node.score) + forward[node.begin] - forward[end]);
      if (left < 0) {
        drawn = i;
        break;
      }
    }
    path.nodes.push_back(drawn);
    path.score += nodes_[drawn].score;
    end = nodes_[drawn].begin;
  }
  std::reverse(path.nodes.begin(), path.nodes.end());
  return path;
}

}  // namespace tessera::beit3
