// The service router: every call from its arrival to its last answer. It reads each by the table of calls
// (msg/calls.hpp), also one that another server has read before, and refuses what is none. It brings calls that name a
// client's session to the server that keeps it, watches over time limits, and tells the services who has gone. What a
// call means is the services' to know.
//
// What all calls share the services never see: session=ID, hold=1 (the answer is a stream of lines, and what it grants
// lasts as long as the connection), wait=MS (0 to limits::kWaitMs: how long the call may wait for others; nothing: not
// at all, or with hold=1 for ever).
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/outbox.hpp"

namespace kvd {

class ServiceRouter {
 public:
  explicit ServiceRouter(Outbox& out) : out_(out) {}

  void handle(ServiceRouterMessage&& message);
  void on_time();
  Instant deadline() const;

  bool drained() const { return stopping_ && calls_.empty(); }

 private:
  // Names a call in here and at the services: a client's is its RequestId, one that another server forwarded to us has
  // the highest bit set.
  using Token = uint64_t;
  struct Pending {
    Collection collection = Collection::kSessions;
    bool reads = false;
    bool streams = false;
    bool said = false;         // a line of it
    bool by_sessions = false;  // it went that way
    bool by_session = false;   // for the client's session that it named, on this server
    bool grants = false;       // ... what is worth something only while that lasts
    Instant deadline = kNever;
    std::optional<std::pair<LinkId, uint64_t>> from;  // forwarded to us: answer there
    std::optional<LinkId> to;                         // forwarded by us
  };
  using Calls = std::map<Token, Pending>;

  void on(Call message);
  void on(const CallCancelled& message);
  void on(const PeerUp& message);
  void on(const PeerDown& message);
  void on(PeerSaid message);
  void on(const MembersListed& message);
  void on(ServiceAnswered message);
  void on(const ZkSessionChanged& message);
  void on(const StopRequested& message);

  void take(Token token, ServiceCall call, Duration timeout);
  void forward(Token token, ServiceCall call, Incarnation keeper, Duration timeout);
  void finish(Calls::iterator it, ServiceAnswer answer);
  void refuse(Token token, ServiceStatus status, std::string why);
  void end_stream(Calls::iterator it);
  void drop(Calls::iterator it);
  Calls::iterator forget(Calls::iterator it);

  Outbox& out_;
  Calls calls_;
  std::set<std::pair<Instant, Token>> deadlines_;
  std::map<Incarnation, LinkId> links_;  // that we dialed
  std::set<Incarnation> registered_;
  uint64_t forwards_taken_ = 0;
  bool connected_ = false;  // to ZooKeeper
  bool stopping_ = false;
};

}  // namespace kvd
