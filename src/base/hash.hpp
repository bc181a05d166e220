// Hashing for digests and traces (XXH3, 64 bits): fast and stable across machines, not for secrets.
#pragma once
#include <cstdint>
#include <string_view>

namespace kvd {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);

}  // namespace kvd
