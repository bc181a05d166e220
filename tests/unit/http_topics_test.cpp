// Topics and subscriptions over HTTP without sockets: what each request asks of the node, what is refused with which
// status, and what is told. What a subscription has in common with a queue is judged by the same code: http_queues_test
// looks closer at it. Standalone: no sockets, no node.
#include "shell/http/http_topics.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "http_sources_fixture.hpp"
#include "msg/limits.hpp"
#include "shell/http/http_topic_render.hpp"

namespace kvd::http_topics_test {
namespace {

using namespace kvd::http_sources_test;
using Place = TopicPlace::Kind;

const std::string kSub = "/v1/topics/t/subscriptions/s";
constexpr char kAck[] = R"({"ack":[{"id":"7","receipt":8}]})";

void check_refused(const HttpRequest& asked, const char* wrong) {
  const HttpResponse response = refused(asked);
  CAPTURE(asked.target);
  CAPTURE(response.body);
  CHECK(response.status == 400);
  CHECK(contains(response.body, wrong));
}

Received with_gap(std::vector<QueuedMessage> messages) {
  Received out;
  out.queue = "t";
  out.subscription = "s";
  out.messages = std::move(messages);
  out.gap = Received::Gap{{Revision(7), 0}, {Revision(9), 3}};
  return out;
}

}  // namespace

TEST_CASE("topics over http: names are segments of the path, decoded once") {
  CHECK(operation<ReadTopic>(accepted(get("/v1/topics/a%2Fb"))).name == "a/b");
  CHECK(operation<ReadTopic>(accepted(get("http://host/v1/topics/subscriptions"))).name == "subscriptions");
  const ReadSubscription read =
      operation<ReadSubscription>(accepted(get("/v1/topics/%ff/subscriptions/%252F?read=local")));
  CHECK(read.topic == "\xff");
  CHECK(read.name == "%2F");
  const std::string longest(limits::kQueueNameBytes, 'n');
  CHECK(operation<ReadSubscription>(accepted(get("/v1/topics/" + longest + "/subscriptions/" + longest)))
            .name.size() == 255);
  check_refused(get("/v1/topics/x" + longest), "a topic's name has 1 to 255 bytes");
  check_refused(get("/v1/topics/t/subscriptions/x" + longest), "a subscription's name has 1 to 255 bytes");
  for (const char* target : {"/v1/topics/", "/v1/topics//messages", "/v1/topics/t/subscriptions/",
                             "/v1/topics/t/subscriptions//receive"})
    CHECK(refused(get(target)).status == 400);
  for (const char* target :
       {"/v1/topics/t/", "/v1/topics/t/x", "/v1/topics/t/receive", "/v1/topics/t/messages/7",
        "/v1/topics/t/subscriptions/s/", "/v1/topics/t/subscriptions/s/x",
        "/v1/topics/t/subscriptions/s/receive/", "/v1/topics/t/subscriptions/s/seek/1", "/v1/topicsx"})
    CHECK(refused(get(target)).status == 404);
}

TEST_CASE("topics over http: what is allowed where") {
  check_allowed({
      {post("/v1/topics"), "Allow: GET, HEAD\r\n"},
      {post("/v1/topics/t"), "Allow: GET, HEAD, PUT, DELETE\r\n"},
      {put("/v1/topics/t/messages"), "Allow: GET, HEAD, POST\r\n"},
      {remove("/v1/topics/t/messages"), "Allow: GET, HEAD, POST\r\n"},
      {post("/v1/topics/t/subscriptions"), "Allow: GET, HEAD\r\n"},
      {post(kSub), "Allow: GET, HEAD, PUT, DELETE\r\n"},
      {post(kSub + "/messages"), "Allow: GET, HEAD\r\n"},
      {remove(kSub + "/messages?state=all"), "Allow: GET, HEAD\r\n"},
      {post(kSub + "/messages/7"), "Allow: GET, HEAD, PUT, DELETE\r\n"},
      {get(kSub + "/receive"), "Allow: POST\r\n"},
      {put(kSub + "/settle"), "Allow: POST\r\n"},
      {remove(kSub + "/kick"), "Allow: POST\r\n"},
      {get(kSub + "/consume?hold=1"), "Allow: POST\r\n"},
      {put(kSub + "/seek?to=now"), "Allow: POST\r\n"},
  });
}

TEST_CASE("topics over http: one is made, changed, deleted") {
  const HttpRequest asked =
      made_request(HttpMethod::kPut, "/v1/topics/t?timeout=7&fence=lock:7", {{"Idempotency-Key", "once"}});
  AcceptedHead head = accepted(asked, R"({"max_messages":5})");
  CHECK(operation<MakeTopic>(head).name == "t");
  CHECK(operation<MakeTopic>(head).config.max_messages == 5);
  CHECK(head.call.timeout == milliseconds(7));
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");
  CHECK(operation<MakeTopic>(accepted(put("/v1/topics/t"))).config == TopicConfig());
  CHECK(refused_body(asked, R"({"discard":5})").status == 400);
  check_refused(put("/v1/topics/t?max_messages=5"), "'max_messages' is unknown here");
  check_refused(made_request(HttpMethod::kPut, "/v1/topics/t", {{"If-None-Match", "*"}}),
                "If-Match and If-None-Match are for one key only");
  HttpResponse response = render(plan_of(put("/v1/topics/%ff")), TopicMade{true});
  CHECK(response.status == 201);
  CHECK(response.body == "{\"name_b64\":\"/w==\",\"revision\":90}\n");
  CHECK(render(head.plan, TopicMade{false}).status == 200);

  head = accepted(remove("/v1/topics/t?fence=lock:7"));
  CHECK(operation<DeleteTopic>(head).name == "t");
  CHECK(head.store().fence->resource == "lock");
  check_refused(remove("/v1/topics/t?if_empty=1"), "'if_empty' is unknown here");
  CHECK(render(head.plan, TopicDeleted{}).status == 204);
  response = render(head.plan, Failed{ErrorCode::kNoTopic, Outcome::kNotApplied, "the core's words"});
  CHECK(response.status == 404);
  CHECK(contains(response.body, "\"type\":\"urn:kvd:no-topic\""));
  CHECK(contains(response.body, "\"detail\":\"the core's words\",\"outcome\":\"not-applied\""));
}

TEST_CASE("topics over http: what is told of one, and of all") {
  TopicInfo info;
  info.name = "t";
  const std::string empty =
      "{\"name\":\"t\",\"dedup_window\":300000,\"max_messages\":0,\"max_bytes\":0,\"max_age\":0,"
      "\"discard\":\"none\",\"messages\":0,\"bytes\":0,\"subscriptions\":0}";
  AcceptedHead head = accepted(get("/v1/topics/t?read=linear&min_rev=3&timeout=7"));
  CHECK(head.store().read == ReadMode::kLinear);
  CHECK(head.store().min_revision == Revision(3));
  HttpResponse response = render(head.plan, Box(TopicFound{info, true}));
  CHECK(response.status == 200);
  CHECK(response.body == empty + "\n");
  CHECK(response.fields.empty());
  TopicInfo other = info;
  other.name = "\xff/";
  other.config.discard_old = true;
  other.messages = 2;
  other.bytes = 3;
  other.first = {Revision(7), 0};
  other.last = {Revision(9), 3};
  other.oldest_ms = 8;
  other.subscriptions = 4;
  response = render(head.plan, Box(TopicFound{other, false}));
  CHECK(response.body.starts_with("{\"name_b64\":\"/y8=\","));
  CHECK(response.body.ends_with(
      "\"discard\":\"old\",\"messages\":2,\"bytes\":3,\"first\":\"7\",\"last\":\"9.3\","
      "\"oldest_ms\":8,\"subscriptions\":4}\n"));
  CHECK(response.fields == "Kvd-Complete: false\r\n");

  head = accepted(get("/v1/topics?prefix=a%26&after=a%26b&limit=2&read=linear"));
  const ListTopics list = operation<ListTopics>(head);
  CHECK(list.prefix == "a&");
  CHECK(list.after == "a&b");
  CHECK(list.limit == 2);
  response = render(head.plan, TopicList{{info, other}, true, true});
  CHECK(response.body.starts_with("{\"topics\":[" + empty + ",{\"name_b64\""));
  CHECK(response.fields ==
        "Link: </v1/topics?prefix=a%26&limit=2&read=linear&after=%FF%2F>; rel=\"next\"\r\n");
  CHECK(operation<ListTopics>(accepted(get("/v1/topics"))).limit == limits::kListItems);
  response = render(head.plan, TopicList{{}, false, false});
  CHECK(response.body == "{\"topics\":[]}\n");
  CHECK(response.fields == "Kvd-Complete: false\r\n");
}

TEST_CASE("topics over http: messages are published") {
  AcceptedHead head = accepted(post("/v1/topics/t/messages?group=g&dedup=d&create=0&fence=lock:7",
                                    {{"Content-Type", "text/plain"}, {"Idempotency-Key", "once"}}),
                               "b");
  const PublishMessages one = operation<PublishMessages>(head);
  CHECK(one.topic == "t");
  CHECK_FALSE(one.create);
  REQUIRE(one.messages.size() == 1);
  CHECK(one.messages[0].body.view() == "b");
  CHECK(one.messages[0].group == "g");
  CHECK(one.messages[0].dedup == "d");
  CHECK(one.messages[0].type == "text/plain");
  CHECK(head.body_bytes_max == 100);
  CHECK(head.store().fence->token == 7);
  CHECK(head.store().idempotency_key == "once");
  CHECK(render(head.plan, Sent{1, {}}).status == 201);
  CHECK(render(head.plan, Sent{1, {}}).body == "{\"id\":\"90\",\"revision\":90}\n");
  CHECK(render(head.plan, Sent{1, {{0, MessageId{Revision(88), 3}}}}).body ==
        "{\"id\":\"88.3\",\"duplicate\":true,\"revision\":90}\n");
  CHECK(render(head.plan, Failed{ErrorCode::kQueueFull, Outcome::kNotApplied, ""}).status == 507);
  CHECK(operation<PublishMessages>(accepted(post("/v1/topics/t/messages"))).create);

  const HttpRequest batch = post("/v1/topics/t/messages", kLines);
  head = accepted(batch, "{\"body\":\"a\",\"group\":\"g\"}\n{\"body\":\"b\"}\n");
  CHECK(operation<PublishMessages>(head).messages.at(1).body.view() == "b");
  CHECK(head.body_bytes_max == limits::kWriteBytes);
  CHECK(render(head.plan, Sent{2, {}}).body == "{\"ids\":[\"90\",\"90.1\"],\"revision\":90}\n");
  CHECK(contains(refused_body(batch, R"({"body":"a","delay":5})").body,
                 "line 1: the member \\\"delay\\\" is unknown here"));
  for (const char* name : {"priority", "delay", "max_age", "state", "ttr"})
    check_refused(post(std::string("/v1/topics/t/messages?") + name + "=5"), "is unknown here");
}

TEST_CASE("topics over http: readers page through a topic, and keep their place themselves") {
  AcceptedHead head = accepted(get("/v1/topics/a%2Fb/messages?after=7.3&limit=2&read=linear&min_rev=3"));
  const PageTopic page = operation<PageTopic>(head);
  CHECK(page.topic == "a/b");
  CHECK(page.after == TopicPlace{Place::kId, {Revision(7), 3}, 0});
  CHECK(page.limit == 2);
  CHECK(head.store().min_revision == Revision(3));
  const std::string at = "/v1/topics/t/messages";
  CHECK(operation<PageTopic>(accepted(get(at))).after == TopicPlace{});
  CHECK(operation<PageTopic>(accepted(get(at))).limit == limits::kListItems);
  CHECK(operation<PageTopic>(accepted(get(at + "?after=first"))).after == TopicPlace{});
  CHECK(operation<PageTopic>(accepted(get(at + "?after=now"))).after.kind == Place::kNow);
  CHECK(operation<PageTopic>(accepted(get(at + "?time=1700000000000"))).after ==
        TopicPlace{Place::kTime, {}, 1'700'000'000'000});
  check_refused(get(at + "?after=last"), "'after' has to be first, now or the id of a message");
  check_refused(get(at + "?time=now"), "'time' has to be milliseconds since 1970");
  check_refused(get(at + "?after=7&time=7"), "'time' has to be given without another place");
  check_refused(get(at + "?time=7&after=7"), "'after' has to be given without 'time'");
  check_refused(get(at + "?state=ready"), "'state' is unknown here");

  QueuedMessage first = message(8, "a");
  first.receipt = 0;
  QueuedMessage second = message(8, "\xff");
  second.id.index = 1;
  second.group = "g";
  second.type = "text/plain";
  HttpResponse response = render(head.plan, Peeked{{first, second}, true, true, {Revision(8), 1}});
  CHECK(response.status == 200);
  CHECK(response.body ==
        "{\"messages\":[{\"id\":\"8\",\"sent_ms\":1700000000000,\"body\":\"a\"},{\"id\":\"8.1\",\"group\":"
        "\"g\","
        "\"type\":\"text/plain\",\"sent_ms\":1700000000000,\"body_b64\":\"/"
        "w==\"}],\"more\":true,\"last\":\"8.1\"}\n");
  CHECK(response.fields ==
        "Link: </v1/topics/a%2Fb/messages?limit=2&read=linear&after=8.1>; rel=\"next\"\r\n");
  response = render(head.plan, Peeked{});
  CHECK(response.body == "{\"messages\":[],\"more\":false,\"last\":\"0\"}\n");
}

TEST_CASE("topics over http: a subscription is made, changed, deleted") {
  const HttpRequest asked =
      made_request(HttpMethod::kPut, kSub + "?timeout=7&fence=lock:7", {{"Idempotency-Key", "once"}});
  AcceptedHead head = accepted(asked, R"({"ttr":500,"from":"first"})");
  MakeSubscription make = operation<MakeSubscription>(head);
  CHECK(make.topic == "t");
  CHECK(make.name == "s");
  CHECK(make.config.ttr_ms == 500);
  CHECK(make.from == TopicPlace{});
  CHECK(head.store().idempotency_key == "once");
  CHECK(head.store().fence->token == 7);
  for (const char* body : {"", "{}"}) {
    make = operation<MakeSubscription>(accepted(put(kSub), body));
    CHECK(make.config == SubscriptionConfig());
    CHECK(make.from.kind == Place::kNow);
  }
  CHECK(refused_body(asked, R"({"ttr":5})").status == 400);
  check_refused(put(kSub + "?from=first"), "'from' is unknown here");
  CHECK(render(head.plan, TopicMade{true}).status == 201);
  CHECK(render(head.plan, TopicMade{true}).body == "{\"name\":\"s\",\"revision\":90}\n");
  CHECK(render(head.plan, TopicMade{false}).status == 200);
  head = accepted(remove(kSub));
  CHECK(operation<DeleteSubscription>(head).topic == "t");
  CHECK(operation<DeleteSubscription>(head).name == "s");
  CHECK(render(head.plan, TopicDeleted{}).status == 204);
}

TEST_CASE("topics over http: what is told of a subscription, and of all of a topic") {
  SubscriptionInfo info;
  info.topic = "t";
  info.name = "s";
  info.behind = 7;
  info.ready = 1;
  info.delayed = 2;
  info.in_flight = 3;
  info.dead = 4;
  info.gaps = 5;
  const std::string by_default =
      "{\"topic\":\"t\",\"name\":\"s\",\"ttr\":30000,\"max_deliveries\":20,\"backoff\":[],\"dead_letter\":"
      "\"\","
      "\"max_in_flight\":4096,\"ordered\":false,\"expires\":0,\"behind\":7,\"ready\":1,\"delayed\":2,"
      "\"in_flight\":3,\"dead\":4,\"gaps\":5";
  const ReplyPlan plan = plan_of(get(kSub + "?read=linear"));
  HttpResponse response = render(plan, Box(SubscriptionFound{info, true}));
  CHECK(response.status == 200);
  CHECK(response.body == by_default + "}\n");
  SubscriptionInfo other = info;
  other.name = "\xff";
  other.cursor = {Revision(9), 3};
  other.waiting = 2;
  other.config.ordered = true;
  other.config.backoff_ms = {10};
  other.config.expires_ms = 3'600'000;
  response = render(plan, Box(SubscriptionFound{other, false}));
  CHECK(contains(response.body, "\"name_b64\":\"/w==\""));
  CHECK(contains(response.body, "\"backoff\":[10]"));
  CHECK(contains(response.body, "\"ordered\":true,\"expires\":3600000"));
  CHECK(response.body.ends_with("\"gaps\":5,\"cursor\":\"9.3\",\"waiting\":2}\n"));
  CHECK(response.fields == "Kvd-Complete: false\r\n");

  AcceptedHead head = accepted(get("/v1/topics/a%2Fb/subscriptions?after=s&limit=2"));
  const ListSubscriptions list = operation<ListSubscriptions>(head);
  CHECK(list.topic == "a/b");
  CHECK(list.after == "s");
  CHECK(list.limit == 2);
  response = render(head.plan, SubscriptionList{{info, other}, true, true});
  CHECK(response.body.starts_with("{\"subscriptions\":[" + by_default + "},{"));
  CHECK(response.fields == "Link: </v1/topics/a%2Fb/subscriptions?limit=2&after=%FF>; rel=\"next\"\r\n");
  check_refused(get("/v1/topics/t/subscriptions?prefix=s"), "'prefix' is unknown here");
}

TEST_CASE("topics over http: a subscription's messages are received and settled as a queue's") {
  AcceptedHead head = accepted(post(kSub + "/receive?max=9&wait=500&ttr=100&fence=lock:7"), kAck);
  const ReceiveMessages receive = operation<ReceiveMessages>(head);
  CHECK(receive.queue == "t");
  CHECK(receive.subscription == "s");
  CHECK(receive.max == 9);
  CHECK(receive.wait == milliseconds(500));
  CHECK(receive.ttr_ms == 100);
  CHECK(receive.settlings.size() == 1);
  CHECK(head.plan.waits);
  check_refused(post(kSub + "/receive", {{"Idempotency-Key", "once"}}), "a receive takes no Idempotency-Key");

  head = accepted(post(kSub + "/settle?atomic=1", {{"Idempotency-Key", "once"}}), kAck);
  SettleMessages settle = operation<SettleMessages>(head);
  CHECK(settle.queue == "t");
  CHECK(settle.subscription == "s");
  CHECK(settle.atomic);
  CHECK(settle.settlings.size() == 1);
  CHECK(head.store().idempotency_key == "once");
  CHECK(contains(refused_body(post(kSub + "/settle"), "{}").body, "there is no message to be settled"));

  head = accepted(remove(kSub + "/messages/7.3?receipt=8"));
  settle = operation<SettleMessages>(head);
  CHECK(settle.subscription == "s");
  CHECK(settle.settlings.at(0).id == MessageId{Revision(7), 3});
  CHECK(render(head.plan, Settled{{{SettleResult::kDone, 0, 0}}, false}).status == 204);
  settle = operation<SettleMessages>(accepted(put(kSub + "/messages/7?receipt=8&ttr=500")));
  CHECK(settle.settlings.at(0).kind == Settling::Kind::kExtend);
  CHECK(settle.subscription == "s");
  const PeekMessage peek = operation<PeekMessage>(accepted(get(kSub + "/messages/7")));
  CHECK(peek.queue == "t");
  CHECK(peek.subscription == "s");

  head = accepted(get(kSub + "/messages?state=dead&after=7&limit=2"));
  const PeekMessages page = operation<PeekMessages>(head);
  CHECK(page.queue == "t");
  CHECK(page.subscription == "s");
  CHECK(page.state == MessageState::kDead);
  CHECK(head.plan.text == kSub + "/messages?state=dead&limit=2&after=");
  CHECK(
      contains(render(head.plan, Peeked{{message(8, "a")}, false, true}).body,
               "{\"id\":\"8\",\"state\":\"ready\",\"receipt\":95,\"attempt\":2,\"sent_ms\":1700000000000,"));
}

TEST_CASE("topics over http: a gap is told with what is received, and also without") {
  const ReplyPlan plan = plan_of(post(kSub + "/receive"));
  const std::string gap = "\"gap\":{\"after\":\"7\",\"last\":\"9.3\"}}\n";
  HttpResponse response = render(plan, Box(with_gap({})));
  CHECK(response.status == 200);
  CHECK(response.body == "{\"messages\":[]," + gap);
  response = render(plan, Box(with_gap({message(10, "a")})));
  const std::string told =
      "{\"id\":\"10\",\"receipt\":95,\"attempt\":2,\"sent_ms\":1700000000000,\"body\":\"a\"}";
  CHECK(received_lines(with_gap({message(10, "a")})) ==
        "{" + gap.substr(0, gap.size() - 1) + "\n" + "{\"message\":" + told + "}\n");
  CHECK(response.body.starts_with("{\"messages\":[" + told));
  CHECK(response.body.ends_with("}]," + gap));

  const ReplyPlan raw = plan_of(post(kSub + "/receive?raw=1"));
  response = render(raw, Box(with_gap({})));
  CHECK(response.status == 204);
  CHECK(response.fields == "Kvd-Gap: 7..9.3\r\n");
  response = render(raw, Box(with_gap({message(10, "a")})));
  CHECK(response.status == 200);
  CHECK(response.value.view() == "a");
  CHECK(response.fields.ends_with("Kvd-Attempt: 2\r\nKvd-Gap: 7..9.3\r\n"));
  Received from_the_first = with_gap({});
  from_the_first.gap->after = {};
  CHECK(received_lines(from_the_first) == "{\"gap\":{\"after\":\"0\",\"last\":\"9.3\"}}\n");
}

TEST_CASE("topics over http: a page that waits, and a stream") {
  const std::string pages = "/v1/topics/t/messages";
  const auto followed = [](const AcceptedHead& head) {
    const auto* follow = std::get_if<Box<FollowTopic>>(&head.call.what);
    REQUIRE(follow != nullptr);
    return **follow;
  };
  AcceptedHead head = accepted(get(pages + "?after=7.1&limit=9&wait=1500"));
  CHECK(head.plan.waits);
  CHECK(head.plan.route == Route::kTopic);
  CHECK(followed(head).page.topic == "t");
  CHECK(followed(head).page.after == TopicPlace{Place::kId, {Revision(7), 1}, 0});
  CHECK(followed(head).page.limit == 9);
  CHECK(followed(head).wait == milliseconds(1500));
  CHECK_FALSE(accept_body(head, Bytes(), kIdentity));
  CHECK(operation<PageTopic>(accepted(get(pages + "?after=7.1&wait=0"))).limit == limits::kListItems);
  check_refused(get(pages + "?wait=5&read=linear"), "'wait' excludes 'read' and 'min_rev'");
  check_refused(get(pages + "?wait=5&min_rev=3"), "'wait' excludes 'read' and 'min_rev'");
  Peeked page;
  page.gap = Received::Gap{{Revision(7), 1}, {Revision(9), 0}};
  CHECK(render(head.plan, page).body ==
        "{\"messages\":[],\"more\":false,\"last\":\"0\",\"gap\":{\"after\":\"7.1\",\"last\":\"9\"}}\n");

  const std::string stream = "/v1/topics/t/stream";
  const auto opened = [](const HttpRequest& asked) {
    AcceptedHead of;
    REQUIRE_FALSE(accept_head(asked, kIdentity, of));
    CHECK(of.plan.route == Route::kHold);
    return of;
  };
  head = opened(get(stream + "?after=now"));
  CHECK_FALSE(head.plan.events);
  CHECK(followed(head).page.after.kind == Place::kNow);
  CHECK_FALSE(followed(head).wait);
  CHECK(followed(opened(get(stream))).page.after == TopicPlace());
  CHECK(followed(opened(get(stream + "?time=5"))).page.after == TopicPlace{Place::kTime, {}, 5});
  const auto again = [&](const std::string& id) {
    const HttpFieldList fields = {{"Last-Event-ID", id}, {"Accept", "text/event-stream"}};
    return made_request(HttpMethod::kGet, stream + "?after=now", fields);
  };
  head = opened(again("7.1"));
  CHECK(head.plan.events);
  CHECK(followed(head).page.after == TopicPlace{Place::kId, {Revision(7), 1}, 0});
  CHECK(followed(opened(again(""))).page.after.kind == Place::kNow);
  check_refused(again("x"), "Last-Event-ID has to be the id of a message");
  check_refused(get(stream + "?limit=5"), "'limit' is unknown here");
}

TEST_CASE("topics over http: the lines of a stream, and as events") {
  ReplyPlan plan;
  plan.published = true;
  Peeked page;
  page.last = {Revision(9), 2};
  CHECK(page_lines(plan, page) == "{\"progress\":\"9.2\"}\n");
  page.messages.resize(1);
  page.messages[0].id = {Revision(10), 0};
  page.messages[0].body = Bytes("b");
  page.gap = Received::Gap{{Revision(7), 1}, {Revision(9), 0}};
  const std::string gap = "{\"gap\":{\"after\":\"7.1\",\"last\":\"9\"}}\n";
  const std::string message = "{\"message\":{\"id\":\"10\",\"sent_ms\":0,\"body\":\"b\"}}\n";
  CHECK(page_lines(plan, page) == gap + message);
  plan.events = true;
  CHECK(page_lines(plan, page) == "id: 9\ndata: " + gap + "\nid: 10\ndata: " + message + "\n");
  CHECK(event_of("", "{}\n") == "data: {}\n\n");
  CHECK(lines_head(plan, true).content_type == kEvents);
}

TEST_CASE("topics over http: a subscription is kicked, consumed, moved") {
  AcceptedHead head = accepted(post(kSub + "/kick?max=5&state=delayed&fence=lock:7"));
  KickMessages kick = operation<KickMessages>(head);
  CHECK(kick.queue == "t");
  CHECK(kick.subscription == "s");
  CHECK(kick.max == 5);
  CHECK(kick.state == MessageState::kDelayed);
  kick = operation<KickMessages>(accepted(post(kSub + "/kick")));
  CHECK(kick.state == MessageState::kDead);
  check_refused(post(kSub + "/kick?state=ready"), "'state' has to be dead or delayed");
  check_refused(post(kSub + "/kick?to=q"), "'to' is unknown here");

  AcceptedHead held;
  REQUIRE_FALSE(accept_head(post(kSub + "/consume?hold=1&credit=7&ttr=300"), kIdentity, held));
  CHECK(held.plan.route == Route::kHold);
  const ConsumeQueue consumed = std::get<ConsumeQueue>(held.call.what);
  CHECK(consumed.queue == "t");
  CHECK(consumed.subscription == "s");
  CHECK(consumed.credit == 7);
  CHECK(consumed.ttr_ms == 300);
  check_refused(post(kSub + "/consume"), "a consumer lasts as long as its connection");

  const HttpFieldList once = {{"Idempotency-Key", "once"}};
  head = accepted(post(kSub + "/seek?to=7.3&fence=lock:7", once));
  SeekSubscription seek = operation<SeekSubscription>(head);
  CHECK(seek.topic == "t");
  CHECK(seek.name == "s");
  CHECK(seek.to == TopicPlace{Place::kId, {Revision(7), 3}, 0});
  CHECK(head.store().idempotency_key == "once");
  CHECK(head.store().fence->token == 7);
  CHECK(operation<SeekSubscription>(accepted(post(kSub + "/seek?to=first"))).to == TopicPlace{});
  CHECK(operation<SeekSubscription>(accepted(post(kSub + "/seek?to=now"))).to.kind == Place::kNow);
  CHECK(operation<SeekSubscription>(accepted(post(kSub + "/seek?time=5"))).to ==
        TopicPlace{Place::kTime, {}, 5});
  check_refused(post(kSub + "/seek"), "where it is to go on is missing");
  check_refused(post(kSub + "/seek?to=x"), "'to' has to be first, now or the id of a message");
  check_refused(post(kSub + "/seek?to=7&time=7"), "'time' has to be given without another place");
  CHECK(render(head.plan, SubscriptionMoved{{Revision(7), 3}}).body ==
        "{\"cursor\":\"7.3\",\"revision\":90}\n");
  CHECK(render(head.plan, SubscriptionMoved{}).body == "{\"revision\":90}\n");
}

}  // namespace kvd::http_topics_test
