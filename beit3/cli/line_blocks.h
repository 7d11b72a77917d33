#pragma once

#include <functional>
#include <string>
#include <vector>

namespace tessera::beit3::cli {

/// Calls `use` with the lines of the standard input, without their ends, as many at a time as there
/// are: a file comes in large blocks, typed lines one by one. Throws IoError if reading fails.
void for_each_block_of_lines(const std::function<void(const std::vector<std::string>&)>& use);

}  // namespace tessera::beit3::cli
