// What servers say to a client, out of its JSON: the lines of a held lock, election, worker or lease, a task, keys,
// leases, queues, topics and their messages, a problem. Pure; unknown members and unknown states are passed over, so
// that servers may learn to say more.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace kvd::client {

// A line of POST /v1/locks/PATH?hold=1 or /v1/elections/PATH?hold=1.
struct GrantLine {
  enum class Kind : uint8_t {
    kProgress,  // says nothing but that the server is there
    kWaiting,
    kHeld,     // with `fence`
    kLost,     // with `reason`
    kTimeout,  // not granted in the time that was asked for
  };
  Kind kind = Kind::kProgress;
  uint64_t fence = 0;
  std::string reason;
};
Result<GrantLine> parse_grant_line(std::string_view line);

// A line of POST /v1/workers?hold=1.
struct WorkerLine {
  enum class Kind : uint8_t {
    kProgress,
    kRegistered,  // `text`: the worker's name
    kCancel,      // `text`: the id of the task that nobody wants any more
    kLost,        // `text`: why
  };
  Kind kind = Kind::kProgress;
  std::string text;
};
Result<WorkerLine> parse_worker_line(std::string_view line);

struct Task {
  std::string id;    // never empty, without NUL
  std::string kind;  // without NUL
  uint64_t attempt = 0;
  uint64_t fence = 0;
  std::string data;  // any bytes
};
Result<Task> parse_task(std::string_view json);

// A member of an answer that is one object.
Result<int64_t> parse_number_in(std::string_view json, std::string_view name);
Result<bool> parse_flag_in(std::string_view json, std::string_view name);
std::string text_in(std::string_view json, std::string_view name);  // in one line; empty: there is none
std::string json_in(std::string_view json, std::string_view name);  // as JSON in one line; likewise

// A page of GET /v1/kv.
struct ListedKey {
  std::string key;    // any bytes
  std::string value;  // likewise; empty where only keys were asked for
  std::string json;   // all that the server says of the key, in one line
};
struct KeyPage {
  uint64_t revision = 0;
  std::vector<ListedKey> keys;
};
Result<KeyPage> parse_key_page(std::string_view json);

// Of GET /v1/leases/ID, or an item of GET /v1/leases.
struct ListedLease {
  uint64_t id = 0;
  int64_t ttl_ms = 0;
  int64_t left_ms = 0;
  std::string name;               // in one line
  std::vector<std::string> keys;  // any bytes; empty where they were not asked for
  std::string json;               // all that the server says of the lease, in one line
};
Result<ListedLease> parse_lease(std::string_view json);
Result<std::vector<ListedLease>> parse_lease_page(std::string_view json);

// Of POST /v1/leases/renew: what is left of each in ms, or nothing of one that is over.
Result<std::vector<std::optional<int64_t>>> parse_renewals(std::string_view json);

// A message of POST /v1/queues/Q/receive or GET /v1/queues/Q/messages, and likewise of topics and subscriptions.
struct QueueMessage {
  std::string id;        // never empty, without NUL
  uint64_t receipt = 0;  // 0: it was never granted
  uint64_t attempt = 0;
  std::string group;  // any bytes
  std::string type;   // likewise
  std::string body;   // likewise
  std::string json;   // all that the server says of the message, in one line
};
// Of a topic: what was behind the message `after`, up to `last`, is gone.
struct MessageGap {
  std::string after;
  std::string last;
};
struct MessagePage {
  std::vector<QueueMessage> messages;
  std::optional<MessageGap> gap;
};
Result<MessagePage> parse_message_page(std::string_view json);
std::string gap_text(const MessageGap& gap);  // one line for people

// A line of GET /v1/topics/T/stream.
struct TopicLine {
  enum class Kind : uint8_t {
    kMessage,   // `id`, and all that the server says of it in one line, `json`
    kGap,       // `gap`
    kProgress,  // `id`: all up to there has been said
    kStale,
    kCurrent,
    kLost,   // with `reason`
    kOther,  // says nothing that one has to know
  };
  Kind kind = Kind::kOther;
  std::string id;
  std::string json;
  MessageGap gap;
  std::string reason;
};
Result<TopicLine> parse_topic_line(std::string_view line);

// An item of GET /v1/queues, /v1/topics or /v1/topics/T/subscriptions: the list `what`.
struct ListedSource {
  std::string name;               // any bytes
  std::vector<uint64_t> numbers;  // in the order in which they were asked for
  std::string json;               // all that the server says of it, in one line
};
Result<std::vector<ListedSource>> parse_source_page(std::string_view json, std::string_view what,
                                                    const std::vector<std::string>& numbers);

// An item of GET /v1/auth/policies, users or tokens: the list `what`.
struct ListedAccess {
  std::string name;                                          // never empty, in one line
  std::vector<std::pair<std::string, std::string>> members;  // those that were asked for, as parse_members()
  std::string json;                                          // all that the server says of it, in one line
};
Result<std::vector<ListedAccess>> parse_access_page(std::string_view json, std::string_view what,
                                                    std::string_view id,
                                                    const std::vector<std::string>& members);

// A list of texts, a member of an answer: the ids of messages that were sent, what became of those that were settled.
Result<std::vector<std::string>> parse_texts_in(std::string_view json, std::string_view name);

// All members of an answer that is one object, as texts; of a list: its elements, with commas.
Result<std::vector<std::pair<std::string, std::string>>> parse_members(std::string_view json);

// A line of POST /v1/leases?hold=1 or /v1/leases/ID?hold=1.
struct LeaseLine {
  enum class Kind : uint8_t {
    kProgress,
    kHeld,      // with `left_ms`, and in the first line `id`, `ttl_ms` and `hold`
    kUnsure,    // what was left is over, and nothing is known
    kLost,      // with `reason`
    kStopping,  // the server goes, and the lease lives, with `left_ms`
  };
  Kind kind = Kind::kProgress;
  uint64_t id = 0;
  uint64_t hold = 0;  // which take-up this is; 0: a server of an older version does not say
  int64_t ttl_ms = 0;
  int64_t left_ms = 0;
  std::string reason;
};
Result<LeaseLine> parse_lease_line(std::string_view line);

// A line of GET /v1/watch.
struct WatchedLine {
  enum class Kind : uint8_t {
    kChange,  // of `key`: `type` says which; there may be more of them than a client knows
    kProgress,
    kSynced,
    kStale,
    kCurrent,
    kReset,
    kGone,   // with `reason`
    kOther,  // says nothing that one has to know
  };
  Kind kind = Kind::kOther;
  std::string type;   // as it stands in the line, in one line
  std::string key;    // of a change: any bytes
  std::string value;  // likewise; empty where it was not asked for
  uint64_t revision = 0;
  bool more = false;
  bool state = false;
  bool linear = false;
  std::string reason;
};
Result<WatchedLine> parse_watched_line(std::string_view line);

// What a problem says of a write: "unknown", "not-applied", or nothing.
std::string problem_outcome(std::string_view body);

// 401 or 403: the server does not know who asks, or he may not do this. To ask again, or elsewhere, is no use.
bool refuses_access(int status);

// One line about an answer that is no success: its status and, where its body is a problem (RFC 9457), what that says.
std::string problem_text(int status, std::string_view body);

}  // namespace kvd::client
