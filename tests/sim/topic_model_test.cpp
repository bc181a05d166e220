// The model of topics (topic_model.hpp) before entries and answers that are as they should be, and before those that
// break one rule each.
#include "topic_model.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "msg/limits.hpp"

namespace kvd::sim {
namespace topic_model_test {
namespace {

using Effects = std::vector<Record>;
using Kind = Settling::Kind;
constexpr uint64_t kTtr = 1000;
constexpr uint64_t kTopic = 1;         // its number
constexpr uint64_t kSubscription = 2;  // likewise

// Entries one after the other, a revision for each; the log's clock is the true time. There is a topic "t", made by
// revision 1, its subscription "s", and a queue "dead" without bounds.
struct Modelled {
  explicit Modelled(SubscriptionConfig config = {}, TopicConfig topic = {})
      : subscription(std::move(config)) {
    CHECK(entry({topic_record("t", {kTopic, topic}, nullptr, next())}, 10) == "");
    model.on_asked(MakeSubscription{"t", "s", subscription, {}});
    CHECK(entry({subscription_effect(kSubscription), place(kSubscription, {{}, 0, 10})}, 10) == "");
    CHECK(entry({queue_record("dead", {3, {}}, nullptr, next())}, 10) == "");
  }
  Revision next() const { return Revision(revision + 1); }
  std::string entry(Effects effects, uint64_t at_ms) {
    return model.on_entry(Entry{Epoch(1), Revision(++revision), std::move(effects), at_ms},
                          Instant(milliseconds(static_cast<int64_t>(at_ms))));
  }
  std::string answer(Operation operation, Answer said) {
    StoreAnswer answer;
    answer.answer = std::move(said);
    answer.revision = Revision(revision);
    return model.on_answer(operation, answer);
  }
  Record subscription_effect(uint64_t number) const {
    return subscription_record(subscription_key("t", "s"), {number, kTopic, subscription}, nullptr, next());
  }
  Record place(uint64_t number, const StoredPlace& at) const {
    return place_record(number, at, nullptr, next());
  }
  Record cursor(const MessageId& id, uint64_t gaps = 0) const { return place(kSubscription, {id, gaps, 10}); }
  static PublishMessages publish_call(const std::string& body, const std::string& dedup = "") {
    PublishMessages publish;
    publish.topic = "t";
    publish.messages.emplace_back();
    publish.messages[0].body = Bytes(body);
    publish.messages[0].dedup = dedup;
    return publish;
  }
  Record message(const std::string& body, uint64_t ordinal, const std::string& group = "",
                 uint64_t deadline = 0) const {
    StoredMessage as;
    as.body = body;
    as.ordinal = ordinal;
    as.group = group;
    as.deadline = deadline;
    return message_record(message_key(kTopic, {next(), 0}), as, next());
  }
  MessageId publish(const std::string& body, const std::string& group = "", uint64_t deadline = 0) {
    model.on_asked(publish_call(body));
    CHECK(entry({message(body, ++ordinals, group, deadline)}, 100) == "");
    return {Revision(revision), 0};
  }
  Record effect(const MessageId& id, const StoredDelivery& became, uint64_t number = kSubscription) const {
    return delivery_record(message_key(number, id), became, nullptr, next());
  }
  Record erased(const MessageId& id, Space space, uint64_t number) const {
    return Record::deletion(message_key(number, id), {Revision(1), next(), 0, space});
  }
  Record forgotten(const MessageId& id) const { return erased(id, Space::kDeliveries, kSubscription); }
  Record gone(const MessageId& id) const { return erased(id, Space::kMessages, kTopic); }
  StoredDelivery flight(uint32_t attempt, uint64_t at_ms) const {
    return {MessageState::kInFlight, attempt, at_ms + kTtr, revision + 1, 7 + revision, 0, {}, {}};
  }
  std::string grant(const MessageId& id, uint32_t attempt, uint64_t at_ms) {
    last = flight(attempt, at_ms);
    return entry({effect(id, last)}, at_ms);
  }
  StoredDelivery in(MessageState state, uint32_t attempts = 0, uint64_t due = 0) const {
    StoredDelivery became = last;
    became.state = state;
    became.attempts = attempts;
    became.due = due;
    return became;
  }
  static StoredDelivery settled() {
    StoredDelivery became;
    became.state = MessageState::kSettled;
    return became;
  }
  Settling wish(const MessageId& id, Kind kind, std::optional<uint64_t> ms = {}) {
    SettleMessages settle;
    settle.queue = "t";
    settle.subscription = "s";
    settle.settlings.push_back({kind, id, last.receipt, ms, {}});
    model.on_asked(settle);
    return settle.settlings[0];
  }
  std::string said(const Settling& settling, SettleResult result) {
    SettleMessages settle;
    settle.queue = "t";
    settle.subscription = "s";
    settle.settlings.push_back(settling);
    return answer(settle, Settled{{{result, 0, 0}}, false});
  }
  // Acknowledged by the newest grant, with the cursor behind it.
  std::string acked(const MessageId& id, uint64_t at_ms) {
    wish(id, Kind::kAck);
    return entry({cursor(id), forgotten(id)}, at_ms);
  }
  std::string told(const MessageId& id, const std::string& body, std::optional<Received::Gap> gap = {}) {
    Received received;
    received.queue = "t";
    received.subscription = "s";
    received.gap = gap;
    if (!body.empty()) {
      received.messages.emplace_back();
      received.messages[0].id = id;
      received.messages[0].receipt = last.receipt;
      received.messages[0].attempt = last.attempts;
      received.messages[0].body = Bytes(body);
    }
    ReceiveMessages receive;
    receive.queue = "t";
    receive.subscription = "s";
    return answer(receive, received);
  }

  TopicModel model;
  SubscriptionConfig subscription;
  uint64_t revision = 0;
  uint64_t ordinals = 0;
  StoredDelivery last;  // the newest grant
};

bool says(const std::string& why, const std::string& part) {
  CAPTURE(why);
  const bool found = why.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

SubscriptionConfig configured(auto change) {
  SubscriptionConfig config;
  change(config);
  return config;
}

}  // namespace

TEST_CASE("topic model: what is published, granted and settled as it should be") {
  Modelled all(configured([](SubscriptionConfig& config) { config.backoff_ms = {50}; }));
  const MessageId id = all.publish("a");
  const MessageId second = all.publish("b");
  says(all.model.left(), "message 4 of t s is ready");
  CHECK(all.model.sources_left() == std::vector<SourceOf>{{"t", "s"}});
  CHECK(all.answer(Modelled::publish_call("b"), Sent{1, {}}) == "");
  CHECK(all.grant(id, 1, 200) == "");
  CHECK(all.told(id, "a") == "");
  const Settling nack = all.wish(id, Kind::kNack);
  CHECK(all.entry({all.effect(id, all.in(MessageState::kDelayed, 1, 350))}, 300) == "");
  CHECK(all.said(nack, SettleResult::kDone) == "");
  CHECK(all.grant(id, 2, 350) == "");
  all.wish(id, Kind::kExtend, 2000);
  CHECK(all.entry({all.effect(id, all.in(MessageState::kInFlight, 2, 2400))}, 400) == "");
  CHECK(all.grant(id, 3, 2400) == "");
  const Settling release = all.wish(id, Kind::kRelease);
  CHECK(all.entry({all.effect(id, all.in(MessageState::kReady, 2))}, 2500) == "");
  CHECK(all.said(release, SettleResult::kDone) == "");
  CHECK(all.grant(id, 3, 2500) == "");
  const StoredDelivery first = all.last;
  CHECK(all.grant(second, 1, 2500) == "");
  all.wish(second, Kind::kAck);
  CHECK(all.entry({all.effect(second, Modelled::settled())}, 2600) == "");
  all.last = first;
  const Settling ack = all.wish(id, Kind::kAck);
  CHECK(all.entry({all.cursor(second), all.forgotten(id), all.forgotten(second)}, 2600) == "");
  CHECK(all.said(ack, SettleResult::kDone) == "");
  CHECK(all.said(ack, SettleResult::kGone) == "");
  CHECK(all.model.left() == "");
}

TEST_CASE("topic model: the cursor passes what is settled, or dead, and nothing else, and goes not back") {
  Modelled hole;
  const MessageId id = hole.publish("a");
  const MessageId second = hole.publish("b");
  says(hole.entry({hole.cursor(id)}, 200), "is passed by the cursor, and is neither settled nor dead");
  Modelled over;
  over.publish("a");
  over.publish("b");
  over.grant(id, 1, 200);
  over.wish(id, Kind::kAck);
  says(over.entry({over.cursor(second), over.forgotten(id)}, 300),
       "message 5 of t s is passed by the cursor");
  Modelled back;
  back.publish("a");
  back.grant(id, 1, 200);
  CHECK(back.acked(id, 300) == "");
  says(back.entry({back.cursor(MessageId())}, 400), "the cursor goes back");
  Modelled stays;
  stays.publish("a");
  stays.grant(id, 1, 200);
  stays.wish(id, Kind::kAck);
  says(stays.entry({stays.effect(id, Modelled::settled())}, 300),
       "has ended, and the cursor does not pass it");
  Modelled dead;
  dead.publish("a");
  dead.grant(id, 1, 200);
  dead.wish(id, Kind::kDead);
  CHECK(dead.entry({dead.cursor(id), dead.effect(id, dead.in(MessageState::kDead, 1))}, 300) == "");
  CHECK(dead.model.left() == "");
}

TEST_CASE("topic model: nothing is settled that nobody settled, and no receipt counts twice") {
  Modelled dropped;
  const MessageId id = dropped.publish("a");
  dropped.grant(id, 1, 200);
  says(dropped.entry({dropped.cursor(id), dropped.forgotten(id)}, 300), "is settled while it was in_flight");
  Modelled stale;
  stale.publish("a");
  stale.grant(id, 1, 200);
  stale.wish(id, Kind::kAck);
  stale.wish(id, Kind::kNack);
  stale.grant(id, 2, 1200);
  says(stale.entry({stale.effect(id, stale.in(MessageState::kReady, 2))}, 1300), "nobody asked for it");
  Modelled kept;
  kept.publish("a");
  kept.publish("b");
  kept.grant(id, 1, 200);
  kept.grant({Revision(5), 0}, 1, 200);
  kept.wish({Revision(5), 0}, Kind::kAck);
  CHECK(kept.entry({kept.effect({Revision(5), 0}, Modelled::settled())}, 300) == "");
  says(kept.entry({kept.forgotten({Revision(5), 0})}, 300), "was settled, and that is forgotten");
}

TEST_CASE("topic model: no grant while an earlier one runs, nor of what has ended, and receipts rise") {
  Modelled early;
  const MessageId id = early.publish("a");
  CHECK(early.grant(id, 1, 200) == "");
  says(early.grant(id, 2, 1199), "while it is in_flight until 1200");
  Modelled truth;  // by the log's clock it is over, which somebody has put ahead
  truth.publish("a");
  truth.grant(id, 1, 200);
  truth.last = truth.flight(2, 1200);
  says(truth.model.on_entry(Entry{Epoch(1), truth.next(), {truth.effect(id, truth.last)}, 1200},
                            Instant(milliseconds(700))),
       "is granted again after 500000 us");
  Modelled over;
  over.publish("a");
  over.grant(id, 1, 200);
  over.acked(id, 300);
  says(over.grant(id, 1, 400), "is granted, and is settled or dead");
  Modelled receipts;
  receipts.publish("a");
  StoredDelivery old = receipts.flight(1, 200);
  old.receipt = 2;
  says(receipts.entry({receipts.effect(id, old)}, 200), "gets receipt 2");
  Modelled anew;
  anew.publish("a");
  anew.grant(id, 1, 200);
  CHECK(anew.told(id, "a") == "");
  StoredDelivery again = anew.last;
  ++again.turn;
  again.receipt = anew.next().value;
  says(anew.entry({anew.effect(id, again)}, 300), "is granted anew, and its client was told");
}

TEST_CASE("topic model: attempts are grants that were not given back, and have an end") {
  Modelled counted(configured([](SubscriptionConfig& config) { config.max_deliveries = 2; }));
  const MessageId id = counted.publish("a");
  says(counted.grant(id, 2, 200), "attempt 2 behind 0");
  says(counted.grant(id, 3, 1200), "is granted 3 times");
  Modelled healthy;
  healthy.publish("a");
  healthy.grant(id, 1, 200);
  says(healthy.entry({healthy.cursor(id), healthy.effect(id, healthy.in(MessageState::kDead, 1))}, 300),
       "dies while it is in_flight");
  Modelled given;
  given.publish("a");
  given.grant(id, 1, 200);
  CHECK(given.told(id, "a") == "");
  says(given.entry({given.effect(id, given.in(MessageState::kReady, 0))}, 300),
       "is given back, and its client was told that it has it");
}

TEST_CASE("topic model: what is dead goes where its subscription says, both or neither") {
  const SubscriptionConfig dying = configured([](SubscriptionConfig& config) {
    config.max_deliveries = 1;
    config.dead_letter = "dead";
  });
  const auto copy = [](const Modelled& all, const std::string& body, uint32_t attempts) {
    StoredMessage dead;
    dead.body = body;
    dead.dead_from = "t/s";
    dead.attempts = attempts;
    return message_record(message_key(3, {all.next(), 0}), dead, all.next());
  };
  Modelled moves(dying);
  const MessageId id = moves.publish("a");
  moves.grant(id, 1, 200);
  CHECK(moves.entry({moves.cursor(id), copy(moves, "a", 1), moves.forgotten(id)}, 1200) == "");
  CHECK(moves.model.left() == "");
  Modelled early(dying);
  early.publish("a");
  early.grant(id, 1, 200);
  says(early.entry({early.cursor(id), copy(early, "a", 1), early.forgotten(id)}, 1199),
       "dies while it is in_flight");
  Modelled stays(dying);
  stays.publish("a");
  stays.grant(id, 1, 200);
  says(stays.entry({stays.cursor(id), stays.effect(id, stays.in(MessageState::kDead, 1))}, 1200),
       "does not go to dead");
  Modelled nowhere(dying);
  nowhere.publish("a");
  says(nowhere.entry({copy(nowhere, "a", 0)}, 1200), "is dead in dead, and came from nowhere");
  Modelled miscounts(dying);
  miscounts.publish("a");
  miscounts.grant(id, 1, 200);
  says(miscounts.entry({miscounts.cursor(id), copy(miscounts, "a", 4), miscounts.forgotten(id)}, 1200),
       "came from nowhere");
}

TEST_CASE("topic model: of a group one at a time and the oldest first, where the subscription is ordered") {
  const SubscriptionConfig ordered = configured([](SubscriptionConfig& config) { config.ordered = true; });
  Modelled lane(ordered);
  const MessageId first = lane.publish("a", "g");
  const MessageId second = lane.publish("b", "g");
  CHECK(lane.grant(first, 1, 200) == "");
  says(lane.grant(second, 1, 300), "is granted beside 4 of its group");
  Modelled before(ordered);
  before.publish("a", "g");
  before.publish("b", "g");
  StoredDelivery passed;
  passed.group = "g";
  before.last = before.flight(1, 200);
  says(before.entry({before.effect(first, passed), before.effect(second, before.last)}, 200),
       "is granted before 4 of its group");
  Modelled over(ordered);
  over.publish("a", "g");
  over.publish("b", "g");
  over.last = over.flight(1, 200);
  CHECK(over.entry({over.effect(first, over.last), over.effect(second, passed)}, 200) == "");
  CHECK(over.acked(first, 300) == "");
  CHECK(over.grant(second, 1, 300) == "");
  Modelled free;
  free.publish("a", "g");
  free.publish("b", "g");
  CHECK(free.grant(first, 1, 200) == "");
  CHECK(free.grant(second, 1, 200) == "");
  Modelled loose;
  loose.publish("a", "g");
  loose.publish("b", "g");
  loose.grant(first, 1, 200);
  says(loose.entry({loose.effect(second, passed)}, 200), "was never granted, and something becomes of it");
  loose.subscription.ordered = true;
  says(loose.entry({loose.subscription_effect(kSubscription)}, 200), "changes its order, and has messages");
}

TEST_CASE("topic model: in the topic's order, none left out, and no more than the window") {
  Modelled skipped;
  const MessageId first = skipped.publish("a");
  const MessageId second = skipped.publish("b");
  says(skipped.grant(second, 1, 200), "message 4 of t s is left out, and 5 is granted");
  Modelled late;
  late.publish("a");
  late.publish("b");
  late.grant(first, 1, 200);
  late.wish(first, Kind::kRelease);
  late.entry({late.effect(first, late.in(MessageState::kReady, 0))}, 300);
  says(late.grant(second, 1, 400), "is granted before 4, which is ready");
  const SubscriptionConfig small = configured([](SubscriptionConfig& config) { config.max_in_flight = 1; });
  Modelled beyond(small);
  beyond.publish("a");
  beyond.publish("b");
  CHECK(beyond.grant(first, 1, 200) == "");
  says(beyond.grant(second, 1, 200), "is granted beyond a window of 1");
  Modelled flying(small);
  flying.publish("a");
  flying.publish("b");
  CHECK(flying.grant(first, 1, 200) == "");
  CHECK(flying.acked(first, 300) == "");
  CHECK(flying.grant(second, 1, 400) == "");
}

TEST_CASE("topic model: a seek begins anew, and no receipt of before settles") {
  const auto emptied = [](const Modelled& all) { return emptied_record(kSubscription, false, all.next()); };
  const auto moved = [&](Modelled& all, const MessageId& to) {
    const uint64_t number = all.next().value;
    const Record known = place_record(kSubscription, {}, nullptr, Revision(2));
    return all.entry({all.subscription_effect(number), gone(known, all.next()),
                      all.place(number, {to, 0, 300}), emptied(all)},
                     300);
  };
  Modelled all;
  const MessageId id = all.publish("a");
  all.grant(id, 1, 200);
  all.acked(id, 250);
  all.model.on_asked(SeekSubscription{"t", "s", {}});
  CHECK(moved(all, MessageId()) == "");
  says(all.model.left(), "message 4 of t s is ready");
  Modelled late = all;
  says(late.entry({late.effect(id, Modelled::settled())}, 400), "which was moved, or is gone");
  StoredDelivery again = all.flight(1, 400);
  CHECK(all.entry({all.effect(id, again, 7)}, 400) == "");
  Modelled unasked;
  unasked.publish("a");
  says(moved(unasked, MessageId()), "nobody asked for that");
  Modelled wrong;
  wrong.publish("a");
  wrong.model.on_asked(SeekSubscription{"t", "s", {TopicPlace::Kind::kId, id, 0}});
  says(moved(wrong, MessageId()), "nobody asked for that");
  Modelled now;
  now.publish("a");
  now.model.on_asked(SeekSubscription{"t", "s", {TopicPlace::Kind::kNow, {}, 0}});
  CHECK(moved(now, {Revision(now.revision), limits::kKicked - 1}) == "");
  CHECK(now.model.left() == "");
}

TEST_CASE(
    "topic model: a subscription begins where it was asked to, and ends when that was asked for, or unused") {
  Modelled all;
  all.publish("a");
  const auto made = [&](const MessageId& behind) {
    Modelled other = all;
    const std::string key = subscription_key("t", "r");
    const uint64_t number = other.next().value;
    return other.entry({subscription_record(key, {number, kTopic, {}}, nullptr, other.next()),
                        other.place(number, {behind, 0, 200})},
                       200);
  };
  says(made({Revision(4), limits::kKicked - 1}), "nobody asked for that");
  all.model.on_asked(MakeSubscription{"t", "r", {}, {TopicPlace::Kind::kNow, {}, 0}});
  CHECK(made({Revision(4), limits::kKicked - 1}) == "");
  says(made({Revision(6), 0}), "nobody asked for that");
  const Record known =
      subscription_record(subscription_key("t", "s"), {kSubscription, kTopic, {}}, nullptr, Revision(2));
  Modelled deleted = all;
  says(deleted.entry({gone(known, deleted.next())}, 300), "is deleted, and nobody asked for it");
  all.model.on_asked(DeleteSubscription{"t", "s"});
  CHECK(all.entry({gone(known, all.next()), emptied_record(kSubscription, false, all.next())}, 300) == "");
  CHECK(all.model.left() == "");
  Modelled unused(configured([](SubscriptionConfig& config) { config.expires_ms = limits::kExpiresMsMin; }));
  CHECK(unused.entry({gone(known, unused.next())}, 10 + limits::kExpiresMsMin) == "");
}

TEST_CASE("topic model: a topic is cut at its beginning, and keeps what is not settled unless it says so") {
  TopicConfig config;
  config.max_messages = 1;
  Modelled kept({}, config);
  const MessageId first = kept.publish("a");
  kept.model.on_asked(Modelled::publish_call("b"));
  says(kept.entry({kept.gone(first), kept.message("b", 2)}, 200), "goes before it is settled");
  Modelled settled({}, config);
  settled.publish("a");
  settled.grant(first, 1, 200);
  CHECK(settled.acked(first, 300) == "");
  settled.model.on_asked(Modelled::publish_call("b"));
  CHECK(settled.entry({settled.gone(first), settled.message("b", 2)}, 400) == "");
  const MessageId second{Revision(settled.revision), 0};
  says(settled.entry({settled.gone(second)}, 500), "goes for no reason");
  config.discard_old = true;
  Modelled discards({}, config);
  discards.publish("a");
  discards.model.on_asked(Modelled::publish_call("b"));
  CHECK(discards.entry(
            {discards.place(kTopic, {first, 0, 0}), discards.gone(first), discards.message("b", 2)}, 200) ==
        "");
  Modelled untold = discards;
  says(untold.entry({untold.cursor(first)}, 300), "ends a way with a gap, and 0 gaps are counted");
  CHECK(discards.entry({discards.cursor(first, 1)}, 300) == "");
  CHECK(discards.told({}, "", Received::Gap{{}, first}) == "");
  says(discards.told({}, "", Received::Gap{{}, first}), "there is no gap behind 0");
  config.max_messages = 0;
  Modelled old({}, config);
  old.publish("a", "", 1000);
  const MessageId next = old.publish("b", "", 200);
  says(old.entry({old.gone(next)}, 300), "message 5 of t  goes, and 4 before it stays");
}

TEST_CASE("topic model: messages are counted one after the other, and of one name is one in its window") {
  Modelled counted;
  counted.publish("a");
  counted.model.on_asked(Modelled::publish_call("b"));
  says(counted.entry({counted.message("b", 3)}, 200), "has number 3 behind 1");
  says(counted.entry({counted.message("a", 4)}, 200), "was sent before, as 4");
  says(counted.entry({counted.message("c", 5)}, 200), "was sent by nobody");
  Modelled named;
  for (const char* body : {"a", "b", "c"}) named.model.on_asked(Modelled::publish_call(body, "n"));
  const auto published = [&](const std::string& body, uint64_t ordinal, uint64_t at_ms) {
    const MessageId id{named.next(), 0};
    return named.entry({named.message(body, ordinal),
                        dedup_record(dedup_key(kTopic, "n"), {id, at_ms + 1000}, named.next())},
                       at_ms);
  };
  CHECK(published("a", 1, 100) == "");
  says(published("b", 2, 1099), "while it stands for 4");
  CHECK(published("c", 3, 2099) == "");
}

TEST_CASE("topic model: what a transaction does for a message is done once, together with its end") {
  Modelled all;
  const MessageId id = all.publish("a");
  const std::string key = acked_key({"t", "s"}, id);
  const auto added = [&](const std::string& value) {
    return Record(key, value, {Revision(1), all.next(), std::stoull(value), Space::kData});
  };
  all.grant(id, 1, 200);
  Modelled alone = all;
  says(alone.entry({added("1")}, 300), "without an end of its message");
  all.wish(id, Kind::kAck);
  CHECK(all.entry({added("1"), all.cursor(id), all.forgotten(id)}, 300) == "");
  says(all.entry({added("2")}, 300), "without an end of its message");
}

TEST_CASE("topic model: what clients are told is so") {
  Modelled all;
  const MessageId id = all.publish("a");
  says(all.answer(Modelled::publish_call("b"), Sent{1, {}}), "and is another one");
  all.last.receipt = 4;
  all.last.attempts = 1;
  says(all.told(id, "a"), "is said to be granted, and is not");
  all.grant(id, 1, 200);
  says(all.told(id, "b"), "has another body");
  says(all.told(id, "a"), "is granted to two clients");
  const Settling ack = all.wish(id, Kind::kAck);
  says(all.said(ack, SettleResult::kDone), "is said to be settled, and is not");
  says(all.said(ack, SettleResult::kGone), "is said to be gone, and is not");
  says(all.said(ack, SettleResult::kStale), "is said to be stale, and is not");
  const Failed refused(ErrorCode::kNoLeader, Outcome::kNotApplied, "");
  says(all.answer(Modelled::publish_call("a"), refused), "a is sent, which is refused for certain");
}

TEST_CASE("topic model: what reads say is so") {
  Modelled all;
  const MessageId first = all.publish("a");
  const MessageId second = all.publish("b");
  QueuedMessage a, b;
  a.id = first;
  a.body = Bytes("a");
  b.id = second;
  b.body = Bytes("b");
  const PageTopic page{"t", {}, 5};
  CHECK(all.answer(page, Peeked{{a, b}, false, true, second}) == "");
  CHECK(all.answer(page, Peeked{{a}, true, true, first}) == "");
  says(all.answer(page, Peeked{{a}, false, true, first}), "message 5 is behind the end of all pages");
  says(all.answer(page, Peeked{{b}, false, true, second}), "message 4 is left out of a page");
  says(all.answer(page, Peeked{{b, a}, false, true, first}), "message 4 of a page is behind 5");
  TopicFound topic{{"t", {}, 2, 2, first, second, 0, 1}, true};
  CHECK(all.answer(ReadTopic{"t"}, Box(topic)) == "");
  topic.topic.messages = 3;
  says(all.answer(ReadTopic{"t"}, Box(topic)), "topic t is said to have 3 messages");
  SubscriptionFound found;
  found.subscription.topic = "t";
  found.subscription.name = "s";
  found.subscription.behind = found.subscription.ready = 2;
  CHECK(all.answer(ReadSubscription{"t", "s"}, Box(found)) == "");
  found.subscription.behind = found.subscription.ready = 1;
  says(all.answer(ReadSubscription{"t", "s"}, Box(found)), "is said to be 1 behind 0, not 2");
}

TEST_CASE("topic model: since when there is something to grant, and what was granted to nobody") {
  Modelled all;
  CHECK(!all.model.grantable_since({"t", "s"}));
  const MessageId id = all.publish("a");
  CHECK(all.model.grantable_since({"t", "s"}) == Instant(milliseconds(100)));
  CHECK(all.grant(id, 1, 300) == "");
  CHECK(!all.model.grantable_since({"t", "s"}));
  const auto unheard = [&](int64_t now_ms) {
    return all.model.unheard(Instant(milliseconds(100)), Instant(milliseconds(400)),
                             Instant(milliseconds(now_ms)));
  };
  says(unheard(900), "was granted by receipt 5 to nobody");
  CHECK(unheard(1300) == "");  // its time is over
  all.told(id, "a");
  CHECK(unheard(900) == "");
}

}  // namespace topic_model_test
}  // namespace kvd::sim
