// One TCP connection to another server: connecting, cutting what arrives into messages, sending, closing.
// Made and owned by PeerLinks only, everything on the loop's thread. It never decides to connect again and
// never calls its owner from inside a call of the owner's: what fails there is reported in the next turn.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "msg/wire.hpp"
#include "net/dialer.hpp"
#include "net/loop.hpp"
#include "net/stream.hpp"

namespace kvd {

class PeerLinks;

class PeerLink final : private net::StreamOwner {
 public:
  // `name` is the other side's address, for the logs.
  PeerLink(PeerLinks* owner, uv_loop_t* loop, LinkId id, std::string name);
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  void dial(const Address& to);
  // Takes over a connection that was accepted. Its first message must come soon.
  void adopt(net::Stream stream);
  // Keeps the message until flush(); too much unsent ends the link.
  void send(const PeerMessage& message);
  // Once per turn: one write of all that was sent, and a new allowance of messages to take.
  void flush();
  // Goes on with what was put off to this turn. Called when the owner was asked to wake().
  void proceed();
  // Closes after what was sent, and hides what still arrives.
  // The owner may be told to forget the link at once.
  void close();

  const std::string& name() const { return name_; }
  // Somebody dialed, and has not shown a certificate yet.
  bool is_stranger() const { return phase_ == Phase::kStranger; }

 private:
  enum class Phase {
    kConnecting,  // with TLS also its handshake
    kStranger,    // accepted, and the handshake is not over
    kUngreeted,   // accepted, and nothing came yet
    kOpen,
    kClosing,  // by close(): the last bytes are on their way
    kFailed,   // the owner learns of it in the next turn
  };
  void on_bytes(std::string_view bytes) override;
  void on_end(int why) override;
  void on_written(int status) override;
  void on_secured() override;
  void on_plain() override;

  void dialed(int status, net::Stream stream);
  void take(net::Stream stream);
  void stand();
  void start_reading();
  void stop_reading();
  void deliver();
  void write_pending();
  void write_piece();
  void on_timer();
  void fail_soon(LinkEnd why, std::string detail);
  void end(LinkEnd why, std::string detail);  // destroys this

  PeerLinks* owner_;
  uv_loop_t* loop_;
  LinkId id_;
  std::string name_;
  Phase phase_ = Phase::kConnecting;

  net::Timer timer_;
  Address to_;                         // of a dialed one
  std::optional<net::Dialer> dialer_;  // while there is no stream
  net::Stream stream_;

  std::string failure_;  // what fail_soon() keeps
  LinkEnd failed_why_ = LinkEnd::kUnreachable;

  FrameReader reader_;
  bool reading_ = false;
  bool paused_ = false;  // what is left of this turn's messages waits for the next one
  size_t allowance_;     // messages that this turn may still take

  std::string outgoing_;    // encoded, not given to the stream yet
  std::string writing_;     // goes out piece by piece, one a turn: the system copies what it takes
  size_t sent_ = 0;         // of writing_
  bool shut_down_ = false;  // everything is sent, and the other side knows
};

}  // namespace kvd
