// See tls_layer.hpp.
#include "net/tls_layer.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "net/handshakes.hpp"
#include "net/stream_state.hpp"

namespace kvd::net {
namespace {

constexpr size_t kRecordBytes = 16 << 10;  // of plaintext, at most (RFC 8446, 5.1)
constexpr size_t kAtOnce = 256 << 10;      // so much is encrypted before the system has taken it
// Of a record that is not whole yet this much may be inside, and comes out with what is read next.
constexpr size_t kHeldBytes = kRecordBytes + 512;
constexpr char kHandshakeRecord = 0x16;  // the first byte of everyone who speaks TLS

// Memory of the loop's thread: what is in it is used before the loop goes on.
std::array<char, 64 << 10> read_buffer;
std::string out_buffer;

// Streams of values make it large.
std::string& empty_out_buffer() {
  if (out_buffer.capacity() > 2 * kAtOnce) std::string().swap(out_buffer);
  out_buffer.clear();
  return out_buffer;
}

}  // namespace

TlsLayer::TlsLayer(StreamState& state, TlsSession session, Handshakes& handshakes)
    : state_(state), session_(std::move(session)), handshakes_(handshakes) {
  CHECK(state.buffer.size() >= 2 * kRecordBytes);
  request_.data = this;
  handshakes_.begin(*this);
}

void TlsLayer::end_handshake() {
  if (std::exchange(counted_, false)) handshakes_.end(*this);
}

void TlsLayer::leave(bool politely) {
  end_handshake();
  handshakes_.forget(*this);
  if (!politely || !sending_.empty() || broken_ != 0) return;
  std::string& out = empty_out_buffer();
  session_.end(out);
  const uv_buf_t all = uv_buf_init(out.data(), static_cast<unsigned int>(out.size()));
  if (!out.empty()) uv_try_write(state_.stream(), &all, 1);
}

void TlsLayer::give_up() {
  end_handshake();
  uv_read_stop(state_.stream());
  state_.owner->on_end(UV_ETIMEDOUT);
}

// ---- reading ----

bool TlsLayer::hears() const { return is_shaking_hands() || session_.state() == TlsSession::State::kOpen; }

std::span<char> TlsLayer::lend() const {
  return std::span(read_buffer).first(std::min(read_buffer.size(), state_.buffer.size() - kHeldBytes));
}

bool TlsLayer::start_reading() {
  reading_ = true;
  // A client speaks first.
  if (ended_ || (session_.is_client() && !std::exchange(begun_, true))) handshakes_.wait(*this);
  return held_.empty() && hears();
}

void TlsLayer::on_bytes(std::string_view ciphertext) {
  if (!is_shaking_hands()) return deliver(ciphertext);
  const bool first = !std::exchange(begun_, true);
  if (first && ciphertext.front() != kHandshakeRecord) {
    end_handshake();
    const std::unique_ptr<TlsLayer> self = std::move(state_.tls);
    return state_.owner->on_plain();
  }
  if (handshakes_.has_time()) return shake(ciphertext);
  held_ = ciphertext;
  uv_read_stop(state_.stream());
  handshakes_.wait(*this);
}

void TlsLayer::proceed() {
  if (!is_shaking_hands()) return tell_end();
  const std::string ciphertext = std::exchange(held_, {});
  shake(ciphertext);
  if (!state_.is_closing() && reading_ && hears()) state_.start_reading();
}

void TlsLayer::shake(std::string_view ciphertext) {
  std::string& out = empty_out_buffer();
  const uint64_t began = uv_hrtime();
  const TlsSession::State now = session_.advance(ciphertext, out);
  handshakes_.took(uv_hrtime() - began);
  give(out);
  if (now == TlsSession::State::kHandshake) return;
  end_handshake();
  if (now == TlsSession::State::kFailed) return fail();
  state_.owner->on_secured();
  if (!state_.is_closing() && sending_.empty()) go_on_writing();
  if (!state_.is_closing() && !ciphertext.empty()) deliver(ciphertext);
}

void TlsLayer::deliver(std::string_view ciphertext) {
  if (!hears()) return;
  std::string& out = empty_out_buffer();
  const size_t got = session_.read(ciphertext, state_.buffer, out);
  CHECK(ciphertext.empty() || session_.state() != TlsSession::State::kOpen);
  give(out);
  if (session_.state() == TlsSession::State::kFailed) broken_ = UV_EPROTO;
  if (!hears()) uv_read_stop(state_.stream());
  ended_ = session_.state() == TlsSession::State::kEnded;
  if (got > 0) state_.owner->on_bytes({state_.buffer.data(), got});
  if (state_.is_closing()) return;
  if (session_.state() == TlsSession::State::kFailed) return fail();
  tell_end();
}

// As with a plain stream, the end waits until the owner reads.
void TlsLayer::tell_end() {
  if (reading_ && std::exchange(ended_, false)) state_.owner->on_end(UV_EOF);
}

void TlsLayer::fail() {
  uv_read_stop(state_.stream());
  broken_ = UV_EPROTO;
  state_.owner->on_end(UV_EPROTO);
}

// Who ends without having said so may have been cut off.
void TlsLayer::on_end(int why) {
  if (hears()) state_.owner->on_end(why == UV_EOF ? UV_ECONNRESET : why);
}

// ---- writing ----

void TlsLayer::Plain::assign(std::span<const uv_buf_t> from) {
  pieces.assign(from.begin(), from.end());
  left = 0;
  for (const uv_buf_t& piece : pieces) left += piece.len;
}

void TlsLayer::Plain::skip(size_t bytes) {
  left -= bytes;
  size_t done = 0;
  while (done < pieces.size() && bytes >= pieces[done].len) bytes -= pieces[done++].len;
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(done));
  if (bytes == 0) return;
  pieces.front().base += bytes;
  pieces.front().len -= static_cast<uint32_t>(bytes);
}

// As many bytes as are to be under way at once, small pieces together in one record.
size_t TlsLayer::encrypt(Plain& plain, std::string& out) {
  static std::array<char, kRecordBytes> gathered;
  size_t done = 0;
  while (plain.left > 0 && done < kAtOnce) {
    std::string_view next(plain.pieces.front().base, std::min<size_t>(plain.pieces.front().len, kAtOnce));
    if (next.size() < kRecordBytes && plain.pieces.size() > 1) {
      size_t size = 0;
      for (const uv_buf_t& piece : plain.pieces) {
        const size_t some = std::min<size_t>(piece.len, gathered.size() - size);
        std::copy_n(piece.base, some, gathered.data() + size);
        size += some;
        if (size == gathered.size()) break;
      }
      next = {gathered.data(), size};
    }
    if (!next.empty()) session_.write(next, out);
    if (session_.state() == TlsSession::State::kFailed) return done;
    plain.skip(next.size());
    done += next.size();
  }
  return done;
}

// What the system does not take at once waits. Why a write fails is told where its end is.
void TlsLayer::give(std::string& out) {
  if (out.empty()) return;
  if (!sending_.empty()) {
    waiting_ += out;
    return;
  }
  const uv_buf_t all = uv_buf_init(out.data(), static_cast<unsigned int>(out.size()));
  const int written = uv_try_write(state_.stream(), &all, 1);
  if (written == static_cast<int>(out.size())) return;
  sending_.assign(out, written > 0 ? static_cast<size_t>(written) : 0);
  begin_write();
}

void TlsLayer::begin_write() {
  const uv_buf_t all = uv_buf_init(sending_.data(), static_cast<unsigned int>(sending_.size()));
  const auto sent = [](uv_write_t* request, int status) {
    auto* layer = static_cast<TlsLayer*>(request->data);
    if (!layer->state_.is_closing()) layer->on_sent(status);
  };
  CHECK(uv_write(&request_, state_.stream(), &all, 1, sent) == 0);
}

void TlsLayer::on_sent(int status) {
  std::string().swap(sending_);
  if (status != 0) {
    broken_ = status;
    if (std::exchange(writing_, false)) state_.owner->on_written(status);
    return;
  }
  if (!waiting_.empty()) {
    sending_.swap(waiting_);
    return begin_write();
  }
  go_on_writing();
}

void TlsLayer::go_on_writing() {
  if (!writing_ && shutting_) state_.shut_down();
  if (!writing_) return;
  if (plain_.left > 0 && broken_ == 0) encrypt(plain_, sending_);
  if (session_.state() == TlsSession::State::kFailed) broken_ = UV_EPROTO;
  if (broken_ == 0 && !sending_.empty()) return begin_write();
  writing_ = false;
  state_.owner->on_written(broken_);
}

int TlsLayer::try_write(std::span<const uv_buf_t> pieces) {
  if (broken_ != 0) return broken_;
  if (is_shaking_hands() || !sending_.empty()) return 0;
  plain_.assign(pieces);
  const size_t all = plain_.left;
  while (plain_.left > 0) {
    const size_t before = all - plain_.left;
    std::string& out = empty_out_buffer();
    const size_t some = encrypt(plain_, out);
    if (session_.state() == TlsSession::State::kFailed) return broken_ = UV_EPROTO;
    give(out);
    if (sending_.empty()) continue;
    owed_ = some;
    return static_cast<int>(before);
  }
  return static_cast<int>(all);
}

int TlsLayer::write(std::span<const uv_buf_t> pieces) {
  if (broken_ != 0) return broken_;
  plain_.assign(pieces);
  plain_.skip(std::exchange(owed_, 0));
  writing_ = true;
  if (is_shaking_hands() || !sending_.empty()) return 0;
  encrypt(plain_, sending_);
  if (session_.state() == TlsSession::State::kFailed) return broken_ = UV_EPROTO;
  begin_write();
  return 0;
}

size_t TlsLayer::unsent() const {
  return plain_.left + waiting_.size() + uv_stream_get_write_queue_size(state_.stream());
}

int TlsLayer::shut_down() {
  CHECK(!writing_);
  std::string& out = empty_out_buffer();
  session_.end(out);
  give(out);
  if (sending_.empty()) return state_.shut_down();
  shutting_ = true;
  return 0;
}

}  // namespace kvd::net
