// See calls.hpp: the table itself.
#include "msg/calls.hpp"

#include <iterator>

#include "base/check.hpp"
#include "msg/name_rules.hpp"

namespace kvd {
namespace {

using enum Parameter;

constexpr ParameterRow number(Parameter parameter, uint64_t least, uint64_t most, const char* help) {
  return {.parameter = parameter, .type = ParameterType::kNumber, .help = help, .least = least, .most = most};
}
constexpr ParameterRow number(Parameter parameter, uint64_t least, uint64_t most, uint64_t usual,
                              const char* help) {
  ParameterRow row = number(parameter, least, most, help);
  row.usual = usual;
  return row;
}
constexpr ParameterRow flag(Parameter parameter, const char* help) {
  return {.parameter = parameter, .type = ParameterType::kFlag, .help = help};
}
constexpr ParameterRow text(Parameter parameter, ParameterType type, const char* help) {
  return {.parameter = parameter, .type = type, .help = help};
}
constexpr ParameterRow word(Parameter parameter, std::array<std::string_view, 3> words, const char* help) {
  return {.parameter = parameter, .type = ParameterType::kWord, .help = help, .words = words};
}
constexpr ParameterRow required(ParameterRow row, const char* missing) {
  row.missing = missing;
  return row;
}

constexpr ParameterRow kAs = text(kName, ParameterType::kHolderName, "what others are shown");
constexpr ParameterRow kAsMember = text(kMember, ParameterType::kHolderName, "which member it is");
constexpr ParameterRow kIdsMax = number(kMax, 1, kIdMax, kIdMax, "ids are 1 to that");
constexpr ParameterRow kNameVersion = number(kVersion, 0, INT64_MAX, "the version that is known");
constexpr ParameterRow kRecursion = flag(kRecurse, "with all that is below");
constexpr ParameterRow kAttempt =
    required(number(kFence, 1, INT64_MAX, "the attempt"), "has to name the attempt; it came with the task");
constexpr ParameterRow kZnodeVersion = number(kVersion, 0, INT32_MAX, "the version that is known");
constexpr ParameterRow kZnodeMode =
    word(kMode, {"persistent", "ephemeral"}, "whether it goes with its session or connection");
constexpr ParameterRow kDigitsFollow = flag(kSeq, "ten digits follow the path");
constexpr ParameterRow kWithParents = flag(kParents, "what is missing above is made");
constexpr ParameterRow kOfLockingQueue = flag(kLocking, "the queue is one of kazoo's LockingQueue");
constexpr ParameterRow kZnodeView = word(kView, {"data", "children", "stat"}, "what of it");

constexpr CallRow kCalls[] = {
    {.name = CallName::kOpenSession,
     .collection = Collection::kSessions,
     .verb = Verb::kPost,
     .path = PathShape::kNone,
     .help = "opens a session",
     .parameters = {number(kTtl, 1, 3600, 15, "seconds without a call after which it ends")},
     .held_by = HeldBy::kNobody,
     .not_held = "sessions are not held"},
    {.name = CallName::kShowSession,
     .collection = Collection::kSessions,
     .verb = Verb::kGet,
     .path = PathShape::kSession,
     .help = "shows a session",
     .held_by = HeldBy::kNobody,
     .not_held = "sessions are not held"},
    {.name = CallName::kRenewSession,
     .collection = Collection::kSessions,
     .verb = Verb::kPut,
     .path = PathShape::kSession,
     .help = "renews a session",
     .held_by = HeldBy::kNobody,
     .not_held = "sessions are not held"},
    {.name = CallName::kEndSession,
     .collection = Collection::kSessions,
     .verb = Verb::kDelete,
     .path = PathShape::kSession,
     .help = "ends a session, and gives back what it holds",
     .held_by = HeldBy::kNobody,
     .not_held = "sessions are not held"},

    {.name = CallName::kTakeLock,
     .collection = Collection::kLocks,
     .verb = Verb::kPost,
     .path = PathShape::kZnode,
     .help = "takes a lock, or a place in line",
     .parameters = {kAs},
     .held_by = HeldBy::kEither,
     .whose = "for whom?",
     .waits = Waits::kYes},
    {.name = CallName::kShowLock,
     .collection = Collection::kLocks,
     .verb = Verb::kGet,
     .path = PathShape::kZnode,
     .help = "tells who holds a lock"},
    {.name = CallName::kLeaveLock,
     .collection = Collection::kLocks,
     .verb = Verb::kDelete,
     .path = PathShape::kZnode,
     .help = "gives a lock back, or a place in line",
     .held_by = HeldBy::kSession,
     .whose = "place"},

    {.name = CallName::kStand,
     .collection = Collection::kElections,
     .verb = Verb::kPost,
     .path = PathShape::kZnode,
     .help = "stands for an election",
     .parameters = {required(text(kCandidate, ParameterType::kHolderName, "what others are shown"),
                             "has to name who stands")},
     .held_by = HeldBy::kEither,
     .whose = "for whom?",
     .waits = Waits::kYes},
    {.name = CallName::kShowElection,
     .collection = Collection::kElections,
     .verb = Verb::kGet,
     .path = PathShape::kZnode,
     .help = "tells who leads",
     .parameters = {number(kSince, 0, INT64_MAX, "the fence that is known; 0: nobody's")},
     .waits = Waits::kYes},
    {.name = CallName::kLeaveElection,
     .collection = Collection::kElections,
     .verb = Verb::kDelete,
     .path = PathShape::kZnode,
     .help = "gives the lead back, or a place in line",
     .held_by = HeldBy::kSession,
     .whose = "place"},

    {.name = CallName::kRaiseBarrier,
     .collection = Collection::kBarriers,
     .verb = Verb::kPut,
     .path = PathShape::kZnode,
     .help = "puts up a barrier"},
    {.name = CallName::kShowBarrier,
     .collection = Collection::kBarriers,
     .verb = Verb::kGet,
     .path = PathShape::kZnode,
     .help = "tells when a barrier is lifted",
     .waits = Waits::kYes},
    {.name = CallName::kLowerBarrier,
     .collection = Collection::kBarriers,
     .verb = Verb::kDelete,
     .path = PathShape::kZnode,
     .help = "lifts a barrier"},
    {.name = CallName::kEnterBarrier,
     .collection = Collection::kBarriers,
     .verb = Verb::kPost,
     .path = PathShape::kZnodeEnter,
     .help = "enters a double barrier",
     .parameters = {required(number(kSize, 1, 10'000, "how many have to be in"),
                             "has to say how many have to be in"),
                    kAsMember},
     .held_by = HeldBy::kEither,
     .whose = "who?",
     .waits = Waits::kYes},
    {.name = CallName::kLeaveBarrier,
     .collection = Collection::kBarriers,
     .verb = Verb::kPost,
     .path = PathShape::kZnodeLeave,
     .help = "leaves a double barrier",
     .parameters = {kAsMember},
     .held_by = HeldBy::kSession,
     .whose = "place",
     .not_held = "who holds a place by a connection leaves by closing it",
     .waits = Waits::kYes},

    {.name = CallName::kLendId,
     .collection = Collection::kIds,
     .verb = Verb::kPost,
     .path = PathShape::kPool,
     .help = "lends an id",
     .parameters = {kIdsMax,
                    number(kRest, 0, kIdRestMsMax, "milliseconds in which it is not lent again afterwards"),
                    kAs},
     .held_by = HeldBy::kEither,
     .whose = "for whom?",
     .waits = Waits::kRefuses},
    {.name = CallName::kShowIds,
     .collection = Collection::kIds,
     .verb = Verb::kGet,
     .path = PathShape::kPool,
     .help = "lists the ids of a pool",
     .parameters = {kIdsMax},
     .waits = Waits::kRefuses},
    {.name = CallName::kConfirmId,
     .collection = Collection::kIds,
     .verb = Verb::kPut,
     .path = PathShape::kPoolId,
     .help = "tells whether the session still has an id",
     .held_by = HeldBy::kSession,
     .whose = "id",
     .waits = Waits::kRefuses},
    {.name = CallName::kReleaseId,
     .collection = Collection::kIds,
     .verb = Verb::kDelete,
     .path = PathShape::kPoolId,
     .help = "gives an id back",
     .held_by = HeldBy::kSession,
     .whose = "id",
     .waits = Waits::kRefuses},

    {.name = CallName::kPutName,
     .collection = Collection::kNames,
     .verb = Verb::kPut,
     .path = PathShape::kName,
     .help = "registers a name, for good or for a session",
     .body = BodyKind::kName},
    {.name = CallName::kHoldName,
     .collection = Collection::kNames,
     .verb = Verb::kPost,
     .path = PathShape::kName,
     .help = "registers a name for the connection",
     .held_by = HeldBy::kConnection,
     .whose = "POST is for 'hold=1': what lasts otherwise is PUT",
     .body = BodyKind::kName},
    {.name = CallName::kShowName,
     .collection = Collection::kNames,
     .verb = Verb::kGet,
     .path = PathShape::kName,
     .help = "shows a name",
     .parameters = {kRecursion, kNameVersion},
     .waits = Waits::kYes},
    {.name = CallName::kListNames,
     .collection = Collection::kNames,
     .verb = Verb::kGet,
     .path = PathShape::kNameOrAll,
     .help = "lists the names at a path and below it, or all",
     .parameters = {kRecursion, kNameVersion},
     .when = {kRecurse, 1},
     .waits = Waits::kYes},
    {.name = CallName::kDeleteName,
     .collection = Collection::kNames,
     .verb = Verb::kDelete,
     .path = PathShape::kName,
     .help = "deletes a name"},

    {.name = CallName::kShowHosts,
     .collection = Collection::kHosts,
     .verb = Verb::kGet,
     .path = PathShape::kNone,
     .help = "makes a hosts file of the names",
     .parameters = {number(kSince, 0, INT64_MAX, "the version that is known"),
                    text(kZone, ParameterType::kZone, "only the names below this one"),
                    word(kFormat, {"hosts", "json"}, "a hosts file, or JSON")},
     .waits = Waits::kYes},

    {.name = CallName::kCreateTask,
     .collection = Collection::kTasks,
     .verb = Verb::kPost,
     .path = PathShape::kNone,
     .help = "leaves a task",
     .parameters = {text(kKind, ParameterType::kTaskKind, "a word for its worker"),
                    number(kRetries, 0, 1000, kUsualRetries, "attempts after the first whose worker went")},
     .not_held = "'hold' is for workers",
     .body = BodyKind::kTask},
    {.name = CallName::kListTasks,
     .collection = Collection::kTasks,
     .verb = Verb::kGet,
     .path = PathShape::kNone,
     .help = "lists the tasks"},
    {.name = CallName::kShowTask,
     .collection = Collection::kTasks,
     .verb = Verb::kGet,
     .path = PathShape::kTask,
     .help = "tells what has become of a task",
     .waits = Waits::kYes},
    {.name = CallName::kDeleteTask,
     .collection = Collection::kTasks,
     .verb = Verb::kDelete,
     .path = PathShape::kTask,
     .help = "cancels a task, or removes one that is over"},
    {.name = CallName::kPutProgress,
     .collection = Collection::kTasks,
     .verb = Verb::kPut,
     .path = PathShape::kTaskProgress,
     .help = "tells how far a task is",
     .parameters = {kAttempt},
     .body = BodyKind::kProgress},
    {.name = CallName::kPutResult,
     .collection = Collection::kTasks,
     .verb = Verb::kPut,
     .path = PathShape::kTaskResult,
     .help = "ends a task",
     .parameters = {kAttempt, word(kStatus, {"done", "failed"}, "how it ended")},
     .body = BodyKind::kTask},

    {.name = CallName::kEnrollWorker,
     .collection = Collection::kWorkers,
     .verb = Verb::kPost,
     .path = PathShape::kNone,
     .help = "registers a worker",
     .parameters = {required(text(kName, ParameterType::kWorkerName, "the worker"),
                             "has to name the worker")},
     .held_by = HeldBy::kEither,
     .whose = "whose worker?",
     .waits = Waits::kYes},
    {.name = CallName::kNextTask,
     .collection = Collection::kWorkers,
     .verb = Verb::kPost,
     .path = PathShape::kWorkerNext,
     .help = "fetches a worker's next task",
     .not_held = "'next' gives one task; it cannot be held",
     .waits = Waits::kYes},

    {.name = CallName::kCreateZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kPost,
     .path = PathShape::kNewZnode,
     .help = "creates a znode",
     .parameters = {kZnodeMode, kDigitsFollow, kWithParents},
     .held_by = HeldBy::kNobody,
     .not_held = "only an ephemeral znode belongs to a session or a connection: mode=ephemeral",
     .body = BodyKind::kZnode},
    {.name = CallName::kCreateEphemeral,
     .collection = Collection::kZnodes,
     .verb = Verb::kPost,
     .path = PathShape::kNewZnode,
     .help = "creates an ephemeral znode",
     .parameters = {kZnodeMode, kDigitsFollow, kWithParents},
     .when = {kMode, 1},
     .held_by = HeldBy::kEither,
     .whose = "whose?",
     .body = BodyKind::kZnode},
    {.name = CallName::kReadZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kGet,
     .path = PathShape::kAnyZnode,
     .help = "reads a znode",
     .parameters = {kZnodeView, kZnodeVersion},
     .waits = Waits::kYes},
    {.name = CallName::kListZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kGet,
     .path = PathShape::kAnyZnode,
     .help = "lists what is below a znode",
     .parameters = {kZnodeView, number(kCversion, 0, INT32_MAX, "the version of the list that is known")},
     .when = {kView, 1},
     .waits = Waits::kYes},
    {.name = CallName::kStatZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kGet,
     .path = PathShape::kAnyZnode,
     .help = "shows the numbers of a znode",
     .parameters = {kZnodeView, kZnodeVersion},
     .when = {kView, 2},
     .waits = Waits::kYes},
    {.name = CallName::kSetZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kPut,
     .path = PathShape::kClientZnode,
     .help = "sets the data of a znode",
     .parameters = {number(kVersion, 0, INT32_MAX, "the version that it has to have")},
     .body = BodyKind::kZnode},
    {.name = CallName::kDeleteZnode,
     .collection = Collection::kZnodes,
     .verb = Verb::kDelete,
     .path = PathShape::kClientZnode,
     .help = "deletes a znode",
     .parameters = {number(kVersion, 0, INT32_MAX, "the version that it has to have"), kRecursion}},

    {.name = CallName::kPutEntry,
     .collection = Collection::kZkQueues,
     .verb = Verb::kPost,
     .path = PathShape::kZnode,
     .help = "puts an entry into a queue",
     .parameters = {number(kPriority, 0, 999, 100, "the smallest comes first"), kOfLockingQueue},
     .not_held = "'hold' is for who takes an entry: PATH/take",
     .body = BodyKind::kEntry},
    {.name = CallName::kListEntries,
     .collection = Collection::kZkQueues,
     .verb = Verb::kGet,
     .path = PathShape::kZnode,
     .help = "lists the entries of a queue",
     .parameters = {kOfLockingQueue}},
    {.name = CallName::kTakeEntry,
     .collection = Collection::kZkQueues,
     .verb = Verb::kPost,
     .path = PathShape::kZnodeTake,
     .help = "takes the first entry out of a queue",
     .parameters = {kOfLockingQueue},
     .held_by = HeldBy::kNobody,
     .not_held = "only an entry of a locking queue belongs to a session or a connection: locking=1",
     .waits = Waits::kYes},
    {.name = CallName::kLockEntry,
     .collection = Collection::kZkQueues,
     .verb = Verb::kPost,
     .path = PathShape::kZnodeTake,
     .help = "takes the first entry that nobody has, until it is done or given back",
     .parameters = {kOfLockingQueue},
     .when = {kLocking, 1},
     .held_by = HeldBy::kEither,
     .whose = "for whom?",
     .waits = Waits::kYes},
    {.name = CallName::kFinishEntry,
     .collection = Collection::kZkQueues,
     .verb = Verb::kDelete,
     .path = PathShape::kZnodeEntry,
     .help = "ends an entry that was taken: it is done",
     .parameters = {number(kFence, 1, INT64_MAX, "that came with the entry")},
     .held_by = HeldBy::kSessionOrFence,
     .whose = "entry"},
};

static_assert([] {
  for (size_t i = 0; i < std::size(kCalls); ++i)
    if (kCalls[i].name != static_cast<CallName>(i)) return false;
  return std::size(kCalls) == static_cast<size_t>(CallName::kFinishEntry) + 1;
}());

constexpr std::string_view kNames[] = {  // of parameters
    "candidate", "cversion", "fence",   "format",   "kind",    "locking", "max",     "member",
    "mode",      "name",     "parents", "priority", "recurse", "rest",    "retries", "seq",
    "since",     "size",     "status",  "ttl",      "version", "view",    "zone"};
static_assert(std::size(kNames) == static_cast<size_t>(kZone) + 1);

}  // namespace

std::span<const CallRow> all_calls() { return kCalls; }

std::string_view parameter_name(Parameter parameter) { return kNames[static_cast<size_t>(parameter)]; }

std::string_view path_text(PathShape shape) {
  switch (shape) {
    case PathShape::kNone:
      return "";
    case PathShape::kSession:
    case PathShape::kTask:
      return "/ID";
    case PathShape::kZnodeEnter:
      return "/PATH/enter";
    case PathShape::kZnodeLeave:
      return "/PATH/leave";
    case PathShape::kZnodeTake:
      return "/PATH/take";
    case PathShape::kZnodeEntry:
      return "/PATH/NAME";
    case PathShape::kPool:
      return "/POOL";
    case PathShape::kPoolId:
      return "/POOL/ID";
    case PathShape::kTaskProgress:
      return "/ID/progress";
    case PathShape::kTaskResult:
      return "/ID/result";
    case PathShape::kWorkerNext:
      return "/NAME/next";
    case PathShape::kZnode:
    case PathShape::kName:
    case PathShape::kNameOrAll:
    case PathShape::kAnyZnode:
    case PathShape::kClientZnode:
    case PathShape::kNewZnode:
      return "/PATH";
  }
  CHECK(false);
}

}  // namespace kvd
