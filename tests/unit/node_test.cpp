// One node alone, fed by hand through its only door (push, pump, take_effects): what it answers, what it refuses, how
// full it gets, and how it stops. Clusters of nodes are the simulator's and the golden scripts' affair.
#include "core/node.hpp"

#include <doctest.h>

#include <algorithm>
#include <map>

#include "core/replica/log.hpp"
#include "msg/limits.hpp"
#include "support/store_client.hpp"

namespace kvd::node_test {
namespace {

constexpr Duration kForever = Duration::max();

// A standalone node with its own clock.
class Single {
 public:
  explicit Single(NodeConfig config = Single::config()) : node_(std::move(config), 1, &trace_) {
    node_.pump(now_);
  }

  static NodeConfig config() {
    NodeConfig config;
    config.self =
        ServerInfo{Member{ServerId{"a:1"}, Incarnation(1)}, Address{"a", 8001}, Address{"a", 18001}};
    config.standalone = true;
    return config;
  }

  void send(Operation operation, ReadMode read = ReadMode::kLocal, Revision min_revision = {},
            const std::string& idempotency_key = "", OptionalBox<Fence> fence = {}) {
    StoreCall request;
    request.idempotency_key = idempotency_key;
    request.fence = std::move(fence);
    request.operation = std::move(operation);
    request.read = read;
    request.min_revision = min_revision;
    node_.push(Call{RequestId(++requests_), std::move(request)});
  }
  std::vector<NumberedAnswer> replies() {
    node_.pump(now_);
    std::vector<NumberedAnswer> all;
    for (NodeEffect& effect : node_.take_effects()) {
      if (auto reply = answer_of_store(effect)) all.push_back(std::move(*reply));
      if (auto* exit = std::get_if<Exit>(&effect)) exit_code_ = exit->code;
    }
    return all;
  }
  StoreAnswer ask(Operation operation, ReadMode read = ReadMode::kLocal) {
    send(std::move(operation), read);
    auto all = replies();
    REQUIRE(all.size() == 1);
    return all[0];
  }
  StoreAnswer ask_once(const std::string& key, Operation operation) {
    send(std::move(operation), ReadMode::kLocal, {}, key);
    auto all = replies();
    REQUIRE(all.size() == 1);
    return all[0];
  }
  StoreAnswer ask_fenced(uint64_t token, Operation operation, const std::string& idempotency_key = "") {
    send(std::move(operation), ReadMode::kLocal, {}, idempotency_key, Fence{"lock", token});
    auto all = replies();
    REQUIRE(all.size() == 1);
    return all[0];
  }
  void pass(Duration span) { now_ += span; }
  // Until the node wants to run again by itself, if nobody asks.
  Duration rest() {
    const Instant next = node_.pump(now_);
    node_.take_effects();
    return next == kNever ? kForever : next - now_;
  }
  Node& node() { return node_; }
  std::optional<int> exit_code() const { return exit_code_; }

 private:
  Trace trace_;
  Instant now_ = Instant(seconds(1));
  Node node_;
  uint64_t requests_ = 0;
  std::optional<int> exit_code_;
};

PutKey put(const std::string& key, const std::string& value) { return PutKey{key, Bytes(value), {}}; }

// The largest token that came before; 0: it was not fenced off.
uint64_t fenced_by(const StoreAnswer& reply) {
  const auto* fenced = std::get_if<Box<Fenced>>(&reply.answer);
  return fenced != nullptr ? (*fenced)->current : 0;
}

}  // namespace

TEST_CASE("a write, a read, an update, a delete") {
  Single single;
  StoreAnswer written = single.ask(put("k", "one"));
  CHECK(std::get<KeyWritten>(written.answer).created);
  CHECK(written.revision == Revision(1));
  StoreAnswer found = single.ask(ReadKey{"k"}, ReadMode::kLinear);
  CHECK(std::get<KeyFound>(found.answer).item.value() == "one");
  CHECK_FALSE(std::get<KeyWritten>(single.ask(put("k", "two")).answer).created);
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).item.version() == 2);
  CHECK(std::holds_alternative<KeyDeleted>(single.ask(DeleteKey{"k", {}}).answer));
  CHECK(std::holds_alternative<KeyAbsent>(single.ask(DeleteKey{"k", {}}).answer));
  CHECK(std::get<KeyMissing>(single.ask(ReadKey{"k"}).answer).complete);
}

TEST_CASE("a write with an idempotency key is done once, and a retry gets the first answer") {
  Single single;
  StoreAnswer first = single.ask_once("id-1", put("k", "one"));
  CHECK(std::get<KeyWritten>(first.answer).created);
  single.ask(put("k", "two"));
  StoreAnswer again = single.ask_once("id-1", put("k", "one"));
  CHECK(std::get<KeyWritten>(again.answer).created);
  CHECK(again.revision == first.revision);
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).item.value() == "two");
  Failed other = std::get<Failed>(single.ask_once("id-1", put("k", "three")).answer);
  CHECK(other.code == ErrorCode::kKeyReused);
  CHECK(other.outcome == Outcome::kNotApplied);

  // Both before either is committed; a delete, a prefix and a batch as well.
  single.send(DeleteKey{"k", {}}, ReadMode::kLocal, {}, "id-2");
  single.send(DeleteKey{"k", {}}, ReadMode::kLocal, {}, "id-2");
  auto replies = single.replies();
  REQUIRE(replies.size() == 2);
  CHECK(std::holds_alternative<KeyDeleted>(replies[0].answer));
  CHECK(std::holds_alternative<KeyDeleted>(replies[1].answer));
  CHECK(replies[0].revision == replies[1].revision);
  WriteBatch batch{{BatchOp{"p/a", Bytes("1")}, BatchOp{"p/b", Bytes("2")}}};
  Revision written = single.ask_once("id-3", batch).revision;
  CHECK(std::get<PrefixDeleted>(single.ask_once("id-4", DeletePrefix{"p/"}).answer).count == 2);
  CHECK(single.ask_once("id-3", batch).revision == written);
  CHECK(std::get<PrefixDeleted>(single.ask_once("id-4", DeletePrefix{"p/"}).answer).count == 2);
  CHECK(std::holds_alternative<KeyMissing>(single.ask(ReadKey{"p/a"}).answer));
}

TEST_CASE(
    "that a write changed nothing is remembered, too: an attempt that comes late is not done after all") {
  Single single;
  PutKey guarded = put("k", "v");
  guarded.condition.if_match = EntityTags{true, {}};
  StoreAnswer first = single.ask_once("id", guarded);
  CHECK(std::holds_alternative<ConditionFailed>(first.answer));
  CHECK(std::holds_alternative<KeyAbsent>(single.ask_once("other", DeleteKey{"k", {}}).answer));
  single.ask(put("k", "there"));
  StoreAnswer again = single.ask_once("id", guarded);
  CHECK(std::holds_alternative<ConditionFailed>(again.answer));
  CHECK(again.revision == first.revision);
  CHECK(std::holds_alternative<KeyAbsent>(single.ask_once("other", DeleteKey{"k", {}}).answer));
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).item.value() == "there");
}

TEST_CASE("beyond the bound the oldest answers are forgotten, and their retries refused") {
  Single single;
  uint64_t next = 0;
  auto fill = [&](uint64_t until) {
    for (; next < until; ++next) {
      single.send(put("k", "v"), ReadMode::kLocal, {}, "id-" + std::to_string(next));
      if (next % 1000 == 999) single.replies();
    }
    single.replies();
  };
  fill(limits::kRememberedAnswers + limits::kForgottenBatch);
  CHECK(single.ask_once("id-0", put("k", "v")).revision == Revision(1));
  fill(next + 1);
  Failed forgotten = std::get<Failed>(single.ask_once("id-0", put("k", "v")).answer);
  CHECK(forgotten.code == ErrorCode::kKeyEvicted);
  CHECK(forgotten.outcome == Outcome::kUnknown);
  CHECK(single.ask_once("id-" + std::to_string(limits::kForgottenBatch), put("k", "v")).revision ==
        Revision(limits::kForgottenBatch + 1));
}

TEST_CASE("a write with a smaller token than one before it is refused and not done") {
  Single single;
  CHECK(std::holds_alternative<KeyWritten>(single.ask_fenced(5, put("k", "five")).answer));
  CHECK(std::holds_alternative<KeyWritten>(single.ask_fenced(5, put("k", "five again")).answer));
  const std::vector<Operation> late = {put("k", "late"), DeleteKey{"k", {}}, DeletePrefix{"k"},
                                       WriteBatch{{BatchOp{"k", Bytes("late")}}}};
  for (const Operation& operation : late) {
    const StoreAnswer refused = single.ask_fenced(4, operation);
    REQUIRE(fenced_by(refused) == 5);
    CHECK(std::get<Box<Fenced>>(refused.answer)->fence == Fence{"lock", 4});
  }
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).item.value() == "five again");
  CHECK(single.node().view().commit == Revision(2));

  for (const Operation& operation : late) CHECK(fenced_by(single.ask_fenced(7, operation)) == 0);
  CHECK(fenced_by(single.ask_fenced(6, put("k", "late"))) == 7);
  single.send(put("k", "other resource"), ReadMode::kLocal, {}, "", Fence{"lock2", 1});
  CHECK(fenced_by(single.replies().at(0)) == 0);
  CHECK(fenced_by(single.ask(put("k", "no token"))) == 0);
}

TEST_CASE("fences see the writes before them in the same turn") {
  Single single;
  for (uint64_t token : {2, 1, 3, 2, 3})
    single.send(put("k", "v"), ReadMode::kLocal, {}, "", Fence{"lock", token});
  std::map<uint64_t, uint64_t> refused;
  for (const NumberedAnswer& reply : single.replies()) {
    if (fenced_by(reply) != 0) refused[reply.id.value] = fenced_by(reply);
  }
  CHECK(refused == std::map<uint64_t, uint64_t>{{2, 2}, {4, 3}});
}

TEST_CASE("a token counts as soon as its write is answered, also when that changes no key") {
  Single single;
  single.ask(put("k", "v"));
  Operation nothing;
  SUBCASE("a delete of what is not there") { nothing = DeleteKey{"absent", {}}; }
  SUBCASE("a prefix that nothing has") { nothing = DeletePrefix{"absent"}; }
  SUBCASE("a batch that deletes nothing") { nothing = WriteBatch{{BatchOp{"absent", std::nullopt}}}; }
  SUBCASE("a condition of a put") { nothing = PutKey{"k", Bytes("w"), {{}, EntityTags{true, {}}}}; }
  SUBCASE("a condition of a delete") { nothing = DeleteKey{"k", {EntityTags{false, {}}, {}}}; }
  CHECK(fenced_by(single.ask_fenced(2, nothing)) == 0);
  CHECK(single.node().view().commit == Revision(2));
  CHECK(fenced_by(single.ask_fenced(1, put("k", "late"))) == 2);
  // What brings no larger one needs no entry.
  CHECK(fenced_by(single.ask_fenced(2, nothing)) == 0);
  CHECK(single.node().view().commit == Revision(2));
}

TEST_CASE("a write that fails leaves no token behind") {
  NodeConfig config = Single::config();
  config.memory_max = 1000;
  Single single(config);
  single.ask(put("k", "v"));
  WriteBatch restore{{BatchOp{"a", Bytes("1")}}};
  restore.if_empty = true;
  CHECK(std::get<Failed>(single.ask_fenced(9, restore).answer).code == ErrorCode::kNotEmpty);
  CHECK(std::get<Failed>(single.ask_fenced(9, put("k", std::string(1000, 'v'))).answer).code ==
        ErrorCode::kMemoryFull);
  CHECK(fenced_by(single.ask_fenced(1, put("k", "w"))) == 0);
}

TEST_CASE("a resource that is new takes memory, and a larger token none") {
  NodeConfig config = Single::config();
  config.memory_max = 300;
  Single single(config);
  single.send(put("k", "v"), ReadMode::kLocal, {}, "", Fence{"lock", 1});
  CHECK(std::holds_alternative<KeyWritten>(single.replies().at(0).answer));
  single.send(put("k", "v"), ReadMode::kLocal, {}, "", Fence{std::string(255, 'r'), 1});
  CHECK(std::get<Failed>(single.replies().at(0).answer).code == ErrorCode::kMemoryFull);
  CHECK(fenced_by(single.ask_fenced(limits::kFenceTokenMax, put("k", "v"))) == 0);
  CHECK(fenced_by(single.ask_fenced(limits::kFenceTokenMax - 1, put("k", "v"))) == limits::kFenceTokenMax);
}

TEST_CASE("a fence that was brought too far can be dropped") {
  Single single;
  single.ask_fenced(limits::kFenceTokenMax, put("k", "v"));
  CHECK(fenced_by(single.ask_fenced(7, put("k", "w"))) == limits::kFenceTokenMax);
  CHECK(std::holds_alternative<KeyDeleted>(single.ask(DropFence{"lock"}).answer));
  CHECK(std::holds_alternative<KeyAbsent>(single.ask(DropFence{"lock"}).answer));
  CHECK(fenced_by(single.ask_fenced(7, put("k", "w"))) == 0);
  CHECK(fenced_by(single.ask_fenced(6, put("k", "w"))) == 7);
}

TEST_CASE("fences are no keys") {
  Single single;
  single.ask_fenced(1, put("k", "v"));
  CHECK(std::get<Box<Status>>(single.ask(QueryStatus{}).answer)->keys == 1);
  CHECK(std::get<Listing>(single.ask(ListKeys{"", "", 10, false}).answer).items.size() == 1);
  CHECK(std::holds_alternative<KeyMissing>(single.ask(ReadKey{"lock"}).answer));
  CHECK(std::holds_alternative<KeyAbsent>(single.ask(DeleteKey{"lock", {}}).answer));
  single.ask(DeletePrefix{"k"});
  WriteBatch restore{{BatchOp{"a", Bytes("1")}}};
  restore.if_empty = true;
  CHECK(std::holds_alternative<BatchWritten>(single.ask(restore).answer));
  CHECK(fenced_by(single.ask_fenced(1, put("k", "v"))) == 0);
}

TEST_CASE(
    "a retry gets its first answer although its token is too small by now, and so does one that was fenced "
    "off") {
  Single single;
  const StoreAnswer first = single.ask_fenced(1, put("k", "one"), "id");
  single.ask_fenced(2, put("k", "two"));
  const StoreAnswer again = single.ask_fenced(1, put("k", "one"), "id");
  CHECK(std::holds_alternative<KeyWritten>(again.answer));
  CHECK(again.revision == first.revision);
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).item.value() == "two");

  const StoreAnswer refused = single.ask_fenced(1, put("k", "three"), "late");
  CHECK(fenced_by(refused) == 2);
  single.ask_fenced(3, put("k", "four"));
  const StoreAnswer still = single.ask_fenced(1, put("k", "three"), "late");
  CHECK(fenced_by(still) == 2);
  CHECK(still.revision == refused.revision);

  // With another token it is another request: it must not pass for one that brought that token.
  for (const char* key : {"id", "late"}) {
    const Failed reused = std::get<Failed>(
        single.ask_fenced(4, put("k", key == std::string("id") ? "one" : "three"), key).answer);
    CHECK(reused.code == ErrorCode::kKeyReused);
  }
  CHECK(fenced_by(single.ask_fenced(3, put("k", "five"))) == 0);
}

TEST_CASE("fences that a restore brings are remembered where they are larger, and refuse nobody") {
  Single single;
  single.ask_fenced(5, DeleteKey{"k", {}});
  WriteBatch restore{{BatchOp{"k", Bytes("v")}}};
  restore.if_empty = true;
  restore.fences = {Fence{"lock", 4}, Fence{"other", 7}, Fence{"other", 6}};
  CHECK(std::holds_alternative<BatchWritten>(single.ask(restore).answer));
  CHECK(fenced_by(single.ask_fenced(4, put("k", "late"))) == 5);
  for (uint64_t token : {6, 7}) {
    single.send(put("k", "v"), ReadMode::kLocal, {}, "", Fence{"other", token});
    CHECK(fenced_by(single.replies().at(0)) == (token == 6 ? 7 : 0));
  }
  WriteBatch fences_alone;
  fences_alone.fences = {Fence{"lock", 6}};
  const Revision before = single.node().view().commit;
  CHECK(single.ask(fences_alone).revision == before.next());
  CHECK(fenced_by(single.ask_fenced(5, put("k", "late"))) == 6);
}

TEST_CASE("conditions see the writes before them in the same turn") {
  Single single;
  PutKey only_new = put("k", "first");
  only_new.condition.if_none_match = EntityTags{true, {}};
  single.send(only_new);
  single.send(only_new);
  PutKey next = put("k", "second");
  next.condition.if_match = EntityTags{false, {Revision(1)}};
  single.send(next);
  auto replies = single.replies();
  REQUIRE(replies.size() == 3);
  int written = 0;
  int failed = 0;
  for (const StoreAnswer& reply : replies) {
    written += std::holds_alternative<KeyWritten>(reply.answer);
    if (auto* no = std::get_if<ConditionFailed>(&reply.answer)) {
      ++failed;
      CHECK(no->current.has_value());
    }
  }
  CHECK(written == 2);
  CHECK(failed == 1);
}

TEST_CASE("a batch is one revision; a key in it twice ends as the last operation says") {
  Single single;
  single.ask(put("gone", "x"));
  WriteBatch batch{{BatchOp{"a", Bytes("1")}, BatchOp{"a", Bytes("2")}, BatchOp{"gone", std::nullopt},
                    BatchOp{"b", Bytes("3")}, BatchOp{"b", std::nullopt}}};
  CHECK(single.ask(batch).revision == Revision(2));
  Listing listing = std::get<Listing>(single.ask(ListKeys{"", "", 10, false}).answer);
  REQUIRE(listing.items.size() == 1);
  CHECK(listing.items[0].value() == "2");
  CHECK(listing.items[0].version() == 1);
  CHECK(listing.items[0].created() == Revision(2));
}

TEST_CASE("listings page in key order, and a prefix is deleted in one revision") {
  Single single;
  for (const char* key : {"p/a", "p/b", "p/c", "q"}) single.ask(put(key, "v"));
  Listing first = std::get<Listing>(single.ask(ListKeys{"p/", "", 2, true}).answer);
  REQUIRE(first.items.size() == 2);
  CHECK(first.more);
  Listing second = std::get<Listing>(single.ask(ListKeys{"p/", "p/b", 2, true}).answer);
  REQUIRE(second.items.size() == 1);
  CHECK_FALSE(second.more);
  CHECK(std::get<PrefixDeleted>(single.ask(DeletePrefix{"p/"}).answer).count == 3);
  CHECK(std::get<PrefixDeleted>(single.ask(DeletePrefix{"p/"}).answer).count == 0);
}

TEST_CASE("a deletion in pages takes the first keys in order, also those that are not committed yet") {
  Single single;
  for (const char* key : {"p/a", "p/d", "p/e", "q"}) single.ask(put(key, "v"));
  single.send(put("p/b", "v"));
  single.send(DeleteKey{"p/d", {}});
  single.send(DeletePrefix{"p/", 2});
  auto replies = single.replies();
  REQUIRE(replies.size() == 3);
  CHECK(std::get<PrefixDeleted>(replies[2].answer).count == 2);
  Listing left = std::get<Listing>(single.ask(ListKeys{"", "", 10, true}).answer);
  REQUIRE(left.items.size() == 2);
  CHECK(left.items[0].key() == "p/e");
  CHECK(std::get<PrefixDeleted>(single.ask(DeletePrefix{"p/", 2}).answer).count == 1);
  CHECK(std::get<PrefixDeleted>(single.ask(DeletePrefix{"p/", 2}).answer).count == 0);
  CHECK(std::holds_alternative<KeyFound>(single.ask(ReadKey{"q"}).answer));
}

TEST_CASE("so many keys of batches at most are not yet committed, beside which single writes go on") {
  constexpr size_t kTaken = limits::kUncommittedKeys / limits::kBatchOps;
  Single single;
  const auto batch = [](size_t number, bool put) {
    WriteBatch made;
    for (size_t i = 0; i < limits::kBatchOps; ++i) {
      const std::string key = std::to_string(number) + "/" + std::to_string(i);
      made.ops.push_back(BatchOp{key, put ? std::optional(Bytes("v")) : std::nullopt});
    }
    return made;
  };
  for (bool put : {true, false}) {
    CAPTURE(put);
    for (size_t i = 0; i <= kTaken; ++i) single.send(batch(i, put));
    single.send(put ? Operation(PutKey{"k", Bytes("v"), {}}) : Operation(DeletePrefix{"k"}));
    const auto replies = single.replies();
    REQUIRE(replies.size() == kTaken + 2);
    size_t refused = 0;
    for (const StoreAnswer& reply : replies) {
      const auto* failed = std::get_if<Failed>(&reply.answer);
      if (failed == nullptr) continue;
      ++refused;
      CHECK(failed->code == ErrorCode::kOverloaded);
      CHECK(failed->outcome == Outcome::kNotApplied);
    }
    CHECK(refused == (put ? 1 : 2));
    CHECK(std::holds_alternative<KeyWritten>(replies.back().answer) == put);
  }
  CHECK(std::holds_alternative<KeyWritten>(single.ask(put("k", "v")).answer));
}

TEST_CASE("a page of a deletion that carries an idempotency key is deleted once") {
  Single single;
  for (const char* key : {"p/a", "p/b", "p/c"}) single.ask(put(key, "v"));
  CHECK(std::get<PrefixDeleted>(single.ask_once("page-1", DeletePrefix{"p/", 1}).answer).count == 1);
  CHECK(std::get<PrefixDeleted>(single.ask_once("page-1", DeletePrefix{"p/", 1}).answer).count == 1);
  CHECK(std::get<Failed>(single.ask_once("page-1", DeletePrefix{"p/", 2}).answer).code ==
        ErrorCode::kKeyReused);
  CHECK(std::get<PrefixDeleted>(single.ask_once("page-2", DeletePrefix{"p/", 9}).answer).count == 2);
}

TEST_CASE("a prefix of more keys than one write may delete is refused, and deleted in pages") {
  size_t keys = 0;
  size_t key_bytes = 0;
  SUBCASE("by their bytes") {
    keys = limits::kWriteBytes / limits::kKeyBytes;
    key_bytes = limits::kKeyBytes;
  }
  SUBCASE("by their number") {
    keys = limits::kDeletedKeys + 2;
    key_bytes = 10;
  }
  Single single;
  for (size_t i = 0; i < keys; i += limits::kBatchOps) {
    WriteBatch batch;
    for (size_t j = i; j < std::min(keys, i + limits::kBatchOps); ++j) {
      std::string key = (j % 2 == 0 ? "p/a" : "p/b") + std::to_string(j);
      key.resize(key_bytes, '.');
      batch.ops.push_back(BatchOp{key, Bytes("v")});
    }
    REQUIRE(std::holds_alternative<BatchWritten>(single.ask(std::move(batch)).answer));
  }
  const Failed refused = std::get<Failed>(single.ask(DeletePrefix{"p/"}).answer);
  CHECK(refused.code == ErrorCode::kTooLarge);
  CHECK(refused.outcome == Outcome::kNotApplied);
  CHECK(refused.detail.find("limit=10000") != std::string::npos);
  const auto page = [&] {
    return std::get<PrefixDeleted>(single.ask(DeletePrefix{"p/", limits::kListItemsMax}).answer).count;
  };
  CHECK(page() == limits::kListItemsMax);
  CHECK(page() == keys - limits::kListItemsMax);
  CHECK(page() == 0);
}

TEST_CASE("min_rev waits for the revision, or says in time that it did not come") {
  Single single;
  single.send(ReadKey{"k"}, ReadMode::kLocal, Revision(1));
  CHECK(single.replies().empty());
  single.send(put("k", "v"));
  CHECK(single.replies().size() == 2);
  single.send(ReadKey{"k"}, ReadMode::kLocal, Revision(99));
  CHECK(single.replies().empty());
  single.pass(seconds(6));
  auto late = single.replies();
  REQUIRE(late.size() == 1);
  CHECK(std::get<Failed>(late[0].answer).code == ErrorCode::kTimedOut);
}

TEST_CASE("beyond the bound clients are refused, and told that nothing was done") {
  Single single;
  for (size_t i = 0; i < limits::kMailboxMessages + 5; ++i)
    single.send(ReadKey{"k"}, ReadMode::kLocal, Revision(9));
  size_t refused = 0;
  for (const NumberedAnswer& reply : single.replies()) {
    auto* failed = std::get_if<Failed>(&reply.answer);
    REQUIRE(failed != nullptr);
    CHECK(failed->code == ErrorCode::kOverloaded);
    CHECK(failed->outcome == Outcome::kNotApplied);
    ++refused;
  }
  CHECK(refused == limits::kMailboxMessages + 5 - limits::kClientRequests);
}

TEST_CASE("writes that wait are bounded by their bytes, too") {
  NodeConfig config = Single::config();
  config.standalone = false;  // and ZooKeeper has not answered: they wait for a leader
  Trace trace;
  Node node(config, 1, &trace);
  const size_t value = limits::kWriteBytes / 2;
  const size_t fit = limits::kWaitingBytes / (value + 1);
  auto replies_to = [&](uint64_t id) {
    StoreCall request;
    request.operation = put("k", std::string(value, 'v'));
    node.push(Call{RequestId(id), std::move(request)});
    node.pump(Instant(seconds(1)));
    std::vector<NumberedAnswer> replies;
    for (NodeEffect& effect : node.take_effects()) {
      if (auto reply = answer_of_store(effect)) replies.push_back(std::move(*reply));
    }
    return replies;
  };
  for (uint64_t id = 1; id <= fit; ++id) CHECK(replies_to(id).empty());
  auto refused = replies_to(fit + 1);
  REQUIRE(refused.size() == 1);
  CHECK(std::get<Failed>(refused[0].answer).code == ErrorCode::kOverloaded);
  CHECK(std::get<Failed>(refused[0].answer).outcome == Outcome::kNotApplied);
  node.push(CallCancelled{RequestId(1)});
  CHECK(replies_to(fit + 2).empty());
}

TEST_CASE("a cancelled request is answered to nobody") {
  Single single;
  single.send(ReadKey{"k"}, ReadMode::kLocal, Revision(9));
  CHECK(single.replies().empty());
  single.node().push(CallCancelled{RequestId(1)});
  CHECK(single.replies().empty());
  single.pass(seconds(6));
  CHECK(single.replies().empty());
}

TEST_CASE("settings are changed within their range") {
  Single single;
  const StoreAnswer refused = single.ask(ChangeSettings{0});
  CHECK(std::get<Failed>(refused.answer).code == ErrorCode::kInvalid);
  CHECK(std::get<Failed>(refused.answer).outcome == Outcome::kNotApplied);
  CHECK(std::get<SettingsChanged>(single.ask(ChangeSettings{2}).answer).min_in_sync == 2);
  CHECK(std::get<Failed>(single.ask(put("k", "v")).answer).code == ErrorCode::kNotEnoughInSync);
}

TEST_CASE("a stop refuses what comes later and ends with 0") {
  Single single;
  single.node().push(StopRequested{});
  single.send(put("k", "v"));
  auto replies = single.replies();
  for (int i = 0; i < 3 && !single.exit_code(); ++i) single.replies();
  REQUIRE(replies.size() == 1);
  CHECK(std::get<Failed>(replies[0].answer).code == ErrorCode::kShuttingDown);
  CHECK(single.exit_code() == 0);
}

TEST_CASE("a key of a standalone server ends while nobody asks, and the server rests once nothing is due") {
  Single single;
  CHECK(single.rest() == kForever);
  const Term term{Term::Kind::kTime, 1000};
  single.ask(PutKey{"k", Bytes("v"), {}, term});
  const uint64_t lease = std::get<LeaseGranted>(single.ask(GrantLease{2000, ""}).answer).id;
  single.ask(PutKey{"l", Bytes("v"), {}, Term{Term::Kind::kLease, lease}});
  CHECK(std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).life.left_ms == 1000);
  const Lifetime leased = std::get<KeyFound>(single.ask(ReadKey{"l"}).answer).life;
  CHECK(leased.left_ms == 2000);
  CHECK(leased.lease == lease);
  const auto wait_for = [&](size_t keys) {
    Duration waited{0};
    Duration pause = single.rest();
    while (single.node().items().size() > keys && waited < seconds(10)) {
      REQUIRE(pause <= milliseconds(50));
      single.pass(pause);
      waited += pause;
      pause = single.rest();
    }
    return waited;
  };
  const Duration first = wait_for(1);
  CHECK(first >= milliseconds(1000));
  CHECK(first < milliseconds(1200));
  CHECK(std::holds_alternative<KeyMissing>(single.ask(ReadKey{"k"}).answer));
  const Duration second = wait_for(0);
  CHECK(first + second >= milliseconds(2000));
  CHECK(first + second < milliseconds(2200));
  CHECK(std::get<Failed>(single.ask(EndLease{lease}).answer).code == ErrorCode::kLeaseOver);
  single.pass(seconds(6));  // no request's time limit is looked at any more
  CHECK(single.rest() == kForever);
}

TEST_CASE("time does not pass for a key while no writes are taken, as no renewal would get through") {
  Single single;
  single.ask(PutKey{"k", Bytes("v"), {}, Term{Term::Kind::kTime, 1000}});
  single.ask(ChangeSettings{2});
  CHECK(std::get<Failed>(single.ask(put("other", "v")).answer).code == ErrorCode::kNotEnoughInSync);
  for (int i = 0; i < 100; ++i) {
    single.pass(milliseconds(50));
    single.rest();
  }
  single.ask(ChangeSettings{1});
  const auto left = std::get<KeyFound>(single.ask(ReadKey{"k"}).answer).life.left_ms;
  REQUIRE(left);
  CHECK(*left >= 900);
}

// So many that the turn's rounds end before the replica has seen the last of them.
TEST_CASE("a term given behind a sleep of the server's loop is a whole one") {
  NodeConfig config = Single::config();
  config.tuning.client_requests = config.tuning.uncommitted_entries = 2 * limits::kMailboxMessages;
  Single single(std::move(config));
  const Term term{Term::Kind::kTime, 1000};
  for (size_t i = 0; i < limits::kMailboxMessages; ++i)
    single.send(PutKey{"k" + std::to_string(i), Bytes("v"), {}, term});
  CHECK(single.replies().size() < limits::kMailboxMessages);
  single.pass(milliseconds(250));
  while (!single.replies().empty()) {
  }
  const std::string last = "k" + std::to_string(limits::kMailboxMessages - 1);
  CHECK(std::get<KeyFound>(single.ask(ReadKey{last}).answer).life.left_ms == 1000);
}

TEST_CASE("what a lease holds is read, and its end takes it along") {
  Single single;
  const uint64_t lease = std::get<LeaseGranted>(single.ask(GrantLease{5000, "n"}).answer).id;
  const uint64_t other = std::get<LeaseGranted>(single.ask(GrantLease{7000, ""}).answer).id;
  const Term term{Term::Kind::kLease, lease};
  for (const char* key : {"b", "a"}) single.ask(PutKey{key, Bytes("v"), {}, term});
  const LeaseFound found = *std::get<Box<LeaseFound>>(single.ask(ReadLease{lease, true}).answer);
  CHECK(found.keys == std::vector<std::string>{"a", "b"});
  CHECK(found.lease.ttl_ms == 5000);
  CHECK(found.lease.name == "n");
  CHECK((*std::get<Box<LeaseFound>>(single.ask(ReadLease{lease, false}).answer)).keys.empty());
  CHECK(std::get<Failed>(single.ask(ReadLease{99, false}).answer).code == ErrorCode::kLeaseOver);
  const LeaseList page = std::get<LeaseList>(single.ask(ListLeases{0, 1}).answer);
  CHECK(page.more);
  REQUIRE(page.leases.size() == 1);
  CHECK(page.leases[0].id == lease);
  const LeaseList next = std::get<LeaseList>(single.ask(ListLeases{lease, 1}).answer);
  CHECK_FALSE(next.more);
  CHECK(next.leases[0].id == other);
  CHECK(std::holds_alternative<LeaseEnded>(single.ask(EndLease{lease}).answer));
  CHECK(single.node().items().empty());
}

TEST_CASE("the log keeps what it must and prunes what is committed") {
  Log log;
  log.reset(LogPosition{Epoch(0), Revision(0)});
  for (uint64_t r = 1; r <= limits::kRetainedEntries + 10; ++r) {
    auto entry = std::make_shared<Entry>();
    entry->epoch = Epoch(1);
    entry->revision = Revision(r);
    log.append(entry);
  }
  log.prune(Revision(5), limits::kRetainedEntries);
  CHECK(log.base().revision == Revision(5));
  log.prune(log.last().revision, limits::kRetainedEntries);
  CHECK(log.base().revision == Revision(10));
  CHECK(log.at(Revision(10)) == nullptr);
  log.truncate_after(Revision(11));
  CHECK(log.last().revision == Revision(11));
}

}  // namespace kvd::node_test
