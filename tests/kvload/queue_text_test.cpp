// What `kvload queue` writes and reads: bodies that tell their number, acknowledgements, and the answers of
// servers.
#include "kvload/queue_text.hpp"

#include <doctest.h>

#include <string>
#include <string_view>

namespace kvd::load {
namespace {

constexpr size_t kBytes = 60;

MessageId id_of(uint64_t revision, uint16_t index = 0) { return {Revision(revision), index}; }

std::string queue_body(const QueueStamp& stamp, size_t bytes) {
  std::string body;
  append_queue_body(stamp, bytes, body);
  return body;
}

}  // namespace

TEST_CASE("a body tells its number and its moment, in as many bytes as were asked for") {
  for (const size_t bytes : {kMessageBytesMin, kBytes, size_t{5000}}) {
    const std::string body = queue_body({UINT64_MAX, UINT64_MAX}, bytes);
    CHECK(body.size() == bytes);
    const auto stamp = parse_queue_body(body, bytes);
    REQUIRE(stamp);
    CHECK(stamp->number == UINT64_MAX);
    CHECK(stamp->at == UINT64_MAX);
  }
}

TEST_CASE("what is not such a body is told from one") {
  const std::string body = queue_body({12, 345}, kBytes);
  CHECK(parse_queue_body(body, kBytes));
  CHECK(!parse_queue_body(body, kBytes + 1));
  CHECK(!parse_queue_body(body.substr(0, kBytes - 1), kBytes));
  CHECK(!parse_queue_body("", kBytes));
  CHECK(!parse_queue_body("12 345", 6));
  CHECK(!parse_queue_body("12 x xxx", 8));
  CHECK(!parse_queue_body("-1 5 xxx", 8));
  std::string changed = body;
  changed.back() = 'y';
  CHECK(!parse_queue_body(changed, kBytes));
}

TEST_CASE("a line of a batch has a body, and a group where there is one") {
  std::string lines;
  append_queue_line({1, 2}, 8, "", lines);
  append_queue_line({3, 4}, 8, "g5", lines);
  CHECK(lines == "{\"body\":\"1 2 xxxx\"}\n{\"body\":\"3 4 xxxx\",\"group\":\"g5\"}\n");
}

TEST_CASE("all that is held is acknowledged together") {
  CHECK(acknowledge_body({}) == R"({"ack":[]})");
  CHECK(acknowledge_body({{0, id_of(90), 95}, {1, id_of(90, 3), 96}}) ==
        R"({"ack":[{"id":"90","receipt":95},{"id":"90.3","receipt":96}]})");
}

TEST_CASE("answers are read") {
  QueueAnswerParser parser;
  const QueueAnswer* answer = parser.parse(R"({"id":"90","revision":90})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->ids == std::vector<MessageId>{id_of(90)});
  answer = parser.parse(R"({"ids":["91","91.1"],"revision":91})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->ids == std::vector<MessageId>{id_of(91), id_of(91, 1)});
  const std::string body = queue_body({7, 8}, kBytes);
  answer = parser.parse(
      R"({"messages":[{"id":"91.1","receipt":99,"attempt":1,"priority":100,"sent_ms":5,"body":")" + body +
          R"("},{"id":"3","body":"other"}],"settled":["ok","gone","stale"],"more":true})",
      kBytes);
  REQUIRE(answer != nullptr);
  REQUIRE(answer->messages.size() == 2);
  CHECK(answer->messages[0].id == id_of(91, 1));
  CHECK(answer->messages[0].receipt == 99);
  REQUIRE(answer->messages[0].stamp);
  CHECK(answer->messages[0].stamp->number == 7);
  CHECK(answer->messages[0].stamp->at == 8);
  CHECK(!answer->messages[1].stamp);
  CHECK(answer->settled ==
        std::vector<SettleResult>{SettleResult::kDone, SettleResult::kGone, SettleResult::kStale});
  CHECK(answer->more);
  CHECK(answer->ids.empty());
  answer = parser.parse(R"({"results":["ok"],"revision":91})", kBytes);
  REQUIRE(answer != nullptr);
  CHECK(answer->settled == std::vector<SettleResult>{SettleResult::kDone});
  CHECK(!answer->more);
}

TEST_CASE("what no server says is no answer") {
  QueueAnswerParser parser;
  for (const std::string_view json :
       {"", "[]", R"({"id":5})", R"({"id":"x"})", R"({"ids":[1]})", R"({"settled":["well"]})",
        R"({"messages":[1]})", R"({"messages":[{"receipt":1}]})",
        R"({"messages":[{"id":"1","receipt":"1"}]})", R"({"more":1})"})
    CHECK_MESSAGE(parser.parse(json, kBytes) == nullptr, json);
}

}  // namespace kvd::load
