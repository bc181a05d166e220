// See line.hpp.
#include "peers/line.hpp"

namespace kvd::peers {

PeerLine::PeerLine(uv_loop_t* loop, const Address& server, std::span<char> buffer,
                   std::unique_ptr<Session> session, std::function<void(const std::string& why)> lost)
    : buffer_(buffer), session_(std::move(session)), lost_(std::move(lost)) {
  dialer_.emplace(loop, server.host, server.port,
                  [this](int status, net::Stream stream) { dialed(status, std::move(stream)); });
}

void PeerLine::lose(int why) {
  stream_.close();
  lost_(uv_strerror(why));
}

void PeerLine::dialed(int status, net::Stream stream) {
  if (status != 0) return lost_(uv_strerror(status));
  stream_ = std::move(stream);
  stream_.attach(*this, buffer_);
  if (const int error = stream_.start_reading(); error != 0) return lose(error);
  session_->begin();
  flush();
}

void PeerLine::on_bytes(std::string_view bytes) {
  if (left_.empty()) {
    const size_t taken = session_->take(bytes);
    left_ = bytes.substr(taken);
  } else {
    left_ += bytes;
    left_.erase(0, session_->take(left_));
  }
  flush();
}

void PeerLine::on_written(int status) {
  writing_.clear();
  if (status != 0) return lose(status);
  flush();
}

void PeerLine::flush() {
  std::string& output = session_->output();
  if (output.empty() || !writing_.empty() || !stream_.is_open()) return;
  const uv_buf_t all = uv_buf_init(output.data(), static_cast<unsigned int>(output.size()));
  const int written = stream_.try_write({&all, 1});
  if (written < 0) return lose(written);
  output.erase(0, static_cast<size_t>(written));
  if (output.empty()) return;
  writing_.swap(output);
  const uv_buf_t rest = uv_buf_init(writing_.data(), static_cast<unsigned int>(writing_.size()));
  if (const int error = stream_.write({&rest, 1}); error != 0) lose(error);
}

}  // namespace kvd::peers
