// What servers say in JSON to a client: what is taken from it, what is passed over, what is refused.
// Standalone: no sockets.
#include "client/answers.hpp"

#include <doctest.h>

using namespace kvd;
using namespace kvd::client;

namespace {

GrantLine grant(std::string_view text) {
  const Result<GrantLine> line = parse_grant_line(text);
  REQUIRE_MESSAGE(line.has_value(), line.error().detail);
  return *line;
}
WorkerLine worker(std::string_view text) {
  const Result<WorkerLine> line = parse_worker_line(text);
  REQUIRE_MESSAGE(line.has_value(), line.error().detail);
  return *line;
}

}  // namespace

TEST_CASE("the lines of a lock") {
  CHECK(grant(R"({"state":"waiting","ahead":3})").kind == GrantLine::Kind::kWaiting);
  const GrantLine held = grant(R"({"state":"held","fence":9223372036854775807,"more":[1]})");
  CHECK(held.kind == GrantLine::Kind::kHeld);
  CHECK(held.fence == INT64_MAX);
  CHECK(grant(R"({"state":"timeout"})").kind == GrantLine::Kind::kTimeout);
  const GrantLine lost = grant("{\"state\":\"lost\",\"reason\":\"ZooKeeper\\nis \\u001b[31mgone\"}");
  CHECK(lost.kind == GrantLine::Kind::kLost);
  CHECK(lost.reason == "ZooKeeper is  [31mgone");
}

TEST_CASE("the lines of an election") {
  CHECK(grant(R"({"leading":false,"ahead":2})").kind == GrantLine::Kind::kWaiting);
  const GrantLine held = grant(R"({"leading":true,"fence":7})");
  CHECK(held.kind == GrantLine::Kind::kHeld);
  CHECK(held.fence == 7);
}

TEST_CASE("what servers may learn to say is passed over") {
  CHECK(grant("{}").kind == GrantLine::Kind::kProgress);
  CHECK(grant(R"({"state":"dancing"})").kind == GrantLine::Kind::kProgress);
  CHECK(worker(R"({"state":"idle"})").kind == WorkerLine::Kind::kProgress);
}

TEST_CASE("lines that mean nothing are refused") {
  for (const char* bad : {"", "x", "[]", "\"held\"", "{\"state\":", R"({"state":"held"})",
                          R"({"state":"held","fence":-1})", R"({"leading":true,"fence":"7"})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_grant_line(bad).has_value());
  }
  CHECK_FALSE(parse_worker_line("idle").has_value());
}

TEST_CASE("the lines of a worker") {
  CHECK(worker(R"({"worker":"w 1"})").kind == WorkerLine::Kind::kRegistered);
  CHECK(worker(R"({"worker":"w 1"})").text == "w 1");
  CHECK(worker(R"({"state":"cancel","id":"t1"})").kind == WorkerLine::Kind::kCancel);
  CHECK(worker(R"({"state":"cancel","id":"t1"})").text == "t1");
  CHECK(worker(R"({"state":"lost","reason":"gone"})").kind == WorkerLine::Kind::kLost);
  CHECK(worker(R"({"state":"lost","reason":"gone"})").text == "gone");
}

TEST_CASE("a task with text and one with bytes") {
  const auto text = parse_task(R"({"id":"t1","attempt":2,"fence":5,"kind":"mail","data":"a\u0000b"})");
  REQUIRE(text.has_value());
  CHECK(text->id == "t1");
  CHECK(text->attempt == 2);
  CHECK(text->fence == 5);
  CHECK(text->kind == "mail");
  CHECK(text->data == std::string("a\0b", 3));
  const auto bytes = parse_task(R"({"id":"t1","attempt":1,"fence":5,"kind":"","data_b64":"/wA="})");
  REQUIRE(bytes.has_value());
  CHECK(bytes->data == std::string("\xff\0", 2));
}

TEST_CASE("tasks that cannot be run are refused") {
  for (const char* bad : {"", "[]", R"({"id":"","attempt":1,"fence":5})",
                          R"({"id":"a\u0000b","attempt":1,"fence":5})", R"({"id":"a","fence":5})",
                          R"({"id":"a","attempt":1})", R"({"id":"a","attempt":1,"fence":5,"kind":"\u0000"})",
                          R"({"id":"a","attempt":1,"fence":5,"data_b64":"/w"})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_task(bad).has_value());
  }
}

TEST_CASE("members of an answer") {
  CHECK(parse_number_in(R"({"key":"a","value":-3,"revision":7})", "value").value() == -3);
  CHECK(parse_flag_in(R"({"deleted":1,"more":true})", "more").value());
  for (const char* bad : {"", "[]", "7", R"({"n":"7"})", R"({"n":7.5})", R"({"m":7})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_number_in(bad, "n").has_value());
    CHECK_FALSE(parse_flag_in(bad, "n").has_value());
  }
}

TEST_CASE("a page of keys, some of which are no text") {
  const auto page =
      parse_key_page(R"({"revision":9,"items":[{"key":"a\nb","value":"","revision":3,"version":1},)"
                     R"({"key_b64":"/w==","value_b64":"AP8=","revision":4, "version":2, "more":[1]}]})");
  REQUIRE(page.has_value());
  CHECK(page->revision == 9);
  REQUIRE(page->keys.size() == 2);
  CHECK(page->keys[0].key == "a\nb");
  CHECK(page->keys[0].value.empty());
  CHECK(page->keys[0].json == R"({"key":"a\nb","value":"","revision":3,"version":1})");
  CHECK(page->keys[1].key == "\xff");
  CHECK(page->keys[1].value == std::string("\0\xff", 2));
  CHECK(page->keys[1].json == R"({"key_b64":"/w==","value_b64":"AP8=","revision":4,"version":2,"more":[1]})");
  for (const char* bad :
       {"", "{}", R"({"revision":9})", R"({"items":[]})", R"({"revision":9,"items":[1]})",
        R"({"revision":9,"items":[{"value":"a"}]})", R"({"revision":9,"items":[{"key_b64":"/w"}]})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_key_page(bad).has_value());
  }
}

TEST_CASE("the lines of a watch") {
  using Kind = WatchedLine::Kind;
  const auto watched = [](std::string_view line) {
    const auto parsed = parse_watched_line(line);
    REQUIRE_MESSAGE(parsed.has_value(), parsed.error().detail);
    return *parsed;
  };
  const auto put = watched(R"({"type":"put","key":"a","value":"v","revision":7,"version":2,"created":5})");
  CHECK(put.kind == Kind::kChange);
  CHECK(put.type == "put");
  CHECK(put.key == "a");
  CHECK(put.value == "v");
  CHECK(put.revision == 7);
  CHECK_FALSE(put.more);
  CHECK_FALSE(put.state);
  const auto bytes =
      watched(R"({"type":"put","key_b64":"/w==","value_b64":"AP8=","revision":7,"more":true,"state":true})");
  CHECK(bytes.key == "\xff");
  CHECK(bytes.value == std::string("\0\xff", 2));
  CHECK(bytes.more);
  CHECK(bytes.state);
  for (const std::string type : {"delete", "expire", "learned later"}) {
    const auto change = watched(R"({"type":")" + type + R"(","key":"a","revision":7,"more":true})");
    CHECK(change.kind == Kind::kChange);
    CHECK(change.type == type);
    CHECK(change.more);
  }
  CHECK_FALSE(watched(R"({"type":"progress","revision":7})").linear);
  const auto progress = watched(R"({"type":"progress","revision":7,"linear":true})");
  CHECK(progress.kind == Kind::kProgress);
  CHECK(progress.revision == 7);
  CHECK(progress.linear);
  CHECK(watched(R"({"type":"synced","revision":7,"complete":false})").kind == Kind::kSynced);
  CHECK(watched(R"({"type":"stale","silent_ms":7})").kind == Kind::kStale);
  CHECK(watched(R"({"type":"current","revision":7})").kind == Kind::kCurrent);
  CHECK(watched(R"({"type":"reset","revision":7,"reason":"history"})").kind == Kind::kReset);
  const auto gone = watched(R"({"type":"gone","revision":7,"oldest":5,"reason":"a\u0007b"})");
  CHECK(gone.kind == Kind::kGone);
  CHECK(gone.reason == "a b");
  CHECK(watched(R"({"type":"waiting","revision":7})").kind == Kind::kOther);
  CHECK(watched(R"({"type":"learned later"})").kind == Kind::kOther);
  for (const char* bad :
       {"", "[]", R"({"type":"put","revision":7})", R"({"type":"put","key":"","revision":7})",
        R"({"type":"put","key":"a"})", R"({"type":"expire","revision":7})",
        R"({"type":"put","key_b64":"/w","revision":7})",
        R"({"type":"put","key":"a","value_b64":"/w","revision":7})", R"({"type":"progress"})",
        R"({"type":"synced"})", R"({"type":"gone","revision":-1})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_watched_line(bad).has_value());
  }
}

TEST_CASE("a problem in one line") {
  CHECK(problem_text(409, R"({"title":"Conflict","detail":"held by\nb"})") ==
        "the server says 409: held by b");
  CHECK(problem_text(409, R"({"title":"Conflict"})") == "the server says 409: Conflict");
  CHECK(problem_text(500, "oops") == "the server says 500");
  CHECK(problem_outcome(R"({"status": 503, "outcome": "unknown"})") == "unknown");
  CHECK(problem_outcome(R"({"detail":"\"outcome\":\"unknown\""})").empty());
  CHECK(problem_outcome("oops").empty());
}

TEST_CASE("a lease") {
  const auto lease = parse_lease(
      R"({"lease":5,"ttl_ms":30000,"left_ms":0,"name":"a\nb","keys":["a",{"key_b64":"/w=="}], "more": 1})");
  REQUIRE(lease.has_value());
  CHECK(lease->id == 5);
  CHECK(lease->ttl_ms == 30000);
  CHECK(lease->left_ms == 0);
  CHECK(lease->name == "a b");
  CHECK(lease->keys == std::vector<std::string>{"a", "\xff"});
  CHECK(lease->json ==
        R"({"lease":5,"ttl_ms":30000,"left_ms":0,"name":"a\nb","keys":["a",{"key_b64":"/w=="}],"more":1})");
  const auto nameless = parse_lease(R"({"lease":5,"ttl_ms":1,"left_ms":1,"name_b64":"/w=="})");
  REQUIRE(nameless.has_value());
  CHECK(nameless->name == "\xff");
  for (const char* bad : {"[]", "<html>", R"({"lease":5,"ttl_ms":1})", R"({"ttl_ms":1,"left_ms":1})",
                          R"({"lease":5,"ttl_ms":1,"left_ms":1,"keys":[7]})",
                          R"({"lease":5,"ttl_ms":1,"left_ms":1,"keys":[{"key_b64":"."}]})",
                          R"({"lease":5,"ttl_ms":1,"left_ms":1,"name_b64":"."})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_lease(bad).has_value());
  }
}

TEST_CASE("messages of a queue") {
  const auto page = parse_message_page(
      R"({"messages":[{"id":"90.1","receipt":91,"attempt":2,"group":"g","type":"t","body":"a\nb"},)"
      R"({"id":"92", "body_b64":"/w==","more":1}],"settled":["ok"]})");
  REQUIRE(page.has_value());
  CHECK_FALSE(page->gap.has_value());
  const std::vector<QueueMessage>& messages = page->messages;
  REQUIRE(messages.size() == 2);
  const QueueMessage& first = messages.front();
  CHECK(first.id == "90.1");
  CHECK(first.receipt == 91);
  CHECK(first.attempt == 2);
  CHECK(first.group == "g");
  CHECK(first.type == "t");
  CHECK(first.body == "a\nb");
  CHECK(messages.back().receipt == 0);
  CHECK(messages.back().body == "\xff");
  CHECK(messages.back().json == R"({"id":"92","body_b64":"/w==","more":1})");
  CHECK(parse_message_page(R"({"messages":[]})")->messages.empty());
  for (const char* bad :
       {"[]", "{}", R"({"messages":[7]})", R"({"messages":[{"id":7}]})",
        R"({"messages":[{"id":"a\u0000b"}]})", R"({"messages":[{"id":"9","body_b64":"."}]})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_message_page(bad).has_value());
  }
}

TEST_CASE("pages of queues, topics and subscriptions") {
  const std::vector<std::string> numbers = {"ready", "dead"};
  const auto page = parse_source_page(R"({"queues":[{"name":"a","dead":4,"delayed":2,"ready":1},)"
                                      R"({"name_b64":"/w==","ready":0,"dead":0}]})",
                                      "queues", numbers);
  REQUIRE(page.has_value());
  REQUIRE(page->size() == 2);
  CHECK(page->front().name == "a");
  CHECK(page->front().numbers == std::vector<uint64_t>{1, 4});
  CHECK(page->front().json == R"({"name":"a","dead":4,"delayed":2,"ready":1})");
  CHECK(page->back().name == "\xff");
  for (const char* bad : {"{}", R"({"topics":[]})", R"({"queues":[{"ready":1,"dead":4}]})",
                          R"({"queues":[{"name":"a","ready":1}]})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_source_page(bad, "queues", numbers).has_value());
  }
}

TEST_CASE("pages of policies, users and tokens") {
  const auto page = parse_access_page(
      R"({"users":[{"name":"a","policies":["p","q"],"more":1},{"name":"b","policies":[]}],"next":"/x"})",
      "users", "name", {"policies", "note"});
  REQUIRE_MESSAGE(page.has_value(), page.error().detail);
  REQUIRE(page->size() == 2);
  CHECK(page->front().name == "a");
  CHECK(page->front().members ==
        std::vector<std::pair<std::string, std::string>>{{"policies", "p,q"}, {"note", ""}});
  CHECK(page->front().json == R"({"name":"a","policies":["p","q"],"more":1})");
  CHECK(page->back().members.front().second.empty());
  for (const char* wrong : {"", "{}", R"({"users":[7]})", R"({"users":[{"id":"a"}]})"})
    CHECK_FALSE(parse_access_page(wrong, "users", "name", {}).has_value());
  CHECK(json_in(R"({"rules": [ {"kv": ""} ], "n": null})", "rules") == R"([{"kv":""}])");
  CHECK(json_in(R"({"n": null})", "n") == "null");
  CHECK(json_in("{}", "n").empty());
  CHECK(json_in("", "n").empty());
}

TEST_CASE("a gap in an answer") {
  const auto page = parse_message_page(R"({"messages":[],"gap":{"after":"3","last":"7.2"}})");
  REQUIRE(page.has_value());
  REQUIRE(page->gap.has_value());
  CHECK(gap_text(*page->gap) == "a gap: what was behind message 3, up to 7.2, is gone");
  CHECK_FALSE(parse_message_page(R"({"messages":[],"gap":7})")->gap.has_value());
}

TEST_CASE("lines of a topic's stream") {
  using Kind = TopicLine::Kind;
  const auto message =
      parse_topic_line(R"({"message": {"id":"90.1", "sent_ms":5,"body_b64":"/w=="}})").value();
  CHECK(message.kind == Kind::kMessage);
  CHECK(message.id == "90.1");
  CHECK(message.json == R"({"id":"90.1","sent_ms":5,"body_b64":"/w=="})");
  const auto gap = parse_topic_line(R"({"gap":{"after":"3","last":"7"}})").value();
  CHECK(gap.kind == Kind::kGap);
  CHECK(gap.gap.after == "3");
  CHECK(gap.gap.last == "7");
  const auto progress = parse_topic_line(R"({"progress":"8"})").value();
  CHECK(progress.kind == Kind::kProgress);
  CHECK(progress.id == "8");
  CHECK(parse_topic_line(R"({"state":"stale","silent_ms":5})")->kind == Kind::kStale);
  CHECK(parse_topic_line(R"({"state":"current"})")->kind == Kind::kCurrent);
  const auto lost = parse_topic_line(R"({"state":"lost","reason":"no topic"})").value();
  CHECK(lost.kind == Kind::kLost);
  CHECK(lost.reason == "no topic");
  for (const char* other : {"{}", R"({"state":"stopping"})", R"({"news":1})"}) {
    CAPTURE(other);
    CHECK(parse_topic_line(other)->kind == Kind::kOther);
  }
  CHECK_FALSE(parse_topic_line("[]").has_value());
}

TEST_CASE("ids and members") {
  CHECK(parse_texts_in(R"({"ids":["9","9.1"]})", "ids").value() == std::vector<std::string>{"9", "9.1"});
  CHECK_FALSE(parse_texts_in(R"({"ids":[9]})", "ids").has_value());
  CHECK_FALSE(parse_texts_in(R"({"id":"9"})", "ids").has_value());
  using Texts = std::vector<std::pair<std::string, std::string>>;
  CHECK(parse_members(R"({"name":"a\nb","ttr":5,"backoff":[1,2],"dead_letter":"","more":true})").value() ==
        Texts{{"name", "a b"}, {"ttr", "5"}, {"backoff", "1,2"}, {"dead_letter", ""}, {"more", "true"}});
  CHECK_FALSE(parse_members("[]").has_value());
}

TEST_CASE("pages of leases, and renewals") {
  const auto page = parse_lease_page(
      R"({"leases":[{"lease":5,"ttl_ms":1,"left_ms":1},{"lease":7,"ttl_ms":1,"left_ms":1}]})");
  REQUIRE(page.has_value());
  REQUIRE(page->size() == 2);
  CHECK(page->back().id == 7);
  CHECK(page->back().json == R"({"lease":7,"ttl_ms":1,"left_ms":1})");
  for (const char* bad : {"[]", "{}", R"({"leases":[7]})", R"({"leases":[{"lease":5}]})"})
    CHECK_FALSE(parse_lease_page(bad).has_value());
  const auto left = parse_renewals(R"({"results":[{"left_ms":0},null,{"left_ms":7}]})");
  REQUIRE(left.has_value());
  CHECK(*left == std::vector<std::optional<int64_t>>{0, std::nullopt, 7});
  for (const char* bad : {"[]", "{}", R"({"results":[7]})", R"({"results":[{}]})"})
    CHECK_FALSE(parse_renewals(bad).has_value());
}

TEST_CASE("the lines of a lease that is held") {
  using Kind = LeaseLine::Kind;
  const auto line = [](std::string_view text) {
    const Result<LeaseLine> parsed = parse_lease_line(text);
    REQUIRE_MESSAGE(parsed.has_value(), parsed.error().detail);
    return *parsed;
  };
  const LeaseLine first = line(R"({"lease":5,"ttl_ms":30000,"hold":2,"left_ms":29000})");
  CHECK(first.kind == Kind::kHeld);
  CHECK(first.id == 5);
  CHECK(first.ttl_ms == 30000);
  CHECK(first.hold == 2);
  CHECK(first.left_ms == 29000);
  CHECK(line(R"({"lease":5,"ttl_ms":30000,"left_ms":29000})").hold == 0);
  const LeaseLine held = line(R"({"state":"held","left_ms":7})");
  CHECK(held.kind == Kind::kHeld);
  CHECK(held.id == 0);
  CHECK(held.left_ms == 7);
  CHECK(line(R"({"state":"unsure"})").kind == Kind::kUnsure);
  const LeaseLine lost = line(R"({"state":"lost","reason":"over"})");
  CHECK(lost.kind == Kind::kLost);
  CHECK(lost.reason == "over");
  const LeaseLine stopping = line(R"({"state":"stopping","left_ms":9})");
  CHECK(stopping.kind == Kind::kStopping);
  CHECK(stopping.left_ms == 9);
  CHECK(line("{}").kind == Kind::kProgress);
  CHECK(line(R"({"state":"something new"})").kind == Kind::kProgress);
  for (const char* bad : {"held", R"({"state":"held"})", R"({"state":"stopping"})",
                          R"({"lease":5,"left_ms":7})", R"({"lease":5,"ttl_ms":7})"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_lease_line(bad).has_value());
  }
}
