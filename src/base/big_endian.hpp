// Numbers as 8 bytes, the highest one first: sorted as text they are sorted as numbers. For keys and lists that are
// kept in that order; all else is little-endian (msg/codec.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvd {

inline constexpr size_t kBigEndianBytes = 8;

inline void append_big_endian(std::string& out, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}
// Of the first 8 bytes, or of all where there are fewer.
inline uint64_t big_endian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char c : bytes.substr(0, kBigEndianBytes)) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

}  // namespace kvd
