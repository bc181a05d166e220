// Files of one line that an operator writes and keeps from others: a password, a token's digest. Blocking: they are
// read at the start.
#pragma once
#include <cstddef>
#include <string>

#include "base/result.hpp"

namespace kvd {

struct SmallFile {
  std::string content;   // one byte more than was wanted tells that there is more
  bool exposed = false;  // every user of this machine may read it
};

// The Error is the system's reason.
Result<SmallFile> read_small_file(const std::string& path, size_t bytes_max);

}  // namespace kvd
