// The small grammars inside a request: percent-encoding (base/percent.hpp), the query string, entity tags (RFC
// 9110, 8.8.3). Pure functions, any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/percent.hpp"
#include "base/result.hpp"
#include "msg/client.hpp"
#include "msg/watch.hpp"

namespace kvd {

// The whole of `text` as a decimal number without sign.
std::optional<uint64_t> parse_number(std::string_view text);

// A bit for each query parameter, so that a route can say which ones it takes.
enum QueryParameter : uint64_t {
  kQueryRead = 1,
  kQueryMinRevision = 2,
  kQueryTimeout = 4,
  kQueryPrefix = 8,
  kQueryLimit = 16,
  kQueryAfter = 32,
  kQueryKeys = 64,
  kQueryVerbose = 128,
  kQueryTo = 256,
  kQueryFence = 512,
  kQueryReplace = 1024,
  kQueryAdd = 2048,
  kQueryAppend = 4096,
  kQueryKey = 1 << 13,
  kQuerySince = 1 << 14,
  kQueryWait = 1 << 15,
  kQueryState = 1 << 16,
  kQueryValues = 1 << 17,
  kQueryProgress = 1 << 18,
  kQueryTtl = 1 << 19,
  kQueryLease = 1 << 20,
  kQueryTouch = 1 << 21,
  kQueryLeaseTtl = 1 << 22,
  kQueryName = 1 << 23,
  kQueryAfterLease = 1 << 24,
  kQueryHold = 1 << 25,
  kQueryHoldNumber = 1 << 26,
  // Of queues.
  kQueryIfEmpty = 1 << 27,
  kQueryPriority = 1 << 28,
  kQueryDelay = 1 << 29,
  kQueryMaxAge = 1 << 30,
  kQueryGroup = uint64_t{1} << 31,
  kQueryDedup = uint64_t{1} << 32,
  kQueryCreate = uint64_t{1} << 33,
  kQueryMax = uint64_t{1} << 34,
  kQueryKickMax = uint64_t{1} << 35,
  kQueryTtr = uint64_t{1} << 36,
  kQueryRaw = uint64_t{1} << 37,
  kQueryAtomic = uint64_t{1} << 38,
  kQueryReceipt = uint64_t{1} << 39,
  kQueryAfterMessage = uint64_t{1} << 40,
  kQueryPeekState = uint64_t{1} << 41,
  kQueryKickState = uint64_t{1} << 42,
  kQueryPurgeState = uint64_t{1} << 43,
  kQueryToQueue = uint64_t{1} << 44,
  kQueryCredit = uint64_t{1} << 45,
  // Of topics.
  kQueryAfterPlace = uint64_t{1} << 46,
  kQueryToPlace = uint64_t{1} << 47,
  kQueryTime = uint64_t{1} << 48,
  kQueryStuckState = uint64_t{1} << 49,
  // Of rights.
  kQueryUser = uint64_t{1} << 50,
  kQueryRight = uint64_t{1} << 51,
  kQueryResource = uint64_t{1} << 52,
  kQueryPath = uint64_t{1} << 53,
  kQueryAuth = uint64_t{1} << 54,
};
struct Query {
  ReadMode read = ReadMode::kLocal;
  Revision min_revision;
  Duration timeout = seconds(5);
  std::optional<std::string> prefix;
  uint32_t limit = 0;  // 0: not given
  std::string after;
  bool keys_only = false;
  bool verbose = false;
  bool replace = false;
  bool replace_rights = false;  // auth=replace
  bool append = false;
  bool state = false;
  bool values = true;
  bool hold = false;
  uint64_t hold_number = 0;  // 0: not given
  std::optional<int64_t> add;
  std::optional<Term> term;       // ttl= or lease=
  std::optional<uint64_t> touch;  // ms
  uint64_t lease_ttl = 0;         // ms; 0: not given
  uint64_t after_lease = 0;
  std::string name;
  std::optional<std::string> key;
  std::optional<Revision> since;
  std::optional<Duration> wait;
  Duration progress = WatchCall().progress;
  std::string to;  // a server's id; empty: not given
  OptionalBox<Fence> fence;
  OptionalBox<NewMessage>
      message;  // its priority, delay, age, group and dedup name; none: nothing is said of them
  bool create = true;
  bool if_empty = false;
  bool raw = false;
  bool atomic = false;
  uint32_t max = 0;      // 0: not given
  uint64_t ttr = 0;      // ms; 0: not given
  uint64_t receipt = 0;  // 0: not given
  MessageId after_message;
  std::optional<MessageState> message_state;
  bool all_states = false;  // state=all
  std::string to_queue;
  std::optional<TopicPlace> place;  // after=, to= or time=
  OptionalBox<AccessQuestion> question;
};
// `text` is what follows the first '?', and satisfies is_percent_encoded(). The Error names the parameter
// that is unknown here (not in `allowed`), given twice or out of range.
Result<Query> parse_query(std::string_view text, uint64_t allowed);

// Adds the tags of one If-Match (`weak_counts` false) or If-None-Match field (true: W/"5" matches too) to
// `tags`. Tags that are no revisions are left out: they match nothing. False: that is no list of entity tags.
[[nodiscard]] bool parse_entity_tags(std::string_view field, bool weak_counts, EntityTags& tags);

}  // namespace kvd
