// The HTTP interface without sockets, second half: every reply of the node as the client sees it.
// Standalone: no sockets, no node.
#include <doctest.h>
#include <simdjson.h>

#include "shell/http/http_api.hpp"
#include "shell/http/http_text.hpp"

namespace kvd::http_render_test {

namespace {

const HttpIdentity kIdentity{ServerId{"a:1"}, "9.9", {"z:2181"}, 100};

ReplyPlan read_plan() { return {}; }
ReplyPlan write_plan(std::string key = "k") {
  ReplyPlan plan;
  plan.write = true;
  plan.text = std::move(key);
  return plan;
}
ReplyPlan status_plan(Route route, bool verbose = false) {
  ReplyPlan plan;
  plan.route = route;
  plan.verbose = verbose;
  return plan;
}
HttpResponse render(const ReplyPlan& plan, Answer answer, std::optional<Address> leader = std::nullopt) {
  StoreAnswer reply{std::move(answer), Epoch(3), Revision(40), leader};
  HttpCounters counters;
  counters.connections_open = 2;
  return render_reply(plan, reply, kIdentity, counters);
}
bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string::npos; }

Record item(std::string_view key, std::string_view value, uint64_t modified) {
  return Record(key, value, {Revision(1), Revision(modified), 2});
}
EntityTags tags(uint64_t revision) { return EntityTags{false, {Revision(revision)}}; }

}  // namespace

TEST_CASE("render: a key that is there") {
  HttpResponse response = render(read_plan(), KeyFound{item("k", std::string("v\0w", 3), 7), true});
  CHECK(response.status == 200);
  CHECK(response.value.view() == std::string_view("v\0w", 3));
  CHECK(response.content_type == "application/octet-stream");
  CHECK(response.etag == Revision(7));
  CHECK(response.fields.empty());
  CHECK(response.epoch == Epoch(3));
  CHECK(response.revision == Revision(40));
  CHECK(render(read_plan(), KeyFound{item("k", "v", 7), false}).fields == "Kvd-Complete: false\r\n");
}

TEST_CASE("render: how long a key lives on") {
  const KeyFound timed{item("k", "v", 7), true, Lifetime{1234, 0}};
  CHECK(render(read_plan(), timed).fields == "Kvd-Ttl-Ms: 1234\r\n");
  const KeyFound leased{item("k", "v", 7), true, Lifetime{0, 41}};
  CHECK(render(read_plan(), leased).fields == "Kvd-Ttl-Ms: 0\r\nKvd-Lease: 41\r\n");
  CHECK(render(write_plan(), KeyTouched{500}).status == 200);
  CHECK(render(write_plan(), KeyTouched{500}).body == "{\"left_ms\":500}\n");
}

TEST_CASE("render: leases") {
  ReplyPlan plan = write_plan();
  plan.route = Route::kLease;
  const HttpResponse granted = render(plan, LeaseGranted{41, 5000});
  CHECK(granted.status == 201);
  CHECK(granted.body == "{\"lease\":41,\"ttl_ms\":5000}\n");
  CHECK(contains(granted.fields, "Location: /v1/leases/41\r\n"));
  CHECK(render(plan, LeaseEnded{}).status == 204);
  CHECK(render(plan, LeasesRenewed{{300, std::nullopt, 0}}).body ==
        "{\"results\":[{\"left_ms\":300},null,{\"left_ms\":0}]}\n");
  plan.one = true;
  CHECK(render(plan, LeasesRenewed{{300}}).body == "{\"left_ms\":300}\n");
  const HttpResponse over = render(plan, LeasesRenewed{{std::nullopt}});
  CHECK(over.status == 410);
  CHECK(contains(over.body, "\"type\":\"urn:kvd:lease-over\""));
  CHECK(contains(over.body, "\"outcome\":\"not-applied\""));

  ReplyPlan read = read_plan();
  read.route = Route::kLease;
  const LeaseInfo info{41, 5000, 300, "n"};
  CHECK(render(read, Box(LeaseFound{info, {"a"}, true})).body ==
        "{\"lease\":41,\"ttl_ms\":5000,\"left_ms\":300,\"name\":\"n\"}\n");
  read.keys_only = true;
  const HttpResponse keys = render(read, Box(LeaseFound{info, {"a", "\xff"}, false}));
  CHECK(contains(keys.body, "\"keys\":[\"a\",{\"key_b64\":\"/w==\"}]"));
  CHECK(contains(keys.fields, "Kvd-Complete: false\r\n"));
  read.keys_only = false;
  read.text = "/v1/leases?limit=2&after=";
  const HttpResponse page = render(read, LeaseList{{info, LeaseInfo{42, 1000, 0, ""}}, true, true});
  CHECK(page.body ==
        "{\"leases\":[{\"lease\":41,\"ttl_ms\":5000,\"left_ms\":300,\"name\":\"n\"},"
        "{\"lease\":42,\"ttl_ms\":1000,\"left_ms\":0,\"name\":\"\"}]}\n");
  CHECK(page.fields == "Link: </v1/leases?limit=2&after=42>; rel=\"next\"\r\n");
  CHECK(render(read, LeaseList{}).body == "{\"leases\":[]}\n");
}

TEST_CASE("render: a transaction's results, one for each operation") {
  TxnDone done;
  done.succeeded = true;
  done.results = {OpPut{true},
                  OpDeleted{false},
                  OpAdded{-3},
                  OpAppended{false},
                  OpFound{Bytes("v"), Revision(7)},
                  OpFound{Bytes("\xff"), Revision(0)},
                  OpMissing{}};
  const HttpResponse response = render(write_plan(), Box(done));
  CHECK(response.status == 200);
  CHECK(response.body == R"({"succeeded":true,"revision":40,"results":[{"created":true},{"deleted":false},)"
                         R"({"value":-3},{"created":false},{"value":"v","revision":7},)"
                         R"({"value_b64":"/w==","revision":40},null]})"
                         "\n");
  CHECK(response.etag == Revision(0));
  CHECK(render(write_plan(), Box(TxnDone{})).body ==
        "{\"succeeded\":false,\"revision\":40,\"results\":[]}\n");
}

TEST_CASE("render: a number that was added to") {
  const HttpResponse response = render(write_plan("n"), NumberIs{-5});
  CHECK(response.status == 200);
  CHECK(response.body == "{\"key\":\"n\",\"value\":-5,\"revision\":40}\n");
  CHECK(response.etag == Revision(40));
  CHECK(contains(render(write_plan("\xff"), NumberIs{1}).body, "\"key_b64\":\"/w==\""));
}

TEST_CASE("render: an operation of a transaction that cannot be done is named") {
  const Failed failed{ErrorCode::kNotANumber, Outcome::kNotApplied, "no number", 3};
  const HttpResponse response = render(write_plan(), failed);
  CHECK(response.status == 409);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:not-a-number\""));
  CHECK(contains(response.body, "\"outcome\":\"not-applied\""));
  CHECK(contains(response.body, "\"op\":3"));
  CHECK(render(write_plan(), Failed{ErrorCode::kOverflow, Outcome::kNotApplied, ""}).status == 409);
  CHECK_FALSE(
      contains(render(write_plan(), Failed{ErrorCode::kOverflow, Outcome::kNotApplied, ""}).body, "\"op\""));
}

TEST_CASE("render: a key that is missing has an empty body") {
  HttpResponse response = render(read_plan(), KeyMissing{true});
  CHECK(response.status == 404);
  CHECK(response.body_bytes() == 0);
  CHECK(response.fields.empty());
  CHECK(contains(render(read_plan(), KeyMissing{false}).fields, "Kvd-Complete: false"));
}

TEST_CASE("render: conditional reads") {
  ReplyPlan plan;
  plan.condition.if_none_match = tags(7);
  HttpResponse same = render(plan, KeyFound{item("k", "v", 7), true});
  CHECK(same.status == 304);
  CHECK(same.body_bytes() == 0);
  CHECK(same.etag == Revision(7));
  CHECK(render(plan, KeyFound{item("k", "v", 8), true}).status == 200);
  CHECK(render(plan, KeyMissing{}).status == 404);
  plan.condition.if_match = tags(8);
  CHECK(render(plan, KeyFound{item("k", "v", 8), true}).status == 200);
  // If-Match comes first (RFC 9110, 13.2.2).
  HttpResponse failed = render(plan, KeyFound{item("k", "v", 7), true});
  CHECK(failed.status == 412);
  CHECK(contains(failed.body, "\"current\":7"));
  CHECK_FALSE(contains(failed.body, "outcome"));
  CHECK(render(plan, KeyMissing{}).status == 412);
}

TEST_CASE("render: writes of one key") {
  HttpResponse created = render(write_plan("k\""), KeyWritten{true});
  CHECK(created.status == 201);
  CHECK(created.body == "{\"key\":\"k\\\"\",\"revision\":40,\"created\":true}\n");
  CHECK(created.etag == Revision(40));
  HttpResponse updated = render(write_plan("\xff"), KeyWritten{false});
  CHECK(updated.status == 200);
  CHECK(updated.body == "{\"key_b64\":\"/w==\",\"revision\":40,\"created\":false}\n");
  CHECK(render(write_plan(), KeyDeleted{}).status == 204);
  CHECK(render(write_plan(), KeyDeleted{}).body_bytes() == 0);
  CHECK(render(write_plan(), KeyAbsent{}).status == 404);
  HttpResponse failed = render(write_plan(), ConditionFailed{Revision(9)});
  CHECK(failed.status == 412);
  CHECK(contains(failed.body, "\"current\":9"));
  CHECK(contains(failed.body, "\"outcome\":\"not-applied\""));
  CHECK(failed.etag == Revision(9));
  CHECK_FALSE(contains(render(write_plan(), ConditionFailed{std::nullopt}).body, "current"));
}

TEST_CASE("render: a write that was fenced off") {
  HttpResponse response =
      render(write_plan(), Box(Fenced{Fence{"locks/a", 33}, uint64_t{9223372036854775807}}));
  CHECK(response.status == 412);
  CHECK(response.content_type == "application/problem+json");
  CHECK(response.etag == Revision(0));
  CHECK(response.body ==
        "{\"type\":\"urn:kvd:fenced\",\"title\":\"Precondition Failed\",\"status\":412,"
        "\"detail\":\"the resource 'locks/a' has seen the token 9223372036854775807, and this write came "
        "with 33\","
        "\"outcome\":\"not-applied\",\"current_fence\":9223372036854775807}\n");
  CHECK(contains(render(write_plan(), Box(Fenced{Fence{"\xff", 1}, 2})).body, "the resource '?' has seen"));
}

TEST_CASE("render: other writes") {
  CHECK(render(write_plan(), PrefixDeleted{5}).body == "{\"deleted\":5}\n");
  ReplyPlan page = write_plan();
  page.limit = 5;
  CHECK(render(page, PrefixDeleted{5}).body == "{\"deleted\":5,\"more\":true}\n");
  CHECK(render(page, PrefixDeleted{4}).body == "{\"deleted\":4,\"more\":false}\n");
  CHECK(render(write_plan(), BatchWritten{}).body == "{\"revision\":40}\n");
  CHECK(render(write_plan(), SettingsChanged{2}).body == "{\"min_in_sync\":2}\n");
}

TEST_CASE("render: listings") {
  ReplyPlan plan;
  plan.route = Route::kCollection;
  plan.text = "/v1/kv?limit=2&after=";
  Listing listing{{item("a", "x", 5), item("b\xff/", "\xfe", 6)}, true, true};
  HttpResponse response = render(plan, listing);
  CHECK(response.status == 200);
  CHECK(response.body ==
        "{\"revision\":40,\"items\":[{\"key\":\"a\",\"value\":\"x\",\"revision\":5,\"version\":2},"
        "{\"key_b64\":\"Yv8v\",\"value_b64\":\"/g==\",\"revision\":6,\"version\":2}]}\n");
  CHECK(response.fields == "Link: </v1/kv?limit=2&after=b%FF%2F>; rel=\"next\"\r\n");
  plan.keys_only = true;
  listing.more = false;
  listing.complete = false;
  HttpResponse keys = render(plan, listing);
  CHECK_FALSE(contains(keys.body, "value"));
  CHECK(keys.fields == "Kvd-Complete: false\r\n");
  CHECK(render(plan, Listing{}).body == "{\"revision\":40,\"items\":[]}\n");
}

TEST_CASE("render: failures have their status, outcome and leader") {
  struct Case {
    ErrorCode code;
    uint16_t status;
    const char* type;
  };
  const Case cases[] = {
      {ErrorCode::kNoLeader, 503, "urn:kvd:no-leader"},
      {ErrorCode::kNotEnoughInSync, 503, "urn:kvd:not-enough-in-sync"},
      {ErrorCode::kOverloaded, 503, "urn:kvd:overloaded"},
      {ErrorCode::kNotReady, 503, "urn:kvd:not-ready"},
      {ErrorCode::kTimedOut, 504, "urn:kvd:timed-out"},
      {ErrorCode::kSteppedDown, 503, "urn:kvd:stepped-down"},
      {ErrorCode::kLinkLost, 503, "urn:kvd:link-lost"},
      {ErrorCode::kTooLarge, 413, "urn:kvd:too-large"},
      {ErrorCode::kShuttingDown, 503, "urn:kvd:shutting-down"},
      {ErrorCode::kInvalid, 400, "urn:kvd:bad-request"},
      {ErrorCode::kDiskFull, 507, "urn:kvd:disk-full"},
      {ErrorCode::kMemoryFull, 507, "urn:kvd:memory-full"},
      {ErrorCode::kNotEmpty, 409, "urn:kvd:not-empty"},
      {ErrorCode::kLeaseOver, 410, "urn:kvd:lease-over"},
      {ErrorCode::kLeaseFull, 409, "urn:kvd:lease-full"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.type);
    HttpResponse write =
        render(write_plan(), Failed{c.code, Outcome::kUnknown, "why \xff"}, Address{"::1", 8001});
    CHECK(write.status == c.status);
    CHECK(write.content_type == "application/problem+json");
    CHECK(contains(write.fields, "Retry-After: 1\r\n") == (c.status == 503));
    simdjson::dom::parser parser;
    simdjson::dom::element json;
    REQUIRE(parser.parse(write.body).get(json) == simdjson::SUCCESS);
    CHECK(std::string_view(json["type"]) == c.type);
    CHECK(uint64_t(json["status"]) == c.status);
    CHECK(std::string_view(json["title"]) == http_reason(c.status));
    CHECK(std::string_view(json["detail"]) == "why ?");
    CHECK(std::string_view(json["outcome"]) == "unknown");
    CHECK(std::string_view(json["leader"]) == "http://[::1]:8001");
    HttpResponse read = render(read_plan(), Failed{c.code, Outcome::kNotApplied, "why"});
    CHECK(read.status == c.status);
    CHECK_FALSE(contains(read.body, "outcome"));
    CHECK_FALSE(contains(read.body, "leader\":"));
  }
  HttpResponse refused = render(write_plan(), Failed{ErrorCode::kNoLeader, Outcome::kNotApplied, ""});
  CHECK(contains(refused.body, "\"outcome\":\"not-applied\""));
}

TEST_CASE("render: health and leader") {
  Status status;
  status.not_ready = "no leader";
  CHECK(render(status_plan(Route::kLive), status).status == 200);
  CHECK(render(status_plan(Route::kLive), status).body == "ok\n");
  CHECK(render(status_plan(Route::kLive), Failed{ErrorCode::kOverloaded, {}, "full"}).body == "ok\n");
  HttpResponse unready = render(status_plan(Route::kReady), status);
  CHECK(unready.status == 503);
  CHECK(unready.body == "not ready: no leader\n");
  CHECK(contains(unready.fields, "Retry-After"));
  HttpResponse leaderless = render(status_plan(Route::kLeader), status);
  CHECK(leaderless.status == 503);
  CHECK(contains(leaderless.fields, "Retry-After"));

  status.ready = true;
  status.zk_state = ZkState::kConnecting;
  status.degraded = {"zookeeper is away"};
  status.leader = ServerInfo{Member{ServerId{"b"}, Incarnation(1)}, Address{"b", 8001}, Address{"b", 18001}};
  CHECK(render(status_plan(Route::kReady), status).body == "ok\n");
  CHECK(contains(render(status_plan(Route::kReady, true), status).body,
                 "[-]leader b at b:8001, epoch 0, is not heard"));
  status.hears_leader = true;
  HttpResponse verbose = render(status_plan(Route::kReady, true), status);
  CHECK(verbose.status == 200);
  CHECK(contains(verbose.body, "[+]leader b at b:8001"));
  CHECK(contains(verbose.body, "[-]zookeeper "));
  CHECK(contains(verbose.body, "[-]degraded: zookeeper is away"));
  CHECK(contains(verbose.body, "\nready\n"));
  HttpResponse leader = render(status_plan(Route::kLeader), status);
  CHECK(leader.status == 200);
  CHECK(leader.body == "b:8001\n");
}

TEST_CASE("render: the head of an answer on the wire") {
  HttpResponse response;
  response.status = 201;
  response.content_type = kJson;
  response.body = "{}";
  response.etag = Revision(10);
  add_field(response, "Link", "<x>");
  std::string out;
  append_head(out, response, {"Kvd-Node: a\r\nKvd-Epoch: 2\r\nKvd-Revision: 10\r\n", false, false});
  CHECK(out ==
        "HTTP/1.1 201 Created\r\nKvd-Node: a\r\nKvd-Epoch: 2\r\nKvd-Revision: 10\r\n"
        "ETag: \"10\"\r\nContent-Type: application/json\r\nContent-Length: 2\r\nLink: <x>\r\n\r\n");
  for (uint16_t status : {204, 304}) {
    HttpResponse bare;
    bare.status = status;
    out.clear();
    append_head(out, bare, {"Kvd-Node: a\r\n", false, true});
    CHECK_FALSE(contains(out, "Content-Length"));
    CHECK(contains(out, "Connection: keep-alive\r\n"));
  }
  response.close = true;
  out.clear();
  append_head(out, response, {"", true, true});
  CHECK(contains(out, "Connection: close\r\n\r\n"));
  CHECK(contains(out, "Content-Length: 2\r\n"));
}

}  // namespace kvd::http_render_test
