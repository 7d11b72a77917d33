// Memory: nothing is read before it is written, nothing that a rule saved changes unnoticed, and
// bits repeat.

#include <algorithm>

#include "autograd/autograd.h"
#include "autograd/engine_internal.h"
#include "backends/cpu/caching_allocator.h"
#include "tests/testing/op_test.h"

namespace tessera::testing {
namespace {

constexpr int kNaN = 0xFF;     // in every floating dtype
constexpr int kNumber = 0x3C;  // about 1.6e-18 in f64, 0.01 in f32 and bf16

/// Every test of the program runs in memory full of NaN.
class PoisonedMemory final : public ::testing::Environment {
 public:
  void SetUp() override { cpu_allocator().fill_fresh(kNaN); }
  void TearDown() override { cpu_allocator().fill_fresh(-1); }
};
const ::testing::Environment* const poisoned =
    ::testing::AddGlobalTestEnvironment(new PoisonedMemory);

/// What the case computes, values and derivatives by both halves of the rules, in fresh memory of
/// one pattern.
std::vector<std::vector<std::byte>> results_in_memory_of(int pattern, const GeneratedCase& g) {
  cpu_allocator().fill_fresh(pattern);
  auto bytes = element_bytes(g.sample->run(g.variant.inputs));
  if (derived(g)) {
    for (bool recorded : {false, true}) {
      for (auto& b : element_bytes(derivatives(g.sample->run, g.variant.inputs, 1, recorded))) {
        bytes.push_back(std::move(b));
      }
    }
  }
  cpu_allocator().fill_fresh(kNaN);
  return bytes;
}

struct Update {
  const char* name;
  /// Changes x in place; false if it is not for such a tensor.
  bool (*apply)(const Tensor& x);
};

bool assign_other(const Tensor& x) {
  x.assign(full(x.shape(), 0.25, x.options()));
  return true;
}

const Update kUpdates[] = {
    {"fill_",
     [](const Tensor& x) {
       fill_(x, 0.25);
       return true;
     }},
    {"copy_into",
     [](const Tensor& x) {
       copy_into(full({}, 0.25, x.options()), x);
       return true;
     }},
    {"index_add_",
     [](const Tensor& x) {
       if (x.rank() == 0) return false;
       const Tensor first = zeros({1}, {DType::i64});
       index_add_(x, first, ones(slice(x.detach(), 0, 0, 1).shape(), x.options()));
       return true;
     }},
    {"adamw_update",
     [](const Tensor& x) {
       if (!x.is_contiguous()) return false;
       const AdamWItem item{.param = x,
                            .grad = ones(x.shape(), x.options()),
                            .m = zeros(x.shape(), x.options()),
                            .v = zeros(x.shape(), x.options()),
                            .lr = 0.5};
       adamw_update(std::span(&item, 1), {});
       return true;
     }},
    {"assign", assign_other},
};

/// What the walk says when it first meets a node that saved `x`; empty if none did. `assign` gives
/// the handle other memory, so that it concerns those alone who saved this handle.
std::string expected_complaint(const Tensors& ys, const Tensor& x, const Update& update) {
  const std::vector<Node*> nodes = nodes_behind(ys);
  const bool handle = update.apply == assign_other;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    for (const auto* list : {&(*node)->saved_inputs, &(*node)->saved_outputs}) {
      for (const SavedTensor& saved : *list) {
        if (!saved.tensor.defined()) continue;
        if (handle ? !saved.tensor.is(x) : saved.storage != x.storage()) continue;
        return format("backward of {}: a tensor {} that it saved was changed in place by {} since",
                      (*node)->op->name(), saved.tensor.shape(), update.name);
      }
    }
  }
  return "";
}

/// By kernels, or recorded, by the exact halves of the rules.
Tensors gradients_of(const Tensors& ys, const Tensors& leaves, bool recorded = false) {
  Tensors targets, floats;
  for (const Tensor& x : leaves) {
    if (floating(x)) targets.push_back(x);
  }
  for (const Tensor& y : ys) {
    if (floating(y)) floats.push_back(y);
  }
  return grad(std::span<const Tensor>(floats), targets,
              {.gradients = weights_of(floats, 5), .retain_graph = true, .create_graph = recorded});
}

bool repeats_elements(const Tensor& x) {
  for (int i = 0; i < x.rank(); ++i) {
    if (x.strides()[i] == 0 && x.shape()[i] > 1) return true;
  }
  return false;
}

/// One field of the matrix. After `update` of a tensor, a walk names who saved and who changed it,
/// or gives the gradients that it gave before. Of an input that somebody saved, a recorded walk
/// always names both; a kernel may do without (a beta), and a rule without an output.
void check_update(const OpCase& c, const Tensors& ys, const Tensors& leaves, const Tensor& changed,
                  const Update& update, const std::string& what) {
  const bool walks[] = {false, true};  // by kernels, recorded
  std::vector<std::vector<std::byte>> before[2];
  for (bool recorded : walks) before[recorded] = element_bytes(gradients_of(ys, leaves, recorded));
  const std::string complaint = expected_complaint(ys, changed, update);
  const bool input =
      std::any_of(leaves.begin(), leaves.end(), [&](const Tensor& x) { return x.is(changed); });
  if (!update.apply(changed)) return;
  for (bool recorded : walks) {
    try {
      const auto after = element_bytes(gradients_of(ys, leaves, recorded));
      EXPECT_EQ(before[recorded], after) << what << " changes gradients unnoticed";
      EXPECT_FALSE(input && recorded && !complaint.empty() && !c.constant_slope)
          << what << " goes unnoticed, expected: " << complaint;
    } catch (const StateError& error) {
      EXPECT_EQ(complaint, error.what()) << what;
    }
  }
}

}  // namespace

TEST_P(OpTest, NothingIsReadBeforeItIsWritten) {
  for (const GeneratedCase& g : forward_cases(GetParam())) {
    if (!g.variant.uniform) continue;
    const auto first = results_in_memory_of(kNaN, g), second = results_in_memory_of(kNumber, g);
    ASSERT_EQ(first, second) << g.name();
    // And again: bits repeat.
    ASSERT_EQ(first, results_in_memory_of(kNaN, g)) << g.name();
  }
}

TEST_P(OpTest, InputsStayAsTheyWere) {
  for (const GeneratedCase& g : gradient_cases(GetParam())) {
    const auto before = stored_bytes(g.variant.inputs);
    for (bool recorded : {false, true}) {
      derivatives(g.sample->run, g.variant.inputs, 1, recorded);
      ASSERT_EQ(before, stored_bytes(g.variant.inputs)) << g.name() << ", recorded: " << recorded;
    }
  }
}

TEST_P(OpTest, AnUpdateOfWhatWasSavedIsNoticed) {
  for (const OpCase& c : GetParam().samples) {
    if (!c.differentiable || is_empty(c)) continue;
    for (const Update& update : kUpdates) {
      for (size_t i = 0; i < c.inputs.size(); ++i) {
        if (!floating(c.inputs[i])) continue;
        Tensors own = c.inputs;  // memory that nobody else sees
        for (Tensor& x : own) {
          if (floating(x)) x = clone(x);
        }
        const Tensors leaves = leaves_of(own), ys = c.run(leaves);
        check_update(c, ys, leaves, leaves[i], update,
                     format("{}: {} of input {}", c.full_name(), update.name, i));
      }
      const Tensors leaves = leaves_of(c.inputs);
      const size_t outputs = c.run(leaves).size();
      for (size_t i = 0; i < outputs; ++i) {
        const Tensors ys = c.run(leaves);
        const Tensor y = ys[i].detach();
        bool view = update.apply == assign_other || !floating(y) || repeats_elements(y);
        for (const Tensor& x : leaves) view |= x.defined() && x.storage() == y.storage();
        if (view) continue;
        check_update(c, ys, leaves, y, update,
                     format("{}: {} of result {}", c.full_name(), update.name, i));
      }
    }
  }
}

}  // namespace tessera::testing
