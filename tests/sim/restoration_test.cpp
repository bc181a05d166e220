// Rule 17: what is to become of a register that is not believed, judged from what servers tell
// (core/cluster/restoration.hpp), and which of two registers was made of the other (msg/history.hpp).
#include "core/cluster/restoration.hpp"

#include <doctest.h>

#include "msg/history.hpp"

namespace kvd::restoration_test {
namespace {

Member member(const std::string& id, uint64_t life = 1) { return Member{ServerId{id}, Incarnation(life)}; }
const Member kA = member("a");
const Member kB = member("b");
const Member kC = member("c");

Register first(std::vector<Member> in_sync) {
  Register content;
  content.cluster = "u";
  content.epoch = Epoch(1);
  content.epoch_id = 11;
  content.serial = 1;
  content.leader = in_sync.front();
  content.in_sync = std::move(in_sync);
  return content;
}

Register changed(const Register& before, std::vector<Member> in_sync) {
  Register content = next_change(before);
  content.in_sync = std::move(in_sync);
  return content;
}

Register taken_over(const Register& before, const Member& leader, uint64_t id) {
  Register content = next_epoch(before, id);
  content.leader = leader;
  return content;
}

Registration telling(const Member& who, const Register& remembers, uint64_t end = 5,
                     int32_t found = kNoVersion) {
  Registration one;
  one.info.member = who;
  one.remembers = remembers;
  one.claim =
      Claim{found, std::nullopt, LogPosition{remembers.epoch, Revision(end)}, Revision(end), 0, false};
  return one;
}

RegisterDoubted absent(const Register& remembered) {
  return RegisterDoubted{RegisterFault::kAbsent, kNoVersion, std::nullopt, remembered, std::nullopt};
}

RegisterDoubted instead(RegisterFault fault, const Register& found, const Register& remembered) {
  return RegisterDoubted{fault, 7, found, remembered, std::nullopt};
}

}  // namespace

TEST_CASE("a lineage of many epochs does not swallow what nobody gave up") {
  const Register base = first({kA, kB});
  const Register elsewhere = taken_over(base, kB, 99);  // which nobody knew of when the lineage began
  Register content = taken_over(base, kA, 12);
  content.lineage = Lineage(1);
  for (uint64_t i = 0; i < 2 * kHistoryMax; ++i) content = taken_over(content, kA, 100 + i);
  CHECK_FALSE(descends(content, elsewhere));
  Register slept = content;  // within a lineage whoever slept for long goes on
  for (uint64_t i = 0; i < 2 * kHistoryMax; ++i) slept = taken_over(slept, kA, 1000 + i);
  CHECK(descends(slept, content));
}

TEST_CASE("registers descend from those that they were made of, and from no others") {
  const Register one = first({kA, kB});
  const Register two = changed(one, {kA});
  const Register three = taken_over(two, kA, 12);
  const Register four = taken_over(changed(three, {kA, kC}), kC, 13);
  const std::vector<Register> line{one, two, three, four};
  for (size_t later = 0; later < line.size(); ++later) {
    for (size_t earlier = 0; earlier < line.size(); ++earlier) {
      CAPTURE(later);
      CAPTURE(earlier);
      CHECK(descends(line[later], line[earlier]) == (later >= earlier));
    }
  }
  // From `one` somebody who does not know of `two` has taken over.
  const Register fork = taken_over(one, kB, 22);
  CHECK(descends(fork, one));
  CHECK_FALSE(descends(fork, two));
  CHECK_FALSE(descends(four, fork));
  CHECK_FALSE(descends(taken_over(taken_over(fork, kB, 23), kB, 24), two));
  // The same number of an epoch, begun twice.
  CHECK_FALSE(descends(taken_over(two, kA, 32), three));
  Register foreign = four;
  foreign.cluster = "v";
  CHECK_FALSE(descends(foreign, one));
}

TEST_CASE("a register remembers many epochs, and takes what lies before them for its own") {
  Register content = first({kA});
  const Register oldest = content;
  for (uint64_t id = 100; id < 100 + 2 * kHistoryMax; ++id) content = taken_over(content, kA, id);
  CHECK(content.history.size() == kHistoryMax);
  CHECK(content.history.front().epoch < content.history.back().epoch);
  CHECK(descends(content, oldest));
  Register forged = content;
  forged.history.clear();
  forged.epoch = content.epoch.next();
  CHECK_FALSE(descends(forged, content));
  CHECK_FALSE(descends(forged, oldest));
}

TEST_CASE("the register is restored when everybody has told who was in sync, by the longest log") {
  const Register newest = first({kA, kB});
  Ruling ruling = judge(absent(newest), {telling(kA, newest, 5), telling(kB, newest, 6)});
  CHECK(ruling.kind == Ruling::Kind::kRestore);
  CHECK(ruling.restorer == kB);
  ruling = judge(absent(newest), {telling(kA, newest), telling(kB, newest)});
  CHECK(ruling.restorer == kA);
  SUBCASE("not without one of them") {
    ruling = judge(absent(newest), {telling(kA, newest), telling(kC, newest)});
    CHECK(ruling.kind == Ruling::Kind::kWait);
    CHECK(ruling.missing == std::vector<Member>{kB});
  }
  SUBCASE("another life of a server is another one") {
    ruling = judge(absent(newest), {telling(kA, newest), telling(member("b", 2), newest)});
    CHECK(ruling.missing == std::vector<Member>{kB});
  }
  SUBCASE("nor before each has told of what is there now") {
    Registration late = telling(kB, newest);
    late.claim.reset();
    ruling = judge(absent(newest), {telling(kA, newest), late});
    CHECK(ruling.kind == Ruling::Kind::kWait);
    CHECK_FALSE(ruling.told);
    ruling = judge(absent(newest), {telling(kA, newest), telling(kB, newest, 5, 3)});
    CHECK_FALSE(ruling.told);
    late.remembers.reset();
    CHECK_FALSE(judge(absent(newest), {telling(kA, newest), late}).told);
  }
  SUBCASE("a copy that differs does not restore") {
    Registration differs = telling(kB, newest, 9);
    differs.claim->differs = true;
    CHECK(judge(absent(newest), {telling(kA, newest), differs}).restorer == kA);
  }
}

TEST_CASE("the newest register that anybody remembers is what is restored") {
  const Register one = first({kA, kB});
  const Register two = taken_over(changed(one, {kB}), kB, 12);
  const Ruling ruling = judge(absent(one), {telling(kA, one, 9), telling(kB, two, 5)});
  CHECK(ruling.kind == Ruling::Kind::kRestore);
  CHECK(ruling.restorer == kB);  // a is not of its set, whatever it holds
  CHECK(ruling.newest == two);
}

TEST_CASE("who was ordered to be in sync is asked, too") {
  const Register one = first({kA});
  Registration a = telling(kA, one);
  a.claim->proposed = changed(one, {kA, kB});
  CHECK(judge(absent(one), {a}).missing == std::vector<Member>{kB});
  const Ruling both = judge(absent(one), {a, telling(kB, one)});
  CHECK(both.kind == Ruling::Kind::kRestore);
  CHECK(both.serial == 2);  // whoever has seen that change will find it in what is restored
  // Somebody has taken over without it: it was not made.
  const Register two = taken_over(one, kA, 12);
  CHECK(judge(absent(two), {telling(kA, two), a}).missing.empty());
}

TEST_CASE("of two histories a person chooses") {
  const Register one = first({kA, kB});
  const Register here = changed(one, {kA});
  const Register there = taken_over(one, kB, 22);
  const Ruling ruling = judge(absent(here), {telling(kA, here), telling(kB, there)});
  CHECK(ruling.kind == Ruling::Kind::kDecide);
  CHECK(ruling.why.find("another history") != std::string::npos);
}

TEST_CASE("what is found in place of the register") {
  const Register one = first({kA, kB});
  const Register newest = taken_over(one, kA, 12);
  const std::vector<Registration> both{telling(kA, newest, 5, 7), telling(kB, one, 5, 7)};
  SUBCASE("an older one is replaced") {
    CHECK(judge(instead(RegisterFault::kOlder, one, newest), both).kind == Ruling::Kind::kRestore);
  }
  SUBCASE("not while somebody believes it") {
    std::vector<Registration> all = both;
    all[1].claim.reset();
    CHECK(judge(instead(RegisterFault::kOlder, one, newest), all).kind == Ruling::Kind::kWait);
  }
  SUBCASE("another cluster's, or what nobody can read, is a person's to remove") {
    Register foreign = one;
    foreign.cluster = "v";
    foreign.in_sync = {kC};
    CHECK(judge(instead(RegisterFault::kForeign, foreign, newest), both).kind == Ruling::Kind::kDecide);
    const RegisterDoubted unreadable{RegisterFault::kUnreadable, 7, std::nullopt, newest, std::nullopt};
    CHECK(judge(unreadable, both).kind == Ruling::Kind::kDecide);
  }
  SUBCASE("one of another history is, unless all of its set are here and nobody acts by it") {
    const Register fork = taken_over(one, kB, 22);
    CHECK(judge(instead(RegisterFault::kForked, fork, newest), both).kind == Ruling::Kind::kRestore);
    Register elsewhere = fork;
    elsewhere.in_sync = {kB, kC};
    const Ruling ruling = judge(instead(RegisterFault::kForked, elsewhere, newest), both);
    CHECK(ruling.kind == Ruling::Kind::kDecide);
    CHECK(ruling.above >= elsewhere.epoch);
  }
  SUBCASE("one of a former lineage is, unless who was in sync in it may come back with something") {
    Register now = taken_over(one, kA, 12);
    now.lineage = Lineage(1);
    for (uint64_t i = 0; i < 2 * kHistoryMax; ++i) now = taken_over(now, kA, 100 + i);
    Register former = one;
    former.in_sync = {member("a", 9), member("b", 9)};
    const std::vector<Registration> all{telling(kA, now, 5, 7), telling(kB, now, 5, 7)};
    const auto ruled = [&] { return judge(instead(RegisterFault::kForked, former, now), all).kind; };
    CHECK(ruled() == Ruling::Kind::kRestore);
    SUBCASE("with a disk") { former.disks = true; }
    SUBCASE("one that is not here") { former.in_sync.push_back(kC); }
    SUBCASE("in the same lineage") {
      former.lineage = now.lineage;
      former.epoch = now.history.back().epoch;
    }
    CHECK(ruled() == Ruling::Kind::kDecide);
  }
  SUBCASE("a lineage that was begun elsewhere does not replace the one here by itself") {
    Register forced = taken_over(one, kA, 33);
    forced.lineage = Lineage(1);
    forced.in_sync = {kA};
    CHECK(judge(instead(RegisterFault::kOlder, one, forced), {telling(kA, forced, 5, 7)}).kind ==
          Ruling::Kind::kDecide);
  }
}

TEST_CASE("what operators read names who holds what, who is missing and what decides") {
  const Register newest = first({kA, kB});
  std::vector<Registration> all{telling(kA, newest)};
  ServerInfo self;
  self.member = kA;
  self.http = Address{"h", 8001};
  all[0].info = self;
  std::string text;
  for (const std::string& line : describe(absent(newest), judge(absent(newest), all), all, self, "/p"))
    text += line + "\n";
  for (const char* word : {"/kvd/config shows nothing", "a remembers epoch 1", "holds revision 5", "start b",
                           "curl -X POST http://h:8001/v1/cluster/lineage"}) {
    CAPTURE(text);
    CHECK(text.find(word) != std::string::npos);
  }
}

namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("the command that deletes a register names the prefix") {
  const Register other = taken_over(first({kB}), kB, 77);
  Register foreign = other;
  foreign.cluster = "v";
  const RegisterDoubted doubted = instead(RegisterFault::kForeign, foreign, first({kA}));
  const std::vector<Registration> all{telling(kA, first({kA}), 5, 7)};
  CHECK(has(joined(describe(doubted, judge(doubted, all), all, ServerInfo{}, "/p")),
            "zkCli.sh delete /p/kvd/config'"));
}

TEST_CASE("who was started anew is not asked for, and its former directory is, if it had one") {
  const Register newest = first({kA, kB});
  std::vector<Registration> all{telling(kA, newest), telling(member("b", 2), newest)};
  const auto text = [&] {
    return joined(describe(absent(newest), judge(absent(newest), all), all, ServerInfo{}, ""));
  };
  CHECK(has(text(), "b was started anew"));
  CHECK(!has(text(), "start b "));
  CHECK(!has(text(), "data directory"));
  all[1].info.durable = true;
  CHECK(has(text(), "unless its former data directory is given back to it"));
}

TEST_CASE("while a leader is not heard it is said for whom the others wait") {
  const Register content = first({kA, kB});
  std::vector<Registration> all{telling(kB, content)};
  std::string text = joined(describe_silence(content, false, all, ServerInfo{}));
  CHECK(has(text, "the leader of epoch 1, a, is not heard"));
  CHECK(has(text, "in sync and registered in ZooKeeper: b"));
  CHECK(!has(text, "curl"));
  all = {telling(kC, content)};
  text = joined(describe_silence(content, true, all, ServerInfo{}));
  for (const char* words : {"c remembers epoch 1", "holds revision 5", "start a (life", "start b (life",
                            "nobody is here who was in sync", "/v1/cluster/lineage"}) {
    CAPTURE(text);
    CHECK(has(text, words));
  }
}

TEST_CASE("servers with and without disks are told apart") {
  std::vector<Registration> all{telling(kA, first({kA})), telling(kB, first({kA}))};
  CHECK(describe_mixture(all).empty());
  all[0].info.durable = true;
  CHECK(has(describe_mixture(all), "acknowledged by b alone"));
  all[1].info.durable = true;
  CHECK(describe_mixture(all).empty());
}

}  // namespace kvd::restoration_test
