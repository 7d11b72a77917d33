#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <typeindex>

#include "autograd/checkpoint_internal.h"
#include "autograd/engine_internal.h"
#include "autograd/rule_table.h"
#include "backends/registry.h"
#include "tensor/ops/ops.h"
#include "tests/ops/op_table.h"
#include "tests/testing/op_test.h"

namespace tessera::testing {
namespace {

struct OpType {
  std::string name;  // as in the source
  std::type_index type;
};

template <class... F>
void add_unary(std::vector<OpType>& all, FunctorList<F...>) {
  (all.push_back({"Unary " + std::string(F::name), typeid(Unary<F>)}), ...);
}
template <class... F>
void add_binary(std::vector<OpType>& all, FunctorList<F...>) {
  (all.push_back({"Binary " + std::string(F::name), typeid(Binary<F>)}), ...);
}

/// Every record type of the ops. Elementwise functors join by themselves; the test below finds the
/// others that are missing here.
std::vector<OpType> op_types() {
  std::vector<OpType> all{
      {"AddLayerNorm", typeid(AddLayerNorm)},
      {"Cast", typeid(Cast)},
      {"Clone", typeid(Clone)},
      {"Concat", typeid(Concat)},
      {"CrossEntropy", typeid(CrossEntropy)},
      {"Dropout", typeid(Dropout)},
      {"Expand", typeid(Expand)},
      {"Extremum", typeid(Extremum)},
      {"Gather", typeid(Gather)},
      {"GeluLayerNorm", typeid(GeluLayerNorm)},
      {"GroupedLinear", typeid(GroupedLinear)},
      {"IndexSelect", typeid(IndexSelect)},
      {"IndexSum", typeid(IndexSum)},
      {"LayerNorm", typeid(LayerNorm)},
      {"LinearCrossEntropy", typeid(LinearCrossEntropy)},
      {"MatMul", typeid(MatMul)},
      {"Move", typeid(Move)},
      {"Permute", typeid(Permute)},
      {"Reshape", typeid(Reshape)},
      {"ScatterSum", typeid(ScatterSum)},
      {"SegmentedAttention", typeid(SegmentedAttention)},
      {"Slice", typeid(Slice)},
      {"Softmax", typeid(Softmax)},
      {"Sum", typeid(Sum)},
      {"Unslice", typeid(Unslice)},
      {"Where", typeid(Where)},
  };
  add_unary(all, UnaryFunctors{});
  add_binary(all, BinaryFunctors{});
  return all;
}

/// Recorded by no case, and why.
const std::set<std::string> kWithoutCase{
    "Cast",  // changes the dtype, which a case in f64 cannot: cast_test.cpp
    "Move",  // needs a second device: the tests of that device
};

TEST(Coverage, TheListHasEveryRecordTypeOfTheHeaders) {
  std::set<std::string> listed;
  for (const OpType& t : op_types()) listed.insert(t.name);
  const std::string before = "struct ", after = " final : Op {";
  int found = 0;
  for (const auto& file : std::filesystem::directory_iterator("../tensor/ops")) {
    if (file.path().extension() != ".h") continue;
    std::stringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const std::string source = text.str();
    for (size_t end = source.find(after); end != std::string::npos;
         end = source.find(after, end + 1)) {
      const size_t begin = source.rfind(before, end) + before.size();
      const std::string name = source.substr(begin, end - begin);
      if (name == "Unary" || name == "Binary") continue;
      ++found;
      EXPECT_TRUE(listed.contains(name))
          << file.path() << " declares " << name << ": add it to the list in this file, and a case";
    }
  }
  EXPECT_GT(found, 20);
}

TEST(Coverage, EveryOpHasARule) {
  const RuleTable& table = RuleTable::instance();
  for (const OpType& t : op_types()) {
    EXPECT_TRUE(table.contains(t.type)) << t.name << " has no rule: add one in autograd/rules/";
  }
  // Beside them: alias, checkpoint, custom op.
  EXPECT_EQ(table.size(), op_types().size() + 3);
}

TEST(Coverage, EveryOpIsRecordedByACase) {
  std::set<std::type_index> recorded;
  for (const OpEntry& entry : op_table()) {
    for (const OpCase& c : entry.samples) {
      const Tensors ys = c.run(leaves_of(c.inputs));
      for (const Node* node : nodes_behind(ys)) {
        const Op& op = *node->op;
        recorded.insert(typeid(op));
      }
    }
  }
  // The plain backend of the tests declines fused kernels, so their compositions record themselves.
  const bool fused = backend(kCpu).name() == "cpu";
  for (const OpType& t : op_types()) {
    if (kWithoutCase.contains(t.name)) continue;
    const bool only_fused = t.name == "Softmax" || t.name.ends_with("LayerNorm") ||
                            t.name.ends_with("CrossEntropy") || t.name == "SegmentedAttention";
    if (only_fused && !fused) continue;
    EXPECT_TRUE(recorded.contains(t.type)) << t.name << ": no case in tests/ops/ records it";
  }
}

}  // namespace
}  // namespace tessera::testing
