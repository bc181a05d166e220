// See hash.hpp.
#include "base/hash.hpp"

#include <xxhash.h>

namespace kvd {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace kvd
