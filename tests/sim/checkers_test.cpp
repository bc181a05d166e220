// Every checker of the simulator against a cluster that breaks its rule: views, registers and answers made by
// hand. The healthy one comes first, so that a checker which always complains would be found out as well.
#include "checkers.hpp"

#include <doctest.h>

#include <map>

#include "core/replica/fences.hpp"

namespace kvd::sim {
namespace {

Member member(int server, uint64_t incarnation = 1) {
  return Member{ServerId{"s" + std::to_string(server)}, Incarnation(incarnation)};
}

EntryPointer entry(uint64_t revision, uint64_t epoch, uint64_t value, const std::string& key = "a/0") {
  Entry made;
  made.epoch = Epoch(epoch);
  made.revision = Revision(revision);
  const Record::Metadata metadata{Revision(1), made.revision, revision};
  made.effects = {value != 0 ? Record(key, make_value(value, 0), metadata) : Record::deletion(key, metadata)};
  return std::make_shared<const Entry>(std::move(made));
}

// Three servers in sync, s0 leads epoch 1, revisions 1 and 2 are committed everywhere.
struct Cluster {
  SimContext context{1};
  Checkers checkers{context, 3};
  std::map<uint64_t, EntryPointer> logs[3];
  NodeView views[3];
  Register config;

  Cluster() {
    config.cluster = "c";
    config.epoch = Epoch(1);
    config.leader = member(0);
    for (int server : {0, 1, 2}) {
      config.in_sync.push_back(member(server));
      checkers.on_started(server, member(server), [this, server](Revision revision) {
        auto found = logs[server].find(revision.value);
        return found == logs[server].end() ? nullptr : found->second;
      });
      NodeView& view = views[server];
      view.self = member(server);
      view.epoch = Epoch(1);
      view.complete = true;
    }
    checkers.on_register(config);
    views[0].leading = views[0].active = true;
    views[0].required = config.in_sync;
    append(1, 11);
    append(2, 12);
    for (int server : {0, 1, 2}) commit(server, 2);
  }

  void append(uint64_t revision, uint64_t value) {
    for (int server : {0, 1, 2}) {
      logs[server][revision] = entry(revision, 1, value);
      views[server].last = LogPosition{Epoch(1), Revision(revision)};
      turn(server);
    }
  }
  void commit(int server, uint64_t revision) {
    views[server].commit = Revision(revision);
    views[server].digest = 1000 + revision;
    turn(server);
  }
  void turn(int server) { checkers.on_turn(server, views[server]); }

  void answer(int server, Operation operation, Answer answer, uint64_t revision, Revision floor = {},
              ReadMode mode = ReadMode::kLinear, OptionalBox<Fence> fence = {}) {
    StoreCall request;
    request.fence = std::move(fence);
    request.operation = std::move(operation);
    request.read = mode;
    request.min_revision = mode == ReadMode::kLocal ? floor : Revision();
    StoreAnswer reply;
    reply.answer = std::move(answer);
    reply.revision = Revision(revision);
    checkers.on_reply(server, request, reply, floor);
  }
  void acknowledge(uint64_t revision, uint64_t value) {
    answer(0, PutKey{"a/0", Bytes(make_value(value, 0)), {}}, KeyWritten{revision == 1}, revision);
  }
  void append_token(uint64_t revision, uint64_t token) {  // with a write
    auto made = std::make_shared<Entry>(*entry(revision, 1, 10 + revision));
    made->effects.push_back(remember_token("lock", token, made->revision));
    commit_everywhere(made);
  }
  void commit_everywhere(const EntryPointer& made) {
    const uint64_t revision = made->revision.value;
    for (int server : {0, 1, 2}) logs[server][revision] = made;
    for (int server : {0, 1, 2}) {
      views[server].last = LogPosition{Epoch(1), made->revision};
      turn(server);
    }
    for (int server : {0, 1, 2}) commit(server, revision);
  }
  void acknowledge_fenced(uint64_t revision, uint64_t token, Answer what = KeyWritten{}) {
    answer(0, PutKey{"a/0", Bytes(make_value(10 + revision, 0)), {}}, std::move(what), revision, {},
           ReadMode::kLinear, Fence{"lock", token});
  }
  KeyFound found(uint64_t revision, uint64_t value, const std::string& key = "a/0") {
    return KeyFound{Record(key, make_value(value, 0), {Revision(1), Revision(revision), revision})};
  }
  bool well() const { return context.verdict == Verdict::kOk; }
  bool complains_of(const std::string& words) const {
    INFO(context.explanation);
    return context.verdict == Verdict::kCorrectness && context.explanation.find(words) != std::string::npos;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Cluster, "a healthy cluster passes") {
  acknowledge(1, 11);
  acknowledge(2, 12);
  answer(1, ReadKey{"a/0"}, found(2, 12), 2, Revision(2));
  answer(1, ReadKey{"a/0"}, found(1, 11), 1, Revision(1), ReadMode::kLocal);
  answer(1, ReadKey{"b/1"}, KeyMissing{}, 2);
  answer(1, ListKeys{}, Listing{{found(2, 12).item}, false, true}, 2);
  config.epoch = Epoch(2);
  config.leader = member(1);
  checkers.on_register(config);
  checkers.at_end();
  CHECK_MESSAGE(well(), context.explanation);
}

TEST_CASE_FIXTURE(Cluster, "two leaders of one epoch") {
  views[1].leading = true;
  views[1].required = config.in_sync;
  turn(1);
  CHECK(complains_of("two leaders"));
}

TEST_CASE_FIXTURE(Cluster, "commit and epoch do not go back within a life") {
  SUBCASE("commit") {
    views[1].commit = Revision(1);
    turn(1);
    CHECK(complains_of("commit went back"));
  }
  SUBCASE("epoch") {
    views[1].epoch = Epoch(0);
    turn(1);
    CHECK(complains_of("epoch went back"));
  }
  SUBCASE("another life may begin anew") {
    config.in_sync.pop_back();
    views[0].required = config.in_sync;
    checkers.on_register(config);
    checkers.on_died(2);
    logs[2].clear();
    checkers.on_started(2, member(2, 9), [](Revision) { return EntryPointer(); });
    views[2] = NodeView{};
    views[2].self = member(2, 9);
    turn(2);
    CHECK_MESSAGE(well(), context.explanation);
  }
}

TEST_CASE_FIXTURE(Cluster, "committed entries are the same everywhere") {
  append(3, 13);
  commit(0, 3);
  REQUIRE(well());
  SUBCASE("another value") {
    logs[1][3] = entry(3, 1, 14);
    commit(1, 3);
    CHECK(complains_of("committed twice"));
  }
  SUBCASE("another epoch") {
    logs[1][3] = entry(3, 2, 13);
    commit(1, 3);
    CHECK(complains_of("committed twice"));
  }
  SUBCASE("no entry at all") {
    logs[1].erase(3);
    commit(1, 3);
    CHECK(complains_of("without having its entry"));
  }
  SUBCASE("a snapshot of what nobody committed") {
    views[1].log_base = views[1].commit = views[1].last.revision = Revision(7);
    turn(1);
    CHECK(complains_of("which nobody has committed"));
  }
  SUBCASE("equal logs, different stores") {
    views[1].commit = Revision(3);
    views[1].digest = 1;
    turn(1);
    CHECK(complains_of("differs from another"));
  }
}

TEST_CASE_FIXTURE(Cluster, "one value, written once, is committed once") {
  append(3, 12);
  commit(0, 3);
  CHECK(complains_of("committed twice: at revisions"));
}

TEST_CASE_FIXTURE(Cluster, "epochs do not go back in the history") {
  logs[0][3] = entry(3, 0, 13);
  views[0].last.revision = Revision(3);
  commit(0, 3);
  CHECK(complains_of("comes after"));
}

TEST_CASE_FIXTURE(Cluster, "the newest leader waits for the whole in-sync set") {
  SUBCASE("it forgets one") {
    views[0].required.pop_back();
    turn(0);
    CHECK(complains_of("does not wait for"));
  }
  SUBCASE("the set grows behind its back, by incarnation") {
    config.in_sync[2] = member(2, 5);
    checkers.on_register(config);
    CHECK(complains_of("does not wait for"));
  }
  SUBCASE("a deposed one may") {
    config.epoch = Epoch(2);
    config.leader = member(1);
    checkers.on_register(config);
    views[0].required.pop_back();
    turn(0);
    CHECK_MESSAGE(well(), context.explanation);
  }
}

TEST_CASE_FIXTURE(Cluster, "who is in sync has all that is committed") {
  logs[0][3] = entry(3, 1, 13);
  views[0].last.revision = Revision(3);
  SUBCASE("committed too early") {
    commit(0, 3);
    CHECK(complains_of("lacks the committed revision 3"));
  }
  SUBCASE("another entry in its place") {
    for (int server : {1, 2}) {
      logs[server][3] = entry(3, 1, 99);
      views[server].last.revision = Revision(3);
      turn(server);
    }
    REQUIRE(well());
    commit(0, 3);
    CHECK(complains_of("another entry than the committed one"));
  }
  SUBCASE("joined too early") {
    config.in_sync = {member(0)};
    views[0].required = config.in_sync;
    checkers.on_register(config);
    commit(0, 3);
    REQUIRE(well());
    views[0].required.push_back(member(1));
    turn(0);
    config.in_sync.push_back(member(1));
    checkers.on_register(config);
    CHECK(complains_of("lacks the committed revision 3"));
  }
  SUBCASE("truncated afterwards") {
    for (int server : {1, 2}) {
      logs[server][3] = logs[0][3];
      views[server].last.revision = Revision(3);
      turn(server);
    }
    commit(0, 3);
    REQUIRE(well());
    views[2].last.revision = Revision(2);
    turn(2);
    CHECK(complains_of("lacks the committed revision 3"));
  }
}

TEST_CASE_FIXTURE(Cluster, "the register changes by the rules") {
  SUBCASE("deleted") {
    checkers.on_register(std::nullopt);
    CHECK(complains_of("deleted"));
  }
  SUBCASE("another leader in the same epoch") {
    config.leader = member(1);
    checkers.on_register(config);
    CHECK(complains_of("changed within epoch"));
  }
  SUBCASE("an epoch is left out") {
    config.epoch = Epoch(3);
    checkers.on_register(config);
    CHECK(complains_of("jumped"));
  }
  SUBCASE("a leader that was not in sync") {
    config.epoch = Epoch(2);
    config.leader = member(1, 7);
    config.in_sync[1] = member(1, 7);
    checkers.on_register(config);
    CHECK(complains_of("without having been in sync"));
  }
  SUBCASE("a leader that is not in sync") {
    config.in_sync.erase(config.in_sync.begin());
    checkers.on_register(config);
    CHECK(complains_of("names a leader that is not in sync"));
  }
  SUBCASE("a new lineage while a copy lives") {
    config.lineage = Lineage(1);
    config.epoch = Epoch(2);
    checkers.on_died(0);
    checkers.on_died(1);
    checkers.on_register(config);
    CHECK(complains_of("lineage 1 was opened while s2"));
  }
  SUBCASE("a new lineage when all copies are gone") {
    config.lineage = Lineage(1);
    config.epoch = Epoch(2);
    for (int server : {0, 1, 2}) checkers.on_died(server);
    checkers.on_register(config);
    CHECK_MESSAGE(well(), context.explanation);
  }
}

TEST_CASE_FIXTURE(Cluster, "an acknowledged write is what was asked for, and committed") {
  SUBCASE("not committed") {
    acknowledge(3, 13);
    CHECK(complains_of("which nobody has committed"));
  }
  SUBCASE("somebody else's") {
    acknowledge(2, 13);
    CHECK(complains_of("which is another write"));
  }
  SUBCASE("created or not") {
    answer(0, PutKey{"a/0", Bytes(make_value(12, 0)), {}}, KeyWritten{true}, 2);
    CHECK(complains_of("created=true"));
  }
  SUBCASE("a delete that wrote") {
    answer(0, DeleteKey{"a/0", {}}, KeyDeleted{}, 2);
    CHECK(complains_of("which is another write"));
  }
  SUBCASE("keys deleted by a prefix") {
    answer(0, DeletePrefix{"a/"}, PrefixDeleted{2}, 2);
    CHECK(complains_of("and did not"));
  }
  SUBCASE("refused, yet committed") {
    StoreCall request;
    request.operation = PutKey{"a/0", Bytes(make_value(12, 0)), {}};
    checkers.on_certainly_not(request);
    REQUIRE(well());
    checkers.at_end();
    CHECK(complains_of("certainly not applied"));
  }
}

TEST_CASE_FIXTURE(Cluster, "a deletion by prefix leaves nothing, and a page of it the first keys last") {
  commit_everywhere(entry(3, 1, 13, "a/1"));
  commit_everywhere(entry(4, 1, 14, "b/1"));
  SUBCASE("the first key of two") {
    commit_everywhere(entry(5, 1, 0, "a/0"));
    SUBCASE("is a page of one") {
      answer(0, DeletePrefix{"a/", 1}, PrefixDeleted{1}, 5);
      CHECK_MESSAGE(well(), context.explanation);
    }
    SUBCASE("is no page of two") {
      answer(0, DeletePrefix{"a/", 2}, PrefixDeleted{1}, 5);
      CHECK(complains_of("left a/1"));
    }
    SUBCASE("is not the whole") {
      answer(0, DeletePrefix{"a/"}, PrefixDeleted{1}, 5);
      CHECK(complains_of("left a/1"));
    }
    SUBCASE("and then the second one are the whole") {
      commit_everywhere(entry(6, 1, 0, "a/1"));
      answer(0, DeletePrefix{"a/"}, PrefixDeleted{1}, 6);
      CHECK_MESSAGE(well(), context.explanation);
    }
  }
  SUBCASE("the second key of two comes too early") {
    commit_everywhere(entry(5, 1, 0, "a/1"));
    answer(0, DeletePrefix{"a/", 1}, PrefixDeleted{1}, 5);
    CHECK(complains_of("left a/0"));
  }
}

TEST_CASE_FIXTURE(Cluster, "tokens only rise, and answers go by them") {
  append_token(3, 5);
  append(4, 14);
  for (int server : {0, 1, 2}) commit(server, 4);
  acknowledge_fenced(3, 5);
  acknowledge_fenced(4, 5);
  acknowledge_fenced(4, 3, ConditionFailed{});  // its entry may be an older one
  acknowledge_fenced(4, 4, Box(Fenced{Fence{"lock", 4}, 5}));
  REQUIRE_MESSAGE(well(), context.explanation);
  SUBCASE("remembered again") {
    append_token(5, 5);
    CHECK(complains_of("the token of lock becomes 5"));
  }
  SUBCASE("lowered") {
    append_token(5, 4);
    CHECK(complains_of("the token of lock becomes 4"));
  }
  SUBCASE("acknowledged and not remembered") {
    acknowledge_fenced(4, 6);
    CHECK(complains_of("with the token 6"));
  }
  SUBCASE("answered and not remembered") {
    acknowledge_fenced(4, 6, KeyAbsent{});
    CHECK(complains_of("with the token 6"));
  }
  SUBCASE("done below a larger one") {
    acknowledge_fenced(4, 4);
    CHECK(complains_of("with the token 4"));
  }
  SUBCASE("refused for one that nobody brought") {
    acknowledge_fenced(4, 4, Box(Fenced{Fence{"lock", 4}, 6}));
    CHECK(complains_of("for 6"));
  }
  SUBCASE("refused for its own") {
    acknowledge_fenced(4, 5, Box(Fenced{Fence{"lock", 5}, 5}));
    CHECK(complains_of("for 5"));
  }
}

TEST_CASE_FIXTURE(Cluster, "reads show the committed history at their revision") {
  SUBCASE("a value of another revision") {
    answer(1, ReadKey{"a/0"}, found(1, 11), 2);
    CHECK(complains_of("shows a/0"));
  }
  SUBCASE("another value") {
    answer(1, ReadKey{"a/0"}, found(2, 99), 2);
    CHECK(complains_of("shows a/0"));
  }
  SUBCASE("an uncommitted key") {
    answer(1, ReadKey{"b/1"}, found(2, 12, "b/1"), 2);
    CHECK(complains_of("no such key is committed"));
  }
  SUBCASE("a key missed by a complete copy") {
    answer(1, ReadKey{"a/0"}, KeyMissing{}, 2);
    CHECK(complains_of("misses a/0"));
  }
  SUBCASE("an incomplete copy may miss it") {
    answer(1, ReadKey{"a/0"}, KeyMissing{false}, 2);
    CHECK_MESSAGE(well(), context.explanation);
  }
  SUBCASE("a key missed in a list") {
    answer(1, ListKeys{}, Listing{{}, false, true}, 2);
    CHECK(complains_of("misses a/0"));
  }
  SUBCASE("a list out of order") {
    answer(1, ListKeys{}, Listing{{found(2, 12).item, found(2, 12).item}, false, true}, 2);
    CHECK(complains_of("lists a/0 behind"));
  }
  SUBCASE("older than the client's token") {
    answer(1, ReadKey{"a/0"}, found(1, 11), 1, Revision(2), ReadMode::kLocal);
    CHECK(complains_of("was asked for revision 2"));
  }
  SUBCASE("a linear read older than an acknowledged write") {
    answer(1, ReadKey{"a/0"}, found(1, 11), 1, Revision(2));
    CHECK(complains_of("linear read shows revision 1"));
  }
}

}  // namespace kvd::sim
