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
