// The HTTP interface without sockets, first half: what each request means to the node, and what is refused
// with which status. Standalone.
#include "shell/http/http_api.hpp"

#include <doctest.h>

#include "made_request.hpp"
#include "msg/limits.hpp"

namespace kvd::http_api_test {

namespace {

const HttpIdentity kIdentity{ServerId{"a:1"}, "9.9", {"z:2181"}, 100};

using kvd::testing::made_request;

HttpRequest get(std::string target) { return made_request(HttpMethod::kGet, std::move(target)); }

AcceptedHead accepted(const HttpRequest& asked) {
  AcceptedHead head;
  std::optional<HttpResponse> refusal = accept_head(asked, kIdentity, head);
  CAPTURE(asked.target);
  if (refusal) FAIL(refusal->body);
  return head;
}
HttpResponse refused(const HttpRequest& asked) {
  AcceptedHead head;
  std::optional<HttpResponse> refusal = accept_head(asked, kIdentity, head);
  CAPTURE(asked.target);
  REQUIRE(refusal);
  return *refusal;
}
template <class T>
T operation(const HttpRequest& asked) {
  AcceptedHead head = accepted(asked);
  CAPTURE(asked.target);
  REQUIRE(std::holds_alternative<T>(head.store().operation));
  return std::get<T>(head.store().operation);
}
bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("api: a key is the rest of the path, decoded once, never normalised") {
  const std::pair<const char*, std::string> cases[] = {
      {"/v1/kv/a", "a"},
      {"/v1/kv/a//b/../c/", "a//b/../c/"},
      {"/v1/kv/%2Fa%20b+c", "/a b+c"},
      {"/v1/kv/%00%ff", std::string("\0\xff", 2)},
      {"/v1/kv/%252F", "%2F"},
      {"/v1/kv/a?read=local", "a"},
      {"/v1/kv/a%3Fb%23?timeout=5", "a?b#"},
      {"/v1/kv//", "/"},
      {"http://host:8001/v1/kv/a", "a"},
      {"HTTP://host/v1/kv/http://x", "http://x"},
  };
  for (const auto& [target, key] : cases) CHECK(operation<ReadKey>(get(target)).key == key);
  std::string longest;
  for (size_t i = 0; i < limits::kKeyBytes; ++i) longest += "%61";
  CHECK(operation<ReadKey>(get("/v1/kv/" + longest)).key.size() == limits::kKeyBytes);
  CHECK(refused(get("/v1/kv/a" + longest)).status == 400);
  CHECK(refused(get("/v1/kv/")).status == 400);
  CHECK(refused(get("/v1/kv/?read=local")).status == 400);
}

TEST_CASE("api: reads carry their mode, revision and patience") {
  AcceptedHead head = accepted(get("/v1/kv/k?read=linear&min_rev=12&timeout=250"));
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(head.store().min_revision == Revision(12));
  CHECK(head.call.timeout == milliseconds(250));
  CHECK_FALSE(head.plan.write);
  CHECK(accepted(get("/v1/kv/k")).call.timeout == seconds(5));
  CHECK(operation<ReadKey>(made_request(HttpMethod::kHead, "/v1/kv/k")).key == "k");
}

TEST_CASE("api: writes of one key") {
  for (HttpMethod method : {HttpMethod::kPut, HttpMethod::kPost}) {
    AcceptedHead head =
        accepted(made_request(method, "/v1/kv/k?timeout=7",
                              {{"if-match", "\"3\""}, {"If-Match", "\"4\""}, {"If-None-Match", "*"}}));
    CHECK(head.plan.write);
    CHECK(head.body_bytes_max == 100);
    CHECK(head.call.timeout == milliseconds(7));
    CHECK_FALSE(accept_body(head, Bytes("value"), kIdentity).has_value());
    PutKey put = std::get<PutKey>(head.store().operation);
    CHECK(put.key == "k");
    CHECK(put.value.view() == "value");
    CHECK(put.condition.if_match->revisions == std::vector<Revision>{Revision(3), Revision(4)});
    CHECK(put.condition.if_none_match->any);
  }
  DeleteKey gone =
      operation<DeleteKey>(made_request(HttpMethod::kDelete, "/v1/kv/k", {{"If-Match", "\"3\""}}));
  CHECK(gone.key == "k");
  CHECK(gone.condition.if_match->revisions == std::vector<Revision>{Revision(3)});
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/kv/k", {{"If-Match", "3"}})).status == 400);
  CHECK(contains(refused(made_request(HttpMethod::kPut, "/v1/kv/k?read=linear")).body, "'read' is unknown"));
}

TEST_CASE("api: what is added to a number, or appended") {
  const auto post = [](const char* target) { return made_request(HttpMethod::kPost, target); };
  AcceptedHead head = accepted(made_request(HttpMethod::kPost, "/v1/kv/n?add=-5&fence=lock:7",
                                            {{"If-Match", "\"3\""}, {"Idempotency-Key", "once"}}));
  const AddNumber add = std::get<AddNumber>(head.store().operation);
  CHECK(add.key == "n");
  CHECK(add.by == -5);
  CHECK(add.condition.if_match->revisions == std::vector<Revision>{Revision(3)});
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");
  CHECK(head.plan.write);
  CHECK(head.plan.text == "n");
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity).has_value());

  head = accepted(post("/v1/kv/log?append=1"));
  CHECK(head.body_bytes_max == 100);
  CHECK_FALSE(accept_body(head, Bytes("more"), kIdentity).has_value());
  CHECK(std::get<AppendBytes>(head.store().operation).key == "log");
  CHECK(std::get<AppendBytes>(head.store().operation).value.view() == "more");
  CHECK(operation<PutKey>(post("/v1/kv/log?append=false")).key == "log");

  for (const char* target :
       {"/v1/kv/n?add=", "/v1/kv/n?add=1.5", "/v1/kv/n?add=01", "/v1/kv/n?add=9223372036854775808",
        "/v1/kv/n?add=1&append=1", "/v1/kv/n?append=2"})
    CHECK(refused(post(target)).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/kv/n?add=1")).status == 400);
  CHECK(refused(made_request(HttpMethod::kDelete, "/v1/kv/n?append=1")).status == 400);
}

TEST_CASE("api: how long a key is to live") {
  const auto term_of = [](HttpMethod method, const char* target) {
    return operation<PutKey>(made_request(method, target)).term;
  };
  for (HttpMethod method : {HttpMethod::kPut, HttpMethod::kPost}) {
    CHECK(term_of(method, "/v1/kv/k") == Term());
    CHECK(term_of(method, "/v1/kv/k?ttl=500") == Term{Term::Kind::kTime, 500});
    CHECK(term_of(method, "/v1/kv/k?ttl=keep") == Term{Term::Kind::kKeep, 0});
    CHECK(term_of(method, "/v1/kv/k?lease=7") == Term{Term::Kind::kLease, 7});
    CHECK(refused(made_request(method, "/v1/kv/k?ttl=99")).status == 400);
    CHECK(refused(made_request(method, "/v1/kv/k?ttl=500&lease=7")).status == 400);
  }
  AcceptedHead head = accepted(made_request(HttpMethod::kPost, "/v1/kv/k?touch=500&fence=lock:7",
                                            {{"If-Match", "\"3\""}, {"Idempotency-Key", "once"}}));
  const TouchKey touch = std::get<TouchKey>(head.store().operation);
  CHECK(touch.key == "k");
  CHECK(touch.term == Term{Term::Kind::kTime, 500});
  CHECK(touch.condition.if_match->revisions == std::vector<Revision>{Revision(3)});
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity).has_value());
  for (const char* target :
       {"/v1/kv/k?touch=500&ttl=500", "/v1/kv/k?touch=500&add=1", "/v1/kv/k?touch=500&append=1",
        "/v1/kv/k?add=1&ttl=500", "/v1/kv/k?append=1&lease=7", "/v1/kv/k?touch=keep", "/v1/kv/k?touch=99"})
    CHECK(refused(made_request(HttpMethod::kPost, target)).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/kv/k?touch=500")).status == 400);
  CHECK(refused(made_request(HttpMethod::kDelete, "/v1/kv/k?ttl=500")).status == 400);
  CHECK(refused(get("/v1/kv/k?ttl=500")).status == 400);
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/kv?ttl=500")).status == 400);
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/txn?ttl=500")).status == 400);
}

TEST_CASE("api: a lease is held by a connection") {
  const auto post = [](const char* target) { return made_request(HttpMethod::kPost, target); };
  AcceptedHead head = accepted(post("/v1/leases?ttl=5000&name=n&hold=1&timeout=7"));
  CHECK(head.plan.write);
  CHECK(head.plan.route == Route::kHold);
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(std::get<HoldLease>(head.call.what).id == 0);
  CHECK(std::get<HoldLease>(head.call.what).grant.ttl_ms == 5000);
  CHECK(std::get<HoldLease>(head.call.what).grant.name == "n");
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity).has_value());
  head = accepted(post("/v1/leases/7?hold=1"));
  CHECK(head.plan.route == Route::kHold);
  CHECK(std::get<HoldLease>(head.call.what).id == 7);
  CHECK(operation<GrantLease>(post("/v1/leases?ttl=5000&hold=0")).ttl_ms == 5000);
  for (const char* target : {"/v1/leases?hold=1", "/v1/leases/7", "/v1/leases/7?hold=0",
                             "/v1/leases/7?hold=1&ttl=5000", "/v1/leases?ttl=5000&hold=2"})
    CHECK(refused(post(target)).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/leases/7?hold=1")).status == 400);
  const HttpRequest keyed =
      made_request(HttpMethod::kPost, "/v1/leases?ttl=5000&hold=1", {{"Idempotency-Key", "once"}});
  CHECK(contains(refused(keyed).body, "Idempotency-Key"));
}

TEST_CASE("api: leases are granted, renewed, ended and read") {
  const auto post = [](const char* target) { return made_request(HttpMethod::kPost, target); };
  AcceptedHead head = accepted(made_request(HttpMethod::kPost, "/v1/leases?ttl=5000&name=a%20b&timeout=7",
                                            {{"Idempotency-Key", "once"}}));
  CHECK(head.plan.write);
  CHECK(head.plan.route == Route::kLease);
  CHECK(head.store().idempotency_key == "once");
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(std::get<GrantLease>(head.store().operation).ttl_ms == 5000);
  CHECK(std::get<GrantLease>(head.store().operation).name == "a b");
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity).has_value());
  CHECK(contains(refused(post("/v1/leases")).body, "'ttl'"));
  for (const char* target : {"/v1/leases?ttl=999", "/v1/leases?ttl=keep", "/v1/leases?ttl=5000&lease=7"})
    CHECK(refused(post(target)).status == 400);

  head = accepted(post("/v1/leases/renew"));
  CHECK(head.plan.write);
  CHECK_FALSE(head.plan.one);
  CHECK_FALSE(accept_body(head, Bytes(R"({"leases":[3,4]})"), kIdentity).has_value());
  CHECK(std::get<RenewLeases>(head.store().operation).ids == std::vector<uint64_t>{3, 4});
  CHECK(accept_body(head, Bytes("{}"), kIdentity)->status == 400);

  head = accepted(made_request(HttpMethod::kPut, "/v1/leases/7"));
  CHECK(head.plan.one);
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity).has_value());
  CHECK(std::get<RenewLeases>(head.store().operation).ids == std::vector<uint64_t>{7});
  CHECK(operation<EndLease>(made_request(HttpMethod::kDelete, "/v1/leases/7")).id == 7);
  CHECK(operation<EndLease>(made_request(HttpMethod::kDelete, "/v1/leases/7")).hold == 0);
  CHECK(operation<EndLease>(made_request(HttpMethod::kDelete, "/v1/leases/7?hold=3")).hold == 3);
  CHECK(refused(made_request(HttpMethod::kDelete, "/v1/leases/7?hold=0")).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/leases/7?hold=3")).status == 400);

  head = accepted(get("/v1/leases/7?keys=true&read=linear&min_rev=3"));
  CHECK_FALSE(head.plan.write);
  CHECK(head.plan.keys_only);
  CHECK(std::get<ReadLease>(head.store().operation).id == 7);
  CHECK(std::get<ReadLease>(head.store().operation).keys);
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(head.store().min_revision == Revision(3));
  CHECK_FALSE(operation<ReadLease>(get("/v1/leases/7")).keys);
  CHECK(operation<ListLeases>(get("/v1/leases")).limit == limits::kListItems);
  CHECK(operation<ListLeases>(get("/v1/leases?limit=2&after=7")).limit == 2);
  CHECK(operation<ListLeases>(get("/v1/leases?limit=2&after=7")).after == 7);
  CHECK(accepted(get("/v1/leases?limit=2&after=7&read=linear")).plan.text ==
        "/v1/leases?limit=2&read=linear&after=");

  for (const char* target : {"/v1/leases/", "/v1/leases/x", "/v1/leases/7/keys", "/v1/leases/-1"})
    CHECK(refused(get(target)).status == 404);
  const std::pair<HttpRequest, const char*> wrong[] = {
      {made_request(HttpMethod::kPut, "/v1/leases"), "Allow: GET, HEAD, POST\r\n"},
      {made_request(HttpMethod::kDelete, "/v1/leases"), "Allow: GET, HEAD, POST\r\n"},
      {get("/v1/leases/renew"), "Allow: POST\r\n"},
      {made_request(HttpMethod::kOther, "/v1/leases/7"), "Allow: GET, HEAD, PUT, POST, DELETE\r\n"},
  };
  for (const auto& [request, allow] : wrong) {
    const HttpResponse response = refused(request);
    CHECK(response.status == 405);
    CHECK(contains(response.fields, allow));
  }
  for (const char* target : {"/v1/leases/7?fence=lock:7", "/v1/leases/7?ttl=5000"})
    CHECK(refused(made_request(HttpMethod::kPut, target)).status == 400);
  CHECK(refused(made_request(HttpMethod::kDelete, "/v1/leases/7", {{"If-Match", "*"}})).status == 400);
}

TEST_CASE("api: a transaction") {
  AcceptedHead head = accepted(
      made_request(HttpMethod::kPost, "/v1/txn?timeout=7&fence=lock:7", {{"Idempotency-Key", "once"}}));
  CHECK(head.plan.write);
  CHECK(head.body_bytes_max == limits::kBatchBytes);
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(head.store().fence->resource == "lock");
  CHECK(head.store().idempotency_key == "once");
  CHECK_FALSE(accept_body(head, Bytes(R"({"then":[{"get":{"key":"k"}}]})"), kIdentity).has_value());
  CHECK(std::get<Box<Transaction>>(head.store().operation)->then_ops.size() == 1);

  const std::string large =
      R"({"then":[{"get":{"key":"k"}},{"put":{"key":"k","value":")" + std::string(101, 'x');
  for (const auto& [body, status, op] :
       {std::tuple(std::string("{}"), 400, false), std::tuple(large + "\"}}]}", 413, true)}) {
    head = accepted(made_request(HttpMethod::kPost, "/v1/txn"));
    const auto refusal = accept_body(head, Bytes(body), kIdentity);
    REQUIRE(refusal);
    CHECK(refusal->status == status);
    CHECK(contains(refusal->body, "\"outcome\":\"not-applied\""));
    CHECK(contains(refusal->body, "\"op\":1") == op);
  }
  CHECK(refused(made_request(HttpMethod::kGet, "/v1/txn")).status == 405);
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/txn?add=1")).status == 400);
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/txn", {{"If-Match", "*"}})).status == 400);
}

TEST_CASE("api: listings, and the link to the next page keeps what was asked") {
  AcceptedHead head = accepted(get("/v1/kv?prefix=a%2F&limit=2&after=a%2Fb&keys=true&read=linear"));
  ListKeys list = std::get<ListKeys>(head.store().operation);
  CHECK(list.prefix == "a/");
  CHECK(list.limit == 2);
  CHECK(list.after == "a/b");
  CHECK(list.keys_only);
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(head.plan.text == "/v1/kv?prefix=a%2F&limit=2&keys=true&read=linear&after=");
  CHECK(operation<ListKeys>(get("/v1/kv")).limit == limits::kListItems);
  CHECK(accepted(get("/v1/kv")).plan.text == "/v1/kv?after=");
}

TEST_CASE("api: a watch is of a key or a prefix, from a revision on") {
  const auto watch = [](const std::string& target) {
    const AcceptedHead head = accepted(get(target));
    REQUIRE(std::holds_alternative<Box<WatchCall>>(head.call.what));
    CHECK(head.plan.route == Route::kWatch);
    CHECK_FALSE(head.plan.write);
    return *std::get<Box<WatchCall>>(head.call.what);
  };
  const WatchCall plain = watch("/v1/watch?key=a%2Fb");
  CHECK(plain.filter.key == "a/b");
  CHECK_FALSE(plain.filter.prefix);
  CHECK_FALSE(plain.since);
  CHECK_FALSE(plain.state);
  CHECK(plain.values);
  CHECK_FALSE(plain.linear);
  CHECK(plain.progress == seconds(10));
  const WatchCall all = watch("/v1/watch?prefix=a&since=7&state=1&values=0&progress=100&read=linear");
  CHECK(all.filter.key == "a");
  CHECK(all.filter.prefix);
  CHECK(all.since == Revision(7));
  CHECK(all.state);
  CHECK_FALSE(all.values);
  CHECK(all.linear);
  CHECK(all.progress == milliseconds(100));
  const WatchCall others =
      watch("/v1/watch?prefix=&since=0&state=false&values=true&progress=60000&read=local");
  CHECK(others.filter.key.empty());
  CHECK(others.filter.prefix);
  CHECK(others.since == Revision(0));
  CHECK_FALSE(others.state);
  CHECK(others.values);
  CHECK_FALSE(others.linear);
  CHECK(others.progress == seconds(60));

  for (const char* target : {"/v1/watch",
                             "/v1/watch?since=7",
                             "/v1/watch?key=",
                             "/v1/watch?key=a&prefix=a",
                             "/v1/watch?key=a&key=b",
                             "/v1/watch?key=a&since=",
                             "/v1/watch?key=a&since=-1",
                             "/v1/watch?key=a&since=x",
                             "/v1/watch?key=a&since=18446744073709551616",
                             "/v1/watch?key=a&state=2",
                             "/v1/watch?key=a&values=no",
                             "/v1/watch?key=a&progress=99",
                             "/v1/watch?key=a&progress=60001",
                             "/v1/watch?key=a&progress=",
                             "/v1/watch?key=a&read=newest",
                             "/v1/watch?key=a&min_rev=7",
                             "/v1/watch?key=a&wait=7",
                             "/v1/watch?key=a&timeout=7",
                             "/v1/watch?key=a&limit=7",
                             "/v1/watch?key=a&keys=true"}) {
    CAPTURE(target);
    const HttpResponse response = refused(get(target));
    CHECK(response.status == 400);
    CHECK_FALSE(response.close);
    CHECK_FALSE(contains(response.body, "outcome"));
  }
  const std::string longest(limits::kKeyBytes, 'a');
  CHECK(watch("/v1/watch?key=" + longest).filter.key == longest);
  CHECK(refused(get("/v1/watch?key=a" + longest)).status == 400);
  CHECK(refused(get("/v1/watch?prefix=a" + longest)).status == 400);
  CHECK(refused(get("/v1/watch/a?key=a")).status == 404);
}

TEST_CASE("api: a watch is a GET") {
  for (const HttpMethod method :
       {HttpMethod::kHead, HttpMethod::kPut, HttpMethod::kPost, HttpMethod::kDelete, HttpMethod::kOther}) {
    const HttpResponse response = refused(made_request(method, "/v1/watch?key=a"));
    CHECK(response.status == 405);
    CHECK(contains(response.fields, "Allow: GET\r\n"));
  }
  for (const char* field : {"If-Match", "If-None-Match"})
    CHECK(refused(made_request(HttpMethod::kGet, "/v1/watch?key=a", {{field, "\"1\""}})).status == 400);
}

TEST_CASE("api: where a browser goes on counts for more than where it began") {
  const auto since = [](const char* target, const char* id) {
    const AcceptedHead head = accepted(made_request(HttpMethod::kGet, target, {{"last-event-id", id}}));
    return std::get<Box<WatchCall>>(head.call.what)->since;
  };
  CHECK(since("/v1/watch?key=a", "9") == Revision(9));
  CHECK(since("/v1/watch?key=a&since=7", "9") == Revision(9));
  CHECK(since("/v1/watch?key=a&since=7", "0") == Revision(0));
  CHECK(since("/v1/watch?key=a&since=7", "") == Revision(7));
  CHECK(since("/v1/watch?key=a&state=1", "") == std::nullopt);
  for (const char* id : {"x", "9x", "-1", "9 9", "18446744073709551616"}) {
    const HttpResponse response =
        refused(made_request(HttpMethod::kGet, "/v1/watch?key=a&since=7", {{"Last-Event-ID", id}}));
    CHECK(response.status == 400);
    CHECK(contains(response.body, "Last-Event-ID has to be a revision"));
  }
  const auto events = [](const kvd::testing::HttpFieldList& fields) {
    return accepted(made_request(HttpMethod::kGet, "/v1/watch?key=a", fields)).plan.events;
  };
  CHECK_FALSE(events({}));
  CHECK_FALSE(events({{"Accept", "*/*"}}));
  CHECK(events({{"Accept", "text/event-stream"}}));
  CHECK(events({{"accept", "text/html, text/event-stream;q=0.9"}}));
}

TEST_CASE("api: a read that waits for a change") {
  const auto poll = [](const HttpRequest& asked) {
    AcceptedHead head = accepted(asked);
    REQUIRE(std::holds_alternative<Box<PollCall>>(head.call.what));
    return *std::get<Box<PollCall>>(head.call.what);
  };
  const PollCall one = poll(get("/v1/kv/a%2Fb?since=7&wait=600000&read=linear&min_rev=5"));
  CHECK(one.filter.key == "a/b");
  CHECK_FALSE(one.filter.prefix);
  CHECK(one.since == Revision(7));
  CHECK(one.wait == seconds(600));
  CHECK(std::get<ReadKey>(one.read.operation).key == "a/b");
  CHECK(one.read.read == ReadMode::kLinear);
  CHECK(one.read.min_revision == Revision(5));
  const PollCall page = poll(get("/v1/kv?prefix=a&since=7&limit=3&keys=true"));
  CHECK(page.filter.key == "a");
  CHECK(page.filter.prefix);
  CHECK(page.wait == Duration(0));
  CHECK(std::get<ListKeys>(page.read.operation).limit == 3);
  CHECK(poll(get("/v1/kv?since=0&wait=0")).filter.key.empty());
  CHECK(poll(made_request(HttpMethod::kHead, "/v1/kv/a?since=7&wait=5")).wait == milliseconds(5));
  CHECK(std::holds_alternative<StoreCall>(accepted(get("/v1/kv/a?min_rev=7")).call.what));

  for (const char* target : {"/v1/kv/a?wait=5", "/v1/kv?prefix=a&wait=5"})
    CHECK(contains(refused(get(target)).body, "'wait' goes with 'since'"));
  for (const char* target :
       {"/v1/kv/a?since=x&wait=5", "/v1/kv/a?since=7&wait=-1", "/v1/kv/a?since=7&wait=600001",
        "/v1/kv/a?since=7&wait=", "/v1/kv/a?since=7&state=1", "/v1/kv/a?since=7&values=0",
        "/v1/kv/a?since=7&since=8"})
    CHECK(refused(get(target)).status == 400);
  for (const HttpMethod method : {HttpMethod::kPut, HttpMethod::kPost, HttpMethod::kDelete})
    CHECK(refused(made_request(method, "/v1/kv/a?since=7")).status == 400);
}

TEST_CASE("api: collections are deleted by a prefix that is not empty") {
  CHECK(operation<DeletePrefix>(made_request(HttpMethod::kDelete, "/v1/kv?prefix=x%20&timeout=9")).prefix ==
        "x ");
  AcceptedHead page = accepted(made_request(HttpMethod::kDelete, "/v1/kv?prefix=a&limit=10000"));
  CHECK(std::get<DeletePrefix>(page.store().operation).limit == 10'000);
  CHECK(page.plan.limit == 10'000);
  CHECK(operation<DeletePrefix>(made_request(HttpMethod::kDelete, "/v1/kv?prefix=a")).limit == 0);
  for (const char* target :
       {"/v1/kv", "/v1/kv?prefix=", "/v1/kv?prefix", "/v1/kv?limit=3", "/v1/kv?prefix=a&limit=0",
        "/v1/kv?prefix=a&limit=10001", "/v1/kv?prefix=a&after=b"}) {
    HttpResponse response = refused(made_request(HttpMethod::kDelete, target));
    CHECK(response.status == 400);
    CHECK(contains(response.body, "\"outcome\":\"not-applied\""));
  }
}

TEST_CASE("api: conditions are for one key, and are never overlooked elsewhere") {
  const std::pair<HttpMethod, const char*> targets[] = {
      {HttpMethod::kGet, "/v1/kv"},
      {HttpMethod::kHead, "/v1/kv?prefix=a"},
      {HttpMethod::kDelete, "/v1/kv?prefix=a"},
      {HttpMethod::kDelete, "/v1/kv?prefix=a&limit=9"},
      {HttpMethod::kPost, "/v1/kv"},
      {HttpMethod::kPut, "/v1/snapshot?replace=true"},
  };
  for (const auto& one : targets) {
    const auto& target = one.second;
    for (const char* field : {"If-Match", "If-None-Match"}) {
      CAPTURE(target);
      HttpResponse response = refused(made_request(one.first, target, {{field, "\"1\""}}));
      CHECK(response.status == 400);
      CHECK(contains(response.body, "If-Match and If-None-Match are for one key only"));
    }
  }
}

TEST_CASE("api: a snapshot is restored into an empty cluster, or in place of what is there") {
  CHECK_FALSE(accepted(made_request(HttpMethod::kPut, "/v1/snapshot")).plan.replace);
  CHECK_FALSE(accepted(made_request(HttpMethod::kPut, "/v1/snapshot?replace=false")).plan.replace);
  CHECK(accepted(made_request(HttpMethod::kPut, "/v1/snapshot?replace=true&timeout=9")).plan.replace);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/snapshot?replace=all")).status == 400);
  CHECK(refused(get("/v1/snapshot?replace=true")).status == 400);
}

TEST_CASE("api: batches and settings are read from their bodies") {
  AcceptedHead head = accepted(made_request(HttpMethod::kPost, "/v1/kv"));
  CHECK(head.body_bytes_max == limits::kBatchBytes);
  CHECK_FALSE(
      accept_body(head, Bytes(R"({"ops":[{"put":{"key":"a","value":"b"}}]})"), kIdentity).has_value());
  CHECK(std::get<WriteBatch>(head.store().operation).ops.size() == 1);
  std::string too_long = R"({"ops":[{"put":{"key":"a","value":")" + std::string(101, 'x') + R"("}}]})";
  CHECK(accept_body(head, Bytes(too_long), kIdentity)->status == 413);
  std::optional<HttpResponse> bad = accept_body(head, Bytes("{"), kIdentity);
  REQUIRE(bad.has_value());
  CHECK(bad->status == 400);
  CHECK(contains(bad->body, "\"outcome\":\"not-applied\""));

  AcceptedHead settings = accepted(made_request(HttpMethod::kPut, "/v1/cluster/settings"));
  CHECK(settings.plan.write);
  CHECK_FALSE(accept_body(settings, Bytes(R"({"min_in_sync":3})"), kIdentity).has_value());
  CHECK(std::get<ChangeSettings>(settings.store().operation).min_in_sync == 3);
  CHECK(accept_body(settings, Bytes(R"({"min_in_sync":0})"), kIdentity)->status == 400);
}

TEST_CASE("api: what is not there, and what it does not do") {
  for (const char* target :
       {"/", "/v1", "/v1/kvx", "/v1/cluster/", "/v2/kv/a", "/metrics/", "//v1/kv/a", "/livez/x"}) {
    HttpResponse response = refused(get(target));
    CHECK(response.status == 404);
    CHECK(response.content_type == "application/problem+json");
    CHECK_FALSE(response.close);
  }
  struct Case {
    HttpMethod method;
    const char* target;
    const char* allow;
  };
  const Case cases[] = {
      {HttpMethod::kOther, "/v1/kv/a", "Allow: GET, HEAD, PUT, POST, DELETE\r\n"},
      {HttpMethod::kPut, "/v1/kv", "Allow: GET, HEAD, POST, DELETE\r\n"},
      {HttpMethod::kOther, "/v1/kv", "Allow: GET, HEAD, POST, DELETE\r\n"},
      {HttpMethod::kGet, "/v1/cluster/settings", "Allow: PUT\r\n"},
      {HttpMethod::kPost, "/v1/cluster", "Allow: GET, HEAD\r\n"},
      {HttpMethod::kDelete, "/livez", "Allow: GET, HEAD\r\n"},
      {HttpMethod::kPut, "/metrics", "Allow: GET, HEAD\r\n"},
  };
  for (const Case& c : cases) {
    HttpResponse response = refused(made_request(c.method, c.target));
    CHECK(response.status == 405);
    CHECK(contains(response.fields, c.allow));
  }
}

TEST_CASE("api: a bad target closes the connection, a bad parameter does not") {
  for (const char* target : {"*", "host:80", "a", "/v1/kv/%4", "/v1/kv/a?prefix=%zz", "/v1/kv/a#b", "/%"}) {
    HttpResponse response = refused(get(target));
    CHECK(response.status == 400);
    CHECK(response.close);
  }
  for (const char* target : {"/v1/kv/a?read=foo", "/v1/kv/a?x=1", "/v1/kv?limit=abc", "/v1/kv/a?timeout=-1",
                             "/v1/kv/a?min_rev=x", "/metrics?verbose", "/v1/cluster?timeout=5", "/livez?x"}) {
    HttpResponse response = refused(get(target));
    CHECK(response.status == 400);
    CHECK_FALSE(response.close);
    CHECK_FALSE(contains(response.body, "outcome"));
  }
}

TEST_CASE("api: an Idempotency-Key goes along with every write, within its bounds") {
  for (HttpMethod method : {HttpMethod::kPut, HttpMethod::kPost, HttpMethod::kDelete}) {
    CHECK(accepted(made_request(method, "/v1/kv/a", {{"idempotency-key", "once"}})).store().idempotency_key ==
          "once");
    for (size_t size : {size_t{0}, limits::kIdempotencyKeyBytes + 1}) {
      HttpResponse response =
          refused(made_request(method, "/v1/kv/a", {{"Idempotency-Key", std::string(size, 'x')}}));
      CHECK(response.status == 400);
      CHECK(contains(response.body, "an Idempotency-Key has 1 to 255 bytes"));
    }
  }
  CHECK(accepted(made_request(HttpMethod::kGet, "/v1/kv/a", {{"Idempotency-Key", ""}}))
            .store()
            .idempotency_key.empty());
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/cluster/leader", {{"Idempotency-Key", "x"}})).status ==
        400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/cluster/settings", {{"Idempotency-Key", "x"}})).status ==
        400);
}

TEST_CASE("api: a fence goes along with every write of keys, and with nothing else") {
  const std::pair<HttpMethod, const char*> writes[] = {
      {HttpMethod::kPut, "/v1/kv/k?fence=a:b:7"},    {HttpMethod::kPost, "/v1/kv/k?timeout=9&fence=a:b:7"},
      {HttpMethod::kDelete, "/v1/kv/k?fence=a:b:7"}, {HttpMethod::kDelete, "/v1/kv?prefix=p&fence=a:b:7"},
      {HttpMethod::kPost, "/v1/kv?fence=a:b:7"},
  };
  for (const auto& [method, target] : writes) {
    AcceptedHead head = accepted(made_request(method, target));
    REQUIRE(head.store().fence);
    CHECK(*head.store().fence == Fence{"a:b", 7});
    HttpResponse bad = refused(made_request(method, std::string(target) + "x"));
    CHECK(bad.status == 400);
    CHECK(contains(bad.body, "\"outcome\":\"not-applied\""));
  }
  CHECK_FALSE(accepted(made_request(HttpMethod::kPut, "/v1/kv/k")).store().fence);
  const std::pair<HttpMethod, const char*> others[] = {
      {HttpMethod::kGet, "/v1/kv/k?fence=a:7"},
      {HttpMethod::kGet, "/v1/kv?fence=a:7"},
      {HttpMethod::kPut, "/v1/cluster/settings?fence=a:7"},
      {HttpMethod::kPost, "/v1/cluster/leader?fence=a:7"},
      {HttpMethod::kPut, "/v1/snapshot?fence=a:7"},
  };
  for (const auto& [method, target] : others) {
    HttpResponse response = refused(made_request(method, target));
    CHECK(response.status == 400);
    CHECK(contains(response.body, "'fence' is unknown here"));
  }
}

TEST_CASE("api: POST of the leader's path moves the lead") {
  AcceptedHead any = accepted(made_request(HttpMethod::kPost, "/v1/cluster/leader"));
  CHECK(any.plan.write);
  CHECK_FALSE(std::get<MoveLeader>(any.store().operation).to.has_value());
  AcceptedHead named =
      accepted(made_request(HttpMethod::kPost, "/v1/cluster/leader?to=a%3A8001&timeout=100"));
  CHECK(std::get<MoveLeader>(named.store().operation).to == ServerId{"a:8001"});
  CHECK(named.call.timeout == milliseconds(100));
  CHECK(refused(made_request(HttpMethod::kPost, "/v1/cluster/leader?to=")).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/cluster/leader")).status == 405);
  CHECK(accepted(made_request(HttpMethod::kGet, "/v1/cluster/leader")).plan.route == Route::kLeader);
}

TEST_CASE("api: what is asked of the node's status") {
  const std::pair<const char*, Route> cases[] = {
      {"/livez", Route::kLive},      {"/readyz", Route::kReady},       {"/healthz?verbose", Route::kReady},
      {"/metrics", Route::kMetrics}, {"/v1/cluster", Route::kCluster}, {"/v1/cluster/leader", Route::kLeader},
  };
  for (const auto& [target, route] : cases) {
    AcceptedHead head = accepted(get(target));
    CHECK(head.plan.route == route);
    CHECK(std::holds_alternative<QueryStatus>(head.store().operation));
  }
  CHECK(accepted(get("/healthz?verbose")).plan.verbose);
  CHECK_FALSE(accepted(get("/healthz")).plan.verbose);
  CHECK(accept_word("stat").plan.route == Route::kStat);
  CHECK(accept_word("mntr").plan.route == Route::kMonitor);
  CHECK_FALSE(is_four_letter_word("rUOK"));
}

}  // namespace kvd::http_api_test
