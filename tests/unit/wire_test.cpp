// The peer wire format: every message survives the trip in pieces of any size, and nothing hostile is taken
// for one. The fuzzer (tests/fuzz/wire_fuzz.cpp) looks for what these cases do not think of.
#include "msg/wire.hpp"

#include <doctest.h>

#include <algorithm>
#include <functional>

#include "msg/limits.hpp"
#include "msg/text.hpp"

namespace kvd::wire_test {
namespace {

ServerInfo server(const std::string& id) {
  return ServerInfo{Member{ServerId{id}, Incarnation(7)}, Address{"a", 8001}, Address{"::1", 18001}};
}

Document one_of_each_value() {
  Document document =
      Document().add("none", Value()).add("yes", true).add("less", -1).add("more", UINT64_MAX);
  document.add("text", "a").add("octets", Octets{"\xff"}).add("meta", StoredJson{"{}"});
  document.add("list", ValueList{1, "b", Document().add("c", ValueList())});
  return document.add("document", Document().add("d", Value()));
}

// A document that holds a document, and so on, `depth` of them in all.
Document nested(int depth) {
  Document document;
  if (depth > 1) document.add("d", nested(depth - 1));
  return document;
}

QueueConfig whole_config() {
  QueueConfig config;
  config.ttr_ms = limits::kTtrMsMin;
  config.max_deliveries = UINT32_MAX;
  config.backoff_ms = {0, 5000, limits::kTtlMsMax};
  config.dead_letter = "d";
  config.dedup_window_ms = 1;
  config.max_messages = 2;
  config.max_bytes = UINT64_MAX;
  config.max_age_ms = 3;
  config.max_in_flight = limits::kInFlightMax;
  config.fifo = true;
  config.discard_old = true;
  return config;
}

std::vector<Settling> one_of_each_settling() {
  const MessageId id{Revision(9), limits::kMessagesAtOnce - 1};
  return {{Settling::Kind::kAck, id, 7, {}, ""},
          {Settling::Kind::kNack, id, 7, 0, "why"},
          {Settling::Kind::kRelease, id, UINT64_MAX, {}, ""},
          {Settling::Kind::kExtend, id, 7, limits::kTtlMsMax, ""},
          {Settling::Kind::kDead, id, 7, {}, std::string(limits::kReasonBytes, 'r')}};
}

std::vector<Operation> queue_operations() {
  NewMessage message;
  message.body = Bytes(std::string_view("b\0\xff", 3));
  message.priority = 255;
  message.max_age_ms = 7;
  message.group = "g";
  message.dedup = "d";
  message.type = "t";
  NewMessage late;
  late.delay_ms = limits::kTtlMsMax;
  NewMessage restored;
  restored.past = MessagePast{UINT64_MAX, "d", "why", UINT32_MAX, true, "why now", 2};
  ReceiveMessages receive;
  receive.queue = "q";
  receive.max = limits::kMessagesAtOnce;
  receive.wait = milliseconds(static_cast<int64_t>(limits::kWaitMs));
  receive.ttr_ms = limits::kTtrMsMax;
  receive.ticket = UINT64_MAX;
  receive.turn = 2;
  receive.credit = 3;
  receive.settlings = one_of_each_settling();
  ReceiveMessages bare;
  bare.queue = "q";
  return {MakeQueue{"q", {}},
          MakeQueue{std::string(limits::kQueueNameBytes, '\xff'), whole_config()},
          DeleteQueue{"q", true},
          SendMessages{"q", {message, late, {}, restored}, false},
          std::move(receive),
          std::move(bare),
          SettleMessages{"q", one_of_each_settling(), true},
          KickMessages{"q", MessageState::kDelayed, limits::kKicked, "r"},
          KickMessages{"q", MessageState::kDead, 1, ""},
          PurgeMessages{"q", std::nullopt},
          PurgeMessages{"q", MessageState::kDead},
          ReadQueue{"q"},
          ListQueues{"p", "q", 10},
          PeekMessages{"q", MessageState::kInFlight, {Revision(9), 3}, 10},
          PeekMessage{"q", {Revision(9), 3}}};
}

std::vector<Answer> queue_answers() {
  QueuedMessage message;
  message.id = {Revision(9), 3};
  message.state = MessageState::kInFlight;
  message.receipt = 12;
  message.attempt = 2;
  message.left_ms = 300;
  message.priority = 255;
  message.group = "g";
  message.type = "t";
  message.sent_ms = 1;
  message.body = Bytes("b");
  message.reason = "why";
  message.dead_from = "p";
  message.attempts = 20;
  Received received;
  received.messages = {message, {}};
  received.settled = {{SettleResult::kDone, 0, 300}, {SettleResult::kStale, 12, 0}};
  QueueInfo info;
  info.name = "q";
  info.config = whole_config();
  info.ready = 1;
  info.delayed = 2;
  info.in_flight = 3;
  info.dead = 4;
  info.bytes = 5;
  info.groups = 6;
  info.blocked = 7;
  QueueInfo aged = info;
  aged.oldest_ms = 8;
  aged.waiting = 0;
  return {QueueMade{true},
          QueueDeleted{},
          Sent{3, {{0, {Revision(8), 0}}, {2, {Revision(8), 5}}}},
          Box(received),
          Settled{{{SettleResult::kGone, 0, 0}, {SettleResult::kStale, 12, 0}}, true},
          MessagesMoved{7},
          MessagesPurged{7, true},
          Box(QueueFound{info, false}),
          QueueList{{info, aged}, true, false},
          Peeked{{message}, true, false},
          Failed{ErrorCode::kQueueCycle, Outcome::kNotApplied, "why"}};
}

std::vector<PeerMessage> one_of_each() {
  auto entry = std::make_shared<Entry>();
  entry->epoch = Epoch(3);
  entry->revision = Revision(12);
  entry->clock = 4711;
  entry->effects.push_back(Record(std::string_view("k\0y", 3), "value", {Revision(4), entry->revision, 9}));
  entry->effects.push_back(Record::deletion("gone", {Revision(2), entry->revision, 0, Space::kRequests}));
  entry->effects.push_back(Record::deletion("due", {Revision(2), entry->revision, 0}, true));
  entry->effects.push_back(Record("due", "v", {entry->revision, entry->revision, 1, Space::kTerms}));
  entry->effects.push_back(Record("12345678", "v", {entry->revision, entry->revision, 1, Space::kLeases}));
  entry->effects.push_back(Record("lock", "12345678", {entry->revision, entry->revision, 1, Space::kFences}));
  Record item("k", "v", {Revision(1), Revision(2), 3});
  Condition condition;
  condition.if_match = EntityTags{false, {Revision(5), Revision(6)}};
  condition.if_none_match = EntityTags{true, {}};
  Hello hello;
  hello.guard = {AuthMode::kWarn, true};
  hello.cluster = "c";
  hello.lineage = Lineage(1);
  hello.from = server("a:1");
  hello.to = ServerId{"b:1"};
  hello.epoch = Epoch(2);
  hello.sparse = true;
  std::vector<PeerMessage> all = {
      hello,
      Append{Epoch(3), LogPosition{Epoch(2), Revision(11)}, Revision(10), {entry}},
      AppendAck{Epoch(3), Revision(12)},
      AppendNack{Epoch(4), true, Revision(1), 2, true, LogPosition{Epoch(3), Revision(9)}},
      Heartbeat{Epoch(3), Revision(12), 5, 0xfeed, Revision(14), true, 815},
      HeartbeatAck{Epoch(3), 5, true, 2, true},
      SnapshotBegin{Epoch(3), 2, LogPosition{Epoch(2), Revision(11)}, true},
      SnapshotChunk{Epoch(3), {item}},
      SnapshotEnd{Epoch(3), Revision(12), 0xbeef},
      SnapshotAck{Epoch(3), 2, 1, true},
      Suspect{Epoch(3), Member{ServerId{"a:1"}, Incarnation(7)}},
      SuspectReply{Epoch(3), Member{ServerId{"a:1"}, Incarnation(7)}, true},
      TakeOver{Epoch(3), true},
      ServiceForward{
          7, ServiceCall{Collection::kLocks, Verb::kPost, "a/b", {{"session", "s"}, {"wait", "5"}}, "body"},
          milliseconds(100)},
      ServiceForwardResult{7, {ServiceStatus::kCreated, one_of_each_value(), Document().add(kNoteMade, "x")}},
      ServiceForwardResult{7, {ServiceStatus::kOk, PlainText{"text"}}},
      ServiceForwardResult{7, {ServiceStatus::kOk, Octets{std::string("\xff\0", 2)}}},
      ServiceForwardResult{7, {ServiceStatus::kGone, "why"}},
      ServiceForwardCancelled{7},
  };
  const MessageId id{Revision(90), 3};
  TxnOp acknowledged{TxnOp::Kind::kAck, "q", {}, 0};
  acknowledged.settling = Settling{Settling::Kind::kAck, id, 95, {}, {}};
  TxnOp sent{TxnOp::Kind::kSend, "out", {}, 0};
  sent.message = NewMessage{Bytes("v"), 1, 2, 3, {}, "d", "t"};
  std::vector<Operation> operations = {
      ReadKey{"k"},
      ListKeys{"p", "q", 10, true},
      PutKey{"k", Bytes("v"), condition},
      PutKey{"k", Bytes("v"), {}, Term{Term::Kind::kTime, limits::kTtlMsMax}},
      DeleteKey{"k", {}},
      DeletePrefix{"p"},
      DeletePrefix{"p", limits::kListItemsMax},
      WriteBatch{{BatchOp{"a", Bytes("1")}, BatchOp{"b", std::nullopt},
                  BatchOp{"c", Bytes("1"), Term{Term::Kind::kKeep, 0}}}},
      WriteBatch{{}, true, {Fence{"lock", 1}, Fence{std::string("\0:", 2), limits::kFenceTokenMax}}},
      Transaction{{TxnCondition{"a", TxnCondition::Of::kRevision, TxnCondition::Is::kLess, 5, {}},
                   TxnCondition{"b", TxnCondition::Of::kValue, TxnCondition::Is::kGreater, 0, Bytes("7")}},
                  {TxnOp{TxnOp::Kind::kAdd, "n", {}, INT64_MIN}, TxnOp{TxnOp::Kind::kGet, "n", {}, 0}},
                  {TxnOp{TxnOp::Kind::kAppend, "log", Bytes("x"), 0}}},
      Transaction{{TxnCondition{"", TxnCondition::Of::kLease, TxnCondition::Is::kEqual, 7, {}}},
                  {TxnOp{TxnOp::Kind::kTouch, "k", {}, 0, Term{Term::Kind::kLease, 7}},
                   TxnOp{TxnOp::Kind::kPut, "k", Bytes("v"), 0, Term{Term::Kind::kTime, limits::kTtlMsMin}}},
                  {}},
      Transaction{{TxnCondition{"q", TxnCondition::Of::kReceipt, TxnCondition::Is::kEqual, 95, {}, id}},
                  {acknowledged, sent},
                  {}},
      TouchKey{"k", Term{Term::Kind::kTime, 100}, condition},
      GrantLease{limits::kLeaseTtlMsMin, "who"},
      GrantLease{limits::kLeaseTtlMsMax, ""},
      TakeLease{7},
      RenewLeases{{7, UINT64_MAX}, {}},
      RenewLeases{{7, 8}, {1, 2}},
      EndLease{7, 0},
      EndLease{7, 3},
      ReadLease{7, true},
      ListLeases{7, 10},
      AddNumber{"n", -5, condition},
      AppendBytes{"log", Bytes("more"), condition},
      ChangeSettings{2},
      MoveLeader{ServerId{"a:1"}},
      DecideLineage{},
      QueryStatus{QueryStatus::Use::kMetrics},
      DropFence{"lock"},
      Box(PutPolicy{"p",
                    Policy{{Rule{Resource::kKv, "a/", true, false}, Rule{Resource::kAuth, "", true, true}}}}),
      Box(PutUser{"u", UserAccount{{"p", "q"}, {"uid:1000"}}}),
      Box(CreateToken{"abcdefgh", std::string(32, 'd'), "u", 1000, "note"}),
      Box(ReplaceAccess{{{"p", Policy{{Rule{Resource::kKv, "a/", true, false}}}}},
                        {{"u", UserAccount{{"p"}, {"uid:1000"}}}},
                        {{"abcdefgh", TokenRecord{"u", 7, std::string(32, 'd'), 1, 2, "note"}}}}),
      DeleteAccess{AccessKind::kToken, "abcdefgh"},
      DeleteAccess{AccessKind::kUser, "u"},
      ListAccess{AccessKind::kUser, "", "u", 10},
  };
  for (Operation& operation : queue_operations()) operations.push_back(std::move(operation));
  for (const Operation& operation : operations)
    all.push_back(Forward{1, operation, milliseconds(100), "key", {}});
  all.push_back(Forward{2, DeleteKey{"k", {}}, milliseconds(100), "", Fence{"lock:a/b", 7}});
  Forward owned{3, DeleteKey{"k", {}}, milliseconds(100), "", {}};
  owned.caller.emplace() = Caller{"u", "token:abcdefgh"};
  all.push_back(owned);
  std::vector<Answer> answers = {
      TokenMade{"u", 1000},
      KeyFound{item, false},
      KeyFound{item, true, Lifetime{300, 7}},
      KeyTouched{300},
      LeaseGranted{7, 5000},
      LeaseTaken{300, 2},
      LeasesRenewed{{300, std::nullopt, 0}, {}},
      LeasesRenewed{{300, std::nullopt}, {8}},
      LeaseEnded{},
      Box(LeaseFound{LeaseInfo{7, 5000, 300, "who"}, {"a", "b"}, false}),
      LeaseList{{LeaseInfo{7, 5000, 300, "who"}, LeaseInfo{8, 5000, 0, ""}}, true, false},
      Failed{ErrorCode::kLeaseFull, Outcome::kNotApplied, "why"},
      KeyMissing{true},
      Listing{{item}, true, false},
      KeyWritten{true},
      KeyDeleted{},
      KeyAbsent{},
      PrefixDeleted{4},
      BatchWritten{},
      ConditionFailed{Revision(3)},
      SettingsChanged{2},
      LeaderMoved{ServerId{"a:1"}},
      LineageForced{Lineage(3)},
      Box(Fenced{Fence{"lock", 7}, 8}),
      Failed{ErrorCode::kNoLeader, Outcome::kUnknown, "why"},
      Failed{ErrorCode::kOverflow, Outcome::kNotApplied, "why", 3},
      NumberIs{-7},
      Box(TxnDone{true,
                  {OpPut{true}, OpDeleted{true}, OpAdded{INT64_MAX}, OpAppended{}, OpMissing{},
                   OpFound{Bytes("v"), Revision(8)}, OpTouched{true}, OpAcked{}, OpSent{id, true}}}),
  };
  for (Answer& answer : queue_answers()) answers.push_back(std::move(answer));
  for (const Answer& answer : answers) all.push_back(ForwardResult{1, answer, Revision(9)});
  return all;
}

std::string frame(const PeerMessage& message) {
  std::string out;
  encode_frame(message, out);
  return out;
}

std::string body_of(const PeerMessage& message) { return frame(message).substr(4); }

std::string hello_frame() { return frame(one_of_each().front()); }

// Feeds a stream that begins with a good Hello; true when an error comes after it.
bool refused_after_hello(std::string_view bytes) {
  FrameReader reader;
  reader.feed(hello_frame());
  auto first = reader.next();
  REQUIRE(first);
  REQUIRE(first->has_value());
  reader.feed(bytes);
  return !reader.next();
}

std::string with_length(std::string_view body) {
  std::string out(4, '\0');
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(body.size() >> (8 * i));
  return out.append(body);
}

}  // namespace

TEST_CASE("every message survives the trip, byte by byte and all at once") {
  std::vector<PeerMessage> sent = one_of_each();
  std::string stream;
  for (const PeerMessage& message : sent) encode_frame(message, stream);
  for (size_t piece : {size_t(1), size_t(3), stream.size()}) {
    FrameReader reader;
    std::vector<PeerMessage> got;
    for (size_t at = 0; at < stream.size(); at += piece) {
      reader.feed(std::string_view(stream).substr(at, piece));
      for (;;) {
        auto next = reader.next();
        REQUIRE(next);
        if (!*next) break;
        got.push_back(std::move(**next));
      }
    }
    REQUIRE(got.size() == sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      CHECK(to_text(got[i]) == to_text(sent[i]));
      CHECK(frame(got[i]) == frame(sent[i]));
    }
  }
}

TEST_CASE("a stream that does not begin with kvd's Hello is refused") {
  for (std::string_view bytes :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls hello"}) {
    FrameReader reader;
    reader.feed(bytes);
    CHECK_FALSE(reader.next());
  }
  FrameReader reader;
  reader.feed(frame(TakeOver{Epoch(1)}));
  CHECK_FALSE(reader.next());
}

TEST_CASE("a server of another version is refused with one line that says so") {
  std::string other = hello_frame();
  other.replace(other.find("kvda"), 4, "kvd9");
  FrameReader reader;
  reader.feed(other);
  const auto refused = reader.next();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail ==
        "a kvd of another version: it speaks kvd9, and this server kvda; all servers have to be of one "
        "version");
}

TEST_CASE("the log's clock crosses the wire, and none that could not be counted on") {
  for (const uint64_t clock : {uint64_t{0}, uint64_t{815}, uint64_t{1} << 40}) {
    const auto beat = decode_body(frame(Heartbeat{Epoch(1), {}, 0, 0, {}, false, clock}).substr(4));
    REQUIRE(beat);
    CHECK(std::get<Heartbeat>(*beat).clock == clock);
    const auto begin = decode_body(frame(SnapshotBegin{Epoch(1), 1, {}, false, 0, clock}).substr(4));
    REQUIRE(begin);
    CHECK(std::get<SnapshotBegin>(*begin).clock == clock);
  }
  auto late = std::make_shared<Entry>();
  late->revision = Revision(1);
  late->clock = UINT64_MAX;
  CHECK_FALSE(decode_body(frame(Append{Epoch(1), {}, {}, {late}}).substr(4)));
  CHECK_FALSE(decode_body(frame(Heartbeat{Epoch(1), {}, 0, 0, {}, false, UINT64_MAX}).substr(4)));
  CHECK_FALSE(decode_body(frame(SnapshotBegin{Epoch(1), 1, {}, false, 0, UINT64_MAX}).substr(4)));
}

TEST_CASE("lengths that no frame has are refused at once") {
  CHECK(refused_after_hello(std::string_view("\0\0\0\0", 4)));
  CHECK(refused_after_hello("\xff\xff\xff\x7f"));
}

TEST_CASE("an unfinished frame is no message yet, and no error") {
  std::string whole = frame(one_of_each()[1]);
  FrameReader reader;
  reader.feed(hello_frame());
  REQUIRE(reader.next());
  reader.feed(std::string_view(whole).substr(0, whole.size() - 1));
  auto next = reader.next();
  REQUIRE(next);
  CHECK_FALSE(next->has_value());
}

TEST_CASE("a body cut short anywhere, or with bytes behind it, is refused") {
  for (const PeerMessage& message : one_of_each()) {
    std::string body = frame(message).substr(4);
    REQUIRE(decode_body(body));
    for (size_t size = 0; size < body.size(); ++size)
      CHECK_FALSE(decode_body(std::string_view(body).substr(0, size)));
    CHECK_FALSE(decode_body(body + "x"));
  }
}

TEST_CASE("unknown types and counts beyond the frame are refused") {
  CHECK(refused_after_hello(with_length("\xee rest")));
  std::string body = frame(SnapshotChunk{Epoch(1), {}}).substr(4);
  for (size_t i = body.size() - 4; i < body.size(); ++i) body[i] = '\x7f';  // the count of items
  CHECK_FALSE(decode_body(body));
}

TEST_CASE("a document's lists are held against the frame, and its depth is bounded") {
  const auto body_of = [](Document document) {
    return frame(ServiceForwardResult{7, {ServiceStatus::kOk, std::move(document)}}).substr(4);
  };
  CHECK(decode_body(body_of(nested(17))));  // the outermost lies in the answer itself
  CHECK_FALSE(decode_body(body_of(nested(18))));
  // In front of what is counted stand the type, the request, the status, no `why` and the content's kind; behind it
  // are no notes.
  const size_t members = 1 + 8 + 1 + 4 + 1;
  std::string body = body_of(Document().add("l", ValueList()));
  const size_t items = members + 4 + 4 + 1 + 1;
  for (const size_t at : {members, items, body.size() - 4}) {
    REQUIRE(decode_body(body));
    std::string larger = body;
    larger[at + 3] = '\x01';  // 16 million of them
    CHECK_FALSE(decode_body(larger));
  }
  std::string other = body;
  other[items - 1] = '\x09';  // no kind of value
  CHECK_FALSE(decode_body(other));
}

TEST_CASE("values out of their range are refused, each where the good one passes") {
  auto refused_with = [&](const PeerMessage& message, size_t from_end, char byte) {
    std::string body = body_of(message);
    REQUIRE(decode_body(body));
    body[body.size() - from_end] = byte;
    return !decode_body(body);
  };
  ForwardResult failed{1, Failed{ErrorCode::kInvalid, Outcome::kUnknown, ""}, Revision(9)};
  CHECK(refused_with(failed, 8 + 4 + 4 + 2,
                     static_cast<char>(ErrorCode::kAccessExists) + 1));  // revision, op, detail, outcome
  CHECK(refused_with(failed, 8 + 4 + 4 + 1, static_cast<char>(Outcome::kUnknown) + 1));
  CHECK(refused_with(ForwardResult{1, KeyDeleted{}, Revision(9)}, 8 + 1, 11));  // a status stays in its node
  CHECK(refused_with(ForwardResult{1, KeyDeleted{}, Revision(9)}, 8 + 1, 12));
  CHECK(refused_with(SuspectReply{Epoch(3), {}, true}, 1, 2));  // a flag
  // A duration; behind it there is neither a key nor a fence, and a term.
  CHECK(refused_with(Forward{1, QueryStatus{}, seconds(1)}, 1 + 8 + 1 + 4 + 1, '\x80'));

  auto accepted = [&](const PeerMessage& message) { return decode_body(body_of(message)).has_value(); };
  // No record has such a key: it is put into the bytes of one that has another.
  auto key_accepted = [&](size_t key) {
    std::string body = body_of(SnapshotChunk{Epoch(1), {Record("k", "", {{}, {}, 1})}});
    const size_t at = body.find(std::string("\1\0\0\0k", 5));
    REQUIRE(at != std::string::npos);
    std::string other(4, '\0');
    for (size_t i = 0; i < 4; ++i) other[i] = static_cast<char>(key >> (8 * i));
    return decode_body(body.replace(at, 5, other + std::string(key, 'k'))).has_value();
  };
  CHECK(key_accepted(limits::kKeyBytes));
  CHECK_FALSE(key_accepted(limits::kKeyBytes + 1));
  CHECK_FALSE(key_accepted(0));
  auto batch_of = [](size_t count) {
    return Forward{1, WriteBatch{std::vector<BatchOp>(count, BatchOp{"k", std::nullopt})}, seconds(1)};
  };
  CHECK(accepted(batch_of(limits::kBatchOps)));
  CHECK_FALSE(accepted(batch_of(limits::kBatchOps + 1)));
  CHECK_FALSE(accepted(Forward{1, DeletePrefix{""}, seconds(1)}));
  CHECK(accepted(Forward{1, DeletePrefix{"p", limits::kListItemsMax}, seconds(1)}));
  CHECK_FALSE(accepted(Forward{1, DeletePrefix{"p", limits::kListItemsMax + 1}, seconds(1)}));
  auto put_of = [](size_t value) {
    return Forward{1, PutKey{"k", Bytes(std::string(value, 'v')), {}}, seconds(1)};
  };
  CHECK(accepted(put_of(limits::kWriteBytes - 1)));
  CHECK_FALSE(accepted(put_of(limits::kWriteBytes)));
  auto pair_of = [](size_t value) {
    BatchOp op{"k", Bytes(std::string(value, 'v'))};
    return Forward{1, WriteBatch{{op, op}}, seconds(1)};
  };
  CHECK(accepted(pair_of(limits::kWriteBytes / 2 - 1)));
  CHECK_FALSE(accepted(pair_of(limits::kWriteBytes / 2)));
  auto page_of = [](uint32_t limit) { return Forward{1, ListKeys{"", "", limit, true}, seconds(1)}; };
  CHECK(accepted(page_of(limits::kListItemsMax)));
  CHECK_FALSE(accepted(page_of(limits::kListItemsMax + 1)));
  auto forwarded = [&](Operation what) { return accepted(Forward{1, std::move(what), seconds(1)}); };
  auto term_accepted = [&](Term term) {
    const bool put = forwarded(PutKey{"k", Bytes("v"), {}, term});
    CHECK(forwarded(TouchKey{"k", term, {}}) == put);
    CHECK(forwarded(WriteBatch{{BatchOp{"k", Bytes("v"), term}}}) == put);
    CHECK(forwarded(Transaction{{}, {TxnOp{TxnOp::Kind::kTouch, "k", {}, 0, term}}, {}}) == put);
    return put;
  };
  const auto op_accepted = [&](TxnOp op) { return forwarded(Transaction{{}, {std::move(op)}, {}}); };
  TxnOp queue_op{TxnOp::Kind::kAck, "q", {}, 0};
  CHECK_FALSE(op_accepted(queue_op));  // of nothing
  queue_op.settling = Settling{Settling::Kind::kAck, {Revision(7), 0}, 8, {}, {}};
  CHECK(op_accepted(queue_op));
  queue_op.key = std::string(limits::kQueueNameBytes + 1, 'q');
  CHECK_FALSE(op_accepted(queue_op));
  queue_op.key = "q";
  queue_op.settling->kind = Settling::Kind::kRelease;
  CHECK_FALSE(op_accepted(queue_op));
  queue_op.kind = TxnOp::Kind::kSend;
  CHECK_FALSE(op_accepted(queue_op));
  queue_op.settling = {};
  queue_op.message = NewMessage{Bytes("v"), 100, 0, 0, {}, {}, {}};
  CHECK(op_accepted(queue_op));
  queue_op.kind = TxnOp::Kind::kGet;
  CHECK_FALSE(op_accepted(queue_op));
  CHECK(term_accepted({Term::Kind::kTime, limits::kTtlMsMin}));
  CHECK(term_accepted({Term::Kind::kTime, limits::kTtlMsMax}));
  CHECK(term_accepted({Term::Kind::kLease, UINT64_MAX}));
  CHECK_FALSE(term_accepted({Term::Kind::kTime, limits::kTtlMsMin - 1}));
  CHECK_FALSE(term_accepted({Term::Kind::kTime, limits::kTtlMsMax + 1}));
  CHECK_FALSE(forwarded(TouchKey{"", {}, {}}));
  CHECK_FALSE(forwarded(GrantLease{limits::kLeaseTtlMsMin - 1, ""}));
  CHECK_FALSE(forwarded(GrantLease{limits::kLeaseTtlMsMax + 1, ""}));
  CHECK(forwarded(GrantLease{5000, std::string(limits::kLeaseNameBytes, 'n')}));
  CHECK_FALSE(forwarded(GrantLease{5000, std::string(limits::kLeaseNameBytes + 1, 'n')}));
  CHECK(forwarded(RenewLeases{std::vector<uint64_t>(limits::kLeasesAtOnce, 7)}));
  CHECK_FALSE(forwarded(RenewLeases{std::vector<uint64_t>(limits::kLeasesAtOnce + 1, 7)}));
  CHECK_FALSE(forwarded(RenewLeases{}));
  CHECK_FALSE(forwarded(RenewLeases{{7, 8}, {1}}));
  CHECK(forwarded(ListLeases{0, limits::kListItemsMax}));
  CHECK_FALSE(forwarded(ListLeases{0, limits::kListItemsMax + 1}));
  CHECK_FALSE(forwarded(ListLeases{0, 0}));
  auto suspicion_of = [](size_t id) {
    return Suspect{Epoch(1), Member{ServerId{std::string(id, 's')}, Incarnation(1)}};
  };
  CHECK(accepted(suspicion_of(255)));
  CHECK_FALSE(accepted(suspicion_of(256)));
  CHECK_FALSE(accepted(suspicion_of(0)));
  CHECK(accepted(TakeOver{Epoch(kEpochMax)}));
  CHECK_FALSE(accepted(TakeOver{Epoch(kEpochMax + 1)}));
  Forward keyed{1, DeleteKey{"k", {}}, seconds(1), std::string(limits::kScopedKeyBytes, 'x')};
  CHECK(accepted(keyed));
  keyed.idempotency_key += 'x';
  CHECK_FALSE(accepted(keyed));
  auto fence_accepted = [&](size_t resource, uint64_t token) {
    const Fence fence{std::string(resource, 'r'), token};
    WriteBatch batch;
    batch.fences = {fence};
    const bool brought = accepted(Forward{1, DeleteKey{"k", {}}, seconds(1), "", fence});
    CHECK(accepted(Forward{1, batch, seconds(1)}) == brought);
    CHECK(accepted(ForwardResult{1, Box(Fenced{fence, 9}), Revision(9)}) == brought);
    return brought;
  };
  CHECK(fence_accepted(1, 1));
  CHECK(fence_accepted(limits::kFenceResourceBytes, limits::kFenceTokenMax));
  CHECK_FALSE(fence_accepted(0, 1));
  CHECK_FALSE(fence_accepted(limits::kFenceResourceBytes + 1, 1));
  CHECK_FALSE(fence_accepted(1, 0));
  CHECK_FALSE(fence_accepted(1, limits::kFenceTokenMax + 1));
  auto restored = [](size_t count) {
    return Forward{1, WriteBatch{{}, false, std::vector<Fence>(count, Fence{"r", 1})}, seconds(1)};
  };
  CHECK(accepted(restored(limits::kBatchOps)));
  CHECK_FALSE(accepted(restored(limits::kBatchOps + 1)));
  Hello nowhere = *std::get<Box<Hello>>(one_of_each().front());
  nowhere.from.peer.port = 0;
  CHECK_FALSE(accepted(nowhere));
}

TEST_CASE("an effect is a value, a deletion, or one whose time had come; of other kinds there is none") {
  const auto chunk_of = [](Record effect) {
    auto entry = std::make_shared<Entry>(Entry{Epoch(1), Revision(1), {std::move(effect)}});
    return body_of(Append{Epoch(1), {}, {}, {entry}});
  };
  const auto decoded = [](const std::string& body) {
    const auto message = decode_body(body);
    REQUIRE(message);
    return std::get<Append>(*message).entries[0]->effects[0];
  };
  const Record::Metadata metadata{Revision(1), Revision(1), 0};
  const std::string deleted = chunk_of(Record::deletion("k", metadata));
  std::string expired = chunk_of(Record::deletion("k", metadata, true));
  CHECK_FALSE(decoded(deleted).expired());
  CHECK(decoded(expired).expired());
  CHECK_FALSE(decoded(expired).has_value());
  CHECK_FALSE(decoded(expired) == decoded(deleted));
  REQUIRE(deleted.size() == expired.size());
  const auto place = std::mismatch(deleted.begin(), deleted.end(), expired.begin()).second;
  CHECK(*place == 2);
  *place = 3;
  CHECK_FALSE(decode_body(expired));
}

TEST_CASE("a transaction with more than it may have is refused, and so is one with nothing to do") {
  const auto accepted = [](const Transaction& transaction) {
    return decode_body(body_of(Forward{1, transaction, seconds(1)})).has_value();
  };
  const TxnOp get{TxnOp::Kind::kGet, "k", {}, 0};
  const TxnCondition exists{"k", TxnCondition::Of::kExists, TxnCondition::Is::kEqual, 1, {}};
  const auto many = [&](size_t conditions, size_t then_ops, size_t else_ops) {
    return Transaction{std::vector<TxnCondition>(conditions, exists), std::vector<TxnOp>(then_ops, get),
                       std::vector<TxnOp>(else_ops, get)};
  };
  CHECK(accepted(many(limits::kTxnConditions, limits::kBatchOps, limits::kBatchOps)));
  CHECK_FALSE(accepted(many(limits::kTxnConditions + 1, 1, 1)));
  CHECK_FALSE(accepted(many(1, limits::kBatchOps + 1, 0)));
  CHECK_FALSE(accepted(many(1, 0, limits::kBatchOps + 1)));
  CHECK_FALSE(accepted(many(1, 0, 0)));
  CHECK_FALSE(accepted(Transaction{{}, {TxnOp{TxnOp::Kind::kGet, "", {}, 0}}, {}}));
  CHECK_FALSE(accepted(Transaction{
      {TxnCondition{"", TxnCondition::Of::kExists, TxnCondition::Is::kEqual, 1, {}}}, {get}, {}}));
  const TxnOp half{TxnOp::Kind::kPut, "k", Bytes(std::string(limits::kWriteBytes / 2, 'v')), 0};
  CHECK(accepted(Transaction{{}, {half}, {}}));
  CHECK_FALSE(accepted(Transaction{{}, {half}, {half}}));
  CHECK_FALSE(decode_body(body_of(Forward{1, AddNumber{"", 1, {}}, seconds(1)})));
  CHECK_FALSE(decode_body(
      body_of(Forward{1, AppendBytes{"k", Bytes(std::string(limits::kWriteBytes, 'v')), {}}, seconds(1)})));
}

TEST_CASE("what is asked of queues keeps within its bounds") {
  const auto forwarded = [](Operation what) {
    return decode_body(body_of(Forward{1, std::move(what), seconds(1)})).has_value();
  };
  const auto text = [](size_t bytes) { return std::string(bytes, 'x'); };
  const size_t name = limits::kQueueNameBytes;
  const std::function<Operation(std::string)> named[] = {
      [](std::string queue) {
        return MakeQueue{std::move(queue), {}};
      },
      [](std::string queue) {
        return DeleteQueue{std::move(queue), false};
      },
      [](std::string queue) {
        return SendMessages{std::move(queue), {NewMessage()}, true};
      },
      [](std::string queue) {
        ReceiveMessages receive;
        receive.queue = std::move(queue);
        return receive;
      },
      [](std::string queue) {
        return SettleMessages{std::move(queue), {Settling()}, false};
      },
      [](std::string queue) {
        return KickMessages{std::move(queue), MessageState::kDead, 1, ""};
      },
      [](std::string queue) {
        return PurgeMessages{std::move(queue), {}};
      },
      [](std::string queue) { return ReadQueue{std::move(queue)}; },
      [](std::string queue) {
        return PeekMessages{std::move(queue), MessageState::kReady, {}, 1};
      },
      [](std::string queue) {
        return PeekMessage{std::move(queue), {}};
      },
  };
  for (const auto& make : named) {
    CHECK(forwarded(make(text(1))));
    CHECK(forwarded(make(text(name))));
    CHECK_FALSE(forwarded(make("")));
    CHECK_FALSE(forwarded(make(text(name + 1))));
  }

  // Of each pair the first one passes, and the second one does not.
  const auto config = [&](auto set) {
    MakeQueue make{"q", {}};
    set(make.config);
    return forwarded(std::move(make));
  };
  for (const uint64_t beyond : {0, 1}) {
    CAPTURE(beyond);
    const bool fits = beyond == 0;
    CHECK(config([&](QueueConfig& c) { c.ttr_ms = limits::kTtrMsMin - beyond; }) == fits);
    CHECK(config([&](QueueConfig& c) { c.ttr_ms = limits::kTtrMsMax + beyond; }) == fits);
    CHECK(config([&](QueueConfig& c) { c.backoff_ms.resize(limits::kBackoffs + beyond); }) == fits);
    CHECK(config([&](QueueConfig& c) { c.backoff_ms = {limits::kTtlMsMax + beyond}; }) == fits);
    CHECK(config([&](QueueConfig& c) { c.dead_letter = text(name + beyond); }) == fits);
    CHECK(config([&](QueueConfig& c) { c.dedup_window_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(config([&](QueueConfig& c) { c.max_age_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(config([&](QueueConfig& c) { c.max_in_flight = static_cast<uint32_t>(1 - beyond); }) == fits);
    CHECK(config([&](QueueConfig& c) {
            c.max_in_flight = static_cast<uint32_t>(limits::kInFlightMax + beyond);
          }) == fits);

    const auto message = [&](auto set) {
      NewMessage one;
      set(one);
      return forwarded(SendMessages{"q", {one}, true});
    };
    CHECK(message([&](NewMessage& m) { m.delay_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(message([&](NewMessage& m) { m.max_age_ms = limits::kTtlMsMax + beyond; }) == fits);
    CHECK(message([&](NewMessage& m) { m.group = text(limits::kGroupBytes + beyond); }) == fits);
    CHECK(message([&](NewMessage& m) { m.dedup = text(limits::kDedupBytes + beyond); }) == fits);
    CHECK(message([&](NewMessage& m) { m.type = text(limits::kTypeBytes + beyond); }) == fits);
    CHECK(message([&](NewMessage& m) { m.past.emplace().dead_from = text(2 * name + 1 + beyond); }) == fits);
    CHECK(message([&](NewMessage& m) { m.past.emplace().reason = text(limits::kReasonBytes + beyond); }) ==
          fits);
    CHECK(message([&](NewMessage& m) { m.past.emplace().why = text(limits::kReasonBytes + beyond); }) ==
          fits);
    CHECK(message([&](NewMessage& m) {
            m.group = "g";
            m.delay_ms = beyond;
          }) == fits);
    CHECK(message([&](NewMessage& m) {
            m.body = Bytes(text(limits::kWriteBytes - bytes_of(NewMessage()) + beyond));
          }) == fits);
    const size_t many = limits::kMessagesAtOnce + beyond;
    CHECK(forwarded(SendMessages{"q", std::vector<NewMessage>(many), true}) == fits);
    CHECK(forwarded(SendMessages{"q", std::vector<NewMessage>(1 - beyond), true}) == fits);

    CHECK(forwarded(SettleMessages{"q", std::vector<Settling>(many), false}) == fits);
    CHECK(forwarded(SettleMessages{"q", std::vector<Settling>(1 - beyond), false}) == fits);
    Settling settling;
    settling.ms = limits::kTtlMsMax + beyond;
    CHECK(forwarded(SettleMessages{"q", {settling}, false}) == fits);
    settling.ms.reset();
    settling.reason = text(limits::kReasonBytes + beyond);
    CHECK(forwarded(SettleMessages{"q", {settling}, false}) == fits);

    const auto receive = [&](auto set) {
      ReceiveMessages one;
      one.queue = "q";
      set(one);
      return forwarded(std::move(one));
    };
    CHECK(receive([&](ReceiveMessages& r) { r.max = static_cast<uint32_t>(many); }) == fits);
    CHECK(receive([&](ReceiveMessages& r) { r.max = static_cast<uint32_t>(1 - beyond); }) == fits);
    CHECK(receive([&](ReceiveMessages& r) { r.ttr_ms = limits::kTtrMsMin - beyond; }) == fits);
    CHECK(receive([&](ReceiveMessages& r) { r.ttr_ms = limits::kTtrMsMax + beyond; }) == fits);
    CHECK(receive([&](ReceiveMessages& r) {
            r.wait = milliseconds(static_cast<int64_t>(limits::kWaitMs + beyond));
          }) == fits);
    CHECK(receive([&](ReceiveMessages& r) { r.settlings.resize(many); }) == fits);

    const auto kicked = [&](MessageState state, uint64_t max, std::string to) {
      return forwarded(KickMessages{"q", state, static_cast<uint32_t>(max), std::move(to)});
    };
    CHECK(kicked(MessageState::kDead, limits::kKicked + beyond, "") == fits);
    CHECK(kicked(MessageState::kDead, 1 - beyond, "") == fits);
    CHECK(kicked(MessageState::kDead, 1, text(name + beyond)) == fits);
    CHECK(kicked(fits ? MessageState::kDelayed : MessageState::kReady, 1, "") == fits);
    CHECK(kicked(fits ? MessageState::kDead : MessageState::kInFlight, 1, "") == fits);
    CHECK(forwarded(PurgeMessages{"q", fits ? MessageState::kDead : MessageState::kInFlight}) == fits);
    const auto page = static_cast<uint32_t>(limits::kListItemsMax + beyond);
    CHECK(forwarded(ListQueues{"", "", page}) == fits);
    CHECK(forwarded(ListQueues{"", "", static_cast<uint32_t>(1 - beyond)}) == fits);
    CHECK(forwarded(PeekMessages{"q", MessageState::kReady, {}, page}) == fits);
    CHECK(forwarded(PeekMessages{"q", MessageState::kReady, {}, static_cast<uint32_t>(1 - beyond)}) == fits);
  }
  CHECK(forwarded(PeekMessage{"q", {Revision(UINT64_MAX), limits::kMessagesAtOnce - 1}}));
  CHECK_FALSE(forwarded(PeekMessage{"q", {Revision(1), UINT16_MAX}}));
}

TEST_CASE("an answer is remembered as it was, and operations are told apart by their digests") {
  Result<Answer> back = decode_answer(encode_answer(PrefixDeleted{7}));
  REQUIRE(back);
  CHECK(std::get<PrefixDeleted>(*back).count == 7);
  CHECK_FALSE(decode_answer("\xff"));
  CHECK_FALSE(decode_answer(encode_answer(KeyDeleted{}) + "x"));
  PutKey put{"k", Bytes("v"), {}};
  CHECK(operation_digest(put) == operation_digest(put));
  CHECK(operation_digest(put) != operation_digest(PutKey{"k", Bytes("w"), {}}));
  CHECK(operation_digest(DeleteKey{"k", {}}) != operation_digest(DeletePrefix{"k"}));
  CHECK(operation_digest(put, Fence{"r", 1}) == operation_digest(put, Fence{"r", 1}));
  CHECK(operation_digest(put, Fence{"r", 1}) != operation_digest(put));
  CHECK(operation_digest(put, Fence{"r", 1}) != operation_digest(put, Fence{"r", 2}));
}

TEST_CASE("a stranger cannot announce more than a hello takes") {
  std::string start = hello_frame().substr(0, 9);
  start[2] = 1;  // 64 KiB more
  FrameReader reader;
  reader.feed(start);
  CHECK_FALSE(reader.next());
  CHECK_FALSE(reader.next());  // once and for all
}

TEST_CASE("entries must follow each other and what they claim to follow") {
  auto entry = std::make_shared<Entry>();
  entry->epoch = Epoch(1);
  entry->revision = Revision(9);
  entry->effects.push_back(Record("k", "v", {Revision(9), entry->revision, 1}));
  std::string body =
      frame(Append{Epoch(1), LogPosition{Epoch(1), Revision(3)}, Revision(3), {entry}}).substr(4);
  CHECK_FALSE(decode_body(body));
}

}  // namespace kvd::wire_test
