// Calls to ZooKeeper and what comes back. Paths start below the prefix that --zookeeper may carry; whoever
// performs the calls adds it and takes it off again.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/types.hpp"

namespace kvd {

enum class ZkMode : uint8_t { kPersistent, kPersistentSequential, kEphemeral, kEphemeralSequential };
constexpr bool zk_is_sequential(ZkMode mode) {
  return mode == ZkMode::kPersistentSequential || mode == ZkMode::kEphemeralSequential;
}
constexpr bool zk_is_ephemeral(ZkMode mode) {
  return mode == ZkMode::kEphemeral || mode == ZkMode::kEphemeralSequential;
}

struct ZkCreate {
  // A sequential one gets ten digits appended: how many children its parent has ever had, of whatever mode.
  // They begin again at 0 with a parent that was deleted and made anew.
  std::string path;
  std::string data;
  ZkMode mode = ZkMode::kPersistent;
};
struct ZkDelete {
  std::string path;
  int32_t version = -1;  // -1: any
};
struct ZkSet {
  std::string path;
  std::string data;
  int32_t version = -1;
};
struct ZkCheck {  // in a ZkMulti only
  std::string path;
  int32_t version = -1;
};
struct ZkMulti {  // all or nothing
  std::vector<std::variant<ZkCreate, ZkDelete, ZkSet, ZkCheck>> ops;
};
// Reads. `watch` asks for one ZkWatchFired when what was read changes; the watch stands only if the reply
// arrived.
struct ZkGet {
  std::string path;
  bool watch = false;
};
struct ZkExists {  // with a watch also useful for what does not exist yet
  std::string path;
  bool watch = false;
};
struct ZkChildren {
  std::string path;
  bool watch = false;
};
struct ZkSync {  // the session's server catches up with the ensemble's leader; what is read next is at least
                 // that new
  std::string path;
};
using ZkRequest = std::variant<ZkCreate, ZkDelete, ZkSet, ZkMulti, ZkGet, ZkExists, ZkChildren, ZkSync>;

// Who called is in the lowest four bits of the id, so that the answer finds its way back; above it each caller
// counts as it likes.
enum class ZkCaller : uint8_t { kRegisterKeeper, kElection, kServices };
constexpr ZkCallId zk_call_id(ZkCaller caller, uint64_t counter) {
  return ZkCallId(counter << 4 | static_cast<uint64_t>(caller));
}
constexpr ZkCaller zk_caller(ZkCallId id) { return static_cast<ZkCaller>(id.value & 15); }
constexpr uint64_t zk_counter(ZkCallId id) { return id.value >> 4; }

struct ZkCall {
  ZkCallId id;
  ZkRequest request;
};

enum class ZkCode : uint8_t {
  kOk,
  kNoNode,
  kNodeExists,
  kBadVersion,
  kNotEmpty,
  kNoChildrenForEphemerals,  // a create below an ephemeral
  // An ACL or a quota forbids it: certainly not done, and not later either unless an operator changes that.
  kNoAuth,
  kRolledBack,  // in a multi: this operation was fine, another one failed
  kInvalid,  // refused before it was sent or by ZooKeeper as malformed: certainly not done, and never will be
  // Never sent, or turned away by a server that takes no writes or is overloaded: certainly not done, and worth
  // another try.
  kNotConnected,
  kUnknown,  // sent, and whether it was done is not known
};
const char* zk_code_name(ZkCode code);

// A zxid numbers the ensemble's transactions: it only grows, and all that one multi does has the same one. A
// znode that was deleted and made anew has another created_zxid, though its versions begin again at 0.
struct ZkStat {
  int32_t version = 0;  // of the data
  int64_t created_zxid = 0;
  int64_t modified_zxid = 0;     // of the data
  int64_t created_ms = 0;        // since 1970, by the clock of the ensemble's leader then: it may be wrong
  int64_t modified_ms = 0;       // of the data, likewise
  uint64_t ephemeral_owner = 0;  // a session, or 0
  int32_t children_version = 0;  // children created plus children deleted
  int32_t children_count = 0;
  int32_t data_length = 0;  // bytes
  bool operator==(const ZkStat&) const = default;
};

struct ZkResult {
  ZkCallId id;
  ZkCode code = ZkCode::kUnknown;     // of a multi: that of its first operation that failed by itself
  std::string data;                   // of ZkGet
  ZkStat stat;                        // of ZkGet, ZkExists, ZkSet, ZkCreate; of ZkChildren: of the parent
  std::vector<std::string> children;  // of ZkChildren, sorted
  std::string path;                   // of ZkCreate: the name that was made
  // Of ZkMulti, one each (empty when the code is kUnknown, kInvalid or kNotConnected):
  std::vector<ZkCode> codes;
  std::vector<std::string> paths;  // made by its creates; empty for other operations
  // Of its sets; for other operations those of nothing. What its creates made has for created_zxid the
  // modified_zxid of any of its sets.
  std::vector<ZkStat> stats;
};

// One-shot: whoever still cares reads again, with a watch. A receiver may assume no more than this:
// - It names a path, not what happened there nor whose read asked: whoever cares about that path reads again.
// - However many reads have asked, one comes for what ZkGet and ZkExists watch (data, creation, deletion) and one
//   for what ZkChildren watches. A deletion, for who watches both, is one altogether.
// - It comes before the result of any later read that shows the change, while the connection lasts.
// - After a lost connection the watches still stand, but what came and went meanwhile is missed. After kExpired
//   they are gone, without a word.
// The client sends all watches that stand in one message whenever it connects again, and a server drops the
// connection of who sends about 1 MiB: all their paths together must stay well below that.
struct ZkWatchFired {
  std::string path;
};
struct ZkSessionChanged {
  ZkState state = ZkState::kConnecting;
  uint64_t session = 0;  // while connected
  Duration timeout{0};   // negotiated, while connected
};
// Whether ZooKeeper lets this server do at kvd's own znodes what it has to: for the status alone, it decides nothing.
struct ZkAccessJudged {
  std::string refusal;  // what is wrong and what to do, one line; empty: nothing, or not any more
};
// Ordered by the node after kExpired: open a new session. Results and watches of the former one no longer
// come; the shell answers every call that is still outstanding with kUnknown first.
struct ZkReopen {};

}  // namespace kvd
