#include "autograd/custom_op.h"
#include "autograd/gradcheck.h"
#include "autograd/graph_dump.h"
#include "tensor/base/parallel.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace tessera::testing {
namespace {

TEST(Gradcheck, AcceptsRightDerivatives) {
  const Tensor index = zeros({2}, {DType::i64});
  const GradcheckReport report = gradcheck(
      [](const Tensors& in) -> Tensors {
        return {tanh(in[0]) * in[2], sum(exp(in[0])), in[1]};
      },
      {transpose(random({2, 3}, 1)), index, random({3, 1}, 2)}, {.order = 3});
  EXPECT_TRUE(report.ok) << report.message;
  // First order: 9 elements. Second: these and the 7 weights. Third: 16 and 9 more weights.
  EXPECT_EQ(report.cases, 9 + 16 + 25);
  EXPECT_NE(report.message.find("50 derivatives compared, all agree"), std::string::npos);
}

TEST(Gradcheck, FindsAWrongRule) {
  const CustomOp op{"wrong", [](const Tensors& in) -> Tensors { return {square(in[0])}; },
                    [](const Tensors& in, const Tensors&, const Tensors& g) -> Tensors {
                      return {g[0] * in[0] * (2 + 1e-6)};
                    }};
  const GradcheckReport report =
      gradcheck([&](const Tensors& in) { return apply(op, in); }, {random({4}, 1)});
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.order, 1);
  EXPECT_NE(report.message.find("they disagree; worst at order 1, input 0"), std::string::npos);
}

TEST(Gradcheck, FindsARuleThatIsWrongAtTheSecondOrder) {
  const CustomOp op{"cut", [](const Tensors& in) -> Tensors { return {square(in[0])}; },
                    [](const Tensors& in, const Tensors&, const Tensors& g) -> Tensors {
                      return {g[0] * (in[0].detach() * 2.0)};
                    }};
  auto f = [&](const Tensors& in) { return apply(op, in); };
  EXPECT_TRUE(gradcheck(f, {random({4}, 1)}).ok);
  const GradcheckReport report = gradcheck(f, {random({4}, 1)}, {.order = 2});
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.order, 2);
}

TEST(Gradcheck, VariesASample) {
  const GradcheckReport report =
      gradcheck([](const Tensors& in) -> Tensors { return {sin(in[0])}; }, {random({100}, 1)},
                {.max_elements = 7});
  EXPECT_TRUE(report.ok) << report.message;
  EXPECT_EQ(report.cases, 7);
}

TEST(Gradcheck, Refusals) {
  auto f = [](const Tensors& in) -> Tensors { return {in[0] * 2.0}; };
  EXPECT_ERROR(gradcheck(f, {ones({2})}), DTypeError,
               "gradcheck: input 0 is f32, in which differences say nothing; convert it with "
               ".to(DType::f64)");
  EXPECT_ERROR(gradcheck(f, {ones({2}, {DType::f64})}, {.order = 0}), ValueError,
               "gradcheck: order is 0, but must be at least 1");
}

TEST(GraphDump, Text) {
  const Tensor a = requires_grad(ones({2, 3})), b = requires_grad(ones({3}));
  const Tensor y = sum(exp(a) * b * ones({3}));
  EXPECT_EQ(graph_text(y),
            "1  exp (2, 3) f32 <- leaf a (2, 3) f32; keeps 24 bytes\n"
            "2  mul (2, 3) f32 <- 1, leaf b (3) f32; keeps 36 bytes\n"
            "3  mul (2, 3) f32 <- 2, -; keeps 12 bytes\n"
            "4  sum () f32 <- 3\n");
  backward(y);
  EXPECT_EQ(graph_text(y),
            "1  op (2, 3) f32 <- leaf a (2, 3) f32; freed\n"
            "2  op (2, 3) f32 <- 1, leaf b (3) f32; freed\n"
            "3  op (2, 3) f32 <- 2, -; freed\n"
            "4  op () f32 <- 3; freed\n");
  EXPECT_EQ(graph_text(ones({2})), "");
}

TEST(GraphDump, Graphviz) {
  const Tensor a = requires_grad(ones({2}));
  EXPECT_EQ(graph_dot(a * a),
            "digraph recorded {\n  rankdir = BT;\n  node [shape = box];\n"
            "  leaf_a [label = \"a (2) f32\", shape = ellipse];\n"
            "  op_1 [label = \"mul (2) f32\"];\n"
            "  leaf_a -> op_1;\n  leaf_a -> op_1;\n}\n");
}

TEST(Threads, DoNotChangeGradients) {
  const int before = thread_count();
  std::vector<Tensors> found;
  for (int threads : {1, 2, 5}) {
    set_thread_count(threads);
    const Tensor x = requires_grad(random({70, 48}, 1, DType::f32)),
                 w = requires_grad(random({48, 48}, 2, DType::f32)),
                 b = requires_grad(random({48}, 3, DType::f32)),
                 gamma = requires_grad(random({48}, 4, DType::f32)),
                 beta = requires_grad(random({48}, 5, DType::f32)),
                 table = requires_grad(random({20, 48}, 6, DType::f32));
    std::vector<int64_t> ids(70);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i * i % 20);
    const Tensor rows = embedding(table, from_data(ids, {70}));
    const Tensor h = gelu(linear(layer_norm(x + rows, gamma, beta), w, b));
    backward(sum(softmax(h) * h));
    found.push_back({x.grad(), w.grad(), b.grad(), gamma.grad(), beta.grad(), table.grad()});
  }
  set_thread_count(before);
  for (size_t k = 1; k < found.size(); ++k) {
    for (size_t i = 0; i < found[k].size(); ++i) expect_equal(found[k][i], found[0][i]);
  }
}

}  // namespace
}  // namespace tessera::testing
