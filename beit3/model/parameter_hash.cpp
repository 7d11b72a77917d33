#include "beit3/model/parameter_hash.h"

#include <bit>

#include <xxhash.h>

#include "tensor/base/error.h"

namespace tessera::beit3 {

static_assert(std::endian::native == std::endian::little, "numbers are hashed as they lie");

struct ParameterHash::State {
  std::unique_ptr<XXH64_state_t, decltype(&XXH64_freeState)> sum{XXH64_createState(),
                                                                 &XXH64_freeState};
  std::string last;
  bool any = false;

  State() { XXH64_reset(sum.get(), 0); }
  void add(const void* bytes, size_t count) { XXH64_update(sum.get(), bytes, count); }
  void add(int64_t number) { add(&number, sizeof number); }
  void add(std::string_view text) {
    add(text.data(), text.size());
    add("", 1);
  }
};

ParameterHash::ParameterHash() : state_(std::make_unique<State>()) {}
ParameterHash::~ParameterHash() = default;

void ParameterHash::add(std::string_view name, const Tensor& tensor) {
  State& s = *state_;
  check<StateError>(!s.any || s.last < name,
                    "parameter hash: \"{}\" comes after \"{}\"; add tensors in the order of their "
                    "names",
                    name, s.last);
  s.last = name;
  s.any = true;
  s.add(name);
  s.add(to_string(tensor.dtype()));
  s.add(tensor.rank());
  for (const int64_t size : tensor.shape()) s.add(size);
  const Tensor whole = tensor.detach().to(kCpu).contiguous();
  s.add(whole.view().data, whole.bytes());
}

std::string ParameterHash::digits() const { return hex_digits(XXH64_digest(state_->sum.get())); }

std::string parameter_hash(const nn::StateDict& tensors) {
  ParameterHash hash;
  for (const auto& [name, tensor] : tensors) hash.add(name, tensor);
  return hash.digits();
}

}  // namespace tessera::beit3
