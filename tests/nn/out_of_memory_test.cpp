// Memory runs out at every allocation in turn: the error has its type, nothing leaks, parameters
// and optimizer keep their bits, and the next try works.
#include <filesystem>

#include <unistd.h>

#include "nn/io/safetensors.h"
#include "nn/nn.h"
#include "tests/testing/failing_allocations.h"
#include "tests/testing/tensors.h"

namespace tessera::nn {
namespace {

using tessera::testing::fail_allocations;

using Bytes = std::vector<unsigned char>;

Bytes bytes_of(const Tensor& x) {
  const auto* data = static_cast<const unsigned char*>(x.view().data);
  return {data, data + x.bytes()};
}

std::map<std::string, Bytes> bytes_of(const StateDict& state) {
  std::map<std::string, Bytes> all;
  for (const auto& [name, x] : state) all.emplace(name, bytes_of(x.contiguous()));
  return all;
}

/// A block of a transformer: attention, two layers, a loss.
struct Block : Module {
  LayerNorm norm{16};
  Linear qkv{16, 48, RandomKey{1}}, out{16, 16, RandomKey{2}}, classes{16, 5, RandomKey{3}};

  Tensor operator()(const Tensor& x, const Tensor& label) const {
    const Tensor y = norm(x);
    const Tensor heads = reshape(qkv(y), {x.size(0), 3, 2, 8});
    const Tensor joined = reshape(segmented_attention(heads, Segments::uniform(2, 6)), x.shape());
    return cross_entropy(classes(gelu(x + out(joined))), label);
  }
  void fields(FieldVisitor& v) override {
    v("norm", norm);
    v("qkv", qkv);
    v("out", out);
    v("classes", classes);
  }
};

struct Input {
  Tensor x = tessera::testing::random({12, 16}, 7, DType::f32);
  Tensor label = from_data(std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}, {12});
};

TEST(OutOfMemory, AStepIsTakenWholeOrNotAtAll) {
  const Input in;
  const auto step = [&](Block& model, AdamW& optimizer) {
    backward(model(in.x, in.label));
    optimizer.step();
    optimizer.zero_grad();
  };
  const AdamWSettings settings{.lr = 0.01, .max_grad_norm = 1, .average_decay = 0.9};
  Block unbroken, model;
  AdamW expected(unbroken.named_parameters(), settings),
      optimizer(model.named_parameters(), settings);
  for (int warm = 0; warm < 2; ++warm) {
    step(unbroken, expected);
    step(model, optimizer);
  }
  const auto parameters = bytes_of(model.state()), state = bytes_of(optimizer.state());
  const int64_t failures =
      fail_allocations([&] { step(model, optimizer); }, [&] { optimizer.zero_grad(); },
                       [&] {
                         EXPECT_EQ(bytes_of(model.state()), parameters);
                         EXPECT_EQ(bytes_of(optimizer.state()), state);
                       });
  EXPECT_GT(failures, 50);
  step(unbroken, expected);
  EXPECT_EQ(bytes_of(model.state()), bytes_of(unbroken.state()));
  EXPECT_EQ(bytes_of(optimizer.state()), bytes_of(expected.state()));
}

/// Moments are made at the first step; parameters that joined later have other step counts, and are
/// updated apart.
TEST(OutOfMemory, AFirstStepAndOneOfTwoAgesAreTakenWholeOrNotAtAll) {
  const Input in;
  const AdamWSettings settings{
      .lr = 0.01, .max_grad_norm = 1, .average_decay = 0.9, .missing_grad = MissingGrad::skip};
  const auto first = [&](Block& model, AdamW& optimizer) {
    backward(sum(model.norm(in.x) * in.x));
    optimizer.step();
    optimizer.zero_grad();
  };
  const auto second = [&](Block& model, AdamW& optimizer) {
    backward(model(in.x, in.label));
    optimizer.step();
    optimizer.zero_grad();
  };
  Block unbroken;
  AdamW expected(unbroken.named_parameters(), settings);
  first(unbroken, expected);
  second(unbroken, expected);
  int64_t failures = 0;
  for (int64_t n = 1;; n += 3) {
    SCOPED_TRACE(::testing::Message() << "allocation " << n << " fails");
    Block model;
    AdamW optimizer(model.named_parameters(), settings);
    cpu_allocator().fail_after(n);
    int64_t failed = 0;
    for (const auto& step : {std::function<void(Block&, AdamW&)>(first), {second}}) {
      const auto before = bytes_of(model.state());
      try {
        step(model, optimizer);
        continue;
      } catch (const tessera::OutOfMemory&) {
        ++failed;
      }
      optimizer.zero_grad();
      EXPECT_EQ(bytes_of(model.state()), before);
      step(model, optimizer);
    }
    cpu_allocator().fail_after(0);
    EXPECT_EQ(bytes_of(model.state()), bytes_of(unbroken.state()));
    EXPECT_EQ(bytes_of(optimizer.state()), bytes_of(expected.state()));
    failures += failed;
    if (failed == 0 || HasFailure()) break;
  }
  EXPECT_GT(failures, 20);
}

TEST(OutOfMemory, DerivativesOfTheSecondOrderLeaveNothingBehind) {
  const Input in;
  const Tensor x = requires_grad(tessera::testing::random({3, 4}, 1));
  const Tensor w = requires_grad(tessera::testing::random({4, 4}, 2));
  const auto work = [&] {
    const Tensor y = sum(softmax(matmul(tanh(x), w) * x, -1) * exp(x));
    const Tensors first = grad(y, {x, w}, {.create_graph = true});
    grad(sum(square(first[0])) + sum(first[1] * w), {x, w});
  };
  const Bytes x_before = bytes_of(x), w_before = bytes_of(w);
  EXPECT_GT(fail_allocations(
                work, [] {},
                [&] {
                  EXPECT_EQ(bytes_of(x), x_before);
                  EXPECT_EQ(bytes_of(w), w_before);
                }),
            50);
}

TEST(OutOfMemory, AFileIsLoadedWholeOrNotAtAll) {
  const std::string path =
      ::testing::TempDir() + "out_of_memory_" + std::to_string(::getpid()) + ".safetensors";
  Block saved;
  StateDict tensors;
  for (const auto& [name, x] : saved.state()) {
    tensors.emplace(name, (x.detach() + 1.0).to(DType::f64));  // to be converted on the way
  }
  save_safetensors(path, tensors);
  tensors.clear();
  Block model;
  const auto before = bytes_of(model.state());
  const int64_t failures =
      fail_allocations([&] { load_state(model, load_safetensors(path).tensors); }, [] {},
                       [&] { EXPECT_EQ(bytes_of(model.state()), before); });
  EXPECT_GE(failures, 8);
  EXPECT_NE(bytes_of(model.state()), before);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tessera::nn
