// Locks and elections: places among contenders (contenders.hpp) for clients. The two differ in their words only; at one
// path they exclude each other, and kazoo's Lock and Election there.
//
// Their calls (msg/calls.cpp) are answered so:
//   kTakeLock      200 {"path","state":"held","fence"}; 409 held; 408 not in time
//      by lines    {"state":"waiting","ahead":N}, {"state":"held","fence":F}, {"state":"timeout"},
//                  {"state":"lost","reason":R}
//   kStand         200 {"path","leading":true,"fence"}; 202 {.. false, "ahead"}
//      by lines    {"leading":false,"ahead":N}, {"leading":true,"fence":F}
//   kShowLock      200 {"path","holder":{"name","fence"} or null,"waiting"}
//   kShowElection  200 {"path","leader":..,"waiting"}, once it is another's than the fence's that is known
//   kLeaveLock, kLeaveElection   204; 404 when it has no place there
//
// The same call again finds the place that its session has; under another name it is 409. What ZooKeeper forbids for
// good is 403, 409 or 400. Lines are repeated (streams.hpp). A grant is taken back
// before ZooKeeper can pass it on: its stream is told first, and the znode goes when the client has closed the
// connection, or after the grace that came with HoldersEnded.
//
// Others may delete the znode of one that holds or waits: its stream, or the call that waits, hears so at once (410),
// and a session without either by its next call to take or to leave, once; the one after that takes a new place.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/services/holdings.hpp"
#include "core/services/locks/contenders.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class Locks {
 public:
  explicit Locks(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct PendingCall {
    Instant until{};
    bool waits = false;  // was ready to
  };
  struct Grant : Holding {  // a place, wanted or had; its znode is the contenders'
    std::string path;       // absolute
    std::string name;       // as which it stands there
    bool election = false;
    Instant stream_until = kNever;  // its stream waits so long
    std::map<uint64_t, PendingCall> asking;
    bool held = false;
    int64_t fence = 0;
    std::optional<size_t> ahead;  // as of the last look; none: not known yet
    bool known = false;  // its session has been told that it has it; a place that nobody knows of is given up
  };
  struct PendingRead {  // one that looks
    bool election = false;
    std::string path;
    std::optional<int64_t> since;  // wait until somebody else leads
    Instant until{};
    bool watches = false;  // what it read last
    std::string watched;   // what tells of a change; empty: not waiting
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { grants_.on(message); }
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void show(ServiceAsked message);
  void look(uint64_t token, bool watch);
  void refuse_by(uint64_t token, ZkCode code, bool write);
  void read(uint64_t token, ZkRequest request, bool watch, ZkCalls::Then then);
  void look_at_first(uint64_t token, const std::string& first, size_t waiting);
  void on_first(uint64_t token, const std::string& first, size_t waiting, const ZkResult& result);
  void answer_show(uint64_t token, const std::string& watched,
                   std::optional<std::pair<std::string, int64_t>> holder, size_t waiting);
  void post(ServiceAsked message);
  void leave(ServiceAsked message);

  void on_held(PlaceId id, int64_t fence);
  void on_waits(PlaceId id, size_t ahead);
  void on_lost(PlaceId id, const std::string& why);
  void on_left(PlaceId id, ZkCode code);

  void tell(PlaceId id);
  void answer_askers(PlaceId id);
  bool end_calls(PlaceId id, const ServiceAnswer& answer);
  void unasked(PlaceId id, uint64_t token);
  Document shown(const Grant& grant, bool with_path) const;
  std::optional<PlaceId> find(HolderId holder, const std::string& path, bool election) const;
  void reply(uint64_t token, ServiceAnswer answer);
  Instant next_due() const;

  Outbox& out_;
  ZkCalls zk_;
  Contenders contenders_;
  Holdings<PlaceId, Grant> grants_;
  std::map<uint64_t, PendingRead> pending_reads_;
  Instant due_ = kNever;  // nothing that waits for a moment waits for an earlier one
};

}  // namespace kvd
