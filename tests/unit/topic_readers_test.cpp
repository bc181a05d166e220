// The topic readers alone, with a clock of the test: it answers the pages that they ask for, and reads what they say to
// whom as lines of text.
#include "core/topic_readers.hpp"

#include <doctest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/queues/stored.hpp"

namespace kvd::topic_readers_test {
namespace {

using Lines = std::vector<std::string>;

constexpr RequestId kClient = request_id(1, 0);
constexpr RequestId kOther = request_id(2, 0);
constexpr uint64_t kNumber = 7;  // the topic's

struct Harness {
  Harness() {
    out.now = Instant(seconds(100));
    RoleChanged role;
    role.readable = true;
    role.epoch = Epoch(3);
    actor.handle(std::move(role));
    actor.handle(CopyHeard{true, Duration(0)});
  }

  void stream(RequestId id, TopicPlace after = {}) {
    actor.handle(Call{id, Box(FollowTopic{{"t", after, 10}, std::nullopt}), seconds(5)});
  }
  void page(RequestId id, Duration wait) {
    actor.handle(Call{id, Box(FollowTopic{{"t", {}, 10}, wait}), seconds(5)});
  }
  // The oldest page that was asked for: these messages, of revision `at`; `last` where there are none.
  void answer(const std::vector<uint64_t>& ids, uint64_t at, uint64_t last = 0, bool more = false,
              std::optional<Received::Gap> gap = {}) {
    Peeked found;
    found.number = kNumber;
    found.last = {Revision(last), 0};
    found.more = more;
    found.gap = gap;
    for (const uint64_t id : ids) {
      QueuedMessage message;
      message.id = found.last = {Revision(id), 0};
      message.body = Bytes(std::string(body, 'x'));
      found.messages.push_back(std::move(message));
    }
    answer_with(std::move(found), at);
  }
  void answer_with(Answer what, uint64_t at = 9) {
    asks();
    REQUIRE(!reads.empty());
    const uint64_t token = reads.front().token;
    reads.pop_front();
    actor.handle(Answered{token, std::move(what), Revision(at), true});
  }
  // The places of the pages that are asked for and not answered.
  Lines asks() {
    actor.flush();
    for (auto& mailbox = out.replica; !mailbox.empty(); mailbox.drop_first()) {
      if (auto* read = std::get_if<Read>(&mailbox.first())) {
        CHECK(read->by == Read::By::kTopicReaders);
        reads.push_back(std::move(*read));
      } else {
        wanted = std::get<TopicsRead>(mailbox.first()).wanted;
      }
    }
    Lines places;
    for (const Read& read : reads) places.push_back(to_text(std::get<PageTopic>(read.operation).after.id));
    return places;
  }
  void commit(Record effect, uint64_t revision) {
    auto entry = std::make_shared<Entry>();
    entry->revision = Revision(revision);
    entry->effects = {std::move(effect)};
    actor.handle(Committed{{std::move(entry)}});
  }
  void publish(uint64_t revision, uint64_t number = kNumber) {
    commit(message_record(message_key(number, {Revision(revision), 0}), {}, Revision(revision)), revision);
  }
  void pass(Duration time) {
    out.now += time;
    actor.on_time();
  }
  // "messages 1 2", "gap 1..4 messages 5", "progress 4", a state's line; "refused CODE"; a last one with a full stop,
  // and one that is no line of a stream says so.
  Lines said() {
    Lines all;
    for (NodeEffect& effect : out.effects) {
      const Reply& reply = std::get<Reply>(effect);
      std::string& text = all.emplace_back(text_of(reply));
      if (reply.last) text += ".";
      if (!reply.line) text += " no line";
    }
    out.effects.clear();
    return all;
  }
  static std::string text_of(const Reply& reply) {
    const auto* store = std::get_if<StoreAnswer>(&reply.what);
    if (store == nullptr) return to_json(std::get<Document>(std::get<ServiceAnswer>(reply.what).content));
    if (const auto* failed = std::get_if<Failed>(&store->answer))
      return "refused " + std::to_string(static_cast<int>(failed->code));
    const Peeked& page = std::get<Peeked>(store->answer);
    std::string text =
        page.gap ? "gap " + to_text(page.gap->after) + ".." + to_text(page.gap->last) + " " : "";
    if (page.messages.empty()) return text + "progress " + to_text(page.last);
    text += "messages";
    for (const QueuedMessage& message : page.messages) text += " " + to_text(message.id);
    return text;
  }

  NodeConfig config;
  Prng prng{1};
  Outbox out{config, prng};
  TopicReaders actor{out};
  std::deque<Read> reads;
  bool wanted = false;
  size_t body = 1;
};

}  // namespace

TEST_CASE("topic readers: a stream says what there is, and what is published from then on") {
  Harness all;
  all.stream(kClient);
  CHECK(all.asks() == Lines{"0"});
  CHECK(all.wanted);
  all.answer({3, 5}, 5);
  CHECK(all.said() == Lines{"messages 3 5"});
  CHECK(all.asks().empty());
  all.publish(8, kNumber + 1);
  CHECK(all.asks().empty());
  all.publish(8);
  CHECK(all.asks() == Lines{"5"});
  all.answer({8}, 8);
  CHECK(all.said() == Lines{"messages 8"});
  CHECK(all.actor.streams() == 1);
}

TEST_CASE("topic readers: what is committed while a page is under way is not missed") {
  Harness all;
  all.stream(kClient);
  all.answer({3}, 3);
  all.publish(5);
  CHECK(all.asks() == Lines{"3"});
  all.publish(6);
  SUBCASE("the page has it") { all.answer({5, 6}, 6); }
  SUBCASE("the page is of before") {
    all.answer({5}, 5);
    CHECK(all.asks() == Lines{"5"});
    all.answer({6}, 6);
  }
  CHECK(all.asks().empty());
}

TEST_CASE("topic readers: a stream that has nothing to say opens, and says how far it is") {
  Harness all;
  all.stream(kClient, {TopicPlace::Kind::kNow, {}, 0});
  all.answer({}, 9, 6);
  CHECK(all.said() == Lines{"progress 6"});
  all.pass(seconds(9));
  CHECK(all.said().empty());
  all.pass(seconds(1));
  CHECK(all.said() == Lines{"progress 6"});
  all.publish(10);
  CHECK(all.asks() == Lines{"6"});
}

TEST_CASE("topic readers: who does not take the lines is told nothing more, and of what went meanwhile") {
  Harness all;
  all.body = limits::kStreamWindow;
  all.stream(kClient);
  all.answer({3}, 5, 0, true);
  CHECK(all.asks().empty());
  all.publish(6);
  CHECK(all.asks().empty());
  all.pass(seconds(30));
  CHECK(all.said() == Lines{"messages 3"});
  all.actor.handle(StreamTaken{kClient, 2 * limits::kStreamWindow});
  CHECK(all.asks() == Lines{"3"});
  all.answer({6}, 6, 0, false, Received::Gap{{Revision(3), 0}, {Revision(5), 0}});
  CHECK(all.said() == Lines{"gap 3..5 messages 6"});
}

TEST_CASE("topic readers: a page waits for its time") {
  Harness all;
  all.page(kClient, seconds(60));
  all.answer({}, 4, 2);
  CHECK(all.said().empty());
  SUBCASE("something is published") {
    all.publish(5);
    CHECK(all.asks() == Lines{"2"});
    all.answer({5}, 5);
    CHECK(all.said() == Lines{"messages 5. no line"});
  }
  SUBCASE("nothing is") {
    all.pass(seconds(60));
    CHECK(all.asks() == Lines{"2"});
    all.answer({}, 4, 2);
    CHECK(all.said() == Lines{"progress 2. no line"});
  }
  SUBCASE("the topic is deleted") {
    all.commit(gone(topic_record("t", {kNumber, {}}, nullptr, Revision(1)), Revision(5)), 5);
    all.answer_with(Failed{ErrorCode::kNoTopic, Outcome::kNotApplied, ""});
    CHECK(all.said() ==
          Lines{"refused " + std::to_string(static_cast<int>(ErrorCode::kNoTopic)) + ". no line"});
  }
  CHECK(all.asks().empty());
  CHECK(!all.wanted);
}

TEST_CASE("topic readers: a stream's end") {
  Harness all;
  all.stream(kClient);
  all.answer({3}, 5);
  all.said();
  SUBCASE("its topic is deleted") {
    all.commit(gone(topic_record("t", {kNumber, {}}, nullptr, Revision(1)), Revision(6)), 6);
    all.answer_with(Failed{ErrorCode::kNoTopic, Outcome::kNotApplied, ""});
    CHECK(all.said() == Lines{R"({"state":"lost","reason":"no topic"}.)"});
  }
  SUBCASE("its client goes, also with a page under way") {
    all.publish(6);
    CHECK(all.asks() == Lines{"3"});
    all.actor.handle(CallCancelled{kClient});
    all.answer({6}, 6);
    CHECK(all.said().empty());
  }
  SUBCASE("the server stops") {
    all.page(kOther, seconds(9));
    all.actor.handle(StopRequested{});
    CHECK(all.said() ==
          Lines{R"({"state":"stopping"}.)",
                "refused " + std::to_string(static_cast<int>(ErrorCode::kShuttingDown)) + ". no line"});
    CHECK(all.actor.drained());
  }
  all.asks();
  CHECK(!all.wanted);
  CHECK(all.actor.streams() == 0);
  CHECK(all.actor.deadline() == kNever);
}

TEST_CASE("topic readers: a topic that is made anew is another one") {
  Harness all;
  all.stream(kClient);
  all.answer({3}, 5);
  all.said();
  all.publish(6);
  Peeked page;
  page.number = kNumber + 1;
  page.last = {Revision(9), 0};
  all.answer_with(page);
  CHECK(all.said() == Lines{R"({"state":"lost","reason":"no topic"}.)"});
  CHECK(all.actor.streams() == 0);
}

TEST_CASE("topic readers: many ask some at a time, each once") {
  Harness all;
  for (uint32_t i = 1; i <= 100; ++i) all.stream(request_id(i, 0));
  std::vector<size_t> turns;
  for (size_t before = 0; all.asks().size() > before; before = turns.back())
    turns.push_back(all.reads.size());
  CHECK(turns.front() < 100);
  CHECK(turns.back() == 100);
  CHECK(all.actor.deadline() > all.out.now);
}

TEST_CASE("topic readers: a copy that nobody leads, or that is replaced") {
  Harness all;
  all.stream(kClient);
  all.answer({3}, 5);
  all.said();
  all.actor.handle(CopyHeard{false, milliseconds(120)});
  CHECK(all.said() == Lines{R"({"state":"stale","silent_ms":120})"});
  all.stream(kOther);
  all.answer({3}, 5);
  CHECK(all.said() == Lines{"messages 3", R"({"state":"stale","silent_ms":120})"});
  all.actor.handle(CopyHeard{true, Duration(0)});
  CHECK(all.said() == Lines{R"({"state":"current"})", R"({"state":"current"})"});

  all.publish(6);
  all.answer_with(Failed{ErrorCode::kNotReady, Outcome::kNotApplied, ""});
  all.answer_with(Failed{ErrorCode::kNotReady, Outcome::kNotApplied, ""});
  CHECK(all.said().empty());
  all.actor.handle(HistoryReset{Revision(20), WatchBreak::kSnapshot});
  CHECK(all.asks() == Lines{"3", "3"});
  all.answer({6}, 20);
  CHECK(all.said() == Lines{"messages 6"});
}

}  // namespace kvd::topic_readers_test
