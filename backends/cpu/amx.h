#pragma once

/// The tile registers of AMX (Intel 64 and IA-32 Architectures Software Developer's Manual, volume
/// 1, chapter 18).
namespace tessera {

/// Does this machine multiply by AMX tiles? It has them, the system lets this process use them, and
/// their sums are those of the twin in vectors to the bit, which is tried out once.
bool amx_works();
/// Why not, or "" if it does.
const char* amx_trouble();

}  // namespace tessera
