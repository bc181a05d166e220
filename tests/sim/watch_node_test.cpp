// One node and those who watch at it: what is said when, to whom, and what is not. Each line is written as a word and a
// number, so that a test reads as a dialogue.
#include <doctest.h>
#include <fmt/format.h>

#include "single_node_harness.hpp"

namespace kvd::sim::watch_node_test {
namespace {

using Said = std::vector<std::string>;
const Member kB = member("b", 1);

struct InWords {
  std::string operator()(const WatchEvent& event) const {
    const Record& record = event.record;
    return fmt::format("{}={}@{}{}{}", record.key(), record.has_value() ? record.value() : "-",
                       record.modified().value, event.more ? " more" : "", event.state ? " state" : "");
  }
  std::string operator()(const WatchProgress& progress) const {
    return fmt::format("{} {}", progress.linear ? "linear" : "progress", progress.revision.value);
  }
  std::string operator()(const WatchWaiting& waiting) const {
    return fmt::format("waiting {}", waiting.revision.value);
  }
  std::string operator()(const WatchStale&) const { return "stale"; }
  std::string operator()(const WatchCurrent& current) const {
    return fmt::format("current {}", current.revision.value);
  }
  std::string operator()(const WatchSynced& synced) const {
    return fmt::format("{} {}", synced.complete ? "synced" : "partly synced", synced.revision.value);
  }
  std::string operator()(const WatchReset& reset) const {
    return fmt::format("reset {} {}", reset.revision.value, watch_break_name(reset.reason));
  }
  std::string operator()(const WatchGone& gone) const {
    return fmt::format("gone {} behind {} {}", gone.revision.value, gone.oldest.value,
                       watch_break_name(gone.reason));
  }
  std::string operator()(const WatchOpened& opened) const {
    return opened.complete ? "opened" : "partly opened";
  }
  std::string operator()(const HistoryGone& gone) const {
    return fmt::format("behind {}", gone.oldest.value);
  }
  std::string operator()(const NotChanged&) const { return "not changed"; }
};

// Beyond what a test says otherwise: a stream that nobody takes gets all of its lines.
WatchCall all_of(const std::string& prefix, std::optional<Revision> since = std::nullopt) {
  WatchCall call;
  call.filter = {prefix, true};
  call.since = since;
  call.progress = seconds(1000);
  return call;
}
WatchCall state_of(const std::string& prefix) {
  WatchCall call = all_of(prefix);
  call.state = true;
  return call;
}

// It leads a cluster of its own.
struct Watched : SingleNodeHarness {
  explicit Watched(NodeConfig config = {}) : SingleNodeHarness(config) {
    connect();
    REQUIRE(node().view().active);
  }
  uint64_t newest() { return node().view().commit.value; }
  void put(const std::string& key, const std::string& value) { ask(PutKey{key, Bytes(value), {}}); }
  void put_all(const std::vector<std::string>& keys) {
    WriteBatch batch;
    for (const std::string& key : keys) batch.ops.push_back({key, Bytes(std::string("v"))});
    ask(std::move(batch));
  }
  // The number of the stream, which is opened.
  uint64_t open(const WatchCall& wanted) {
    const uint64_t number = call(Box<WatchCall>(wanted));
    CHECK(answers() == Said{fmt::format("opened {}", wanted.since.value_or(Revision(newest())).value)});
    return number;
  }
  uint64_t wait_for(const std::string& key, uint64_t since, Duration wait) {
    PollCall poll;
    poll.filter = {key, false};
    poll.since = Revision(since);
    poll.wait = wait;
    poll.read.operation = ReadKey{key};
    replies();
    return call(Box<PollCall>(std::move(poll)));
  }
  Said answers() {
    Said words;
    for (const Reply& reply : watch_answers()) {
      const WatchAnswer& answer = std::get<WatchAnswer>(reply.what);
      words.push_back(std::visit(InWords{}, answer.what) + fmt::format(" {}", answer.revision.value));
    }
    return words;
  }
  // To that stream since the last time. What it takes it tells only with take().
  Said lines(uint64_t number) {
    Said words;
    for (StreamLines& said : stream_lines()) {
      if (said.id != RequestId(number)) continue;
      for (const WatchLine& line : said.lines) {
        words.push_back(std::visit(InWords{}, line));
        untaken += line_bytes(line, true);
      }
      if (said.last) words.push_back("end");
    }
    return words;
  }
  void take(uint64_t number) { push(StreamTaken{RequestId(number), std::exchange(untaken, 0)}); }
  size_t untaken = 0;
};

NodeConfig with_window(size_t bytes, size_t history_bytes = 64u << 20) {
  NodeConfig config;
  config.tuning.watch_window = bytes;
  config.history_bytes = history_bytes;
  return config;
}
// So many entries of one small key.
size_t bytes_of(size_t entries) { return entries * (32 + 32 + 4); }

}  // namespace

TEST_CASE("watch: a stream tells what matches from now on, in the order of the revisions") {
  Watched a;
  a.put("a/1", "old");
  const uint64_t stream = a.open(all_of("a/"));
  a.put("a/1", "new");
  a.put("b/1", "other");
  a.put("a/2", "x");
  a.ask(DeleteKey{"a/1", {}});
  CHECK(a.lines(stream) == Said{"a/1=new@2", "a/2=x@4", "a/1=-@5"});
  WatchCall one;
  one.filter = {"a/1", false};
  const uint64_t exact = a.open(one);
  a.put("a/11", "x");
  a.put("a/1", "y");
  CHECK(a.lines(exact) == Said{"a/1=y@7"});
}

TEST_CASE("watch: what one revision changes is to be taken together") {
  Watched a;
  const uint64_t stream = a.open(all_of("a/"));
  a.put_all({"a/1", "b/1", "a/2", "b/2"});
  CHECK(a.lines(stream) == Said{"a/1=v@1 more", "a/2=v@1"});
}

TEST_CASE("watch: it goes on behind a revision, if all of that is still there") {
  Watched a(with_window(1000, bytes_of(3)));
  for (int i = 1; i <= 5; ++i) a.put("key", std::to_string(i));
  a.call(Box<WatchCall>(all_of("", Revision(1))));
  CHECK(a.answers() == Said{"behind 2 5"});
  const uint64_t stream = a.open(all_of("", Revision(2)));
  CHECK(a.lines(stream) == Said{"key=3@3", "key=4@4", "key=5@5"});
}

TEST_CASE("watch: it waits for a revision that another server had, and says nothing that came before") {
  Watched a;
  a.put("key", "1");
  WatchCall call = all_of("", Revision(2));
  call.progress = milliseconds(100);
  const uint64_t stream = a.call(Box<WatchCall>(call));
  CHECK(a.answers() == Said{"opened 2"});
  CHECK(a.lines(stream) == Said{"waiting 1"});
  a.pass(milliseconds(100));
  CHECK(a.lines(stream) == Said{"waiting 1"});
  a.put("key", "2");
  CHECK(a.lines(stream) == Said{});
  a.put("key", "3");
  CHECK(a.lines(stream) == Said{"key=3@3"});
}

TEST_CASE("watch: the state is read part by part, and what is written meanwhile is in it") {
  NodeConfig config = with_window(200);
  config.tuning.watch_page = 2;
  Watched a(config);
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) a.put(key, "1");
  const uint64_t stream = a.open(state_of(""));
  CHECK(a.lines(stream) == Said{"a=1@1 state", "b=1@2 state", "c=1@3 state"});
  a.ask(DeleteKey{"d", {}});
  a.put_all({"a", "g"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"d=1@4 state", "d=-@7 state", "a=v@8 more state"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"g=v@8 state", "e=1@5 state", "f=1@6 state"});
  a.put("b", "2");
  a.take(stream);
  CHECK(a.lines(stream) == Said{"synced 8", "b=2@9"});  // g was said as a change
}

TEST_CASE("watch: of a key that is not there the state is empty") {
  Watched a;
  WatchCall one = state_of("missing");
  one.filter.prefix = false;
  const uint64_t stream = a.open(one);
  CHECK(a.lines(stream) == Said{"synced 0"});
}

TEST_CASE(
    "watch: who does not take its lines gets no more than fit, and is told when it has missed something") {
  Watched a(with_window(150, bytes_of(3)));
  const uint64_t stream = a.open(all_of(""));
  for (int i = 1; i <= 4; ++i) a.put("key", std::to_string(i));
  CHECK(a.lines(stream) == Said{"key=1@1", "key=2@2"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"key=3@3", "key=4@4"});
  for (int i = 5; i <= 8; ++i) a.put("key", std::to_string(i));
  CHECK(a.lines(stream) == Said{});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"gone 8 behind 5 history", "end"});
}

TEST_CASE("watch: where it has missed something the state is told anew, once there is room") {
  Watched a(with_window(150, bytes_of(3)));
  const uint64_t stream = a.open(state_of(""));
  CHECK(a.lines(stream) == Said{"synced 0"});
  for (int i = 1; i <= 9; ++i) a.put("key", std::to_string(i));
  CHECK(a.lines(stream) == Said{"key=1@1"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"reset 9 history", "key=9@9 state"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{"synced 9"});
}

TEST_CASE("watch: a stream that is full gets no end of the state") {
  Watched a(with_window(100));
  a.put("a", std::string(100, '.'));
  const uint64_t stream = a.open(state_of(""));
  CHECK(a.lines(stream).size() == 1);
  a.take(stream);
  CHECK(a.lines(stream) == Said{"synced 1"});
}

TEST_CASE("watch: a stream that is full may be left behind the last of a revision that matches") {
  Watched a(with_window(10, bytes_of(3)));
  const uint64_t stream = a.open(all_of("a"));
  a.put_all({"a", "b"});
  CHECK(a.lines(stream) == Said{"a=v@1"});
  a.put("x", std::string(10, '.'));
  a.put("x", std::string(10, '.'));
  a.call(Box<WatchCall>(all_of("", Revision(0))));
  CHECK(a.answers() == Said{"behind 1 3"});
  a.take(stream);
  CHECK(a.lines(stream) == Said{});
  a.put("a", "w");
  CHECK(a.lines(stream) == Said{"a=w@4"});
}

TEST_CASE("watch: progress tells what was said, however little is looked at in one turn") {
  NodeConfig config = with_window(150);
  config.tuning.watch_slice = 1;
  Watched a(config);
  WatchCall call = all_of("a");
  call.progress = milliseconds(100);
  const uint64_t stream = a.open(call);
  for (int i = 0; i < 3; ++i) a.put("b", "other");
  a.pass(milliseconds(100));
  CHECK(a.lines(stream) == Said{"progress 3"});
  a.put_all({"a1", "a2", "a3"});
  CHECK(a.lines(stream) == Said{"a1=v@4 more"});  // beside the line before
  a.pass(milliseconds(300));
  CHECK(a.lines(stream) == Said{});  // it does not read
  a.take(stream);
  CHECK(a.lines(stream) == Said{"a2=v@4 more", "a3=v@4"});
  a.take(stream);
  a.pass(milliseconds(100));
  CHECK(a.lines(stream) == Said{"progress 4"});
}

TEST_CASE("watch: in the midst of a revision nobody has made progress") {
  Watched a(with_window(50));
  WatchCall call = all_of("a");
  call.progress = milliseconds(100);
  const uint64_t stream = a.open(call);
  a.put_all({"a1", "a2"});
  CHECK(a.lines(stream) == Said{"a1=v@1 more"});
  a.pass(milliseconds(300));
  CHECK(a.lines(stream) == Said{});
}

TEST_CASE("watch: linear progress is what the others of the set confirm") {
  Watched a;
  WatchCall call = all_of("");
  call.progress = milliseconds(100);
  call.linear = true;
  const uint64_t stream = a.open(call);
  a.put("key", "1");
  a.pass(milliseconds(100));
  CHECK(a.lines(stream) == Said{"key=1@1", "linear 1"});
}

TEST_CASE("watch: where nobody confirms progress is not called linear, and the next one may be") {
  SingleNodeHarness a;
  const LinkId link = lead_with(a, kB);
  a.push(LinkReceived{link, AppendAck{Epoch(1), Revision(0), 0}});
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), 0, true, 0}});
  REQUIRE(a.node().view().active);
  WatchCall call = all_of("");
  call.progress = milliseconds(100);
  call.linear = true;
  a.call(Box<WatchCall>(call));
  const auto told = [&a] {
    Said words;
    for (const StreamLines& said : a.stream_lines()) {
      for (const WatchLine& line : said.lines) {
        if (std::holds_alternative<WatchProgress>(line)) words.push_back(std::visit(InWords{}, line));
      }
    }
    return words;
  };
  a.pass(milliseconds(100));
  CHECK(told() == Said{});  // it is asked for
  a.pass(milliseconds(100));
  CHECK(told() == Said{"progress 0"});
  const auto beats = a.sent<Heartbeat>(link);
  REQUIRE_FALSE(beats.empty());
  a.push(LinkReceived{link, HeartbeatAck{Epoch(1), beats.back().round, true, 0}});
  CHECK(told() == Said{"linear 0"});
}

TEST_CASE("watch: a call that waits is answered by a read once something has changed") {
  Watched a;
  a.put("key", "1");
  SUBCASE("at once, if it has by then") {
    const uint64_t number = a.wait_for("key", 0, seconds(10));
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].id == RequestId(number));
    CHECK(std::get<KeyFound>(replies[0].answer).item.value() == "1");
  }
  SUBCASE("when it does, and not for another key") {
    const uint64_t number = a.wait_for("key", 1, seconds(10));
    a.put("other", "1");
    CHECK(a.replies().size() == 1);
    a.put("key", "2");
    const auto replies = a.replies();
    REQUIRE(replies.size() == 2);
    const NumberedAnswer& changed = replies[replies[0].id == RequestId(number) ? 0 : 1];
    CHECK(std::get<KeyFound>(changed.answer).item.value() == "2");
    CHECK(changed.revision == Revision(3));
  }
  SUBCASE("not in time: where to go on is told") {
    a.wait_for("key", 1, milliseconds(100));
    a.put("other", "1");
    a.pass(milliseconds(100));
    CHECK(a.answers() == Said{"not changed 2"});
    a.put("key", "2");
    CHECK(a.answers() == Said{});
  }
  SUBCASE("without waiting it is told at once") {
    a.wait_for("key", 1, Duration(0));
    CHECK(a.answers() == Said{"not changed 1"});
  }
  SUBCASE("a client that has gone is told nothing") {
    a.push(CallCancelled{RequestId(a.wait_for("key", 1, milliseconds(100)))});
    a.put("key", "2");
    a.pass(milliseconds(200));
    CHECK(a.replies().size() == 1);
    CHECK(a.answers() == Said{});
  }
  SUBCASE("a server that stops refuses it") {
    const uint64_t number = a.wait_for("key", 1, seconds(10));
    a.push(StopRequested{});
    const auto replies = a.replies();
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].id == RequestId(number));
    CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kShuttingDown);
  }
}

TEST_CASE("watch: a call that waits looks at the whole history, however little of it in one turn") {
  NodeConfig config;
  config.tuning.watch_slice = 1;
  Watched a(config);
  for (int i = 0; i < 9; ++i) a.put("other", "x");
  a.wait_for("key", 0, Duration(0));
  CHECK(a.answers() == Said{"not changed 9"});
  a.put("key", "1");
  a.wait_for("key", 0, Duration(0));
  CHECK(a.answers() == Said{});
  CHECK(a.replies().size() == 1);
}

TEST_CASE(
    "watch: a call that waits is answered where the history does not reach back: something may have "
    "changed") {
  Watched a(with_window(1000, bytes_of(1)));
  for (int i = 0; i < 5; ++i) a.put("other", "x");
  a.wait_for("key", 1, seconds(10));
  CHECK(a.answers() == Said{});
  CHECK(a.replies().size() == 1);
}

TEST_CASE("watch: a server that stops ends its streams, also who does not read, and opens no more") {
  Watched a(with_window(1));
  a.put("key", "1");
  const uint64_t stream = a.open(state_of(""));
  CHECK(a.lines(stream) == Said{"key=1@1 state"});
  a.push(StopRequested{});
  CHECK(a.lines(stream) == Said{"gone 1 behind 0 stopping", "end"});
  a.call(Box<WatchCall>(all_of("")));
  CHECK(a.lines(stream) == Said{});
  a.pass(milliseconds(100));
  REQUIRE(a.exit());
  CHECK(a.exit()->code == 0);
}

TEST_CASE("watch: who has hung up is told nothing") {
  Watched a;
  const uint64_t stream = a.open(all_of(""));
  a.push(CallCancelled{RequestId(stream)});
  a.put("key", "1");
  CHECK(a.lines(stream) == Said{});
}

TEST_CASE("watch: a server without a copy refuses, whoever asks") {
  SingleNodeHarness a;
  a.call(Box<WatchCall>(all_of("")));
  const auto replies = a.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kNotReady);
}

TEST_CASE("watch: a new lineage ends a stream, or begins its state anew") {
  Watched a;
  const uint64_t number = a.call(Box<WatchCall>(all_of("")));
  const uint64_t with_state = a.call(Box<WatchCall>(state_of("")));
  a.put("key", "1");
  a.stream_lines();
  Result<Register> now = decode_register(a.data(kConfigPath));
  REQUIRE(now);
  Register next = *now;
  next.lineage = Lineage(1);
  next.epoch = now->epoch.next();
  next.leader = kB;
  next.in_sync = {kB};
  a.change_register(next);
  const uint64_t base = lineage_base(Lineage(1)).value;
  Said ended, begun;
  for (const StreamLines& said : a.stream_lines()) {
    for (const WatchLine& line : said.lines) {
      (said.id == RequestId(number) ? ended : begun).push_back(std::visit(InWords{}, line));
    }
  }
  const auto about = [](Said& words) { std::erase(words, "stale"); };
  about(ended);
  about(begun);
  CHECK(ended == Said{fmt::format("gone {} behind {} lineage", base, base)});
  CHECK(begun == Said{fmt::format("reset {} lineage", base)});
  CHECK(with_state != number);
}

}  // namespace kvd::sim::watch_node_test
