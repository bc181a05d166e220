// What a client can ask of the coordination services and what it is told, free of HTTP. All services share one form: a
// collection, a verb, a path, parameters and a body; the table in calls.hpp says which calls there are.
// The answers' words are JSON already: they are documents that also stand in ZooKeeper or go out line by line.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "msg/client.hpp"
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
};
inline constexpr Collection kLastCollection = Collection::kZnodes;
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
};

enum class ServiceStatus : uint8_t {
  kOk,
  kCreated,
  kAccepted,  // it waits
  kDone,      // there is nothing to say
  // Refusals; `text` says in one sentence why.
  kInvalid,
  kForbidden,
  kNotFound,
  kWrongVerb,
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

enum class ContentType : uint8_t { kJson, kText, kBytes };  // what `text` is; of a refusal: a sentence
inline constexpr ContentType kLastContentType = ContentType::kBytes;

struct ServiceAnswer {
  ServiceStatus status = ServiceStatus::kDone;
  std::string text;  // without a newline at its end
  ContentType content_type = ContentType::kJson;
  std::vector<NamedText> fields;  // further header fields of HTTP
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
