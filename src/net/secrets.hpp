// What secrets are made of and known by: random numbers, digests, and a comparison that does not tell how far it came.
// Any thread.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace kvd::net {

// From the system's own source, fit for keys. Ends the process where there is none.
std::string random_bytes(size_t count);

// FIPS 180-4: 32 bytes.
std::string sha256(std::string_view bytes);

// In a time that tells nothing of where they differ.
bool equal_secrets(std::string_view one, std::string_view other);

}  // namespace kvd::net
