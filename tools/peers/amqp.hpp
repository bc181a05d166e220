// Frames of AMQP 0-9-1, as far as a client of a queue needs them: what is written into them and read out of them. Pure.
// (librabbitmq, the client in C, waits for each answer of each connection.)
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvd::peers {

enum class FrameKind : uint8_t { kMethod = 1, kHeader = 2, kBody = 3, kHeartbeat = 8 };

// Class and method, as the specification numbers them.
constexpr uint32_t amqp_method(uint16_t of_class, uint16_t method) {
  return static_cast<uint32_t>(of_class) << 16 | method;
}

class AmqpWriter {
 public:
  AmqpWriter& byte(uint8_t number) { return digits(number, 1); }
  AmqpWriter& two(uint16_t number) { return digits(number, 2); }
  AmqpWriter& four(uint32_t number) { return digits(number, 4); }
  AmqpWriter& eight(uint64_t number) { return digits(number, 8); }
  AmqpWriter& name(std::string_view text) {  // up to 255 bytes
    byte(static_cast<uint8_t>(text.size()));
    payload_ += text;
    return *this;
  }
  AmqpWriter& text(std::string_view bytes) {
    four(static_cast<uint32_t>(bytes.size()));
    payload_ += bytes;
    return *this;
  }
  AmqpWriter& bytes(std::string_view raw) {
    payload_ += raw;
    return *this;
  }

  void frame(FrameKind kind, uint16_t channel, std::string& out);  // of what was written; then it begins anew

 private:
  AmqpWriter& digits(uint64_t number, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) payload_ += static_cast<char>(number >> (8 * i));
    return *this;
  }

  std::string payload_;
};

class AmqpReader {
 public:
  explicit AmqpReader(std::string_view payload) : left_(payload) {}
  // 0, or nothing, once there is too little; ok() tells.
  uint64_t number(size_t bytes);
  std::string_view name();
  bool ok() const { return ok_; }

 private:
  std::string_view take(size_t bytes);

  std::string_view left_;
  bool ok_ = true;
};

struct AmqpFrame {
  FrameKind kind = FrameKind::kMethod;
  uint16_t channel = 0;
  std::string_view payload;
};

// The frame at `at`, which is behind it then. Nothing: it is not whole, or `bad`.
std::optional<AmqpFrame> take_frame(std::string_view bytes, size_t& at, bool& bad);

}  // namespace kvd::peers
