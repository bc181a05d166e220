// See peer_link.hpp.
#include "shell/peers/peer_link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "msg/limits.hpp"
#include "shell/peers/peer_links.hpp"

namespace kvd {
namespace {

constexpr Duration kConnect = milliseconds(1000);
constexpr Duration kHello = milliseconds(2000);
constexpr Duration kClose = milliseconds(2000);
// A link ends (as if reset) when the other side's kernel has acknowledged nothing for so long. TCP itself would wait
// ever longer before it tries again, so that what was sent during a partition would keep all that follows from being
// heard for as long after it.
constexpr Duration kUnacknowledged = milliseconds(3000);
// One link's share of a turn, so that a flood on one does not fill the node's mailbox at once.
constexpr size_t kMessagesPerTurn = 1024;
constexpr size_t kPieceBytes = 1u << 20;

}  // namespace

PeerLink::PeerLink(PeerLinks* owner, uv_loop_t* loop, LinkId id, std::string name)
    : owner_(owner),
      loop_(loop),
      id_(id),
      name_(std::move(name)),
      timer_(loop, [this] { on_timer(); }),
      allowance_(kMessagesPerTurn) {}

void PeerLink::on_timer() {
  switch (phase_) {
    case Phase::kConnecting:
      return end(LinkEnd::kUnreachable,
                 fmt::format("no {} within {} ms", stream_.is_open() ? "TLS handshake" : "connection",
                             to_ms(kConnect)));
    case Phase::kStranger:
      return end(LinkEnd::kUntrusted, fmt::format("no TLS handshake within {} ms", to_ms(kHello)));
    case Phase::kUngreeted:
      return end(LinkEnd::kProtocol, fmt::format("no hello within {} ms", to_ms(kHello)));
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
  dialer_.reset();
  stream_.close();
  timer_.stop();
  owner_->wake();
}

void PeerLink::end(LinkEnd why, std::string detail) { owner_->ended(id_, why, std::move(detail)); }

// ---- connecting ----

void PeerLink::dial(const Address& to) {
  timer_.start(kConnect);
  to_ = to;
  dialer_.emplace(loop_, to.host, to.port,
                  [this](int status, net::Stream stream) { dialed(status, std::move(stream)); });
}

void PeerLink::dialed(int status, net::Stream stream) {
  // A refusal proves that nobody listens there only when it is the answer of every address that the name has.
  if (status != 0) {
    return end(dialer_->all_refused() ? LinkEnd::kRefused : LinkEnd::kUnreachable, uv_strerror(status));
  }
  dialer_.reset();
  // A port that nobody listens on can be given to the dialing socket itself, which then reaches itself.
  const net::SocketAddress here = stream.local(), there = stream.remote();
  if (here.port() == there.port() && here.host() == there.host()) {
    return end(LinkEnd::kRefused, "connected to itself");
  }
  take(std::move(stream));
  if (owner_->tls() == nullptr) return stand();
  stream_.secure(net::TlsSession(owner_->tls()->client(), to_.host), owner_->handshakes());
  start_reading();
}

void PeerLink::stand() {
  timer_.stop();
  phase_ = Phase::kOpen;
  owner_->opened(id_, stream_.is_secure() ? stream_.tls_names() : std::vector<std::string>());
  start_reading();
  write_pending();
}

void PeerLink::adopt(net::Stream stream) {
  take(std::move(stream));
  phase_ = Phase::kUngreeted;
  if (owner_->tls() != nullptr) {
    phase_ = Phase::kStranger;
    stream_.secure(net::TlsSession(owner_->tls()->server()), owner_->handshakes());
  }
  timer_.start(kHello);
  start_reading();
}

void PeerLink::on_secured() {
  if (phase_ == Phase::kConnecting) return stand();
  if (phase_ != Phase::kStranger) return;
  phase_ = Phase::kUngreeted;
  if (owner_->accepted(id_, stream_.tls_names())) timer_.start(kHello);
}

void PeerLink::on_plain() { end(LinkEnd::kUntrusted, "it speaks no TLS, which --peer-ca asks for"); }

void PeerLink::take(net::Stream stream) {
  stream_ = std::move(stream);
  stream_.attach(*this, owner_->read_buffer());
  stream_.end_unacknowledged_after(kUnacknowledged);
}

// ---- receiving ----

void PeerLink::start_reading() {
  if (std::exchange(reading_, true)) return;
  const int code = stream_.start_reading();
  if (code != 0) fail_soon(LinkEnd::kReset, uv_strerror(code));
}

void PeerLink::stop_reading() {
  reading_ = false;
  stream_.stop_reading();
}

void PeerLink::on_bytes(std::string_view bytes) {
  if (phase_ == Phase::kClosing) return;
  reader_.feed(bytes);
  deliver();
}

void PeerLink::on_end(int why) {
  if (phase_ == Phase::kClosing) return owner_->forget(id_);
  if (why == UV_EPROTO) return end(LinkEnd::kUntrusted, stream_.tls_failure());
  end(LinkEnd::kReset, why == UV_EOF ? "closed by the other side" : uv_strerror(why));
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
      timer_.stop();
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
  const size_t unsent = outgoing_.size() + writing_.size() - sent_ + stream_.unsent();
  if (unsent > limits::kLinkQueueBytes) fail_soon(LinkEnd::kOverflow, fmt::format("{} bytes unsent", unsent));
}

void PeerLink::flush() {
  allowance_ = kMessagesPerTurn;
  write_pending();
}

void PeerLink::write_pending() {
  bool stands = phase_ == Phase::kUngreeted || phase_ == Phase::kOpen || phase_ == Phase::kClosing;
  if (!stands || !writing_.empty() || shut_down_) return;
  if (!outgoing_.empty()) {
    writing_ = std::exchange(outgoing_, {});
    write_piece();
  } else if (phase_ == Phase::kClosing) {
    // Closing at once while the other side still sends would
    // make its system throw away what it has not read yet.
    shut_down_ = true;
    stream_.shut_down();
  }
}

void PeerLink::write_piece() {
  const size_t size = std::min(writing_.size() - sent_, kPieceBytes);
  const uv_buf_t piece = uv_buf_init(writing_.data() + sent_, static_cast<unsigned>(size));
  sent_ += size;
  const int code = stream_.write({&piece, 1});
  if (code != 0) fail_soon(LinkEnd::kReset, uv_strerror(code));
}

void PeerLink::on_written(int status) {
  if (status == 0 && sent_ < writing_.size()) return write_piece();
  std::string().swap(writing_);  // it may be large
  sent_ = 0;
  if (status == 0) return write_pending();
  if (phase_ == Phase::kClosing) return owner_->forget(id_);
  end(LinkEnd::kReset, uv_strerror(status));
}

void PeerLink::close() {
  if (phase_ == Phase::kClosing) return;
  if (phase_ == Phase::kConnecting || phase_ == Phase::kFailed) return owner_->forget(id_);
  phase_ = Phase::kClosing;
  timer_.start(kClose);
  start_reading();
  if (phase_ == Phase::kClosing) write_pending();
}

}  // namespace kvd
