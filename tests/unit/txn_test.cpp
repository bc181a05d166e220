// Transactions, sums and what is appended, as the write evaluator decides them (core/replica/txn.hpp): a log and a
// store, and nobody who leads.
#include "core/replica/txn.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/queues/queue_views.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"
#include "msg/wire.hpp"

namespace kvd::evaluator_test {
namespace {

using Of = TxnCondition::Of;
using Is = TxnCondition::Is;

TxnOp put_op(std::string key, std::string_view value) {
  return {TxnOp::Kind::kPut, std::move(key), Bytes(value), 0};
}
TxnOp delete_op(std::string key) { return {TxnOp::Kind::kDelete, std::move(key), {}, 0}; }
TxnOp add_op(std::string key, int64_t by) { return {TxnOp::Kind::kAdd, std::move(key), {}, by}; }
TxnOp append_op(std::string key, std::string_view value) {
  return {TxnOp::Kind::kAppend, std::move(key), Bytes(value), 0};
}
TxnOp get_op(std::string key) { return {TxnOp::Kind::kGet, std::move(key), {}, 0}; }

Transaction ops(std::vector<TxnOp> then_ops) { return {{}, std::move(then_ops), {}}; }

TxnDone done(const Evaluation& evaluation) {
  if (auto box = changed<Box<TxnDone>>(evaluation)) return **box;
  if (auto box = unchanged<Box<TxnDone>>(evaluation)) return **box;
  return {};
}
template <class T>
T result(const Evaluation& evaluation, size_t i = 0) {
  const TxnDone all = done(evaluation);
  REQUIRE(i < all.results.size());
  REQUIRE(std::holds_alternative<T>(all.results[i]));
  return std::get<T>(all.results[i]);
}
std::string found(const Evaluation& evaluation, size_t i = 0) {
  return std::string(result<OpFound>(evaluation, i).value.view());
}

// Whether a transaction's condition holds: it finds the first branch's key.
bool condition_holds(Leader& leader, TxnCondition condition) {
  return done(leader.write(Transaction{{std::move(condition)}, {get_op("k")}, {get_op("k")}})).succeeded;
}

// Why the transaction is refused.
ErrorCode refusal_after(Leader& leader, std::vector<TxnOp> ops) {
  const auto failed = unchanged<Failed>(leader.write(Box(Transaction{{}, std::move(ops), {}})));
  REQUIRE(failed);
  return failed->code;
}

void send_two(Leader& leader, const std::string& queue) {
  leader.write(Box(SendMessages{queue, {NewMessage{Bytes("a")}, NewMessage{Bytes("b")}}, true}));
}
std::vector<QueuedMessage> receive_from(Leader& leader, const std::string& queue, uint32_t max) {
  ReceiveMessages receive;
  receive.queue = queue;
  receive.max = max;
  return (*changed<Box<Received>>(leader.write(Box(receive))))->messages;
}

const Failed& failure_of(const Evaluation& evaluation) { return *failure_in(evaluation); }

}  // namespace

TEST_CASE("txn: conditions on a key that is there, committed or not") {
  Leader leader;
  leader.write(put("other", "x"));
  leader.write(put("k", "7"));
  leader.write(put("k", "8"));  // revision 3, version 2
  for (int round = 0; round < 2; ++round) {
    CHECK(condition_holds(leader, {"k", Of::kExists, Is::kEqual, 1, {}}));
    CHECK_FALSE(condition_holds(leader, {"k", Of::kExists, Is::kEqual, 0, {}}));
    for (const auto& one : {std::pair(Of::kRevision, 3), std::pair(Of::kVersion, 2)}) {
      const Of of = one.first;
      const int number = one.second;
      const auto holds_at = [&](Is is, int offset) {
        return condition_holds(leader, {"k", of, is, static_cast<uint64_t>(number + offset), {}});
      };
      CHECK(holds_at(Is::kEqual, 0));
      CHECK_FALSE(holds_at(Is::kEqual, 1));
      CHECK(holds_at(Is::kNotEqual, 1));
      CHECK_FALSE(holds_at(Is::kNotEqual, 0));
      CHECK(holds_at(Is::kLess, 1));
      CHECK_FALSE(holds_at(Is::kLess, 0));
      CHECK(holds_at(Is::kGreater, -1));
      CHECK_FALSE(holds_at(Is::kGreater, 0));
    }
    leader.commit();
  }
}

TEST_CASE("txn: conditions on values compare bytes for equality, and numbers for order") {
  Leader leader;
  leader.write(put("k", "9"));
  leader.write(put("text", "x"));
  const auto value_holds = [&](const char* key, Is is, std::string_view value) {
    return condition_holds(leader, {key, Of::kValue, is, 0, Bytes(value)});
  };
  CHECK(value_holds("k", Is::kEqual, "9"));
  CHECK_FALSE(value_holds("k", Is::kEqual, "09"));
  CHECK(value_holds("k", Is::kNotEqual, "8"));
  CHECK_FALSE(value_holds("k", Is::kNotEqual, "9"));
  CHECK(value_holds("k", Is::kLess, "10"));
  CHECK_FALSE(value_holds("k", Is::kLess, "9"));
  CHECK(value_holds("k", Is::kGreater, "-10"));
  CHECK_FALSE(value_holds("k", Is::kGreater, "9"));
  CHECK_FALSE(value_holds("text", Is::kLess, "10"));
  CHECK_FALSE(value_holds("text", Is::kGreater, "10"));
}

TEST_CASE("txn: a key that is not there has revision 0, version 0 and no value, not even an empty one") {
  Leader leader;
  CHECK(condition_holds(leader, {"k", Of::kExists, Is::kEqual, 0, {}}));
  CHECK(condition_holds(leader, {"k", Of::kRevision, Is::kEqual, 0, {}}));
  CHECK(condition_holds(leader, {"k", Of::kVersion, Is::kLess, 1, {}}));
  CHECK_FALSE(condition_holds(leader, {"k", Of::kValue, Is::kEqual, 0, {}}));
  CHECK(condition_holds(leader, {"k", Of::kValue, Is::kNotEqual, 0, {}}));
  CHECK_FALSE(condition_holds(leader, {"k", Of::kValue, Is::kLess, 0, Bytes("1")}));
  leader.write(put("k", ""));
  leader.write(DeleteKey{"k", {}});
  CHECK(condition_holds(leader, {"k", Of::kRevision, Is::kEqual, 0, {}}));
}

TEST_CASE("txn: all conditions have to hold, before anything is done; else the other branch is done") {
  Leader leader;
  leader.write(put("a", "1"));
  const TxnCondition holds_now{"a", Of::kValue, Is::kEqual, 0, Bytes("1")};
  const TxnCondition fails{"b", Of::kExists, Is::kEqual, 1, {}};
  const auto first = leader.write(Transaction{{holds_now}, {put_op("a", "2")}, {put_op("a", "3")}});
  CHECK(done(first).succeeded);
  CHECK(effects(first).front().value() == "2");
  const auto second = leader.write(Transaction{
      {TxnCondition{"a", Of::kExists, Is::kEqual, 1, {}}, fails}, {put_op("b", "2")}, {get_op("a")}});
  CHECK_FALSE(done(second).succeeded);
  CHECK(found(second) == "2");
  CHECK(done(leader.write(Transaction{{fails}, {get_op("a")}, {}})).results.empty());
}

TEST_CASE("txn: each operation says what it led to, and sees those before it") {
  Leader leader;
  leader.write(put("old", "1"));
  const auto all =
      leader.write(ops({put_op("new", "x"), put_op("old", "2"), append_op("new", "y"), get_op("new"),
                        add_op("n", 5), add_op("n", -7), get_op("n"), delete_op("old"), get_op("old"),
                        delete_op("never"), append_op("log", "z"), get_op("log")}));
  CHECK(result<OpPut>(all, 0).created);
  CHECK_FALSE(result<OpPut>(all, 1).created);
  CHECK_FALSE(result<OpAppended>(all, 2).created);
  CHECK(found(all, 3) == "xy");
  CHECK(result<OpFound>(all, 3).revision == Revision(0));
  CHECK(result<OpAdded>(all, 4).value == 5);
  CHECK(result<OpAdded>(all, 5).value == -2);
  CHECK(found(all, 6) == "-2");
  CHECK(result<OpDeleted>(all, 7).deleted);
  result<OpMissing>(all, 8);
  CHECK_FALSE(result<OpDeleted>(all, 9).deleted);
  CHECK(result<OpAppended>(all, 10).created);
  CHECK(found(all, 11) == "z");
  REQUIRE(effects(all).size() == 4);
  CHECK(effects(all)[0].value() == "z");
  CHECK(effects(all)[1].value() == "-2");
  CHECK(effects(all)[2].value() == "xy");
  CHECK_FALSE(effects(all)[3].has_value());
  CHECK(leader.log.last().revision == Revision(2));
}

TEST_CASE("txn: created and version of what is deleted and written anew, and of what is written twice") {
  Leader leader;
  leader.write(put("k", "1"));
  leader.commit();
  const auto twice = leader.write(ops({put_op("k", "2"), append_op("k", "3")}));
  CHECK(effects(twice).front().created() == Revision(1));
  CHECK(effects(twice).front().version() == 2);
  const auto anew = leader.write(ops({delete_op("k"), put_op("k", "4"), put_op("k", "5")}));
  CHECK_FALSE(result<OpPut>(anew, 2).created);
  CHECK(effects(anew).front().created() == Revision(3));
  CHECK(effects(anew).front().version() == 1);
  const auto found_now = leader.write(ops({get_op("k")}));
  CHECK(unchanged<Box<TxnDone>>(found_now));
  CHECK(result<OpFound>(found_now).revision == Revision(3));
}

TEST_CASE("txn: what changes nothing is no entry, unless it has an idempotency key") {
  Leader leader;
  CHECK(unchanged<Box<TxnDone>>(leader.write(ops({get_op("k"), delete_op("k")}))));
  CHECK(unchanged<Box<TxnDone>>(leader.write(ops({put_op("k", "1"), delete_op("k")}))));
  CHECK(changed<Box<TxnDone>>(leader.write(ops({get_op("k")}), "once")));
}

TEST_CASE("txn: an operation that cannot be done refuses the whole, and is named") {
  Leader leader;
  leader.room.value_bytes_max = 20;
  leader.write(put("text", "x"));
  leader.write(put("most", std::to_string(INT64_MAX)));
  struct Case {
    TxnOp op;
    ErrorCode code;
  };
  for (const Case& one :
       {Case{add_op("text", 1), ErrorCode::kNotANumber}, Case{add_op("most", 1), ErrorCode::kOverflow},
        Case{append_op("text", std::string(20, 'x')), ErrorCode::kTooLarge}}) {
    const auto refusal = leader.write(ops({put_op("a", "1"), get_op("a"), one.op, put_op("b", "1")}));
    REQUIRE(refused(refusal) == one.code);
    CHECK(failure_of(refusal).op == 2);
    CHECK(failure_of(refusal).outcome == Outcome::kNotApplied);
  }
  CHECK(leader.log.last().revision == Revision(2));
  leader.room.value_bytes_max = 1;
  CHECK(refused(leader.write(ops({add_op("n", 10)}))) == ErrorCode::kTooLarge);
  CHECK(refused(leader.write(AddNumber{"n", 10, {}})) == ErrorCode::kTooLarge);
}

TEST_CASE("txn: what it writes and what it finds is bounded") {
  Leader leader;
  leader.room.memory_max = UINT64_MAX;
  leader.room.value_bytes_max = limits::kWriteBytes;
  const std::string large(limits::kTxnFoundBytes, 'x');
  leader.write(put("large", large));
  leader.write(put("small", "x"));
  CHECK(found(leader.write(ops({get_op("large")}))).size() == large.size());
  const auto too_much = leader.write(ops({get_op("small"), get_op("large")}));
  CHECK(refused(too_much) == ErrorCode::kTooLarge);
  CHECK(failure_of(too_much).op == 1);
  std::vector<TxnOp> grow;
  for (size_t i = 0; i < limits::kWriteBytes / large.size(); ++i) grow.push_back(append_op("large", large));
  const auto too_long = leader.write(ops(grow));
  CHECK(refused(too_long) == ErrorCode::kTooLarge);
  std::vector<TxnOp> spread;
  for (const char* key : {"a", "b", "c", "d"}) spread.push_back(put_op(key, large));
  const auto too_many = leader.write(ops(spread));
  CHECK(refused(too_many) == ErrorCode::kTooLarge);
  CHECK(failure_of(too_many).op == 3);
  spread.insert(spread.begin() + 3, delete_op("a"));
  CHECK(changed<Box<TxnDone>>(leader.write(ops(spread))));
}

TEST_CASE("txn: what is copied on the way is bounded, too, though nothing is left of it") {
  Leader leader;
  leader.room.memory_max = UINT64_MAX;
  leader.room.value_bytes_max = limits::kWriteBytes;
  const std::string large(limits::kWriteBytes / 4, 'x');
  std::vector<TxnOp> churn;
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    leader.write(put(key, large));
    churn.push_back(append_op(key, "x"));
    churn.push_back(delete_op(key));
  }
  const auto refusal = leader.write(ops(churn));
  CHECK(refused(refusal) == ErrorCode::kTooLarge);
  CHECK(failure_of(refusal).op == 8);
}

TEST_CASE("txn: results that are remembered need room, also when nothing is written") {
  Leader leader;
  leader.write(put("k", std::string(2000, 'x')));
  leader.commit();
  leader.room.memory_max = leader.store.bytes() + 1000;
  CHECK(refused(leader.write(ops({get_op("k")}), "once")) == ErrorCode::kMemoryFull);
  CHECK(unchanged<Box<TxnDone>>(leader.write(ops({get_op("k")}))));
  CHECK(changed<Box<TxnDone>>(leader.write(ops({get_op("k"), delete_op("k")}), "gone")));
}

TEST_CASE("a refusal that follows from what is there is answered with that, and remembered with a key") {
  Leader leader;
  leader.write(put("text", "x"));
  const auto plain = leader.write(AddNumber{"text", 1, {}});
  REQUIRE(unchanged<Failed>(plain));  // once the tail is committed, and this leader confirmed
  CHECK(std::get<Unchanged>(plain).about == Revision(0));
  REQUIRE(changed<Failed>(leader.write(AddNumber{"text", 1, {}}, "once")));
  leader.write(put("text", "5"));
  const auto again = leader.write(AddNumber{"text", 1, {}}, "once");
  CHECK(unchanged<Failed>(again)->code == ErrorCode::kNotANumber);
  CHECK(leader.evaluator->tail().find("text", Space::kData)->value() == "5");
  const auto not_empty = leader.write(WriteBatch{{{"a", Bytes("1")}}, true, {}});
  REQUIRE(unchanged<Failed>(not_empty));
  CHECK(unchanged<Failed>(not_empty)->code == ErrorCode::kNotEmpty);
}

TEST_CASE("txn: a retry gets the results of the first time, if they are short enough to be remembered") {
  Leader leader;
  const auto first = leader.write(ops({add_op("n", 1), get_op("n")}), "once");
  leader.write(ops({add_op("n", 1)}));
  const auto again = leader.write(ops({add_op("n", 1), get_op("n")}), "once");
  CHECK(unchanged<Box<TxnDone>>(again));
  CHECK(std::get<Unchanged>(again).about == Revision(1));
  CHECK(encode_answer(std::get<Change>(first).answer) == encode_answer(std::get<Unchanged>(again).answer));
  CHECK(refused(leader.write(ops({add_op("n", 2)}), "once")) == ErrorCode::kKeyReused);

  leader.write(put("long", std::string(limits::kRememberedBytes, 'x')));
  const Revision before = leader.log.last().revision;
  CHECK(refused(leader.write(ops({add_op("n", 1), get_op("long")}), "long")) == ErrorCode::kTooLarge);
  CHECK(leader.evaluator->tail().find("n", Space::kData)->value() == "2");
  CHECK(leader.log.last().revision == before.next());  // the refusal is remembered
  CHECK(refused(leader.write(ops({add_op("n", 1), get_op("long")}), "long")) == ErrorCode::kTooLarge);
  CHECK(leader.log.last().revision == before.next());
  CHECK(changed<Box<TxnDone>>(leader.write(ops({add_op("n", 1), get_op("long")}))));
}

TEST_CASE("txn: a token is remembered with it, and shuts out an older holder's") {
  Leader leader;
  CHECK(changed<Box<TxnDone>>(leader.write(ops({get_op("k")}), "", Fence{"lock", 2})));
  CHECK(unchanged<Box<Fenced>>(leader.write(ops({put_op("k", "1")}), "", Fence{"lock", 1})));
}

TEST_CASE("txn: one settles, writes and sends, or does nothing of it") {
  Leader leader;
  send_two(leader, "q");
  const auto got = receive_from(leader, "q", 2);
  const MessageId id = got.at(0).id;
  const auto op_of = [](TxnOp::Kind kind, const std::string& key) { return TxnOp{kind, key, {}, 1}; };
  TxnOp ack = op_of(TxnOp::Kind::kAck, "q");
  ack.settling = Settling{Settling::Kind::kAck, id, got[0].receipt, {}, ""};
  TxnOp send = op_of(TxnOp::Kind::kSend, "out");
  send.message = NewMessage{Bytes("c")};
  const TxnOp add = op_of(TxnOp::Kind::kAdd, "n");
  const auto refusal = [&](std::vector<TxnOp> ops) {
    const Evaluation evaluation = leader.write(Box(Transaction{{}, std::move(ops), {}}));
    const auto failed = unchanged<Failed>(evaluation);
    REQUIRE(failed);
    CHECK(leader.evaluator->tail().find("n", Space::kData) == nullptr);
    return std::pair(failed->code, failed->op);
  };
  TxnOp stale = ack;
  stale.settling->receipt += 1;
  CHECK(refusal({add, send, stale}) == std::pair(ErrorCode::kStale, 2u));
  TxnOp unknown = ack;
  unknown.settling->id.index = 9;
  CHECK(refusal({add, unknown}) == std::pair(ErrorCode::kNoMessage, 1u));
  TxnOp elsewhere = ack;
  elsewhere.key = "none";
  CHECK(refusal({elsewhere}) == std::pair(ErrorCode::kNoQueue, 0u));
  CHECK(leader.store.queues().find("out") == nullptr);

  const TxnCondition granted{"q", TxnCondition::Of::kReceipt, TxnCondition::Is::kEqual, got[0].receipt, {},
                             id};
  const auto all =
      changed<Box<TxnDone>>(leader.write(Box(Transaction{{granted}, {ack, add, send, send}, {}})));
  REQUIRE(all);
  CHECK((*all)->succeeded);
  REQUIRE((*all)->results.size() == 4);
  CHECK(std::holds_alternative<OpAcked>((*all)->results[0]));
  CHECK(std::get<OpAdded>((*all)->results[1]).value == 1);
  const MessageId first = std::get<OpSent>((*all)->results[2]).id;
  CHECK(std::get<OpSent>((*all)->results[3]).id == MessageId{first.revision, 1});
  const auto out = receive_from(leader, "out", 5);
  REQUIRE(out.size() == 2);
  CHECK(out[0].id == first);
  CHECK(out[1].body.view() == "c");
  CHECK(refusal_after(leader, {ack}) == ErrorCode::kNoMessage);
  const auto held = [&](const MessageId& which, uint64_t receipt) {
    TxnCondition condition = granted;
    condition.message = which;
    condition.number = receipt;
    const Evaluation evaluation =
        leader.write(Box(Transaction{{condition}, {op_of(TxnOp::Kind::kGet, "k")}, {}}));
    return (*unchanged<Box<TxnDone>>(evaluation))->succeeded;
  };
  CHECK_FALSE(held(id, got[0].receipt));
  CHECK(held(got[1].id, got[1].receipt));
  CHECK_FALSE(held(got[1].id, got[1].receipt + 1));
  leader.room.clock += 30'001;
  leader.store.queues().ripen(leader.room.clock);  // late, but nobody else has it
  CHECK(held(got[1].id, got[1].receipt));
  receive_from(leader, "q", 1);
  CHECK_FALSE(held(got[1].id, got[1].receipt));
}

TEST_CASE("txn: each of its sends to a full queue lets the next ones go, the oldest of the least urgent") {
  Leader leader;
  QueueConfig small;
  small.max_messages = 4;
  small.discard_old = true;
  leader.write(Box(MakeQueue{"q", small}));
  const auto of = [](std::string_view body, uint8_t priority) { return NewMessage{Bytes(body), priority}; };
  leader.write(Box(SendMessages{"q", {of("a", 1), of("b", 5), of("c", 5), of("d", 9)}, true}));
  TxnOp send{TxnOp::Kind::kSend, "q", {}, 0};
  send.message = of("x", 0);
  CHECK(changed<Box<TxnDone>>(leader.write(Box(Transaction{{}, {send, send}, {}}))));
  CHECK(changed<Box<TxnDone>>(leader.write(Box(Transaction{{}, {send, send}, {}}))));
  std::string left;
  for (const QueuedMessage& message : receive_from(leader, "q", 9)) left += message.body.view();
  CHECK(left == "xxxx");
  leader.write(Box(SendMessages{"q", {of("e", 7)}, true}));
  CHECK(refusal_after(leader, {send, send}) == ErrorCode::kQueueFull);  // those in flight do not go
}

TEST_CASE("txn: one makes one queue at most, since what is made bears its revision") {
  Leader leader;
  TxnOp one{TxnOp::Kind::kSend, "a", {}, 0};
  one.message = NewMessage{Bytes("x")};
  TxnOp other = one;
  other.key = "b";
  CHECK(refusal_after(leader, {one, other}) == ErrorCode::kNoQueue);
  CHECK(leader.store.queues().find("a") == nullptr);
  leader.write(Box(MakeQueue{"b", {}}));
  CHECK(changed<Box<TxnDone>>(leader.write(Box(Transaction{{}, {one, other, one}, {}}))));
  CHECK(receive_from(leader, "a", 5).size() == 2);
  CHECK(receive_from(leader, "b", 5).size() == 1);
}

TEST_CASE("txn: what one settles makes room for what it sends, and it sends no more than one write may") {
  Leader leader;
  QueueConfig small;
  small.max_messages = 2;
  leader.write(Box(MakeQueue{"q", small}));
  send_two(leader, "q");
  const auto got = receive_from(leader, "q", 1);
  TxnOp ack{TxnOp::Kind::kAck, "q", {}, 0};
  ack.settling = Settling{Settling::Kind::kAck, got.at(0).id, got[0].receipt, {}, ""};
  TxnOp send{TxnOp::Kind::kSend, "q", {}, 0};
  send.message = NewMessage{Bytes("c")};
  CHECK(refusal_after(leader, {send}) == ErrorCode::kQueueFull);
  CHECK(refusal_after(leader, {ack, send, send}) == ErrorCode::kQueueFull);
  CHECK(changed<Box<TxnDone>>(leader.write(Box(Transaction{{}, {ack, send}, {}}))));
  CHECK(leader.store.queues().find("q")->messages == 2);

  small.discard_old = true;
  leader.write(Box(MakeQueue{"q", small}));
  CHECK(refusal_after(leader, {send, send, send}) == ErrorCode::kQueueFull);  // its own are not discarded
  CHECK(changed<Box<TxnDone>>(leader.write(Box(Transaction{{}, {send, send}, {}}))));
  CHECK(leader.store.queues().find("q")->messages == 2);
  send.message->body = Bytes(std::string(limits::kWriteBytes / 2 + 1, 'x'));
  send.key = "large";
  CHECK(refusal_after(leader, {send, send}) == ErrorCode::kTooLarge);
}

TEST_CASE("a sum begins at 0, adds to what is not committed yet, and is refused where there is no number") {
  Leader leader;
  CHECK(changed<NumberIs>(leader.write(AddNumber{"n", 5, {}}))->value == 5);
  const auto second = leader.write(AddNumber{"n", -8, {}});
  CHECK(changed<NumberIs>(second)->value == -3);
  CHECK(effects(second).front().value() == "-3");
  CHECK(effects(second).front().version() == 2);
  Condition at_first;
  at_first.if_match.emplace().revisions = {Revision(1)};
  CHECK(unchanged<ConditionFailed>(leader.write(AddNumber{"n", 1, at_first}))->current == Revision(2));
  for (const char* text : {"", "01", "1.5", "x"}) {
    leader.write(put("text", text));
    CHECK(refused(leader.write(AddNumber{"text", 1, {}})) == ErrorCode::kNotANumber);
  }
  leader.write(put("least", std::to_string(INT64_MIN)));
  CHECK(refused(leader.write(AddNumber{"least", -1, {}})) == ErrorCode::kOverflow);
  CHECK(changed<NumberIs>(leader.write(AddNumber{"least", INT64_MAX, {}}))->value == -1);
}

TEST_CASE("bytes are appended to what is not committed yet, up to the longest value") {
  Leader leader;
  leader.room.value_bytes_max = 5;
  CHECK(changed<KeyWritten>(leader.write(AppendBytes{"k", Bytes("ab"), {}}))->created);
  const auto second = leader.write(AppendBytes{"k", Bytes("cde"), {}});
  CHECK_FALSE(changed<KeyWritten>(second)->created);
  CHECK(effects(second).front().value() == "abcde");
  CHECK(effects(second).front().created() == Revision(1));
  CHECK(refused(leader.write(AppendBytes{"k", Bytes("f"), {}})) == ErrorCode::kTooLarge);
  Condition absent_only;
  absent_only.if_none_match.emplace().any = true;
  CHECK(unchanged<ConditionFailed>(leader.write(AppendBytes{"k", Bytes("f"), absent_only})));
}

}  // namespace kvd::evaluator_test
