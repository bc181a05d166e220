// Every call of the coordination services, in one table: where it goes, what it takes, who may hold what it grants and
// whether it waits. The service router reads calls by it, HTTP's 405 comes of it, and tests hold the manual to it. What
// is wrong with the form of a call is said here and nowhere else.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "msg/services.hpp"
#include "msg/typed_call.hpp"

namespace kvd {

inline constexpr uint64_t kUsualRetries = 3;  // of a task
inline constexpr uint64_t kIdRestMsMax = 3'600'000;

enum class CallName : uint8_t {  // in the order of the table
  kOpenSession,
  kShowSession,
  kRenewSession,
  kEndSession,
  kTakeLock,
  kShowLock,
  kLeaveLock,
  kStand,
  kShowElection,
  kLeaveElection,
  kRaiseBarrier,
  kShowBarrier,
  kLowerBarrier,
  kEnterBarrier,
  kLeaveBarrier,
  kLendId,
  kShowIds,
  kConfirmId,
  kReleaseId,
  kPutName,
  kHoldName,
  kShowName,
  kListNames,
  kDeleteName,
  kShowHosts,
  kCreateTask,
  kListTasks,
  kShowTask,
  kDeleteTask,
  kPutProgress,
  kPutResult,
  kEnrollWorker,
  kNextTask,
  kCreateZnode,
  kCreateEphemeral,
  kReadZnode,
  kListZnode,
  kStatZnode,
  kSetZnode,
  kDeleteZnode,
  kPutEntry,
  kListEntries,
  kTakeEntry,
  kLockEntry,
  kFinishEntry,
};

enum class Parameter : uint8_t {
  kCandidate,
  kCversion,
  kFence,
  kFormat,
  kKind,
  kLocking,
  kMax,
  kMember,
  kMode,
  kName,
  kParents,
  kPriority,
  kRecurse,
  kRest,
  kRetries,
  kSeq,
  kSince,
  kSize,
  kStatus,
  kTtl,
  kVersion,
  kView,
  kZone,
};
std::string_view parameter_name(Parameter parameter);

enum class ParameterType : uint8_t {
  kNone,
  kNumber,
  kFlag,        // 1 or true; 0 or false, or not given
  kWord,        // one of several
  kHolderName,  // as which a client holds something
  kWorkerName,
  kTaskKind,
  kZone,  // a name, or nothing
};

struct ParameterRow {
  Parameter parameter{};
  ParameterType type = ParameterType::kNone;
  const char* help = "";
  uint64_t least = 0;  // of a number
  uint64_t most = 0;
  std::optional<uint64_t> usual;            // of a number: when it is not given
  std::array<std::string_view, 3> words{};  // the first when none is given
  const char* missing = nullptr;            // it has to be given: what a client hears that has not
};

enum class PathShape : uint8_t {
  kNone,
  kSession,
  kZnode,  // no own znode of kvd's or ZooKeeper's, and not the root
  kZnodeEnter,
  kZnodeLeave,
  kZnodeTake,
  kZnodeEntry,  // one below another
  kPool,
  kPoolId,
  kName,
  kNameOrAll,
  kTask,
  kTaskProgress,
  kTaskResult,
  kWorkerNext,
  // Of the znodes as they are: also the root.
  kAnyZnode,
  kClientZnode,  // none of kvd's or ZooKeeper's own
  kNewZnode,     // likewise; may end in a slash when digits follow
};
std::string_view path_text(PathShape shape);  // as in the manual: "/PATH/enter"

// Who has to be named by the call, or hold it by the connection.
enum class HeldBy : uint8_t {
  kAnybody,         // a session may be named, and is renewed by it
  kNobody,          // no session, no hold
  kSession,         // a session has to be named
  kSessionOrFence,  // ... or the fence of what a connection holds
  kConnection,      // it has to be held
  kEither,          // one of the two
};

enum class Waits : uint8_t {
  kNo,      // there is nothing to wait for
  kYes,     // `wait` says how long it may
  kRefuses  // one might expect that it waits, and it does not
};

enum class BodyKind : uint8_t { kNone, kName, kTask, kProgress, kZnode, kEntry };

// The call is that one when it has this parameter with this value, a flag or one of several words.
struct Selector {
  Parameter parameter{};
  uint64_t value = 0;  // 0: it needs none
};

struct CallRow {
  CallName name{};
  Collection collection{};
  Verb verb{};
  PathShape path{};
  const char* help = "";
  std::array<ParameterRow, 3> parameters{};
  Selector when{};
  HeldBy held_by = HeldBy::kAnybody;
  const char* whose = "";  // the refusal of who is nobody: a question, or what is another's
  const char* not_held = "'hold' is for POST";  // the refusal of who holds, or names a session, in vain
  Waits waits = Waits::kNo;
  BodyKind body = BodyKind::kNone;

  const ParameterRow* find(std::string_view parameter) const;
};

std::span<const CallRow> all_calls();

// The one that a call is, by its collection, verb, path, and the parameters that select; or why it is none.
Result<const CallRow*, ServiceAnswer> find_call(const ServiceCall& call);

// As in HTTP's field Allow: the verbs for that path; of all the collection's where nothing is at that path.
std::string allowed_verbs(Collection collection, std::string_view path);

// `call` without its body, and what all calls share.
struct CallRead {
  TypedCall call;
  std::optional<std::string> session;
  bool hold = false;
  std::optional<uint64_t> wait_ms;
};
Result<CallRead, ServiceAnswer> read_call(const ServiceCall& call);

}  // namespace kvd
