// The trace's words: one line whatever the bytes are, values as sizes, long lists cut short, the register in
// full. Golden scripts (tests/scenario) compare whole conversations; here is what they do not come across.
#include "msg/text.hpp"

#include <doctest.h>

#include "msg/znodes.hpp"

namespace kvd::text_test {

TEST_CASE("values are sizes, keys are quoted, and nothing breaks the line") {
  CHECK(to_text(Operation(PutKey{"a\n\"\\\xff", Bytes("12345"), {}})) == R"(PutKey "a\x0a\"\\\xff"=5B)");
  std::vector<BatchOp> ops(6, BatchOp{"k", std::nullopt});
  ops[0].value = Bytes("v");
  CHECK(to_text(Operation(WriteBatch{ops})) ==
        R"(WriteBatch ["k"=1B, "k" deleted, "k" deleted, "k" deleted, ... 6 in all])");
  CHECK(to_text(PeerMessage(Forward{1, DeletePrefix{"p"}, milliseconds(1), "once", Fence{"a:\n", 5}})) ==
        R"(Forward request=1 timeout=1000us key="once" fence="a:\x0a":5 DeletePrefix "p")");
  CHECK(to_text(Operation(DeletePrefix{"p", 3})) == R"(DeletePrefix "p" limit=3)");
  CHECK(to_text(Operation(WriteBatch{{}, true, {Fence{"a", 5}}})) ==
        R"(WriteBatch if_empty [] fences=["a":5])");
  CHECK(to_text(Answer(Box(Fenced{Fence{"a", 5}, 6}))) == R"(Fenced "a":5 current=6)");
  const TxnCondition condition{"k", TxnCondition::Of::kVersion, TxnCondition::Is::kNotEqual, 3, {}};
  const std::vector<TxnOp> ops_on_k = {{TxnOp::Kind::kAdd, "k", {}, -4}, {TxnOp::Kind::kGet, "k", {}, 0}};
  CHECK(to_text(Operation(Box(Transaction{{condition}, ops_on_k, {}}))) ==
        R"(Transaction if=["k" version!=3] then=["k"+=-4, "k"] else=[])");
  CHECK(to_text(Answer(Box(TxnDone{true, {OpAdded{-4}, OpFound{Bytes("-4"), Revision(0)}}}))) ==
        "TxnDone then [is -4, found 2B@0]");
  CHECK(to_text(Answer(Failed{ErrorCode::kNotANumber, Outcome::kNotApplied, "", 1})) ==
        "Failed not_a_number not_applied op=1");
  auto entry = std::make_shared<Entry>();
  for (Space space : {Space::kData, Space::kRequests, Space::kFences})
    entry->effects.push_back(Record("k", "12345678", {Revision(1), Revision(0), 1, space}));
  CHECK(to_text(PeerMessage(Append{Epoch(1), {}, Revision(0), {entry}})) ==
        R"(Append epoch=1 previous=0:0 commit=0 entries=[0:0@0 ["k"=8B, request "k"=8B, fence "k"=8B]])");
  CHECK(to_text(NodeEffect(LinkSend{LinkId(3), TakeOver{Epoch(2)}})) == "LinkSend 3 TakeOver epoch=2");
  CHECK(to_text(NodeInput(LinkEnded{LinkId(3), LinkEnd::kReset, "x"})) == R"(LinkEnded 3 reset "x")");
}

TEST_CASE(
    "queues and their messages: names are quoted, bodies are sizes, and of many the first ones are shown") {
  CHECK(to_text(Operation(MakeQueue{"a\n", {}})) == R"(MakeQueue "a\x0a")");
  CHECK(to_text(Operation(DeleteQueue{"q", true})) == R"(DeleteQueue "q" if_empty)");
  NewMessage message;
  message.body = Bytes("12345");
  message.priority = 0;
  message.delay_ms = 7;
  message.max_age_ms = 8;
  message.dedup = "d\n";
  NewMessage grouped;
  grouped.group = "g\n";
  NewMessage restored;
  restored.past.emplace();
  NewMessage dead;
  dead.past.emplace().dead = true;
  CHECK(to_text(Operation(SendMessages{"q", {message, grouped, restored, dead, {}}, true})) ==
        R"(SendMessages "q" [5B priority=0 delay=7ms max_age=8ms dedup="d\x0a", )"
        R"(0B group="g\x0a", 0B restored, 0B restored dead, ... 5 in all])");
  const std::vector<Settling> settlings = {{Settling::Kind::kNack, {Revision(9), 3}, 12, 0, "why\n"},
                                           {Settling::Kind::kAck, {Revision(9), 0}, 13, {}, ""}};
  CHECK(to_text(Operation(SettleMessages{"q", settlings, true})) ==
        R"(SettleMessages "q" [nack 9.3 by 12 0ms, ack 9 by 13] atomic)");
  ReceiveMessages receive;
  receive.queue = "q";
  receive.wait = milliseconds(5);
  receive.settlings = settlings;
  CHECK(to_text(Operation(receive)) ==
        R"(ReceiveMessages "q" max=1 wait=5ms [nack 9.3 by 12 0ms, ack 9 by 13])");
  CHECK(to_text(Operation(KickMessages{"q", MessageState::kDelayed, 2, "r\n"})) ==
        R"(KickMessages "q" delayed max=2 to="r\x0a")");
  CHECK(to_text(Operation(PurgeMessages{"q", std::nullopt})) == R"(PurgeMessages "q" all)");
  CHECK(to_text(Operation(PurgeMessages{"q", MessageState::kDead})) == R"(PurgeMessages "q" dead)");
  CHECK(to_text(Operation(ReadQueue{"q"})) == R"(ReadQueue "q")");
  CHECK(to_text(Operation(ListQueues{"p", "a", 10})) == R"(ListQueues prefix="p" after="a" limit=10)");
  CHECK(to_text(Operation(PeekMessages{"q", MessageState::kInFlight, {Revision(9), 3}, 10})) ==
        R"(PeekMessages "q" in_flight after=9.3 limit=10)");
  CHECK(to_text(Operation(PeekMessage{"q", {Revision(9), 3}})) == R"(PeekMessage "q" 9.3)");

  CHECK(to_text(Answer(QueueMade{true})) == "QueueMade created");
  CHECK(to_text(Answer(QueueMade{false})) == "QueueMade");
  CHECK(to_text(Answer(QueueDeleted{})) == "QueueDeleted");
  CHECK(to_text(Answer(Sent{3, {}})) == "Sent 3");
  CHECK(to_text(Answer(Sent{3, {{1, {Revision(8), 0}}}})) == "Sent 3 duplicates=1");
  QueuedMessage granted;
  granted.id = {Revision(9), 3};
  granted.receipt = 12;
  granted.attempt = 2;
  granted.body = Bytes("12345");
  Received received;
  received.messages = {granted};
  CHECK(to_text(Answer(Box(received))) == "Received [9.3=5B receipt=12 attempt=2]");
  received.settled = {{SettleResult::kDone, 0, 0}, {SettleResult::kStale, 12, 0}};
  CHECK(to_text(Answer(Box(received))) == "Received [9.3=5B receipt=12 attempt=2] settled=[ok, stale]");
  CHECK(to_text(Answer(Settled{{{SettleResult::kGone, 0, 0}}, false})) == "Settled [gone]");
  CHECK(to_text(Answer(Settled{{{SettleResult::kGone, 0, 0}}, true})) == "Settled nothing [gone]");
  CHECK(to_text(Answer(MessagesMoved{3})) == "MessagesMoved 3");
  CHECK(to_text(Answer(MessagesPurged{3, true})) == "MessagesPurged 3 more");
  QueueInfo info;
  info.name = "q\n";
  info.ready = 1;
  info.dead = 4;
  CHECK(to_text(Answer(Box(QueueFound{info, true}))) ==
        R"(QueueFound "q\x0a" ready=1 delayed=0 in_flight=0 dead=4)");
  CHECK(to_text(Answer(QueueList{{info}, true, true})) ==
        R"(QueueList ["q\x0a" ready=1 delayed=0 in_flight=0 dead=4] more)");
  CHECK(to_text(Answer(Peeked{{granted}, true, true})) == "Peeked [9.3=5B receipt=12 attempt=2] more");
}

TEST_CASE("topics and subscriptions: a source is a queue, or a topic and a subscription") {
  CHECK(to_text(Operation(MakeTopic{"t\n", {}})) == R"(MakeTopic "t\x0a")");
  CHECK(to_text(Operation(DeleteTopic{"t"})) == R"(DeleteTopic "t")");
  NewMessage message;
  message.body = Bytes("12345");
  message.group = "g";
  CHECK(to_text(Operation(PublishMessages{"t", {message}, true})) == R"(PublishMessages "t" [5B group="g"])");
  CHECK(to_text(Operation(MakeSubscription{"t", "s\n", {}, {}})) ==
        R"(MakeSubscription "t"/"s\x0a" from=first)");
  CHECK(to_text(Operation(DeleteSubscription{"t", "s"})) == R"(DeleteSubscription "t"/"s")");
  const TopicPlace id{TopicPlace::Kind::kId, {Revision(9), 3}, 0};
  CHECK(to_text(Operation(SeekSubscription{"t", "s", id})) == R"(SeekSubscription "t"/"s" to=9.3)");
  CHECK(to_text(Operation(SeekSubscription{"t", "s", {TopicPlace::Kind::kNow, {}, 0}})) ==
        R"(SeekSubscription "t"/"s" to=now)");
  CHECK(to_text(Operation(ReadTopic{"t"})) == R"(ReadTopic "t")");
  CHECK(to_text(Operation(ListTopics{"p", "a", 10})) == R"(ListTopics prefix="p" after="a" limit=10)");
  CHECK(to_text(Operation(ReadSubscription{"t", "s"})) == R"(ReadSubscription "t"/"s")");
  CHECK(to_text(Operation(ListSubscriptions{"t", "a", 10})) == R"(ListSubscriptions "t" after="a" limit=10)");
  CHECK(to_text(Operation(PageTopic{"t", {TopicPlace::Kind::kTime, {}, 7}, 10})) ==
        R"(PageTopic "t" after=time=7ms limit=10)");
  CHECK(to_text(Operation(KickMessages{"t", MessageState::kDead, 2, "", "s"})) ==
        R"(KickMessages "t"/"s" dead max=2)");
  CHECK(to_text(Operation(PeekMessage{"t", {Revision(9), 3}, "s"})) == R"(PeekMessage "t"/"s" 9.3)");
  TxnOp ack{TxnOp::Kind::kAck, "t", {}, 0};
  ack.settling = Settling{Settling::Kind::kAck, {Revision(9), 3}, 12, {}, ""};
  ack.subscription = "s";
  TxnOp publish{TxnOp::Kind::kPublish, "t", {}, 0};
  publish.message = message;
  CHECK(to_text(Operation(Box(Transaction{{}, {ack, publish}, {}}))) ==
        R"(Transaction if=[] then=["t"/"s" ack 9.3 receipt=12, "t" publish 5B] else=[])");

  CHECK(to_text(Answer(TopicMade{true})) == "TopicMade created");
  CHECK(to_text(Answer(TopicDeleted{})) == "TopicDeleted");
  CHECK(to_text(Answer(SubscriptionMoved{{Revision(9), 3}})) == "SubscriptionMoved 9.3");
  Received received;
  received.gap = Received::Gap{{}, {Revision(9), 3}};
  CHECK(to_text(Answer(Box(received))) == "Received [] gap=0..9.3");
  TopicInfo info;
  info.name = "t";
  info.messages = 7;
  CHECK(to_text(Answer(TopicList{{info}, true, true})) == R"(TopicList ["t" messages=7] more)");
  SubscriptionInfo subscription;
  subscription.topic = "t";
  subscription.name = "s";
  subscription.behind = 7;
  CHECK(to_text(Answer(SubscriptionList{{subscription}, false, true})) ==
        R"(SubscriptionList ["t"/"s" behind=7 cursor=0])");
  CHECK(to_text(Answer(Failed{ErrorCode::kNoTopic, Outcome::kNotApplied, ""})) ==
        "Failed no_topic not_applied");
}

TEST_CASE("what ZooKeeper is asked and answers: the register in full, other data as its size") {
  Register content;
  content.cluster = "u";
  content.epoch = Epoch(3);
  content.leader = Member{ServerId{"a:1"}, Incarnation(0xff)};
  content.leader_znode = "server_0000000004";
  content.in_sync = {content.leader};
  std::string shown =
      "{cluster=u lineage=0 epoch=3 serial=0 leader=a:1/ff znode=server_0000000004 in_sync=[a:1/ff] "
      "min_in_sync=1 "
      "change=0}";
  CHECK(to_text(content) == shown);
  ZkMulti multi;
  multi.ops.emplace_back(ZkSet{kConfigPath, encode_register(content), 5});
  multi.ops.emplace_back(ZkCreate{"/x", "abc", ZkMode::kEphemeral});
  CHECK(to_text(ZkRequest(multi)) ==
        "multi (set /kvd/config version=5 " + shown + "; create /x ephemeral 3B)");

  ZkResult result;
  result.id = ZkCallId(7);
  result.code = ZkCode::kOk;
  result.children = {"a", "b"};
  CHECK(to_text(result) == "ZkResult 7 ok children=[a, b]");
}

}  // namespace kvd::text_test
