// Unique ids: small numbers, 1 to at most kIdMax, each lent to one holder at a time, as those need who have so many
// bits for a machine's number. A pool is one name, and needs no making.
//
// Their calls (msg/calls.cpp) are answered so:
//   kLendId      201 {"id","fence"}, or lines {"state":"held","id","fence"}, lost; 503 none is free
//   kConfirmId   200 {"id","fence"}: it is still lent to that session; 410
//   kReleaseId   204, it rests; 404 when it is not lent to that session
//   kShowIds     200 {"held":[{"id","name","fence"}],"resting":[N,..],"free":K}
//
// In ZooKeeper: /ids/POOL/N, an ephemeral with the holder's name, is who has it, for kvd and for others who make such
// znodes themselves; its czxid is the fence. Beside it, and for kvd only,
//   /kvd/ids/POOL/claims/N   since its first claim: {"rest_ms","nonce"} of its last one; its version counts them
//   /kvd/ids/POOL/resting/N  since its rest began; its ctime is when
// A claim makes the ephemeral, writes the claim and takes `resting` away, all or nothing. A release is one step, too.
// An ephemeral that vanished with its server left no mark: whoever next asks for an id of that pool, or looks at it,
// makes `resting` for every claim that has neither; the step also makes and deletes the ephemeral, and so fails if
// somebody has it. So the rest begins late rather than early, survives all servers, and nobody has to watch for ends.
// Its length was given with the claim, twice the ZooKeeper session timeout otherwise; it is over once the time between
// the ctime and the mtime of /kvd/ids/POOL, which the asker has just written, is that long: both by the clock of
// ZooKeeper's leader. That clock may be set: a jump forward shortens a rest.
//
// Numbers that were never lent come first, and of these any: if all took the lowest one, of several servers that ask
// at once only one would get it at each attempt.
//
// What it cannot do: stop a holder that was paused, or cut off, from using its number for longer than the rest. An id
// may be lent again safely only if whoever is shown it compares the generation, that is the fence, too. Numbers that
// others claim by hand in /ids do not rest.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/services/holdings.hpp"
#include "core/services/zk_calls.hpp"
#include "msg/name_rules.hpp"

namespace kvd {

class Ids {
 public:
  explicit Ids(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time() { claims_.on_time(); }
  Instant deadline() const { return claims_.deadline(); }

 private:
  // What a pool looks like. `now_ms` is ZooKeeper's.
  struct Survey {
    int64_t now_ms = 0;
    std::set<uint32_t> claims;   // were lent once
    std::set<uint32_t> resting;  // their rest has begun, and may be over
    std::set<uint32_t> held;
    std::shared_ptr<ZkCode> unmarked;  // what forbade to begin a rest, once that is known
  };
  using SurveyThen = std::function<void(ZkCode, const Survey&)>;
  struct Rest {  // of one number
    uint32_t number = 0;
    int32_t version = -1;  // of its claim; -1: not known
    int64_t rest_ms = 0;
    std::optional<int64_t> since_ms;
  };
  using RestsThen = std::function<void(ZkCode, const std::vector<Rest>&)>;

  using ClaimId = uint64_t;
  struct Claim : Holding {
    std::string pool;
    std::string name;
    uint32_t max = kIdMax;
    int64_t rest_ms = 0;
    std::string nonce;
    std::optional<uint64_t> asker;  // of a client's session
    int attempts = 0;
    std::vector<uint32_t> used;            // were lent before and are not now; in the order to be tried
    int64_t now_ms = 0;                    // of the survey that told
    std::shared_ptr<ZkCode> unmarked;      // likewise
    std::optional<int64_t> first_over_ms;  // so long the one rests that is free next
    uint32_t number = 0;                   // tried or held
    int32_t version = 0;                   // of the claim then
    int64_t fence = 0;                     // held since
  };
  struct PendingCall {  // one that looks
    std::string pool;
    uint32_t max = kIdMax;
    std::set<uint32_t> resting;
    std::set<uint32_t> held;
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message) { claims_.on(message); }
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void reply(uint64_t token, ServiceAnswer answer);

  // ---- a pool (ids_pool.cpp) ----
  void survey(const std::string& pool, bool make, SurveyThen then);
  void begin_rests(const std::string& pool, Survey& survey);
  static int64_t left_ms(const Rest& rest, int64_t now_ms);  // of what has begun
  void look_at_rests(const std::string& pool, const std::vector<uint32_t>& numbers, RestsThen then);
  void show(ServiceAsked message);
  void show_held(uint64_t token);
  bool refuses_show(uint64_t token, ZkCode code);

  // ---- claims ----
  void post(ServiceAsked message);
  void start(ClaimId id);
  void start_again(ClaimId id);
  void choose(ClaimId id, const Survey& survey);
  void choose_used(ClaimId id);
  void claim_now(ClaimId id, uint32_t number, std::optional<int32_t> version);
  void on_claimed(ClaimId id, const ZkResult& result);
  void find(ClaimId id);
  void held(ClaimId id, int64_t fence);
  void check_own(ClaimId id, std::function<void(ZkCode)> then);
  void confirm(ServiceAsked message);
  void release(ServiceAsked message);
  bool end_calls(ClaimId id, const ServiceAnswer& answer);
  void unasked(ClaimId id);
  void release_now(ClaimId id);
  void fail(ClaimId id, ServiceStatus status, std::string why);
  void refuse(ClaimId id, ZkCode code);
  std::optional<ClaimId> find_held(HolderId holder, const std::string& pool, uint32_t number) const;

  Outbox& out_;
  ZkCalls zk_;
  Duration timeout_{0};  // of ZooKeeper's session
  uint64_t counter_ = 0;
  Holdings<ClaimId, Claim> claims_;
  std::map<uint64_t, PendingCall> pending_;
};

}  // namespace kvd
