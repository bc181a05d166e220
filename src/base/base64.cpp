// See base64.hpp.
#include "base/base64.hpp"

#include <array>
#include <cstdint>

namespace kvd {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoDigit = 0xff;
constexpr uint32_t kDigitBits = 63;

constexpr std::array<uint8_t, 256> make_digits() {
  std::array<uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return digits;
}
constexpr std::array<uint8_t, 256> kDigits = make_digits();

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data();
  auto byte = [bytes](size_t at) { return uint32_t{static_cast<uint8_t>(bytes[at])}; };
  auto put = [&to](uint32_t group, size_t digits) {
    for (size_t i = 0; i < digits; ++i) *to++ = kAlphabet[group >> (18 - 6 * i) & 63];
  };
  size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3) put(byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2), 4);
  const size_t left = bytes.size() - at;
  if (left == 1) put(byte(at) << 16, 2);
  if (left == 2) put(byte(at) << 16 | byte(at + 1) << 8, 3);
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  text.remove_suffix(padding);
  std::string out(text.size() * 3 / 4, '\0');
  char* to = out.data();
  uint32_t seen = 0;  // of all digits; what is none has bits that no digit has
  auto digit = [text, &seen](size_t at) {
    const uint32_t value = kDigits[static_cast<uint8_t>(text[at])];
    seen |= value;
    return value;
  };
  size_t at = 0;
  for (; at + 4 <= text.size(); at += 4) {
    const uint32_t group = digit(at) << 18 | digit(at + 1) << 12 | digit(at + 2) << 6 | digit(at + 3);
    *to++ = static_cast<char>(group >> 16 & 0xff);
    *to++ = static_cast<char>(group >> 8 & 0xff);
    *to++ = static_cast<char>(group & 0xff);
  }
  uint32_t leftover = 0;  // bits that no byte takes
  if (padding == 2) {
    const uint32_t group = digit(at) << 6 | digit(at + 1);
    *to++ = static_cast<char>(group >> 4 & 0xff);
    leftover = group & 0xf;
  } else if (padding == 1) {
    const uint32_t group = digit(at) << 12 | digit(at + 1) << 6 | digit(at + 2);
    *to++ = static_cast<char>(group >> 10 & 0xff);
    *to++ = static_cast<char>(group >> 2 & 0xff);
    leftover = group & 0x3;
  }
  if ((seen & ~kDigitBits) != 0 || leftover != 0) return std::nullopt;
  return out;
}

}  // namespace kvd
