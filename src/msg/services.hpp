// What a client can ask of the coordination services and what it is told, free of HTTP. All services share one form: a
// collection, a verb, a path, parameters and a body; the table in calls.hpp says which calls there are.
// An answer has values (document.hpp). Each face writes them in its own form: HTTP as JSON.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/document.hpp"
#include "msg/types.hpp"

namespace kvd {

enum class Collection : uint8_t {  // the first part of the path behind /v1/
  kSessions,
  kLocks,
  kElections,
  kBarriers,
  kIds,
  kNames,
  kHosts,
  kTasks,
  kWorkers,
  kZnodes,
  kZkQueues,
};
inline constexpr Collection kLastCollection = Collection::kZkQueues;
const char* collection_name(Collection collection);  // as in URLs

enum class Verb : uint8_t { kGet, kPut, kPost, kDelete };
const char* verb_name(Verb verb);

struct NamedText {
  std::string name;
  std::string value;
  auto operator<=>(const NamedText&) const = default;
};

struct ServiceCall {
  Collection collection = Collection::kSessions;
  Verb verb = Verb::kGet;
  std::string path;  // behind the collection, decoded; without a slash at its beginning, possibly empty
  // Of the query, decoded, no name twice, sorted by name.
  std::vector<NamedText> parameters;
  std::string body;
  std::string user;  // on whose behalf, where rights count; set by the node. A session is its user's alone
};

enum class ServiceStatus : uint8_t {
  kOk,
  kCreated,
  kAccepted,  // it waits
  kDone,      // there is nothing to say
  // Refusals; `why` says in one sentence why.
  kInvalid,
  kUnauthenticated,
  kForbidden,
  kNotFound,
  kWrongVerb,  // `why`: the verbs that are allowed there
  kNotInTime,
  kConflict,
  kGone,
  kConditionFailed,  // another version, or the fence of what is over
  kTooLarge,
  kUnavailable,  // not now; certainly not done
  kUnknown,      // nobody can tell in time whether it was done
};
inline constexpr ServiceStatus kLastServiceStatus = ServiceStatus::kUnknown;
const char* service_status_name(ServiceStatus status);
inline bool refuses(ServiceStatus status) { return status >= ServiceStatus::kInvalid; }

// The names of what can stand beside an answer's content, in ServiceAnswer::notes. A face shows those for which it has
// a place.
inline constexpr char kNoteMade[] = "made";  // what there is now: collection and path, as "znodes/a b"
inline constexpr char kNoteHostsVersion[] = "hosts_version";
inline constexpr char kNoteComplete[] = "complete";  // a flag: all names are in it
// Of the znode whose data is the content.
inline constexpr char kNoteZnodeVersion[] = "znode_version";
inline constexpr char kNoteZnodeCzxid[] = "znode_czxid";
inline constexpr char kNoteZnodeMzxid[] = "znode_mzxid";
inline constexpr char kNoteZnodeOwner[] = "znode_ephemeral_owner";  // in hexadecimal, behind 0x

struct PlainText {
  std::string text;
};
using AnswerContent = std::variant<Nothing, Document, PlainText, Octets>;

struct ServiceAnswer {
  ServiceAnswer() = default;
  ServiceAnswer(ServiceStatus what) : status(what) {}
  ServiceAnswer(ServiceStatus what, std::string sentence) : status(what), why(std::move(sentence)) {}
  ServiceAnswer(ServiceStatus what, AnswerContent told, Document beside = {})
      : status(what), content(std::move(told)), notes(std::move(beside)) {}

  ServiceStatus status = ServiceStatus::kDone;
  std::string why;        // of a refusal, and of nothing else
  AnswerContent content;  // of a success
  Document notes;         // beside it: see above
};

// ---- between servers: a call for a client's session that another server keeps ----
struct ServiceForward {
  uint64_t request = 0;  // the dialer's number, unique on this link
  ServiceCall call;
  Duration timeout{0};
};
struct ServiceForwardResult {
  uint64_t request = 0;
  ServiceAnswer answer;
};
struct ServiceForwardCancelled {
  uint64_t request = 0;
};

}  // namespace kvd
