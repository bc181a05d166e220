// Queues over HTTP without sockets: what each request asks of the node, what is refused with which status, and what is
// told. Standalone: no sockets, no node.
#include "shell/http/http_queues.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "http_sources_fixture.hpp"
#include "msg/limits.hpp"
#include "shell/http/http_queue_render.hpp"

namespace kvd::http_queues_test {
namespace {

using namespace kvd::http_sources_test;

constexpr char kOneAck[] = R"({"ack":[{"id":"7","receipt":8}]})";

}  // namespace

TEST_CASE("queues: a name is one segment of the path, decoded once") {
  const std::pair<const char*, std::string> cases[] = {
      {"/v1/queues/q", "q"},
      {"/v1/queues/a%2Fb?read=local", "a/b"},
      {"/v1/queues/%00%ff+", std::string("\0\xff+", 3)},
      {"/v1/queues/%252F", "%2F"},
      {"http://host/v1/queues/messages", "messages"},
  };
  for (const auto& [target, name] : cases) CHECK(operation<ReadQueue>(accepted(get(target))).name == name);
  std::string longest;
  for (size_t i = 0; i < limits::kQueueNameBytes; ++i) longest += "%61";
  CHECK(operation<ReadQueue>(accepted(get("/v1/queues/" + longest))).name.size() == 255);
  CHECK(contains(refused(get("/v1/queues/a" + longest)).body, "a queue's name has 1 to 255 bytes"));
  for (const char* target : {"/v1/queues/", "/v1/queues//messages"})
    CHECK(refused(get(target)).status == 400);
  for (const char* target :
       {"/v1/queues/q/", "/v1/queues/q/x", "/v1/queues/q/receive/", "/v1/queues/q/kick/1", "/v1/queuesx"})
    CHECK(refused(get(target)).status == 404);
}

TEST_CASE("queues: what is allowed where") {
  check_allowed({
      {post("/v1/queues"), "Allow: GET, HEAD\r\n"},
      {remove("/v1/queues"), "Allow: GET, HEAD\r\n"},
      {post("/v1/queues/q"), "Allow: GET, HEAD, PUT, DELETE\r\n"},
      {put("/v1/queues/q/messages"), "Allow: GET, HEAD, POST, DELETE\r\n"},
      {post("/v1/queues/q/messages/7"), "Allow: GET, HEAD, PUT, DELETE\r\n"},
      {get("/v1/queues/q/receive"), "Allow: POST\r\n"},
      {put("/v1/queues/q/settle"), "Allow: POST\r\n"},
      {remove("/v1/queues/q/kick"), "Allow: POST\r\n"},
      {made_request(HttpMethod::kOptions, "/v1/queues/q/kick"), "Allow: POST\r\n"},
  });
}

TEST_CASE("queues: one is made, or changed") {
  const HttpRequest asked =
      made_request(HttpMethod::kPut, "/v1/queues/q?timeout=7&fence=lock:7", {{"Idempotency-Key", "once"}});
  AcceptedHead head = accepted(asked, R"({"ttr":500})");
  CHECK(operation<MakeQueue>(head).name == "q");
  CHECK(operation<MakeQueue>(head).config.ttr_ms == 500);
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");
  CHECK(operation<MakeQueue>(accepted(put("/v1/queues/q"))).config == QueueConfig());
  CHECK(refused_body(asked, R"({"ttr":5})").status == 400);
  CHECK(contains(refused_body(asked, R"({"ttr":5})").body, "\"outcome\":\"not-applied\""));
  for (const char* target : {"/v1/queues/q?ttr=500", "/v1/queues/q?read=linear", "/v1/queues/q?if_empty=1"})
    CHECK(refused(put(target)).status == 400);
  CHECK(refused(made_request(HttpMethod::kPut, "/v1/queues/q", {{"If-None-Match", "*"}})).status == 400);

  const ReplyPlan plan = plan_of(put("/v1/queues/%ff"));
  CHECK(render(plan, QueueMade{true}).status == 201);
  CHECK(render(plan, QueueMade{true}).body == "{\"name_b64\":\"/w==\",\"revision\":90}\n");
  CHECK(render(plan_of(put("/v1/queues/q")), QueueMade{false}).status == 200);
  CHECK(render(plan_of(put("/v1/queues/q")), QueueMade{false}).body == "{\"name\":\"q\",\"revision\":90}\n");
}

TEST_CASE("queues: one is deleted") {
  CHECK(operation<DeleteQueue>(accepted(remove("/v1/queues/q"))).name == "q");
  CHECK_FALSE(operation<DeleteQueue>(accepted(remove("/v1/queues/q"))).if_empty);
  AcceptedHead head = accepted(remove("/v1/queues/q?if_empty=1&fence=lock:7"));
  CHECK(operation<DeleteQueue>(head).if_empty);
  CHECK(head.store().fence->resource == "lock");
  CHECK(refused(remove("/v1/queues/q?if_empty=2")).status == 400);
  CHECK(refused(remove("/v1/queues/q?state=all")).status == 400);
  CHECK(render(head.plan, QueueDeleted{}).status == 204);
  CHECK(render(head.plan, QueueDeleted{}).body_bytes() == 0);
}

TEST_CASE("queues: one is read, and all of them are listed") {
  AcceptedHead head = accepted(get("/v1/queues/q?read=linear&min_rev=3&timeout=7"));
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(head.store().min_revision == Revision(3));
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(operation<ReadQueue>(accepted(made_request(HttpMethod::kHead, "/v1/queues/q"))).name == "q");
  CHECK(refused(get("/v1/queues/q?fence=lock:7")).status == 400);
  CHECK(refused(get("/v1/queues/q?state=ready")).status == 400);

  head = accepted(get("/v1/queues?prefix=a%26&after=a%26b&limit=2&read=linear"));
  const ListQueues list = operation<ListQueues>(head);
  CHECK(list.prefix == "a&");
  CHECK(list.after == "a&b");
  CHECK(list.limit == 2);
  CHECK(head.plan.text == "/v1/queues?prefix=a%26&limit=2&read=linear&after=");
  CHECK(operation<ListQueues>(accepted(get("/v1/queues"))).limit == limits::kListItems);
  CHECK(operation<ListQueues>(accepted(get("/v1/queues"))).prefix.empty());
  for (const char* target : {"/v1/queues?limit=0", "/v1/queues?limit=10001", "/v1/queues?keys=true"})
    CHECK(refused(get(target)).status == 400);
}

TEST_CASE("queues: what is told of one, and of all") {
  QueueInfo info;
  info.name = "q";
  info.ready = 1;
  info.delayed = 2;
  info.in_flight = 3;
  info.dead = 4;
  info.bytes = 5;
  info.groups = 6;
  info.blocked = 7;
  const std::string by_default =
      "{\"name\":\"q\",\"ttr\":30000,\"max_deliveries\":20,\"backoff\":[],\"dead_letter\":\"\","
      "\"dedup_window\":300000,\"max_messages\":0,\"max_bytes\":0,\"max_age\":0,\"max_in_flight\":16384,"
      "\"order\":\"priority\",\"discard\":\"none\",\"ready\":1,\"delayed\":2,\"in_flight\":3,\"dead\":4,"
      "\"bytes\":5,\"groups\":6,\"blocked\":7}";
  const ReplyPlan plan = plan_of(get("/v1/queues/q"));
  HttpResponse response = render(plan, Box(QueueFound{info, true}));
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/json");
  CHECK(response.body == by_default + "\n");
  CHECK(response.fields.empty());

  QueueInfo other = info;
  other.name = "\xff/";
  other.config.backoff_ms = {1000, 5000};
  other.config.dead_letter = "d";
  other.config.fifo = true;
  other.config.discard_old = true;
  other.oldest_ms = 8;
  other.waiting = 9;
  response = render(plan, Box(QueueFound{other, false}));
  CHECK(response.body.starts_with("{\"name_b64\":\"/y8=\","));
  CHECK(contains(response.body, "\"backoff\":[1000,5000],\"dead_letter\":\"d\""));
  CHECK(contains(response.body, "\"order\":\"fifo\",\"discard\":\"old\""));
  CHECK(response.body.ends_with("\"blocked\":7,\"oldest_ms\":8,\"waiting\":9}\n"));
  CHECK(response.fields == "Kvd-Complete: false\r\n");

  const ReplyPlan page = plan_of(get("/v1/queues?limit=2"));
  response = render(page, QueueList{{info, other}, true, true});
  CHECK(response.body.starts_with("{\"queues\":[" + by_default + ",{\"name_b64\""));
  CHECK(response.fields == "Link: </v1/queues?limit=2&after=%FF%2F>; rel=\"next\"\r\n");
  response = render(page, QueueList{{}, false, false});
  CHECK(response.body == "{\"queues\":[]}\n");
  CHECK(response.fields == "Kvd-Complete: false\r\n");
}

TEST_CASE("queues: a message is sent as it comes") {
  AcceptedHead head =
      accepted(post("/v1/queues/q/messages?priority=0&delay=5&max_age=9&dedup=d%20&fence=lock:7&timeout=7",
                    {{"Content-Type", "text/plain"}, {"Idempotency-Key", "once"}}),
               "{\"no\":json");
  const SendMessages send = operation<SendMessages>(head);
  CHECK(send.queue == "q");
  CHECK(send.create);
  REQUIRE(send.messages.size() == 1);
  CHECK(send.messages[0].body.view() == "{\"no\":json");
  CHECK(send.messages[0].priority == 0);
  CHECK(send.messages[0].delay_ms == 5);
  CHECK(send.messages[0].max_age_ms == 9);
  CHECK(send.messages[0].dedup == "d ");
  CHECK(send.messages[0].type == "text/plain");
  CHECK(head.body_bytes_max == 100);
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");

  const NewMessage bare = operation<SendMessages>(accepted(post("/v1/queues/q/messages"))).messages[0];
  CHECK(bare.body.size() == 0);
  CHECK(bare.priority == 100);
  CHECK(bare.type.empty());
  const SendMessages grouped =
      operation<SendMessages>(accepted(post("/v1/queues/q/messages?group=%ff&delay=0&create=0"), "x"));
  CHECK(grouped.messages[0].group == "\xff");
  CHECK_FALSE(grouped.create);
  const std::string name(128, 'n');
  CHECK(accepted(post("/v1/queues/q/messages?group=" + name + "&dedup=" + name)).plan.one);
  CHECK(accepted(post("/v1/queues/q/messages", {{"Content-Type", std::string(255, 't')}})).plan.one);
}

TEST_CASE("queues: what cannot be sent") {
  const std::string name(129, 'n');
  const std::pair<std::string, const char*> cases[] = {
      {"priority=256", "'priority' has to be 0 to 255"},
      {"priority=-1", "'priority' has to be"},
      {"delay=315360000001", "'delay' has to be 0 to 315360000000 milliseconds"},
      {"max_age=x", "'max_age' has to be"},
      {"group=", "'group' has to be 1 to 128 bytes"},
      {"group=" + name, "'group' has to be"},
      {"dedup=", "'dedup' has to be 1 to 128 bytes"},
      {"dedup=" + name, "'dedup' has to be"},
      {"group=g&delay=1", "a message of a group has no delay of its own"},
      {"create=2", "'create' has to be true or false"},
      {"create=0&create=0", "'create' is given twice"},
      {"ttr=500", "'ttr' is unknown here"},
      {"state=all", "'state' is unknown here"},
  };
  for (const auto& [query, wrong] : cases) {
    const HttpResponse response = refused(post("/v1/queues/q/messages?" + query));
    CHECK(response.status == 400);
    CAPTURE(response.body);
    CHECK(contains(response.body, wrong));
  }
  const HttpRequest long_type = post("/v1/queues/q/messages", {{"Content-Type", std::string(256, 't')}});
  CHECK(contains(refused(long_type).body, "the Content-Type of a message has 255 bytes at most"));
}

TEST_CASE("queues: lines of JSON are a batch") {
  for (const char* type : {"application/x-ndjson", "Application/X-NDJSON ; charset=utf-8"}) {
    AcceptedHead head = accepted(post("/v1/queues/q/messages?create=0", {{"Content-Type", type}}),
                                 "{\"body\":\"a\",\"priority\":1}\n{\"body\":\"b\"}\n");
    const SendMessages send = operation<SendMessages>(head);
    CHECK_FALSE(send.create);
    REQUIRE(send.messages.size() == 2);
    CHECK(send.messages[0].priority == 1);
    CHECK(send.messages[1].body.view() == "b");
    CHECK(send.messages[1].type.empty());
    CHECK(head.body_bytes_max == limits::kWriteBytes);
    CHECK_FALSE(head.plan.one);
  }
  CHECK(refused_body(post("/v1/queues/q/messages", kLines), "").status == 400);
  const HttpResponse large =
      refused_body(post("/v1/queues/q/messages", kLines), R"({"body":")" + std::string(101, 'x') + "\"}");
  CHECK(large.status == 413);
  CHECK(contains(large.body, "\"type\":\"urn:kvd:too-large\""));
  CHECK(contains(large.body, "line 1: a message may have 100 bytes at most"));
  for (const char* query : {"priority=1", "delay=1", "group=g", "dedup=d", "max_age=1"})
    CHECK(contains(refused(post(std::string("/v1/queues/q/messages?") + query, kLines)).body,
                   "is unknown here"));
}

TEST_CASE("queues: what is told of what was sent") {
  const ReplyPlan one = plan_of(post("/v1/queues/q/messages"));
  HttpResponse response = render(one, Sent{1, {}});
  CHECK(response.status == 201);
  CHECK(response.body == "{\"id\":\"90\",\"revision\":90}\n");
  response = render(one, Sent{1, {{0, MessageId{Revision(88), 3}}}});
  CHECK(response.status == 200);
  CHECK(response.body == "{\"id\":\"88.3\",\"duplicate\":true,\"revision\":90}\n");

  const ReplyPlan batch = plan_of(post("/v1/queues/q/messages", kLines), "{\"body\":\"a\"}");
  response = render(batch, Sent{3, {}});
  CHECK(response.status == 201);
  CHECK(response.body == "{\"ids\":[\"90\",\"90.1\",\"90.2\"],\"revision\":90}\n");
  response = render(batch, Sent{3, {{0, MessageId{Revision(88), 0}}, {2, MessageId{Revision(89), 1}}}});
  CHECK(response.status == 201);
  CHECK(response.body == "{\"ids\":[\"88\",\"90.1\",\"89.1\"],\"duplicates\":[0,2],\"revision\":90}\n");
  response = render(batch, Sent{1, {{0, MessageId{Revision(88), 0}}}});
  CHECK(response.status == 200);
  CHECK(response.body == "{\"ids\":[\"88\"],\"duplicates\":[0],\"revision\":90}\n");
}

TEST_CASE("queues: messages are received") {
  AcceptedHead head =
      accepted(post("/v1/queues/q/receive?max=1024&wait=600000&ttr=100&fence=lock:7&timeout=7"));
  const ReceiveMessages receive = operation<ReceiveMessages>(head);
  CHECK(receive.queue == "q");
  CHECK(receive.max == 1024);
  CHECK(receive.wait == seconds(600));
  CHECK(receive.ttr_ms == 100);
  CHECK(receive.settlings.empty());
  CHECK(head.call.timeout == seconds(600) + milliseconds(7));
  CHECK(head.store().fence->token == 7);
  CHECK(head.plan.waits);
  CHECK_FALSE(head.plan.raw);

  head = accepted(post("/v1/queues/q/receive"), kOneAck);
  CHECK(operation<ReceiveMessages>(head).max == 1);
  CHECK(operation<ReceiveMessages>(head).wait == Duration(0));
  CHECK(operation<ReceiveMessages>(head).ttr_ms == 0);
  REQUIRE(operation<ReceiveMessages>(head).settlings.size() == 1);
  CHECK(operation<ReceiveMessages>(head).settlings[0].receipt == 8);
  CHECK(head.call.timeout == seconds(5));
  CHECK_FALSE(head.plan.waits);
  CHECK(head.body_bytes_max == limits::kBatchBytes);
  CHECK_FALSE(accepted(post("/v1/queues/q/receive?wait=0")).plan.waits);
  CHECK(operation<ReceiveMessages>(accepted(post("/v1/queues/q/receive"), "{}")).settlings.empty());
  CHECK(accepted(post("/v1/queues/q/receive?raw=1&max=1")).plan.raw);
}

TEST_CASE("queues: what cannot be received") {
  const std::pair<const char*, const char*> cases[] = {
      {"max=0", "'max' has to be 1 to 1024"},
      {"max=1025", "'max' has to be"},
      {"wait=600001", "'wait' has to be 0 to 600000 milliseconds"},
      {"ttr=99", "'ttr' has to be 100 to 43200000 milliseconds"},
      {"ttr=43200001", "'ttr' has to be"},
      {"raw=1&max=2", "with raw=1 the answer is one message"},
      {"raw=x", "'raw' has to be true or false"},
      {"atomic=1", "'atomic' is unknown here"},
      {"min_rev=1", "'min_rev' is unknown here"},
  };
  for (const auto& [query, wrong] : cases) {
    const HttpResponse response = refused(post(std::string("/v1/queues/q/receive?") + query));
    CHECK(response.status == 400);
    CAPTURE(response.body);
    CHECK(contains(response.body, wrong));
  }
  const HttpRequest keyed = post("/v1/queues/q/receive", {{"Idempotency-Key", "once"}});
  CHECK(refused(keyed).status == 400);
  CHECK(contains(refused(keyed).body, "a receive takes no Idempotency-Key"));
  CHECK(refused_body(post("/v1/queues/q/receive"), "x").status == 400);
  CHECK(contains(refused_body(post("/v1/queues/q/receive?raw=1"), kOneAck).body, "settle them apart"));
}

TEST_CASE("queues: what is told of received messages") {
  const ReplyPlan plan = plan_of(post("/v1/queues/q/receive"));
  CHECK(render(plan, received({})).status == 204);
  CHECK(render(plan, received({})).body_bytes() == 0);
  QueuedMessage first = message(90, "a");
  QueuedMessage second = message(91, "\xff");
  second.id.index = 3;
  second.group = "g";
  second.type = "text/plain";
  second.reason = "\xfe";
  second.dead_from = "orders";
  second.attempts = 20;
  HttpResponse response = render(plan, received({first, second}));
  CHECK(response.status == 200);
  CHECK(response.body ==
        "{\"messages\":[{\"id\":\"90\",\"receipt\":95,\"attempt\":2,\"priority\":100,"
        "\"sent_ms\":1700000000000,\"body\":\"a\"},"
        "{\"id\":\"91.3\",\"receipt\":95,\"attempt\":2,\"priority\":100,\"group\":\"g\",\"type\":\"text/"
        "plain\","
        "\"sent_ms\":1700000000000,\"body_b64\":\"/w==\",\"dead_from\":\"orders\",\"attempts\":20,"
        "\"reason_b64\":\"/g==\"}]}\n");
  const std::vector<Settled::One> settled = {
      {SettleResult::kDone, 0, 0}, {SettleResult::kGone, 0, 0}, {SettleResult::kStale, 96, 0}};
  response = render(plan, received({}, settled));
  CHECK(response.status == 200);
  CHECK(response.body == "{\"messages\":[],\"settled\":[\"ok\",\"gone\",\"stale\"]}\n");
}

TEST_CASE("queues: a message that is received raw") {
  const ReplyPlan plan = plan_of(post("/v1/queues/q/receive?raw=1"));
  CHECK(render(plan, received({})).status == 204);
  QueuedMessage one = message(90, std::string("v\0w", 3));
  HttpResponse response = render(plan, received({one}));
  CHECK(response.status == 200);
  CHECK(response.value.view() == std::string_view("v\0w", 3));
  CHECK(response.body.empty());
  CHECK(response.content_type == "application/octet-stream");
  CHECK(response.fields == "Kvd-Message-Id: 90\r\nKvd-Receipt: 95\r\nKvd-Attempt: 2\r\n");
  one.type = "text/plain; charset=utf-8";
  response = render(plan, received({one}));
  CHECK(response.content_type.empty());
  CHECK(response.fields.starts_with("Content-Type: text/plain; charset=utf-8\r\nKvd-Message-Id: 90\r\n"));
  one.type = "text/plain\r\nX: y";
  response = render(plan, received({one}));
  CHECK(response.content_type == "application/octet-stream");
  CHECK_FALSE(contains(response.fields, "X: y"));
}

TEST_CASE("queues: messages are settled") {
  AcceptedHead head = accepted(
      post("/v1/queues/q/settle?atomic=1&fence=lock:7&timeout=7", {{"Idempotency-Key", "once"}}), kOneAck);
  const SettleMessages settle = operation<SettleMessages>(head);
  CHECK(settle.queue == "q");
  CHECK(settle.atomic);
  REQUIRE(settle.settlings.size() == 1);
  CHECK(settle.settlings[0].kind == Settling::Kind::kAck);
  CHECK(settle.settlings[0].id == MessageId{Revision(7), 0});
  CHECK(head.store().idempotency_key == "once");
  CHECK(head.store().fence->token == 7);
  CHECK(head.body_bytes_max == limits::kBatchBytes);
  CHECK_FALSE(operation<SettleMessages>(accepted(post("/v1/queues/q/settle"), kOneAck)).atomic);
  for (const char* body : {"{}", R"({"ack":[]})"})
    CHECK(
        contains(refused_body(post("/v1/queues/q/settle"), body).body, "there is no message to be settled"));
  CHECK(refused_body(post("/v1/queues/q/settle"), "").status == 400);
  CHECK(refused(post("/v1/queues/q/settle?atomic=2")).status == 400);
  CHECK(refused(post("/v1/queues/q/settle?max=1")).status == 400);

  Settled settled;
  settled.results = {{SettleResult::kDone, 0, 0}, {SettleResult::kStale, 96, 0}, {SettleResult::kGone, 0, 0}};
  HttpResponse response = render(head.plan, settled);
  CHECK(response.status == 200);
  CHECK(response.body == "{\"results\":[\"ok\",\"stale\",\"gone\"],\"revision\":90}\n");
  settled.refused = true;
  response = render(head.plan, settled);
  CHECK(response.status == 412);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:not-settled\""));
  CHECK(contains(response.body, "\"outcome\":\"not-applied\",\"results\":[\"ok\",\"stale\",\"gone\"]"));
}

TEST_CASE("queues: one message is settled, or looked at, by its path") {
  AcceptedHead head =
      accepted(remove("/v1/queues/q/messages/7.3?receipt=8&fence=lock:7"), "nobody reads this");
  SettleMessages settle = operation<SettleMessages>(head);
  CHECK(settle.queue == "q");
  CHECK_FALSE(settle.atomic);
  REQUIRE(settle.settlings.size() == 1);
  CHECK(settle.settlings[0].kind == Settling::Kind::kAck);
  CHECK(settle.settlings[0].id == MessageId{Revision(7), 3});
  CHECK(settle.settlings[0].receipt == 8);
  CHECK(head.store().fence->token == 7);
  CHECK(render(head.plan, Settled{{{SettleResult::kDone, 0, 0}}, false}).status == 204);
  HttpResponse response = render(head.plan, Settled{{{SettleResult::kGone, 0, 0}}, false});
  CHECK(response.status == 404);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:no-message\""));
  CHECK(contains(response.body, "\"outcome\":\"not-applied\""));
  response = render(head.plan, Settled{{{SettleResult::kStale, 96, 0}}, false});
  CHECK(response.status == 412);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:stale-receipt\""));
  CHECK(contains(response.body, "\"outcome\":\"not-applied\",\"receipt\":96}"));

  head = accepted(put("/v1/queues/q/messages/7?receipt=8&ttr=500"));
  settle = operation<SettleMessages>(head);
  CHECK(settle.settlings[0].kind == Settling::Kind::kExtend);
  CHECK(settle.settlings[0].ms == 500);
  CHECK(render(head.plan, Settled{{{SettleResult::kDone, 0, 500}}, false}).body == "{\"left_ms\":500}\n");
  CHECK(render(head.plan, Settled{{{SettleResult::kDone, 0, 500}}, false}).status == 200);
  CHECK(render(head.plan, Settled{{{SettleResult::kGone, 0, 0}}, false}).status == 404);
  CHECK(render(head.plan, Settled{{{SettleResult::kStale, 96, 0}}, false}).status == 412);
  settle = operation<SettleMessages>(accepted(put("/v1/queues/q/messages/7?receipt=8")));
  CHECK_FALSE(settle.settlings[0].ms.has_value());

  for (const char* target :
       {"/v1/queues/q/messages/", "/v1/queues/q/messages/x?receipt=8", "/v1/queues/q/messages/7.?receipt=8",
        "/v1/queues/q/messages/7/8?receipt=8", "/v1/queues/q/messages/7", "/v1/queues/q/messages/7?receipt=0",
        "/v1/queues/q/messages/7?receipt=x", "/v1/queues/q/messages/7?receipt=8&ttr=99"})
    CHECK(refused(put(target)).status == 400);
  CHECK(contains(refused(remove("/v1/queues/q/messages/7")).body, "'receipt' is missing"));
  CHECK(contains(refused(remove("/v1/queues/q/messages/7?receipt=8&ttr=500")).body, "'ttr' is unknown here"));

  head = accepted(get("/v1/queues/q/messages/7.3?read=linear"));
  CHECK(operation<PeekMessage>(head).queue == "q");
  CHECK(operation<PeekMessage>(head).id == MessageId{Revision(7), 3});
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(refused(get("/v1/queues/q/messages/7?receipt=8")).status == 400);
  QueuedMessage dead = message(7, "a");
  dead.state = MessageState::kDead;
  dead.reason = "no";
  response = render(head.plan, Peeked{{dead}, false, false});
  CHECK(response.status == 200);
  CHECK(response.body ==
        "{\"id\":\"7\",\"state\":\"dead\",\"receipt\":95,\"attempt\":2,\"priority\":100,"
        "\"sent_ms\":1700000000000,\"body\":\"a\",\"reason\":\"no\"}\n");
  CHECK(response.fields == "Kvd-Complete: false\r\n");
  response = render(head.plan, Peeked{});
  CHECK(response.status == 404);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:no-message\""));
  CHECK_FALSE(contains(response.body, "outcome"));
}

TEST_CASE("queues: messages are looked at, a page after the other") {
  AcceptedHead head =
      accepted(get("/v1/queues/a%2Fb/messages?state=in_flight&after=7.3&limit=2&read=linear&min_rev=3"));
  const PeekMessages peek = operation<PeekMessages>(head);
  CHECK(peek.queue == "a/b");
  CHECK(peek.state == MessageState::kInFlight);
  CHECK(peek.after == MessageId{Revision(7), 3});
  CHECK(peek.limit == 2);
  CHECK(head.store().min_revision == Revision(3));
  CHECK(head.plan.text == "/v1/queues/a%2Fb/messages?state=in_flight&limit=2&read=linear&after=");
  AcceptedHead bare = accepted(made_request(HttpMethod::kHead, "/v1/queues/q/messages"));
  CHECK(operation<PeekMessages>(bare).state == MessageState::kReady);
  CHECK(operation<PeekMessages>(bare).after == MessageId());
  CHECK(operation<PeekMessages>(bare).limit == limits::kListItems);
  CHECK(bare.plan.text == "/v1/queues/q/messages?after=");
  const std::pair<const char*, const char*> cases[] = {
      {"state=all", "'state' has to be ready, delayed, in_flight or dead"},
      {"after=x", "'after' has to be the id of a message"},
      {"limit=10001", "'limit' has to be 1 to 10000"},
      {"max=1", "'max' is unknown here"},
  };
  for (const auto& [query, wrong] : cases)
    CHECK(contains(refused(get(std::string("/v1/queues/q/messages?") + query)).body, wrong));

  QueuedMessage flying = message(90, "a");
  flying.state = MessageState::kInFlight;
  flying.left_ms = 500;
  QueuedMessage fresh = message(91, "b");
  fresh.id.index = 1;
  fresh.receipt = 0;
  fresh.attempt = 0;
  HttpResponse response = render(head.plan, Peeked{{flying, fresh}, true, true, {Revision(91), 1}});
  CHECK(response.body ==
        "{\"messages\":[{\"id\":\"90\",\"state\":\"in_flight\",\"left_ms\":500,\"receipt\":95,\"attempt\":2,"
        "\"priority\":100,\"sent_ms\":1700000000000,\"body\":\"a\"},"
        "{\"id\":\"91.1\",\"state\":\"ready\",\"attempt\":0,\"priority\":100,\"sent_ms\":1700000000000,"
        "\"body\":\"b\"}],\"more\":true}\n");
  CHECK(response.fields ==
        "Link: </v1/queues/a%2Fb/messages?state=in_flight&limit=2&read=linear&after=91.1>; rel=\"next\"\r\n");
  flying.state = MessageState::kDelayed;
  CHECK(contains(render(head.plan, Peeked{{flying}, false, true}).body,
                 "\"state\":\"delayed\",\"left_ms\":500"));
  response =
      render(head.plan, Peeked{{}, true, true, {Revision(95), 0}});  // it looked at many, and found none
  CHECK(response.body == "{\"messages\":[],\"more\":true}\n");
  CHECK(contains(response.fields, "&after=95>; rel=\"next\""));
  response = render(head.plan, Peeked{});
  CHECK(response.body == "{\"messages\":[],\"more\":false}\n");
  CHECK(response.fields.empty());
}

TEST_CASE("queues: messages are kicked, and deleted by their state") {
  AcceptedHead head = accepted(post("/v1/queues/q/kick?max=16384&state=delayed&to=r%2F&fence=lock:7"));
  KickMessages kick = operation<KickMessages>(head);
  CHECK(kick.queue == "q");
  CHECK(kick.max == 16'384);
  CHECK(kick.state == MessageState::kDelayed);
  CHECK(kick.to == "r/");
  CHECK(render(head.plan, MessagesMoved{3}).body == "{\"moved\":3}\n");
  CHECK(render(head.plan, MessagesMoved{3}).status == 200);
  kick = operation<KickMessages>(accepted(post("/v1/queues/q/kick")));
  CHECK(kick.max == limits::kKicked);
  CHECK(kick.state == MessageState::kDead);
  CHECK(kick.to.empty());
  kick = operation<KickMessages>(accepted(post("/v1/queues/q/kick?state=ready&to=r")));
  CHECK(kick.state == MessageState::kReady);
  for (const char* query : {"max=0", "max=16385", "state=ready", "state=all", "to=", "limit=1"})
    CHECK(refused(post(std::string("/v1/queues/q/kick?") + query)).status == 400);
  CHECK(refused(post("/v1/queues/q/kick?to=" + std::string(256, 'q'))).status == 400);

  const std::pair<const char*, std::optional<MessageState>> states[] = {
      {"all", std::nullopt},
      {"ready", MessageState::kReady},
      {"delayed", MessageState::kDelayed},
      {"dead", MessageState::kDead},
  };
  for (const auto& [name, state] : states) {
    head = accepted(remove(std::string("/v1/queues/q/messages?state=") + name));
    CHECK(operation<PurgeMessages>(head).queue == "q");
    CHECK(operation<PurgeMessages>(head).state == state);
  }
  CHECK(render(head.plan, MessagesPurged{3, true}).body == "{\"purged\":3,\"more\":true}\n");
  CHECK(contains(refused(remove("/v1/queues/q/messages")).body, "'state' tells which messages are deleted"));
  for (const char* query : {"state=in_flight", "state=", "receipt=8", "limit=1"})
    CHECK(refused(remove(std::string("/v1/queues/q/messages?") + query)).status == 400);
}

TEST_CASE("queues: one is consumed as long as the connection lasts") {
  AcceptedHead head;
  REQUIRE_FALSE(
      accept_head(post("/v1/queues/q%2F/consume?hold=1&credit=7&ttr=300&timeout=9"), kIdentity, head));
  CHECK(head.plan.route == Route::kHold);
  const ConsumeQueue consumed = std::get<ConsumeQueue>(head.call.what);
  CHECK(consumed.queue == "q/");
  CHECK(consumed.credit == 7);
  CHECK(consumed.ttr_ms == 300);
  CHECK(head.call.timeout == milliseconds(9));
  AcceptedHead bare;
  REQUIRE_FALSE(accept_head(post("/v1/queues/q/consume?hold=1"), kIdentity, bare));
  CHECK(std::get<ConsumeQueue>(bare.call.what).credit == 1);
  for (const char* query :
       {"credit=1", "hold=1&credit=0", "hold=1&credit=1025", "hold=1&max=3", "hold=1&ttr=1"})
    CHECK(refused(post(std::string("/v1/queues/q/consume?") + query)).status == 400);
  CHECK(refused(get("/v1/queues/q/consume?hold=1")).status == 405);
  CHECK(refused(post("/v1/queues/q/consume?hold=1", {{"Idempotency-Key", "k"}})).status == 400);
  QueuedMessage message;
  message.id = {Revision(7), 0};
  message.receipt = 8;
  message.attempt = 1;
  message.body = Bytes("b");
  Received received;
  received.messages = {message};
  CHECK(received_lines(received) ==
        "{\"message\":{\"id\":\"7\",\"receipt\":8,\"attempt\":1,\"priority\":0,\"sent_ms\":0,\"body\":\"b\"}}"
        "\n");
}

TEST_CASE("queues: what curl calls every body is no type") {
  const HttpFieldList form = {{"Content-Type", "application/x-www-form-urlencoded"}};
  const SendMessages send = operation<SendMessages>(accepted(post("/v1/queues/q/messages", form), "b"));
  CHECK(send.messages.at(0).type.empty());
}

TEST_CASE("queues: failures that are theirs") {
  struct Case {
    ErrorCode code;
    uint16_t status;
    const char* type;
  };
  const Case cases[] = {
      {ErrorCode::kNoQueue, 404, "\"type\":\"urn:kvd:no-queue\""},
      {ErrorCode::kNoMessage, 404, "\"type\":\"urn:kvd:no-message\""},
      {ErrorCode::kQueueFull, 507, "\"type\":\"urn:kvd:queue-full\""},
      {ErrorCode::kQueueCycle, 409, "\"type\":\"urn:kvd:queue-cycle\""},
      {ErrorCode::kNotEmpty, 409, "\"type\":\"urn:kvd:not-empty\""},
  };
  const ReplyPlan plan = plan_of(remove("/v1/queues/q"));
  for (const Case& one : cases) {
    const HttpResponse response = render(plan, Failed{one.code, Outcome::kNotApplied, "the core's words"});
    CHECK(response.status == one.status);
    CHECK(contains(response.body, one.type));
    CHECK(contains(response.body, "\"detail\":\"the core's words\",\"outcome\":\"not-applied\""));
  }
}

}  // namespace kvd::http_queues_test
