// See amqp.hpp.
#include "peers/amqp.hpp"

namespace kvd::peers {
namespace {

constexpr size_t kFrameHead = 7;
constexpr char kFrameEnd = '\xCE';

}  // namespace

void AmqpWriter::frame(FrameKind kind, uint16_t channel, std::string& out) {
  const std::string payload = std::move(payload_);
  payload_.clear();
  byte(static_cast<uint8_t>(kind)).two(channel).text(payload);
  (out += payload_) += kFrameEnd;
  payload_.clear();
}

std::string_view AmqpReader::take(size_t bytes) {
  ok_ = ok_ && bytes <= left_.size();
  if (!ok_) return {};
  const std::string_view taken = left_.substr(0, bytes);
  left_.remove_prefix(bytes);
  return taken;
}

uint64_t AmqpReader::number(size_t bytes) {
  uint64_t number = 0;
  for (const char c : take(bytes)) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

std::string_view AmqpReader::name() {
  const uint64_t size = number(1);
  return take(size);
}

std::optional<AmqpFrame> take_frame(std::string_view bytes, size_t& at, bool& bad) {
  AmqpReader head(bytes.substr(at));
  const uint64_t kind = head.number(1);
  const uint64_t channel = head.number(2);
  const uint64_t size = head.number(4);
  const size_t body = at + kFrameHead;
  if (!head.ok() || bytes.size() < body + size + 1) return std::nullopt;
  bad = bytes[body + size] != kFrameEnd;
  if (bad) return std::nullopt;
  at = body + size + 1;
  return AmqpFrame{static_cast<FrameKind>(kind), static_cast<uint16_t>(channel), bytes.substr(body, size)};
}

}  // namespace kvd::peers
