// Hashing for digests and traces (XXH3, 64 bits): fast, and the same on every machine, so that servers can
// compare digests. Not for secrets: whoever chooses the bytes can make two of them collide.
#pragma once
#include <cstdint>
#include <string_view>

namespace kvd {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);

}  // namespace kvd
