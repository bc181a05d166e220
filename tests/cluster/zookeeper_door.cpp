// See zookeeper_door.hpp. Packets are a length of four bytes and what follows; numbers are big-endian. A request to
// connect is version (4), last zxid seen (8), timeout (4), session (8), password (4 + 16), read only (1); its answer
// version (4), timeout (4), session (8), password (4 + 16), read only (1). Other requests begin with xid (4) and type
// (4).
#include "cluster/zookeeper_door.hpp"

#include <netinet/in.h>

#include "base/check.hpp"

namespace kvd::testing {
namespace {

constexpr size_t kSessionAt = 16;
constexpr size_t kTypeAt = 4;
constexpr int32_t kPing = 11;
constexpr int32_t kCloseSession = -11;
constexpr int64_t kPingXid = -2;

uint64_t number_at(const std::string& text, size_t at, size_t bytes) {
  CHECK(text.size() >= at + bytes);
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; ++i) number = number << 8 | static_cast<uint8_t>(text[at + i]);
  return number;
}

void put(std::string& text, uint64_t number, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) text.push_back(static_cast<char>(number >> (8 * i)));
}

}  // namespace

struct ZookeeperDoor::Visitor {
  uv_tcp_t tcp{};
  ZookeeperDoor* door = nullptr;
  std::string input;
  uint64_t session = 0;  // 0: has not asked yet
  char part[4096];
};

ZookeeperDoor::ZookeeperDoor(uv_loop_t* loop, uint16_t port, Admits admits, int timeout_ms)
    : listener_(new uv_tcp_t{}), admits_(std::move(admits)), timeout_ms_(timeout_ms) {
  sockaddr_in address{};
  CHECK(uv_ip4_addr("127.0.0.1", port, &address) == 0);
  CHECK(uv_tcp_init(loop, listener_) == 0);
  CHECK(uv_tcp_bind(listener_, reinterpret_cast<sockaddr*>(&address), 0) == 0);
  listener_->data = this;
  const auto on_dial = [](uv_stream_t* stream, int) { static_cast<ZookeeperDoor*>(stream->data)->let_in(); };
  CHECK(uv_listen(reinterpret_cast<uv_stream_t*>(listener_), 64, on_dial) == 0);
}

ZookeeperDoor::~ZookeeperDoor() {
  hang_up();
  uv_close(reinterpret_cast<uv_handle_t*>(listener_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
}

void ZookeeperDoor::hang_up() {
  while (!visitors_.empty()) end(*visitors_.begin());
}

void ZookeeperDoor::let_in() {
  auto* visitor = new Visitor;
  visitor->door = this;
  visitor->tcp.data = visitor;
  CHECK(uv_tcp_init(listener_->loop, &visitor->tcp) == 0);
  visitors_.insert(visitor);
  if (uv_accept(reinterpret_cast<uv_stream_t*>(listener_), reinterpret_cast<uv_stream_t*>(&visitor->tcp)) !=
      0)
    return end(visitor);
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&visitor->tcp),
      [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        auto* from = static_cast<Visitor*>(handle->data);
        *buffer = uv_buf_init(from->part, sizeof from->part);
      },
      [](uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) {
        auto* from = static_cast<Visitor*>(stream->data);
        if (got < 0) return from->door->end(from);
        from->input.append(buffer->base, static_cast<size_t>(got));
        from->door->read(from);
      });
}

void ZookeeperDoor::end(Visitor* visitor) {
  visitors_.erase(visitor);
  uv_close(reinterpret_cast<uv_handle_t*>(&visitor->tcp),
           [](uv_handle_t* handle) { delete static_cast<Visitor*>(handle->data); });
}

void ZookeeperDoor::read(Visitor* visitor) {
  while (visitor->input.size() >= 4) {
    const size_t length = number_at(visitor->input, 0, 4);
    if (visitor->input.size() < 4 + length) return;
    const std::string packet = visitor->input.substr(4, length);
    visitor->input.erase(0, 4 + length);
    if (!take_packet(visitor, packet)) return end(visitor);
  }
}

bool ZookeeperDoor::take_packet(Visitor* visitor, const std::string& packet) {
  std::string answer;
  if (visitor->session == 0) {
    const uint64_t asked = number_at(packet, kSessionAt, 8);
    asked_.push_back(asked);
    visitor->session = admits_(asked);
    if (visitor->session == 0) return false;
    put(answer, 37, 4);
    put(answer, 0, 4);
    put(answer, static_cast<uint64_t>(timeout_ms_), 4);
    put(answer, visitor->session, 8);
    put(answer, 16, 4);
    answer.append(16 + 1, '\0');
  } else {
    const auto type = static_cast<int32_t>(number_at(packet, kTypeAt, 4));
    if (type == kCloseSession) closed_.insert(visitor->session);
    if (type == kCloseSession) return false;
    if (type != kPing) return true;
    put(answer, 16, 4);
    put(answer, static_cast<uint64_t>(kPingXid), 4);
    answer.append(8 + 4, '\0');
  }
  const uv_buf_t buffer = uv_buf_init(answer.data(), static_cast<unsigned>(answer.size()));
  return uv_try_write(reinterpret_cast<uv_stream_t*>(&visitor->tcp), &buffer, 1) ==
         static_cast<int>(answer.size());
}

}  // namespace kvd::testing
