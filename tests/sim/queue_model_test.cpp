// The model of queues (queue_model.hpp) before entries and answers that are as they should be, and before those that
// break one rule each.
#include "queue_model.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvd::sim {
namespace queue_model_test {
namespace {

using Effects = std::vector<Record>;
using Kind = Settling::Kind;
constexpr uint64_t kTtr = 1000;

// Entries one after the other, a revision for each; the log's clock is the true time. There is a queue "q", made by
// revision 1, and one for its dead ones.
struct Modelled {
  explicit Modelled(QueueConfig config = {}) {
    config.ttr_ms = kTtr;
    queue = config;
    CHECK(entry({queue_record("q", {1, config}, nullptr, next())}, 10) == "");
    CHECK(entry({queue_record("dead", {2, {}}, nullptr, next())}, 10) == "");
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
  static SendMessages send_call(const std::string& body, const std::string& dedup = "") {
    SendMessages send;
    send.queue = "q";
    send.messages.emplace_back();
    send.messages[0].body = Bytes(body);
    send.messages[0].dedup = dedup;
    return send;
  }
  Record message(const std::string& body, StoredMessage as = {}, uint64_t number = 1,
                 uint16_t index = 0) const {
    as.body = body;
    return message_record(message_key(number, {next(), index}), as, next());
  }
  Record effect(const MessageId& id, StoredDelivery became, uint64_t number = 1) const {
    return delivery_record(message_key(number, id), became, nullptr, next());
  }
  Record erased(const MessageId& id, Space space, uint64_t number = 1) const {
    return Record::deletion(message_key(number, id), {Revision(1), next(), 0, space});
  }
  MessageId send(const std::string& body, StoredMessage as = {}, uint64_t at_ms = 100) {
    model.on_asked(send_call(body));
    CHECK(entry({message(body, as)}, at_ms) == "");
    return {Revision(revision), 0};
  }
  StoredDelivery flight(uint32_t attempt, uint64_t at_ms) const {
    return {MessageState::kInFlight, attempt, at_ms + kTtr, revision + 1, 7 + revision, 0, {}};
  }
  std::string grant(const MessageId& id, uint32_t attempt, uint64_t at_ms) {
    last = flight(attempt, at_ms);
    return entry({effect(id, last)}, at_ms);
  }
  Settling wish(const MessageId& id, Kind kind, std::optional<uint64_t> ms = {}) {
    SettleMessages settle;
    settle.queue = "q";
    settle.settlings.push_back({kind, id, last.receipt, ms, {}});
    model.on_asked(settle);
    return settle.settlings[0];
  }
  std::string settled(const Settling& settling, SettleResult result) {
    SettleMessages settle;
    settle.settlings.push_back(settling);
    return answer(settle, Settled{{{result, 0, 0}}, false});
  }
  std::string end(const MessageId& id, uint64_t at_ms) {
    return entry({erased(id, Space::kMessages), erased(id, Space::kDeliveries)}, at_ms);
  }
  // It is left in this state by the newest grant.
  std::string leave(const MessageId& id, MessageState state, uint32_t attempts, uint64_t due,
                    uint64_t at_ms) {
    StoredDelivery became = last;
    became.state = state;
    became.attempts = attempts;
    became.due = due;
    return entry({effect(id, became)}, at_ms);
  }
  // It goes to the queue of the dead.
  Effects moved(const MessageId& id, const std::string& body, uint32_t attempts) const {
    StoredMessage dead;
    dead.dead_from = "q";
    dead.attempts = attempts;
    return {message(body, dead, 2), erased(id, Space::kMessages), erased(id, Space::kDeliveries)};
  }
  std::string told(const MessageId& id, const std::string& body, uint64_t receipt, uint32_t attempt = 1) {
    Received received{"q", {}, {}};
    received.messages.emplace_back();
    received.messages[0].id = id;
    received.messages[0].receipt = receipt;
    received.messages[0].attempt = attempt;
    received.messages[0].body = Bytes(body);
    return answer(ReceiveMessages{}, received);
  }

  QueueModel model;
  QueueConfig queue;
  uint64_t revision = 0;
  StoredDelivery last;  // the newest grant
};

bool says(const std::string& why, const std::string& part) { return why.find(part) != std::string::npos; }

QueueConfig configured(auto change) {
  QueueConfig config;
  change(config);
  return config;
}

}  // namespace

TEST_CASE("queue model: what is sent, granted and settled as it should be") {
  Modelled all(configured([](QueueConfig& config) { config.backoff_ms = {50}; }));
  const MessageId id = all.send("a");
  CHECK(says(all.model.left(), "message 3 of q is ready"));
  CHECK(all.answer(Modelled::send_call("a"), Sent{1, {}}) == "");
  CHECK(all.grant(id, 1, 200) == "");
  CHECK(all.told(id, "a", all.last.receipt) == "");
  const Settling nack = all.wish(id, Kind::kNack);
  CHECK(all.leave(id, MessageState::kDelayed, 1, 350, 300) == "");
  CHECK(all.settled(nack, SettleResult::kDone) == "");
  CHECK(all.grant(id, 2, 350) == "");
  const Settling extend = all.wish(id, Kind::kExtend, 2000);
  CHECK(all.leave(id, MessageState::kInFlight, 2, 2400, 400) == "");
  CHECK(all.settled(extend, SettleResult::kDone) == "");
  CHECK(all.grant(id, 3, 2400) == "");
  const Settling release = all.wish(id, Kind::kRelease);
  CHECK(all.leave(id, MessageState::kReady, 2, 0, 2500) == "");
  CHECK(all.settled(release, SettleResult::kDone) == "");
  CHECK(all.grant(id, 3, 2500) == "");
  const Settling ack = all.wish(id, Kind::kAck);
  CHECK(all.end(id, 2600) == "");
  CHECK(all.settled(ack, SettleResult::kDone) == "");
  CHECK(all.settled(ack, SettleResult::kGone) == "");
  CHECK(all.model.left() == "");
}

TEST_CASE("queue model: nothing is lost, dropped or doubled") {
  Modelled lost;
  MessageId id = lost.send("a");
  CHECK(says(lost.entry({lost.erased(id, Space::kMessages)}, 200), "is gone while it was ready"));
  Modelled dropped;
  id = dropped.send("a");
  dropped.grant(id, 1, 200);
  CHECK(says(dropped.end(id, 1300), "is gone while it was in_flight"));
  Modelled doubled;
  id = doubled.send("a");
  CHECK(says(doubled.entry({doubled.message("a")}, 200), "was sent before, as 3"));
  CHECK(says(doubled.entry({doubled.message("b")}, 200), "was sent by nobody"));
  Modelled half;
  id = half.send("a");
  half.grant(id, 1, 200);
  half.wish(id, Kind::kAck);
  CHECK(says(half.entry({half.erased(id, Space::kMessages)}, 300), "what became of it is not"));
  Modelled again;
  id = again.send("a");
  CHECK(says(again.entry({message_record(message_key(1, id), StoredMessage(), again.next())}, 200),
             "written again"));
}

TEST_CASE("queue model: no grant while an earlier one runs, nor after the end, and receipts rise") {
  Modelled early;
  MessageId id = early.send("a");
  CHECK(early.grant(id, 1, 200) == "");
  CHECK(says(early.grant(id, 2, 1199), "while it is in_flight until 1200"));
  Modelled truth;  // by the log's clock it is over, which somebody has put ahead
  id = truth.send("a");
  truth.grant(id, 1, 200);
  truth.last = truth.flight(2, 1200);
  CHECK(says(truth.model.on_entry(Entry{Epoch(1), truth.next(), {truth.effect(id, truth.last)}, 1200},
                                  Instant(milliseconds(700))),
             "is granted again after 500000 us"));
  Modelled delayed;
  id = delayed.send("a");
  delayed.grant(id, 1, 200);
  delayed.wish(id, Kind::kNack, 500);
  CHECK(delayed.leave(id, MessageState::kDelayed, 1, 800, 300) == "");
  CHECK(says(delayed.grant(id, 2, 799), "while it is delayed until 800"));
  Modelled over;
  id = over.send("a");
  over.grant(id, 1, 200);
  over.wish(id, Kind::kAck);
  over.end(id, 300);
  CHECK(says(over.grant(id, 2, 400), "is none, and something becomes of it"));
  Modelled receipts;
  id = receipts.send("a");
  StoredDelivery old = receipts.flight(1, 200);
  old.receipt = 2;
  CHECK(says(receipts.entry({receipts.effect(id, old)}, 200), "gets receipt 2"));
}

TEST_CASE("queue model: who has a message settles it, and nobody else") {
  Modelled all;
  const MessageId id = all.send("a");
  all.grant(id, 1, 200);
  all.wish(id, Kind::kAck);
  all.wish(id, Kind::kNack);
  all.grant(id, 2, 1200);
  CHECK(says(all.leave(id, MessageState::kReady, 2, 0, 1300), "nobody asked for it"));
  all.grant(id, 3, 1400);
  CHECK(says(all.end(id, 1500), "is gone while it was in_flight"));
}

TEST_CASE("queue model: attempts are grants that were not given back, and have an end") {
  Modelled counted(configured([](QueueConfig& config) { config.max_deliveries = 2; }));
  MessageId id = counted.send("a");
  CHECK(says(counted.grant(id, 2, 200), "attempt 2 behind 0"));
  CHECK(says(counted.grant(id, 3, 1200), "is granted 3 times"));
  Modelled refused(configured([](QueueConfig& config) { config.max_deliveries = 1; }));
  id = refused.send("a");
  refused.grant(id, 1, 200);
  const Settling nack = refused.wish(id, Kind::kNack, 10);
  CHECK(says(refused.leave(id, MessageState::kDelayed, 1, 310, 300), "for the last time, and not dead"));
  Modelled dead(configured([](QueueConfig& config) { config.max_deliveries = 1; }));
  id = dead.send("a");
  dead.grant(id, 1, 200);
  dead.wish(id, Kind::kNack, 10);
  CHECK(dead.leave(id, MessageState::kDead, 1, 0, 300) == "");
  CHECK(says(dead.leave(id, MessageState::kDead, 1, 0, 400), "dies twice"));
  CHECK(dead.model.left() == "");
  Modelled healthy;
  id = healthy.send("a");
  healthy.grant(id, 1, 200);
  CHECK(says(healthy.leave(id, MessageState::kDead, 1, 0, 300), "dies while it is in_flight"));
}

TEST_CASE("queue model: what is dead goes where its queue says, both or neither") {
  const auto dying = [](QueueConfig& config) {
    config.max_deliveries = 1;
    config.dead_letter = "dead";
  };
  Modelled moves(configured(dying));
  MessageId id = moves.send("a");
  moves.grant(id, 1, 200);
  CHECK(moves.entry(moves.moved(id, "a", 1), 1200) == "");
  CHECK(says(moves.model.left(), "of dead is ready"));
  Modelled early(configured(dying));
  id = early.send("a");
  early.grant(id, 1, 200);
  CHECK(says(early.entry(early.moved(id, "a", 1), 1199), "dies while it is in_flight"));
  Modelled twice(configured(dying));
  id = twice.send("a");
  twice.grant(id, 1, 200);
  Effects both = twice.moved(id, "a", 1);
  both.erase(both.begin() + 1);
  CHECK(says(twice.entry(both, 1200), "is dead elsewhere, and came from nowhere"));
  Modelled stays(configured(dying));
  id = stays.send("a");
  stays.grant(id, 1, 200);
  CHECK(says(stays.leave(id, MessageState::kDead, 1, 0, 1200), "does not go to dead"));
  Modelled miscounts(configured(dying));
  id = miscounts.send("a");
  miscounts.grant(id, 1, 200);
  CHECK(says(miscounts.entry(miscounts.moved(id, "a", 4), 1200), "said to be after 4"));
  Modelled elsewhere;
  id = elsewhere.send("a");
  CHECK(says(elsewhere.entry(elsewhere.moved(id, "a", 0), 1200), "is dead, and goes to dead"));
}

TEST_CASE("queue model: of a group one at a time and the oldest first, of the others the most urgent") {
  StoredMessage grouped;
  grouped.group = "g";
  Modelled lane;
  lane.send("a", grouped);
  const MessageId second = lane.send("b", grouped);
  CHECK(says(lane.grant(second, 1, 200), "is granted before 3 of its group"));
  Modelled beside;
  const MessageId one = beside.send("a", grouped);
  const MessageId other = beside.send("b", grouped);
  CHECK(beside.grant(one, 1, 200) == "");
  CHECK(says(beside.grant(other, 1, 300), "is granted beside 3 of its group"));
  Modelled fifo(configured([](QueueConfig& config) { config.fifo = true; }));
  fifo.send("a");
  const MessageId behind = fifo.send("b");
  CHECK(says(fifo.grant(behind, 1, 200), "is granted before 3 of its group"));
  StoredMessage urgent;
  urgent.priority = 1;
  StoredMessage idle;
  idle.priority = 2;
  Modelled priority;
  const MessageId late = priority.send("a", idle);
  const MessageId soon = priority.send("b", urgent);
  CHECK(says(priority.grant(late, 1, 200), "is granted before 4, which is ready"));
  CHECK(priority.grant(soon, 1, 300) == "");
  Modelled filled(configured([](QueueConfig& config) { config.max_in_flight = 1; }));
  const MessageId held = filled.send("a");
  const MessageId waits = filled.send("b");
  CHECK(filled.grant(held, 1, 200) == "");
  CHECK(says(filled.grant(waits, 1, 300), "1 are in flight already"));
  CHECK(filled.grant(held, 2, 1300) == "");
}

TEST_CASE("queue model: a call that is repeated gets what it got") {
  Modelled all;
  const MessageId first = all.send("a");
  const MessageId second = all.send("b");
  CHECK(all.grant(first, 1, 200) == "");
  StoredDelivery again = all.last;
  ++again.turn;
  again.receipt = all.next().value;
  again.due += 100;
  CHECK(all.entry({all.effect(first, again)}, 300) == "");
  CHECK(says(all.told(first, "a", all.last.receipt), "and was given back"));
  CHECK(all.told(first, "a", again.receipt) == "");
  StoredDelivery other = all.flight(1, 400);
  other.ticket = again.ticket;
  other.turn = again.turn;
  CHECK(says(all.entry({all.effect(second, other)}, 400), "granted to a call that has 3 already"));
  ++again.turn;
  again.receipt = all.next().value;
  CHECK(says(all.entry({all.effect(first, again)}, 500), "granted anew, and its client was told"));
}

TEST_CASE("queue model: of one name one message in its window") {
  Modelled all;
  all.model.on_asked(Modelled::send_call("a", "n"));
  all.model.on_asked(Modelled::send_call("b", "n"));
  all.model.on_asked(Modelled::send_call("c", "n"));
  const auto sent = [&](const std::string& body, uint64_t at_ms) {
    const MessageId id{all.next(), 0};
    return all.entry({all.message(body), dedup_record(dedup_key(1, "n"), {id, at_ms + 1000}, all.next())},
                     at_ms);
  };
  CHECK(sent("a", 100) == "");
  CHECK(says(sent("b", 1099), "while that name stands for 3"));
  CHECK(sent("c", 2099) == "");
  const Record forgotten = Record::deletion(dedup_key(1, "n"), {Revision(1), all.next(), 0, Space::kDedup});
  CHECK(says(all.entry({forgotten}, 2500), "forgotten before its time"));
  Modelled other;
  other.model.on_asked(Modelled::send_call("a", "n"));
  CHECK(says(other.entry({other.message("a")}, 100), "its name n stands for another one"));
}

TEST_CASE("queue model: each queue has a number of its own") {
  QueueModel model;
  const Record first = queue_record("a", {1, {}}, nullptr, Revision(1));
  const Record second = queue_record("b", {1, {}}, nullptr, Revision(1));
  CHECK(says(model.on_entry(Entry{Epoch(1), Revision(1), {first, second}, 10}, {}),
             "queue b is made with number 1"));
}

TEST_CASE("queue model: what is emptied goes, and nothing that came after it") {
  Modelled all;
  const MessageId before = all.send("a");
  const Record named = queue_record("q", {1, all.queue}, nullptr, Revision(1));
  const auto purge = [&] {
    return all.entry({queue_record("q", {all.next().value, all.queue}, &named, all.next()),
                      emptied_record(1, false, all.next())},
                     200);
  };
  all.model.on_asked(PurgeMessages{"q", std::nullopt});
  CHECK(purge() == "");
  CHECK(all.model.left() == "");
  const Record done = Record::deletion(emptied_key(1), {Revision(1), Revision(6), 0, Space::kQueues});
  Modelled late = all;
  CHECK(says(late.entry({done}, 300), "is left behind"));
  CHECK(all.entry({all.erased(before, Space::kMessages)}, 300) == "");
  CHECK(all.entry({done}, 300) == "");
  Modelled unasked;
  CHECK(says(unasked.entry({queue_record("q", {3, unasked.queue}, &named, unasked.next()),
                            emptied_record(1, false, unasked.next())},
                           200),
             "is emptied, and nobody asked for it"));
  Modelled same;
  same.send("a");
  CHECK(says(same.entry({emptied_record(1, false, same.next())}, 200),
             "emptied under the number that it bears"));
  Modelled some;
  const MessageId id = some.send("a");
  some.model.on_asked(PurgeMessages{"q", MessageState::kReady});
  CHECK(some.entry({some.erased(id, Space::kMessages)}, 200) == "");
  const MessageId next = some.send("b");
  CHECK(says(some.entry({some.erased(next, Space::kMessages)}, 200), "is gone while it was ready"));
  Modelled kicked;
  const MessageId dead = kicked.send("a");
  kicked.grant(dead, 1, 200);
  kicked.wish(dead, Kind::kDead);
  CHECK(kicked.leave(dead, MessageState::kDead, 1, 0, 300) == "");
  CHECK(says(kicked.entry({kicked.erased(dead, Space::kDeliveries)}, 400), "is given back while it is dead"));
  Modelled wanted;
  const MessageId again = wanted.send("a");
  wanted.grant(again, 1, 200);
  wanted.wish(again, Kind::kDead);
  wanted.leave(again, MessageState::kDead, 1, 0, 300);
  wanted.model.on_asked(KickMessages{"q", MessageState::kDead, 1, ""});
  CHECK(wanted.entry({wanted.erased(again, Space::kDeliveries)}, 400) == "");
  CHECK(wanted.grant(again, 1, 500) == "");
}

TEST_CASE("queue model: what clients are told is so") {
  Modelled all;
  const MessageId id = all.send("a");
  CHECK(says(all.answer(Modelled::send_call("b"), Sent{1, {}}), "and is another one"));
  CHECK(says(all.answer(Modelled::send_call("b"), Sent{1, {{0, {Revision(9), 0}}}}), "and is none"));
  CHECK(says(all.told(id, "a", 4), "is said to be granted, and is not"));
  all.grant(id, 1, 200);
  CHECK(says(all.told(id, "b", all.last.receipt), "has another body"));
  CHECK(says(all.told(id, "a", all.last.receipt), "is granted to two clients"));
  const Settling ack = all.wish(id, Kind::kAck);
  CHECK(says(all.settled(ack, SettleResult::kDone), "is said to be settled, and is not"));
  CHECK(says(all.settled(ack, SettleResult::kGone), "is said to be gone, and is not"));
  CHECK(says(all.settled(ack, SettleResult::kStale), "is said to be stale, and is not"));
}

TEST_CASE(
    "queue model: what was told to a client is not given back without it, and what was told to nobody is") {
  Modelled told;
  MessageId id = told.send("a");
  told.grant(id, 1, 200);
  CHECK(told.told(id, "a", told.last.receipt) == "");
  CHECK(says(told.entry({told.erased(id, Space::kDeliveries)}, 300), "its client was told that it has it"));
  Modelled late;
  id = late.send("a");
  late.grant(id, 1, 200);
  CHECK(late.entry({late.erased(id, Space::kDeliveries)}, 300) == "");
  CHECK(says(late.told(id, "a", late.last.receipt), "and was given back"));
  Modelled kept;
  id = kept.send("a");
  kept.grant(id, 1, 200);
  const auto unheard = [&](int64_t now_ms) {
    return kept.model.unheard(Instant(milliseconds(100)), Instant(milliseconds(300)),
                              Instant(milliseconds(now_ms)));
  };
  CHECK(says(unheard(900), "granted at revision 4 to nobody"));
  CHECK(unheard(1300) == "");  // its time is over
  kept.told(id, "a", kept.last.receipt);
  CHECK(unheard(900) == "");
}

TEST_CASE("queue model: what was refused for certain is not done, neither before nor after") {
  const Failed refused(ErrorCode::kNoLeader, Outcome::kNotApplied, "");
  Modelled before;
  MessageId id = before.send("a");
  CHECK(says(before.answer(Modelled::send_call("a"), refused), "a is sent, which is refused for certain"));
  before.grant(id, 1, 200);
  SettleMessages settle;
  settle.settlings.push_back(before.wish(id, Kind::kAck));
  before.end(id, 300);
  CHECK(says(before.answer(settle, refused), "is settled, which is refused for certain"));
  Modelled after;
  after.model.on_asked(Modelled::send_call("a"));
  CHECK(after.answer(Modelled::send_call("a"), refused) == "");
  CHECK(says(after.entry({after.message("a")}, 100), "was refused for certain"));
}

TEST_CASE("queue model: since when there is something to grant") {
  Modelled all;
  CHECK(!all.model.grantable_since({"q", ""}));
  const MessageId id = all.send("a", {}, 100);
  all.send("b", {}, 200);
  CHECK(all.model.grantable_since({"q", ""}) == Instant(milliseconds(100)));
  CHECK(all.grant(id, 1, 300) == "");
  CHECK(all.model.grantable_since({"q", ""}) == Instant(milliseconds(100)));
  CHECK(all.grant({Revision(4), 0}, 1, 400) == "");
  CHECK(!all.model.grantable_since({"q", ""}));
}

TEST_CASE("queue model: a new lineage begins with nothing, and what was not seen is not judged") {
  Modelled all;
  all.send("a");
  const Revision first = lineage_base(Lineage(2)).next();
  CHECK(all.model.on_entry(Entry{Epoch(2), first, {queue_record("q", {first.value, {}}, nullptr, first)}, 10},
                           {}) == "");
  CHECK(all.model.left() == "");
  const Revision third = first.next().next();
  const Record gone =
      Record::deletion(message_key(1, {Revision(3), 0}), {Revision(1), third, 0, Space::kMessages});
  CHECK(all.model.on_entry(Entry{Epoch(2), third, {gone}, 20}, {}) == "");
}

TEST_CASE("queue model: what a server commits in a lineage of before changes nothing") {
  Modelled all;
  const uint64_t former = all.revision;
  all.revision = lineage_base(Lineage(1)).value;
  CHECK(all.entry({queue_record("q", {all.next().value, all.queue}, nullptr, all.next())}, 10) == "");
  const uint64_t number = all.revision;
  all.revision = former;
  CHECK(all.entry({}, 20) == "");
  all.revision = number;
  all.model.on_asked(Modelled::send_call("m"));
  CHECK(all.entry({all.message("m", {}, number)}, 30) == "");
  CHECK(says(all.model.left(), "of q is ready"));
}

}  // namespace queue_model_test
}  // namespace kvd::sim
