// One connection that a session speaks over: dialed once, and over for good when it is lost. What a session has to say
// is written after each of its turns. Loop thread only.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "msg/types.hpp"
#include "net/dialer.hpp"
#include "net/stream.hpp"
#include "peers/session.hpp"

namespace kvd::peers {

class PeerLine final : public net::StreamOwner {
 public:
  // `session` gives its events to whoever made it; `lost` is called once, with why, and may not destroy the line.
  // `buffer` is for all lines of the loop.
  PeerLine(uv_loop_t* loop, const Address& server, std::span<char> buffer, std::unique_ptr<Session> session,
           std::function<void(const std::string& why)> lost);

  Session& session() { return *session_; }
  void flush();

 private:
  void dialed(int status, net::Stream stream);
  void on_bytes(std::string_view bytes) override;
  void on_end(int why) override { lose(why); }
  void on_written(int status) override;
  void lose(int why);

  std::span<char> buffer_;
  std::unique_ptr<Session> session_;
  std::function<void(const std::string& why)> lost_;
  net::Stream stream_;
  std::string left_;     // that was read and is not understood
  std::string writing_;  // that is under way
  std::optional<net::Dialer> dialer_;
};

}  // namespace kvd::peers
