// See http_api.hpp: the half that judges requests. The answers are made in http_render.cpp.
#include "shell/http/http_api.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "msg/limits.hpp"
#include "shell/http/batch_json.hpp"
#include "shell/http/http_accept.hpp"
#include "shell/http/http_auth.hpp"
#include "shell/http/http_browser.hpp"
#include "shell/http/http_host.hpp"
#include "shell/http/http_queues.hpp"
#include "shell/http/http_services.hpp"
#include "shell/http/http_text.hpp"
#include "shell/http/http_topics.hpp"
#include "shell/http/txn_json.hpp"

namespace kvd {
namespace {

constexpr std::string_view kCollectionPath = "/v1/kv";
constexpr std::string_view kKeyPath = "/v1/kv/";
constexpr std::string_view kFencePath = "/v1/fences/";
constexpr std::string_view kTxnPath = "/v1/txn";
constexpr std::string_view kWatchPath = "/v1/watch";
constexpr std::string_view kLeasesPath = "/v1/leases";
constexpr std::string_view kLeasePath = "/v1/leases/";
constexpr std::string_view kSnapshotPath = "/v1/snapshot";
constexpr std::string_view kLeaderPath = "/v1/cluster/leader";
constexpr std::string_view kLineagePath = "/v1/cluster/lineage";
constexpr std::string_view kKeyMethods = "GET, HEAD, PUT, POST, DELETE";
constexpr uint64_t kPutParameters = kWriteParameters | kQueryTtl | kQueryLease;
constexpr uint64_t kPostParameters = kPutParameters | kQueryAdd | kQueryAppend | kQueryTouch;
constexpr uint64_t kPollParameters = kReadParameters | kQuerySince | kQueryWait;
constexpr uint64_t kWatchParameters =
    kQueryKey | kQueryPrefix | kQuerySince | kQueryState | kQueryValues | kQueryProgress | kQueryRead;
constexpr uint64_t kListParameters = kPollParameters | kQueryPrefix | kQueryLimit | kQueryAfter | kQueryKeys;

HttpResponse malformed(const HttpRequest& request, std::string detail) {
  HttpResponse response = refuse(request, 400, "malformed-request", std::move(detail));
  response.close = true;
  return response;
}

// If-Match and If-None-Match; a field that comes twice is one list.
// False: one of them is no list of entity tags.
bool read_condition(const HttpRequest& request, Condition& condition, std::string_view& bad_field) {
  for (size_t i = 0; i < request.fields.size(); ++i) {
    HttpFields::Field field = request.fields.at(i);
    bool match = equal_ignoring_case(field.name, "If-Match");
    bool none_match = !match && equal_ignoring_case(field.name, "If-None-Match");
    if (!match && !none_match) continue;
    OptionalBox<EntityTags>& tags = match ? condition.if_match : condition.if_none_match;
    if (!tags) tags.emplace();
    if (parse_entity_tags(field.value, none_match, *tags)) continue;
    bad_field = match ? "If-Match" : "If-None-Match";
    return false;
  }
  return true;
}

// The origin form, and the absolute form as proxies send it (RFC 9112, 3.2), with a host and without a user (RFC 9110,
// 4.2.1 and 4.2.4).
std::optional<HttpTarget> split_target(std::string_view target) {
  std::string_view authority;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    size_t path = std::min(target.find_first_of("/?", scheme.size()), target.size());
    authority = target.substr(scheme.size(), path - scheme.size());
    auto host = host_of(authority);
    if (!host || host->empty()) return std::nullopt;
    target = path == target.size() ? "/" : target.substr(path);
  }
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos) return std::nullopt;
  size_t mark = target.find('?');
  if (mark == std::string_view::npos) return HttpTarget{target, {}, authority};
  return HttpTarget{target.substr(0, mark), target.substr(mark + 1), authority};
}

// A read with `since` is done once something that matches has changed.
Refusal wait_for_change(const HttpRequest& request, const Query& query, AcceptedHead& accepted) {
  if (!query.since)
    return bad_request(request, "the query parameter 'wait' goes with 'since': the revision to wait behind");
  PollCall poll;
  const auto* key = std::get_if<ReadKey>(&accepted.store().operation);
  poll.filter = key != nullptr ? WatchFilter{key->key, false}
                               : WatchFilter{std::get<ListKeys>(accepted.store().operation).prefix, true};
  poll.since = *query.since;
  poll.wait = query.wait.value_or(Duration(0));
  poll.read = std::move(accepted.store());
  accepted.call.what = Box<PollCall>(std::move(poll));
  return std::nullopt;
}

uint64_t parameters_of_key(HttpMethod method) {
  if (is_read_method(method)) return kPollParameters;
  if (method == HttpMethod::kPost) return kPostParameters;
  return method == HttpMethod::kPut ? kPutParameters : kWriteParameters;
}

// A write that is more than a deletion; it has a body, unless it adds to a number.
void accept_value(const Query& query, std::string key, Condition condition, const HttpIdentity& identity,
                  AcceptedHead& accepted) {
  Operation& operation = accepted.store().operation;
  if (query.add) {
    operation = AddNumber{std::move(key), *query.add, std::move(condition)};
    return;
  }
  if (query.touch) {
    operation = TouchKey{std::move(key), Term{Term::Kind::kTime, *query.touch}, std::move(condition)};
    return;
  }
  if (query.append) {
    operation = AppendBytes{std::move(key), Bytes(), std::move(condition)};
  } else {
    operation = PutKey{std::move(key), Bytes(), std::move(condition), query.term.value_or(Term())};
  }
  accepted.body_bytes_max = identity.value_bytes_max;
  accepted.body_name = "a value";
}

Refusal accept_key(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                   AcceptedHead& accepted) {
  bool read = is_read_method(request.method);
  if (!read && !is_write_method(request.method)) return wrong_method(request, kKeyMethods);
  std::string key = percent_decode(target.path.substr(kKeyPath.size()));
  if (key.empty() || key.size() > limits::kKeyBytes) {
    return bad_request(request, fmt::format("a key has 1 to {} bytes", limits::kKeyBytes));
  }
  Result<Query> query = parse_query(target.query, parameters_of_key(request.method));
  if (!query) return bad_request(request, query.error().detail);
  const int kinds = int{query->add.has_value()} + int{query->append} + int{query->touch.has_value()};
  if (kinds > 1)
    return bad_request(request, "the query parameters 'add', 'append' and 'touch' exclude each other");
  if (kinds == 1 && query->term)
    return bad_request(request,
                       "'ttl' and 'lease' are for a write that brings the whole value: 'add' and "
                       "'append' keep the term that there is");
  Condition condition;
  std::string_view bad_field;
  if (!read_condition(request, condition, bad_field)) {
    return bad_request(request, fmt::format("{} has to be * or a list of quoted entity tags", bad_field));
  }

  accepted.plan.route = Route::kKey;
  accepted.plan.write = !read;
  limit_small_body(accepted);
  apply_read(accepted, *query);
  accepted.store().fence = std::move(query->fence);
  if (read) {
    accepted.store().operation = ReadKey{std::move(key)};
    accepted.plan.condition = std::move(condition);
    return query->since || query->wait ? wait_for_change(request, *query, accepted) : std::nullopt;
  }
  if (request.method == HttpMethod::kDelete) {
    accepted.store().operation = DeleteKey{std::move(key), std::move(condition)};
  } else {
    accepted.plan.text = key;
    accept_value(*query, std::move(key), std::move(condition), identity, accepted);
  }
  return std::nullopt;
}

Refusal accept_listing(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  Result<Query> query = parse_query(target.query, kListParameters);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = Route::kCollection;
  accepted.plan.keys_only = query->keys_only;
  accepted.plan.text = next_page(kCollectionPath, *query);
  limit_small_body(accepted);
  apply_read(accepted, *query);
  ListKeys list;
  list.limit = page_limit(*query);
  list.keys_only = query->keys_only;
  list.prefix = query->prefix.value_or("");
  list.after = std::move(query->after);
  accepted.store().operation = std::move(list);
  return query->since || query->wait ? wait_for_change(request, *query, accepted) : std::nullopt;
}

Refusal accept_collection(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (is_read_method(request.method)) return accept_listing(request, target, accepted);
  bool batch = request.method == HttpMethod::kPost;
  if (!batch && request.method != HttpMethod::kDelete)
    return wrong_method(request, "GET, HEAD, POST, DELETE");
  Result<Query> query =
      parse_query(target.query, batch ? kWriteParameters : kWriteParameters | kQueryPrefix | kQueryLimit);
  if (!query) return bad_request(request, query.error().detail);
  if (!batch && query->prefix.value_or("").empty())
    return bad_request(request, "the query parameter 'prefix' may not be empty");

  accepted.plan.route = Route::kCollection;
  accepted.plan.write = true;
  accepted.call.timeout = query->timeout;
  accepted.store().fence = std::move(query->fence);
  if (batch) {
    accepted.store().operation = WriteBatch{};
    accepted.body_bytes_max = limits::kBatchBytes;
    accepted.body_name = "the body of a batch";
  } else {
    accepted.plan.limit = query->limit;
    accepted.store().operation = DeletePrefix{std::move(*query->prefix), query->limit};
    limit_small_body(accepted);
  }
  return std::nullopt;
}

Refusal accept_transaction(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (request.method != HttpMethod::kPost) return wrong_method(request, "POST");
  Result<Query> query = parse_query(target.query, kWriteParameters);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = Route::kCollection;
  accepted.plan.write = true;
  accepted.call.timeout = query->timeout;
  accepted.store().fence = std::move(query->fence);
  accepted.store().operation = Box<Transaction>();
  accepted.body_bytes_max = limits::kBatchBytes;
  accepted.body_name = "the body of a transaction";
  return std::nullopt;
}

Refusal accept_fence(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (request.method != HttpMethod::kDelete) return wrong_method(request, "DELETE");
  Result<Query> query = parse_query(target.query, kQueryTimeout);
  if (!query) return bad_request(request, query.error().detail);
  std::string resource = percent_decode(target.path.substr(kFencePath.size()));
  if (resource.empty() || resource.size() > limits::kFenceResourceBytes)
    return bad_request(request,
                       fmt::format("a fence's resource has 1 to {} bytes", limits::kFenceResourceBytes));
  accepted.plan.route = Route::kCollection;
  accepted.plan.write = true;
  accepted.call.timeout = query->timeout;
  accepted.store().operation = DropFence{std::move(resource)};
  limit_small_body(accepted);
  return std::nullopt;
}

// Where a browser goes on by itself (Last-Event-ID) counts for more than where its address says that it began.
Refusal accept_watch(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (request.method != HttpMethod::kGet) return wrong_method(request, "GET");
  Result<Query> query = parse_query(target.query, kWatchParameters);
  if (!query) return bad_request(request, query.error().detail);
  if (query->key.has_value() == query->prefix.has_value())
    return bad_request(request, "a watch is of one key= or of all with one prefix=, which may be empty");
  const auto last = request.fields.find("Last-Event-ID");
  const std::optional<uint64_t> id = last ? parse_number(*last) : std::nullopt;
  if (last && !last->empty() && !id) return bad_request(request, "Last-Event-ID has to be a revision");
  const auto accept = request.fields.find("Accept");
  accepted.plan.route = Route::kWatch;
  accepted.plan.keys_only = !query->values;
  accepted.plan.events = accept && accept->find(kEvents) != std::string_view::npos;
  limit_small_body(accepted);
  WatchCall call;
  call.filter.prefix = query->prefix.has_value();
  call.filter.key = call.filter.prefix ? std::move(*query->prefix) : std::move(*query->key);
  call.since = id ? std::optional(Revision(*id)) : query->since;
  call.state = query->state;
  call.values = query->values;
  call.linear = query->read == ReadMode::kLinear;
  call.progress = query->progress;
  accepted.call.what = Box<WatchCall>(std::move(call));
  return std::nullopt;
}

// As long as the connection lasts.
Refusal hold_lease(const HttpRequest& request, HoldLease hold, AcceptedHead& accepted) {
  if (request.fields.find("Idempotency-Key"))
    return bad_request(request,
                       "Idempotency-Key is for writes that outlive their connection: with 'hold', ask again");
  accepted.plan.route = Route::kHold;
  accepted.call.what = std::move(hold);
  return std::nullopt;
}

// /v1/leases and /v1/leases/renew: what is not about one lease.
Refusal accept_leases(const HttpRequest& request, const HttpTarget& target, bool renewal,
                      AcceptedHead& accepted) {
  const bool read = !renewal && is_read_method(request.method);
  if (!read && request.method != HttpMethod::kPost)
    return wrong_method(request, renewal ? "POST" : "GET, HEAD, POST");
  const uint64_t taken = read      ? kReadParameters | kQueryLimit | kQueryAfterLease
                         : renewal ? kQueryTimeout
                                   : kQueryTimeout | kQueryLeaseTtl | kQueryName | kQueryHold;
  Result<Query> query = parse_query(target.query, taken);
  if (!query) return bad_request(request, query.error().detail);
  apply_read(accepted, *query);
  if (read) {
    const uint32_t limit = page_limit(*query);
    accepted.store().operation = ListLeases{query->after_lease, limit};
    accepted.plan.text = next_page(kLeasesPath, *query);
  } else if (renewal) {
    accepted.store().operation = RenewLeases{};
    accepted.body_bytes_max = limits::kLeasesAtOnce * 24;
    accepted.body_name = "a list of leases";
  } else if (query->lease_ttl == 0) {
    return bad_request(request, "a lease needs the query parameter 'ttl'");
  } else if (query->hold) {
    return hold_lease(request, HoldLease{0, {query->lease_ttl, std::move(query->name)}}, accepted);
  } else {
    accepted.store().operation = GrantLease{query->lease_ttl, std::move(query->name)};
  }
  return std::nullopt;
}

Refusal accept_lease(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  accepted.plan.route = Route::kLease;
  accepted.plan.write = !is_read_method(request.method);
  limit_small_body(accepted);
  const bool one = target.path.starts_with(kLeasePath);
  const std::string_view name = one ? target.path.substr(kLeasePath.size()) : std::string_view();
  if (!one || name == "renew") return accept_leases(request, target, one, accepted);
  const std::optional<uint64_t> id = parse_number(name);
  if (!id) return refuse(request, 404, "no-such-path", "a lease's id is a number");
  const bool read = is_read_method(request.method);
  const bool post = request.method == HttpMethod::kPost;
  if (!read && !is_write_method(request.method)) return wrong_method(request, kKeyMethods);
  const bool ends = request.method == HttpMethod::kDelete;
  const uint64_t written = kQueryTimeout | (post ? kQueryHold : ends ? kQueryHoldNumber : uint64_t{0});
  Result<Query> query = parse_query(target.query, read ? kReadParameters | kQueryKeys : written);
  if (!query) return bad_request(request, query.error().detail);
  apply_read(accepted, *query);
  if (post) {
    if (query->hold) return hold_lease(request, HoldLease{*id, {}}, accepted);
    return bad_request(request, "a POST takes a lease up: it needs hold=1. PUT renews it");
  }
  if (read) {
    accepted.plan.keys_only = query->keys_only;
    accepted.store().operation = ReadLease{*id, query->keys_only};
  } else if (request.method == HttpMethod::kPut) {
    accepted.plan.one = true;
    accepted.store().operation = RenewLeases{{*id}};
  } else {
    accepted.store().operation = EndLease{*id, query->hold_number};
  }
  return std::nullopt;
}

struct FixedPath {
  std::string_view path;
  Route route;
  uint64_t parameters;
};
constexpr FixedPath kFixedPaths[] = {
    {"/metrics", Route::kMetrics, 0},          {"/livez", Route::kLive, kQueryVerbose},
    {"/readyz", Route::kReady, kQueryVerbose}, {"/healthz", Route::kReady, kQueryVerbose},
    {"/v1/cluster", Route::kCluster, 0},       {"/v1/cluster/why", Route::kWhy, 0},
    {kLeaderPath, Route::kLeader, 0},          {"/v1/cluster/settings", Route::kSettings, kQueryTimeout},
};

// What load balancers ask is nobody's secret; what a person reads of it is.
QueryStatus::Use use_of(Route route, bool verbose) {
  if (route == Route::kMetrics) return QueryStatus::Use::kMetrics;
  const bool health = route == Route::kLive || route == Route::kReady;
  return health && !verbose ? QueryStatus::Use::kHealth : QueryStatus::Use::kCluster;
}

Refusal accept_fixed(const HttpRequest& request, const HttpTarget& target, const FixedPath& fixed,
                     AcceptedHead& accepted) {
  bool settings = fixed.route == Route::kSettings;
  if (settings && request.method != HttpMethod::kPut) return wrong_method(request, "PUT");
  if (!settings && !is_read_method(request.method)) return wrong_method(request, "GET, HEAD");
  Result<Query> query = parse_query(target.query, fixed.parameters);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = fixed.route;
  accepted.plan.write = settings;
  accepted.plan.verbose = query->verbose;
  accepted.call.timeout = query->timeout;
  limit_small_body(accepted);
  if (settings) {
    accepted.store().operation = ChangeSettings{};
  } else {
    accepted.store().operation = QueryStatus{use_of(fixed.route, query->verbose)};
  }
  return std::nullopt;
}

Refusal accept_move(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (request.method != HttpMethod::kPost) return wrong_method(request, "GET, HEAD, POST");
  Result<Query> query = parse_query(target.query, kQueryTo | kQueryTimeout);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = Route::kMove;
  accepted.plan.write = true;
  accepted.call.timeout = query->timeout;
  limit_small_body(accepted);
  MoveLeader move;
  if (!query->to.empty()) move.to = ServerId{std::move(query->to)};
  accepted.store().operation = std::move(move);
  return std::nullopt;
}

Refusal accept_decision(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  if (request.method != HttpMethod::kPost) return wrong_method(request, "POST");
  Result<Query> query = parse_query(target.query, kQueryTimeout);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = Route::kMove;
  accepted.plan.write = true;
  accepted.call.timeout = query->timeout;
  limit_small_body(accepted);
  accepted.store().operation = DecideLineage{};
  return std::nullopt;
}

Refusal accept_snapshot(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  const bool restore = request.method == HttpMethod::kPut;
  if (!restore && !is_read_method(request.method)) return wrong_method(request, "GET, HEAD, PUT");
  Result<Query> query = parse_query(target.query, restore ? kQueryTimeout | kQueryReplace | kQueryAuth : 0);
  if (!query) return bad_request(request, query.error().detail);
  accepted.plan.route = restore ? Route::kRestore : Route::kBackup;
  accepted.plan.write = restore;
  accepted.plan.replace = query->replace;
  accepted.plan.replace_rights = query->replace_rights;
  accepted.call.timeout = query->timeout;
  if (restore) {  // what reads the body has bounds of its own
    accepted.store().operation = WriteBatch{};
    accepted.body_bytes_max = SIZE_MAX;
    return std::nullopt;
  }
  limit_small_body(accepted);
  accepted.store().operation = ReadSnapshot{};
  return std::nullopt;
}

Refusal accept_route(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted) {
  if (target.path.starts_with(kKeyPath)) return accept_key(request, target, identity, accepted);
  if (target.path == kCollectionPath) return accept_collection(request, target, accepted);
  if (target.path == kTxnPath) return accept_transaction(request, target, accepted);
  if (target.path.starts_with(kFencePath)) return accept_fence(request, target, accepted);
  if (target.path == kWatchPath) return accept_watch(request, target, accepted);
  if (target.path == kLeasesPath || target.path.starts_with(kLeasePath))
    return accept_lease(request, target, accepted);
  if (is_queue_path(target.path)) return accept_queue(request, target, identity, accepted);
  if (is_topic_path(target.path)) return accept_topic(request, target, identity, accepted);
  if (is_auth_path(target.path)) return accept_auth(request, target, accepted);
  if (target.path == kLeaderPath && !is_read_method(request.method))
    return accept_move(request, target, accepted);
  if (target.path == kLineagePath) return accept_decision(request, target, accepted);
  if (target.path == kSnapshotPath) return accept_snapshot(request, target, accepted);
  for (const FixedPath& fixed : kFixedPaths) {
    if (target.path == fixed.path) return accept_fixed(request, target, fixed, accepted);
  }
  if (auto collection = service_collection(target.path))
    return accept_service(request, *collection, target.path, target.query, accepted);
  return refuse(request, 404, "no-such-path", "there is nothing at this path; keys live below /v1/kv/");
}

// Fields that would be wrong to overlook where they mean nothing.
Refusal check_fields(const HttpRequest& request, AcceptedHead& accepted) {
  const bool one_key = accepted.plan.route == Route::kKey;
  const Route route = accepted.plan.route;
  const bool keys = one_key || route == Route::kCollection || route == Route::kLease ||
                    route == Route::kQueue || route == Route::kTopic;
  if (!one_key && (request.fields.find("If-Match") || request.fields.find("If-None-Match")))
    return bad_request(request, "If-Match and If-None-Match are for one key only");
  if (!accepted.plan.write) return std::nullopt;
  if (request.fields.find("Content-Range"))  // RFC 9110, 14.5
    return bad_request(request, "Content-Range: a part of a value cannot be written; send all of it");
  if (auto key = request.fields.find("Idempotency-Key")) {
    if (!keys)
      return bad_request(request, "Idempotency-Key is for writes of keys, leases, queues and topics");
    if (key->empty() || key->size() > limits::kIdempotencyKeyBytes) {
      return bad_request(request,
                         fmt::format("an Idempotency-Key has 1 to {} bytes", limits::kIdempotencyKeyBytes));
    }
    accepted.store().idempotency_key = *key;
  }
  return std::nullopt;
}

HttpResponse refused_body(BodyError error) {
  Problem problem;
  problem.status = error.too_large ? 413 : 400;
  problem.kind = error.too_large ? "too-large" : "bad-request";
  problem.detail = std::move(error.detail);
  problem.outcome = Outcome::kNotApplied;
  problem.op = error.op;
  return problem_response(problem);
}

// What the whole server can do (RFC 9110, 9.3.7).
HttpResponse options_response() {
  HttpResponse response;
  add_field(response, "Allow", fmt::format("{}, OPTIONS", kKeyMethods));
  return response;
}

}  // namespace

std::optional<HttpResponse> accept_head(const HttpRequest& request, const HttpIdentity& identity,
                                        AcceptedHead& accepted) {
  const bool asterisk = request.method == HttpMethod::kOptions && request.target == "*";
  std::optional<HttpTarget> target = asterisk ? HttpTarget{} : split_target(request.target);
  if (!target)
    return malformed(request, "the request target has to be a path without a fragment, or http://HOST/PATH");
  if (!is_percent_encoded(request.target))
    return malformed(request, "bad percent-encoding in the request target");
  if (auto foreign = browser_refusal(request, target->authority, identity.hosts))
    return refuse(request, foreign->status, foreign->kind, std::move(foreign->detail));
  if (asterisk) return options_response();
  Refusal refusal = accept_route(request, *target, identity, accepted);
  if (!refusal) refusal = check_fields(request, accepted);
  return refusal;
}

std::optional<HttpResponse> accept_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity) {
  BodyError error;
  if (accepted.plan.route == Route::kAuth) {
    std::optional<BodyError> wrong = take_auth_body(accepted, std::move(body));
    return wrong ? std::optional(refused_body(std::move(*wrong))) : std::nullopt;
  }
  if (auto* service = std::get_if<ServiceCall>(&accepted.call.what)) {
    service->body = body.view();
    return std::nullopt;
  }
  if (!std::holds_alternative<StoreCall>(accepted.call.what)) return std::nullopt;  // nobody reads it
  const bool of_topic = accepted.plan.route == Route::kTopic;
  if (of_topic || accepted.plan.route == Route::kQueue) {
    std::optional<BodyError> wrong = of_topic ? take_topic_body(accepted, std::move(body), identity)
                                              : take_queue_body(accepted, std::move(body), identity);
    return wrong ? std::optional(refused_body(std::move(*wrong))) : std::nullopt;
  }
  if (auto* put = std::get_if<PutKey>(&accepted.store().operation)) {
    put->value = std::move(body);
    return std::nullopt;
  }
  if (auto* append = std::get_if<AppendBytes>(&accepted.store().operation)) {
    append->value = std::move(body);
    return std::nullopt;
  }
  if (auto* transaction = std::get_if<Box<Transaction>>(&accepted.store().operation)) {
    Result<Transaction, BodyError> parsed = parse_transaction(body.view(), identity.value_bytes_max);
    if (parsed) **transaction = std::move(*parsed);
    if (!parsed) error = std::move(parsed.error());
  } else if (auto* batch = std::get_if<WriteBatch>(&accepted.store().operation)) {
    Result<WriteBatch, BodyError> parsed = parse_batch(body.view(), identity.value_bytes_max);
    if (parsed) *batch = std::move(*parsed);
    if (!parsed) error = std::move(parsed.error());
  } else if (auto* renewal = std::get_if<RenewLeases>(&accepted.store().operation)) {
    if (accepted.plan.one) return std::nullopt;
    Result<RenewLeases, BodyError> parsed = parse_renewal(body.view());
    if (parsed) *renewal = std::move(*parsed);
    if (!parsed) error = std::move(parsed.error());
  } else if (auto* settings = std::get_if<ChangeSettings>(&accepted.store().operation)) {
    Result<ChangeSettings, BodyError> parsed = parse_settings(body.view());
    if (parsed) *settings = *parsed;
    if (!parsed) error = std::move(parsed.error());
  }
  if (error.detail.empty()) return std::nullopt;
  return refused_body(std::move(error));
}

bool is_four_letter_word(std::string_view text) { return text == "ruok" || text == "stat" || text == "mntr"; }

AcceptedHead accept_word(std::string_view word) {
  AcceptedHead accepted;
  accepted.store().operation = QueryStatus{};
  accepted.plan.route = word == "stat" ? Route::kStat : Route::kMonitor;
  return accepted;
}

HttpResponse render_refusal(const HttpError& error, HttpMethod method) {
  Problem problem;
  problem.status = error.status;
  switch (error.status) {
    case 408:
      problem.kind = "too-slow";
      break;
    case 413:
    case 414:
    case 431:
      problem.kind = "too-large";
      break;
    case 503:
      problem.kind = "overloaded";
      break;
    default:
      problem.kind = "malformed-request";
  }
  problem.detail = error.detail;
  if (is_write_method(method)) problem.outcome = Outcome::kNotApplied;
  HttpResponse response = problem_response(problem);
  response.close = true;
  return response;
}

}  // namespace kvd
