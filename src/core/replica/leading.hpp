// A server's reign: what it knows, and what it owes others, only as long as it leads. Plain data of the replica, made
// when it takes the lead and gone when it steps down.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "core/queues/waiting_receives.hpp"
#include "core/replica/write_evaluator.hpp"
#include "msg/actors.hpp"
#include "msg/client.hpp"
#include "msg/types.hpp"

namespace kvd {

struct PendingWrite {
  Revision revision;
  uint64_t token = 0;
  Answer answer;
};
struct PendingRead {  // or a write that changes nothing, whose answer is just as much a linear read
  uint64_t token = 0;
  uint64_t round = 0;            // 0: not yet assigned
  Revision after;                // and this much committed
  Operation operation;           // ReadKey or ListKeys ...
  std::optional<Answer> answer;  // ... or what is to be said,
  Revision revision;             // about this revision; 0: the newest by then
  LinkId from{};                 // of a write: see Propose
};
struct Proposal {  // a change of the register whose outcome we do not know yet
  uint64_t change_id = 0;
  std::vector<Member> in_sync;
  uint32_t min_in_sync = 1;
  std::string why;       // for the log
  bool ordered = false;  // of the register keeper: not before a larger set is remembered on disk
};

struct Leading {
  Leading(const Log& log, Store& store, Revision committed) : evaluator(log, store, committed) {}

  WriteEvaluator evaluator;
  Revision takeover;  // the log's length when the epoch began: rule 10
  bool active = false;
  LogPosition found;   // its log's end then
  bool fresh = false;  // of a life that has followed nobody: its directory may be an old copy
  bool told_awaited = false;
  Instant since{};
  Duration usual_start{0};  // what those may need who start after this server
  std::deque<PendingWrite> writes;
  std::deque<Propose> early;  // what has come before it was active
  size_t early_bytes = 0;
  WaitingReceives receives;
  std::set<SourceName> unserved;  // queues with something for them that could not be written yet
  std::deque<PendingRead> reads;
  Revision commit_before;  // as of one or two heartbeats ago, and
  Revision commit_marked;  // ... of this one:
  Instant marked_at{};
  uint64_t round = 0;  // newest that was sent
  std::optional<Proposal> proposal;
  std::deque<std::pair<uint64_t, uint32_t>> settings;  // token, min_in_sync
  std::map<Member, Instant> unlinked_since;            // of the in-sync set
  Instant propose_after{};
  Instant hand_over_at{};
  Instant yield_at{};     // to one that has a disk
  Revision expiring;      // of the newest entry that ends something by its time
  size_t turn_bytes = 0;  // sent to followers in this turn of the loop
  LinkId served;          // who was the first to be sent something in the last one
};

}  // namespace kvd
