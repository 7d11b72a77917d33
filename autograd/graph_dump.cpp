#include "autograd/graph_dump.h"

#include <unordered_map>
#include <unordered_set>

#include "autograd/engine_internal.h"

namespace tessera {
namespace {

/// a … z, a1 … z1, a2, …
std::string leaf_name(size_t i) {
  std::string name(1, static_cast<char>('a' + i % 26));
  return i < 26 ? name : name + std::to_string(i / 26);
}

/// Numbers and names that say nothing about addresses: two runs give the same text.
class Graph {
 public:
  explicit Graph(std::span<const Tensor> ys) : nodes_(nodes_behind(ys)) {
    for (size_t i = 0; i < nodes_.size(); ++i) number_.emplace(nodes_[i], i + 1);
    for (const Node* node : nodes_) {
      for (size_t i = 0; i < node->edges.size(); ++i)
        note_leaf(node->edges[i].leaf, node->inputs[i]);
    }
    for (const Tensor& y : ys) {
      if (grad_meta(y) != nullptr) note_leaf(edge_to(y).leaf, {y.shape(), y.options()});
    }
  }

  std::string text() const {
    std::string out;
    for (const Node* node : nodes_) {
      out += format("{}  {} <- ", number_.at(node), label(*node));
      for (size_t i = 0; i < node->edges.size(); ++i) {
        out += (i == 0 ? "" : ", ") + source(node->edges[i]);
      }
      if (node->released) out += "; freed";
      if (const size_t bytes = kept_bytes(*node); bytes > 0) {
        out += format("; keeps {} bytes", bytes);
      }
      out += '\n';
    }
    return out;
  }

  std::string dot() const {
    std::string out = "digraph recorded {\n  rankdir = BT;\n  node [shape = box];\n";
    for (size_t i = 0; i < leaves_.size(); ++i) {
      out += format("  leaf_{} [label = \"{} {}\", shape = ellipse];\n", leaf_name(i), leaf_name(i),
                    leaves_[i].second);
    }
    for (const Node* node : nodes_) {
      out += format("  op_{} [label = \"{}\"];\n", number_.at(node), escaped(label(*node)));
      for (const Edge& edge : node->edges) {
        if (edge.node) {
          out += format("  op_{} -> op_{}", number_.at(edge.node.get()), number_.at(node));
          if (edge.node->outputs.size() > 1) out += format(" [label = \"{}\"]", edge.output);
          out += ";\n";
        } else if (edge.leaf) {
          out += format("  leaf_{} -> op_{};\n", leaf_name(leaf_.at(edge.leaf.get())),
                        number_.at(node));
        }
      }
    }
    return out + "}\n";
  }

 private:
  static std::string info_text(const TensorInfo& info) {
    return format("{} {}", info.shape, info.options.dtype);
  }

  static std::string label(const Node& node) {
    std::string out(node.released ? "op" : node.op->name());
    for (const TensorInfo& info : node.outputs) out += ' ' + info_text(info);
    return out;
  }

  static std::string escaped(const std::string& in) {
    std::string out;
    for (char c : in) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  }

  void note_leaf(const std::shared_ptr<GradMeta>& leaf, const TensorInfo& info) {
    if (leaf && leaf_.emplace(leaf.get(), leaves_.size()).second) {
      leaves_.emplace_back(leaf.get(), info_text(info));
    }
  }

  std::string source(const Edge& edge) const {
    if (edge.node) {
      const std::string number = std::to_string(number_.at(edge.node.get()));
      return edge.node->outputs.size() > 1 ? number + "." + std::to_string(edge.output) : number;
    }
    if (!edge.leaf) return "-";
    const size_t i = leaf_.at(edge.leaf.get());
    return format("leaf {} {}", leaf_name(i), leaves_[i].second);
  }

  /// Elements that the record keeps alive; each storage counts once.
  static size_t kept_bytes(const Node& node) {
    std::unordered_set<const Storage*> seen;
    size_t bytes = 0;
    auto count = [&](const Tensor& x) {
      if (x.defined() && seen.insert(x.storage().get()).second) bytes += x.storage()->bytes();
    };
    for (const SavedTensor& s : node.saved_inputs) count(s.tensor);
    for (const SavedTensor& s : node.saved_outputs) count(s.tensor);
    for (const Tensor& s : node.statistics) count(s);
    return bytes;
  }

  std::vector<Node*> nodes_;
  std::unordered_map<const Node*, size_t> number_;
  std::unordered_map<const GradMeta*, size_t> leaf_;
  std::vector<std::pair<const GradMeta*, std::string>> leaves_;
};

}  // namespace

std::string graph_text(std::span<const Tensor> ys) { return Graph(ys).text(); }
std::string graph_dot(std::span<const Tensor> ys) { return Graph(ys).dot(); }

}  // namespace tessera
