// See peer_link.hpp.
#include "shell/peers/peer_link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "msg/limits.hpp"
#include "shell/peers/peer_links.hpp"
#include "shell/peers/peer_socket.hpp"

namespace kvd {
namespace {

constexpr uint64_t kConnectMs = 1000;
constexpr uint64_t kHelloMs = 2000;
constexpr uint64_t kCloseMs = 2000;
// One link's share of a turn, so that a flood on one does not fill the node's mailbox at once.
constexpr size_t kMessagesPerTurn = 1024;
constexpr size_t kPieceBytes = 1u << 20;

bool parse_literal(const Address& address, sockaddr_storage& out) {
  return uv_ip4_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in*>(&out)) == 0 ||
         uv_ip6_addr(address.host.c_str(), address.port, reinterpret_cast<sockaddr_in6*>(&out)) == 0;
}

}  // namespace

struct PeerLink::Resolution {
  uv_getaddrinfo_t request{};
  PeerLink* link = nullptr;  // null: nobody waits for it any more
};

struct PeerLink::Write {  // goes out piece by piece, one a turn: the system copies what it takes
  uv_write_t request{};
  std::string bytes;
  size_t sent = 0;
};

PeerLink::PeerLink(PeerLinks* owner, uv_loop_t* loop, LinkId id, std::string name)
    : owner_(owner),
      loop_(loop),
      id_(id),
      name_(std::move(name)),
      timer_(new uv_timer_t),
      allowance_(kMessagesPerTurn) {
  CHECK(uv_timer_init(loop_, timer_) == 0);
  timer_->data = this;
}

PeerLink::~PeerLink() {
  close_and_delete(timer_);
  drop_socket();
  if (resolution_ != nullptr) {
    resolution_->link = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&resolution_->request));
  }
}

void PeerLink::drop_socket() {
  if (tcp_ != nullptr) close_and_delete(std::exchange(tcp_, nullptr));
}

void PeerLink::arm_timer(uint64_t ms) {
  auto fired = [](uv_timer_t* timer) {
    if (PeerLink* link = of(reinterpret_cast<uv_handle_t*>(timer))) link->on_timer();
  };
  CHECK(uv_timer_start(timer_, fired, ms, 0) == 0);
}

void PeerLink::on_timer() {
  switch (phase_) {
    case Phase::kConnecting:
      return end(LinkEnd::kUnreachable, fmt::format("no connection within {} ms", kConnectMs));
    case Phase::kUngreeted:
      return end(LinkEnd::kProtocol, fmt::format("no hello within {} ms", kHelloMs));
    case Phase::kClosing:
      return owner_->forget(id_);
    case Phase::kOpen:
    case Phase::kFailed:
      return;
  }
}

void PeerLink::proceed() {
  if (phase_ == Phase::kFailed) return end(failed_why_, std::move(failure_));
  if (!std::exchange(paused_, false)) return;
  allowance_ = kMessagesPerTurn;
  if (phase_ != Phase::kClosing) deliver();
}

void PeerLink::fail_soon(LinkEnd why, std::string detail) {
  phase_ = Phase::kFailed;
  failed_why_ = why;
  failure_ = std::move(detail);
  drop_socket();
  uv_timer_stop(timer_);
  owner_->wake();
}

void PeerLink::end(LinkEnd why, std::string detail) { owner_->ended(id_, why, std::move(detail)); }

// ---- connecting ----

void PeerLink::dial(const Address& to) {
  arm_timer(kConnectMs);
  sockaddr_storage address{};
  if (!parse_literal(to, address)) return resolve(to);
  addresses_.push_back(address);
  connect_next();
}

void PeerLink::resolve(const Address& to) {
  resolution_ = new Resolution;
  resolution_->link = this;
  resolution_->request.data = resolution_;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  auto done = [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
    auto* resolution = static_cast<Resolution*>(request->data);
    if (PeerLink* link = resolution->link) {
      link->resolution_ = nullptr;
      link->resolved(status, found);
    }
    uv_freeaddrinfo(found);
    delete resolution;
  };
  std::string port = std::to_string(to.port);
  int code = uv_getaddrinfo(loop_, &resolution_->request, done, to.host.c_str(), port.c_str(), &hints);
  if (code == 0) return;
  delete std::exchange(resolution_, nullptr);
  fail_soon(LinkEnd::kUnreachable, uv_strerror(code));
}

void PeerLink::resolved(int status, const addrinfo* found) {
  if (status != 0) return fail_soon(LinkEnd::kUnreachable, uv_strerror(status));
  for (; found != nullptr; found = found->ai_next) {
    std::memcpy(&addresses_.emplace_back(), found->ai_addr, found->ai_addrlen);
  }
  connect_next();
}

// A refusal proves that nobody listens there only when it is the answer of every address that the name has.
void PeerLink::connect_next() {
  drop_socket();
  if (next_address_ == addresses_.size()) {
    LinkEnd why = all_refused_ && !addresses_.empty() ? LinkEnd::kRefused : LinkEnd::kUnreachable;
    return fail_soon(why, std::move(failure_));
  }
  tcp_ = new uv_tcp_t;
  CHECK(uv_tcp_init(loop_, tcp_) == 0);
  tcp_->data = this;
  auto* request = new uv_connect_t;
  auto done = [](uv_connect_t* connect, int status) {
    if (PeerLink* link = of(connect->handle)) link->connected(status);
    delete connect;
  };
  const auto* address = reinterpret_cast<const sockaddr*>(&addresses_[next_address_++]);
  int code = uv_tcp_connect(request, tcp_, address, done);
  if (code == 0) return;
  delete request;
  connected(code);
}

void PeerLink::connected(int status) {
  if (status != 0) {
    all_refused_ = all_refused_ && status == UV_ECONNREFUSED;
    failure_ = uv_strerror(status);
    return connect_next();
  }
  // A port that nobody listens on can be given to the dialing socket itself, which then reaches itself.
  if (local_name(tcp_) == remote_name(tcp_)) return fail_soon(LinkEnd::kRefused, "connected to itself");
  prepare_socket(tcp_);
  uv_timer_stop(timer_);
  phase_ = Phase::kOpen;
  owner_->opened(id_);
  start_reading();
  write_pending();
}

void PeerLink::adopt(uv_tcp_t* tcp) {
  tcp_ = tcp;
  tcp_->data = this;
  prepare_socket(tcp_);
  phase_ = Phase::kUngreeted;
  arm_timer(kHelloMs);
  start_reading();
}

// ---- receiving ----

void PeerLink::start_reading() {
  if (std::exchange(reading_, true)) return;
  auto provide = [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
    auto& bytes = of(handle)->owner_->read_buffer();
    *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
  };
  auto arrived = [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
    of(stream)->read(size, buffer->base);
  };
  int code = uv_read_start(reinterpret_cast<uv_stream_t*>(tcp_), provide, arrived);
  if (code != 0) fail_soon(LinkEnd::kReset, uv_strerror(code));
}

void PeerLink::stop_reading() {
  reading_ = false;
  uv_read_stop(reinterpret_cast<uv_stream_t*>(tcp_));
}

void PeerLink::read(ssize_t size, const char* bytes) {
  if (phase_ == Phase::kClosing) {
    if (size < 0) owner_->forget(id_);
    return;
  }
  if (size < 0) {
    bool finished = size == UV_EOF;
    return end(LinkEnd::kReset, finished ? "closed by the other side" : uv_strerror(static_cast<int>(size)));
  }
  reader_.feed(std::string_view(bytes, static_cast<size_t>(size)));
  deliver();
}

// Hands on what is whole, as far as this turn's allowance goes. The rest waits for the next turn, and while
// it waits nothing more is read: the other side's sending then stops by itself.
void PeerLink::deliver() {
  for (; allowance_ > 0; --allowance_) {
    Result<std::optional<PeerMessage>> message = reader_.next();
    if (!message) return end(LinkEnd::kProtocol, message.error().detail);
    if (!*message) return start_reading();
    if (phase_ == Phase::kUngreeted) {
      phase_ = Phase::kOpen;
      uv_timer_stop(timer_);
    }
    owner_->received(id_, std::move(**message));
  }
  stop_reading();
  paused_ = true;
  owner_->wake();
}

// ---- sending ----

void PeerLink::send(const PeerMessage& message) {
  if (phase_ == Phase::kClosing || phase_ == Phase::kFailed) return;
  encode_frame(message, outgoing_);
  size_t unsent =
      outgoing_.size() + (writing_ != nullptr ? writing_->bytes.size() - writing_->sent : 0) +
      (tcp_ != nullptr ? uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(tcp_)) : 0);
  if (unsent > limits::kLinkQueueBytes) fail_soon(LinkEnd::kOverflow, fmt::format("{} bytes unsent", unsent));
}

void PeerLink::flush() {
  allowance_ = kMessagesPerTurn;
  write_pending();
}

void PeerLink::write_pending() {
  bool stands = phase_ == Phase::kUngreeted || phase_ == Phase::kOpen || phase_ == Phase::kClosing;
  if (!stands || writing_ != nullptr || shut_down_) return;
  if (!outgoing_.empty()) {
    writing_ = new Write;
    writing_->request.data = writing_;
    writing_->bytes = std::exchange(outgoing_, {});
    write_piece();
  } else if (phase_ == Phase::kClosing) {
    // Closing at once while the other side still sends would
    // make its system throw away what it has not read yet.
    shut_down_ = true;
    auto* request = new uv_shutdown_t;
    if (uv_shutdown(request, reinterpret_cast<uv_stream_t*>(tcp_),
                    [](uv_shutdown_t* shutdown, int) { delete shutdown; }) != 0)
      delete request;
  }
}

void PeerLink::write_piece() {
  Write& write = *writing_;
  const size_t size = std::min(write.bytes.size() - write.sent, kPieceBytes);
  uv_buf_t buffer = uv_buf_init(write.bytes.data() + write.sent, static_cast<unsigned>(size));
  write.sent += size;
  auto done = [](uv_write_t* request, int status) {
    auto* write_done = static_cast<Write*>(request->data);
    PeerLink* link = of(request->handle);
    const bool whole = write_done->sent == write_done->bytes.size();
    if (link != nullptr && status == 0 && !whole) return link->write_piece();
    delete write_done;
    if (link != nullptr) link->written(status);
  };
  const int code = uv_write(&write.request, reinterpret_cast<uv_stream_t*>(tcp_), &buffer, 1, done);
  if (code == 0) return;
  delete std::exchange(writing_, nullptr);
  fail_soon(LinkEnd::kReset, uv_strerror(code));
}

void PeerLink::written(int status) {
  writing_ = nullptr;
  if (status == 0) return write_pending();
  if (phase_ == Phase::kClosing) return owner_->forget(id_);
  end(LinkEnd::kReset, uv_strerror(status));
}

void PeerLink::close() {
  if (phase_ == Phase::kClosing) return;
  if (phase_ == Phase::kConnecting || phase_ == Phase::kFailed) return owner_->forget(id_);
  phase_ = Phase::kClosing;
  arm_timer(kCloseMs);
  start_reading();
  if (phase_ == Phase::kClosing) write_pending();
}

}  // namespace kvd
