// Fits a line with what find_package(tessera) gives, and saves it.
#include <cstdio>

#include "nn/nn.h"

using namespace tessera;

int main() {
  const Tensor x = uniform({256, 1}, RandomKey{1}, {}, -1, 1);
  const Tensor y = 3.0 * x + 0.5;

  nn::Linear line(1, 1, RandomKey{2});
  nn::AdamW optimizer(line.named_parameters(), {.lr = 0.05, .weight_decay = 0});
  for (int step = 0; step < 300; ++step) {
    backward(mean(square(line(x) - y)));
    optimizer.step();
    optimizer.zero_grad();
  }

  nn::save_safetensors("line.safetensors", line.state(), {{"made by", "consumer"}});
  const nn::StateDict saved = nn::load_safetensors("line.safetensors").tensors;
  const double slope = saved.at("weight").item<double>(), shift = saved.at("bias").item<double>();
  std::printf("y = %.2f x + %.2f\n", slope, shift);
  return slope > 2.9 && slope < 3.1 && shift > 0.4 && shift < 0.6 ? 0 : 1;
}
