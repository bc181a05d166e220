// The HTTP interface without sockets: what a request means to the node, and what the node's reply looks like.
// A request is judged when its head is there, so that nobody has to send a body in vain, and again with its
// body. Pure functions, any thread; the connection calls them in the order of this file.
#pragma once
#include <optional>
#include <string>

#include "msg/call.hpp"
#include "shell/http/http_options.hpp"
#include "shell/http/http_parser.hpp"
#include "shell/http/http_response.hpp"

namespace kvd {

struct HttpCounters {  // monotonic since the start, but for connections_open and audit_failed
  uint64_t connections_open = 0;
  uint64_t connections = 0;
  uint64_t connections_refused = 0;
  uint64_t handshakes_failed = 0;  // of TLS
  // Refused here; the node counts those that it refuses itself.
  uint64_t unauthenticated = 0;
  uint64_t forbidden = 0;
  uint64_t audit_dropped = 0;  // lines of the audit log
  bool audit_failed = false;   // it cannot be written now
  uint64_t requests = 0;
  uint64_t responses[6] = {};  // by status / 100
};

enum class Route : uint8_t {
  kKey,         // GET, HEAD, PUT, POST, DELETE of one key
  kCollection,  // GET, HEAD, POST, DELETE of /v1/kv, and POST of /v1/txn
  kWatch,
  kLease,  // /v1/leases and below ...
  kHold,   // ... with hold=1
  kQueue,  // /v1/queues and below
  kTopic,  // /v1/topics and below
  kSettings,
  kCluster,
  kWhy,
  kLeader,
  kMove,     // POST of the same path
  kBackup,   // GET, HEAD of /v1/snapshot
  kRestore,  // PUT
  kLive,
  kReady,
  kMetrics,
  kStat,  // four-letter words
  kMonitor,
  kService,  // of the coordination services: http_services.hpp
  kAuth,     // users, tokens and policies: http_auth.hpp
  kWhoami,   // what one may; answered without the node
};

// What has to be remembered of a request until its reply comes.
struct ReplyPlan {
  Route route = Route::kKey;
  bool write = false;    // errors carry an outcome
  bool verbose = false;  // of health checks
  bool keys_only = false;
  bool one = false;             // a single lease or message, by its path; a single message that is sent
  bool extends = false;         // ... of a message: another time for who has it
  bool published = false;       // of messages: as they stand in a topic, granted to nobody
  bool raw = false;             // of a receive: a message's body alone
  bool waits = false;           // of a receive: for messages, on behalf of who is still there
  bool events = false;          // of a watch: Server-Sent Events
  bool replace = false;         // of a restore
  bool replace_rights = false;  // likewise: users, tokens and policies, too
  uint32_t limit = 0;           // of a deletion: the page's; 0: none
  std::string text;     // the key of a write; the link to a listing's next page, but for the last value
  Condition condition;  // of a read: evaluated on the reply
  OptionalBox<AccessQuestion> question;  // kWhoami: of somebody; none: of the caller
};

struct AcceptedHead {
  Call call;  // without what the body says, without an id
  ReplyPlan plan;
  size_t body_bytes_max = 0;
  std::string_view body_name;  // for the error when it is longer

  StoreCall& store() { return std::get<StoreCall>(call.what); }
};

// `request` without its body. `accepted` is a new one, to be filled in. An HttpResponse is the answer, mostly a
// refusal; then nothing was applied, and `accepted` says nothing.
std::optional<HttpResponse> accept_head(const HttpRequest& request, const HttpIdentity& identity,
                                        AcceptedHead& accepted);

// Completes the request with its body; an HttpResponse refuses it.
std::optional<HttpResponse> accept_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity);

bool is_four_letter_word(std::string_view text);  // ruok, stat, mntr
// `word` is stat or mntr: what they tell is the node's to know. ruok is answered by the connection itself.
AcceptedHead accept_word(std::string_view word);

// The answer to an accepted request.
HttpResponse render_reply(const ReplyPlan& plan, const StoreAnswer& reply, const HttpIdentity& identity,
                          const HttpCounters& counters);

// A refusal by the connection itself (malformed, too large, too late). It closes the connection.
HttpResponse render_refusal(const HttpError& error, HttpMethod method);

}  // namespace kvd
