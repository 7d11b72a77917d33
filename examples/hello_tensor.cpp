// Create, compute, differentiate, print.
#include <cstdio>

#include "nn/nn.h"

using namespace tessera;

int main() {
  Generator rng(/*seed=*/1);
  const Tensor a = requires_grad(randn({2, 3}, rng));
  const Tensor b = from_values({1, 2, 3});  // (3), broadcast to (2, 3)

  const Tensor y = sum(square(a * b));
  backward(y);  // dy/da = 2 a b^2

  std::printf("a = %s\n", to_string(a).c_str());
  std::printf("y = %.4f\n", y.item<double>());
  std::printf("dy/da = %s\n", to_string(a.grad()).c_str());
}
