#pragma once

#include <cstdint>
#include <string>

namespace tessera {

enum class DeviceKind : uint8_t { cpu, cuda };

/// Where a tensor lives: the CPU, or the CUDA device `index`.
struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;

  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr Device kCpu{};

/// "cpu" or "cuda:0".
inline std::string to_string(const Device& device) {
  return device.kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(device.index);
}

}  // namespace tessera
