// The TCP channel between servers: listens, dials, and turns bytes into LinkReceived and LinkSend into bytes.
// Owned by the daemon; everything on the loop's thread. It performs what the node orders and reports what
// happens; whom to dial, when again, and whom to believe is the node's business.
//
// A turn of the loop: messages arrive in the poll phase and go to `sink`; then the node runs, perform() takes
// each of its orders, and flush() writes them, one system call per link. perform() and flush() never call
// `sink`: nothing is left behind when the loop goes to sleep. SIGPIPE has to be ignored by the process.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "msg/limits.hpp"
#include "net/handshakes.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "shell/input_sink.hpp"
#include "shell/peers/peer_link.hpp"
#include "shell/tls_keeper.hpp"

namespace kvd {

class PeerLinks {
 public:
  // With `tls`, which outlives it and is started before it, nothing but TLS is spoken, and each side shows a
  // certificate.
  PeerLinks(uv_loop_t* loop, Address listen, InputSink sink, LogSink log,
            size_t accepted_max = limits::kLinks, const TlsKeeper* tls = nullptr);
  PeerLinks(const PeerLinks&) = delete;
  PeerLinks& operator=(const PeerLinks&) = delete;

  // Listens. The address that it got (the port when 0 was asked for); an Error is the system's reason, to
  // which the caller adds the address and --peer-port. Blocks while it resolves a host's name.
  Result<Address> start();

  // An order for a link that is gone is ignored: LinkEnded is on its way or was there.
  void perform(LinkDial order);
  void perform(LinkSend order);
  void perform(LinkClose order);
  // Once per turn, after the orders.
  void flush();

  // Closes everything at once and reports nothing any more.
  void close();

 private:
  friend class PeerLink;  // which reports here:
  void opened(LinkId link, std::vector<std::string> names);
  bool accepted(LinkId link, std::vector<std::string> names);  // false: the link is destroyed
  void received(LinkId link, PeerMessage message);
  void ended(LinkId link, LinkEnd why, std::string detail);  // destroys the link
  void forget(LinkId link);                                  // destroys the link
  void wake() { next_turn_.ask(); }                          // proceed(), before the node runs
  std::array<char, 64 << 10>& read_buffer() { return read_buffer_; }
  const TlsKeeper* tls() const { return tls_; }
  net::Handshakes& handshakes() { return handshakes_; }

  void on_connection(int status, net::Stream stream);
  void proceed();
  void drop_oldest_stranger();
  size_t count(bool strangers) const;
  void warn(const char* message, std::string peer, std::string reason);

  uv_loop_t* loop_;
  Address listen_;
  InputSink sink_;
  LogSink log_;
  size_t accepted_max_;
  const TlsKeeper* tls_;
  net::Handshakes handshakes_;
  std::optional<net::Listener> listener_;
  net::NextTurn next_turn_;
  std::map<LinkId, std::unique_ptr<PeerLink>> links_;
  uint64_t last_accepted_ = 0;  // accepted links have even numbers
  std::array<char, 64 << 10> read_buffer_;
  uint64_t warning_second_ = 0;  // of the loop's time: what is warned of is bounded per second
  int warnings_ = 0;
};

}  // namespace kvd
