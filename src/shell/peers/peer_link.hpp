// One TCP connection to another server: connecting, cutting what arrives into messages, sending, closing.
// Made and owned by PeerLinks only, everything on the loop's thread. It never decides to connect again and
// never calls its owner from inside a call of the owner's: what fails there is reported in the next turn.
#pragma once
#include <uv.h>

#include <string>
#include <vector>

#include "msg/wire.hpp"

namespace kvd {

class PeerLinks;

class PeerLink {
 public:
  // `name` is the other side's address, for the logs.
  PeerLink(PeerLinks* owner, uv_loop_t* loop, LinkId id, std::string name);
  // Closes at once; what libuv still holds frees itself in later turns.
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  void dial(const Address& to);
  // Takes over a connection that was accepted. Its first message must come soon.
  void adopt(uv_tcp_t* tcp);
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

 private:
  enum class Phase {
    kConnecting,
    kUngreeted,  // accepted, and nothing came yet
    kOpen,
    kClosing,  // by close(): the last bytes are on their way
    kFailed,   // the owner learns of it in the next turn
  };
  struct Resolution;  // one name look-up
  struct Write;       // one write

  void resolve(const Address& to);
  void resolved(int status, const addrinfo* found);
  void connect_next();
  void connected(int status);
  void start_reading();
  void stop_reading();
  void read(ssize_t size, const char* bytes);
  void deliver();
  void write_pending();
  void write_piece();
  void written(int status);
  void on_timer();
  void arm_timer(uint64_t ms);
  void fail_soon(LinkEnd why, std::string detail);
  void end(LinkEnd why, std::string detail);  // destroys this
  void drop_socket();

  static PeerLink* of(uv_handle_t* handle) { return static_cast<PeerLink*>(handle->data); }
  static PeerLink* of(uv_stream_t* stream) { return static_cast<PeerLink*>(stream->data); }

  PeerLinks* owner_;
  uv_loop_t* loop_;
  LinkId id_;
  std::string name_;
  Phase phase_ = Phase::kConnecting;

  // libuv's handles live until their close callbacks; a null `data` says that nobody cares any more.
  uv_timer_t* timer_;
  uv_tcp_t* tcp_ = nullptr;
  Resolution* resolution_ = nullptr;

  std::vector<sockaddr_storage> addresses_;  // to be tried in order
  size_t next_address_ = 0;
  bool all_refused_ = true;  // so far
  std::string failure_;      // of the last address, or what fail_soon() keeps
  LinkEnd failed_why_ = LinkEnd::kUnreachable;

  FrameReader reader_;
  bool reading_ = false;
  bool paused_ = false;  // what is left of this turn's messages waits for the next one
  size_t allowance_;     // messages that this turn may still take

  std::string outgoing_;      // encoded, not given to libuv yet
  Write* writing_ = nullptr;  // one at a time; its callback's, which may outlive this
  bool shut_down_ = false;    // everything is sent, and the other side knows
};

}  // namespace kvd
