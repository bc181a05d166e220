// The referee of rights (rights_referee.hpp) before entries and answers that are as they should be, and before those
// that break one rule each.
#include "rights_referee.hpp"

#include <doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace kvd::sim {
namespace {

using Needs = RightsReferee::Needs;

const Policy kAll{{{Resource::kKv, "r/0/", true, true}}};
const Policy kReads{{{Resource::kKv, "r/0/", true, false}}};

// Entries one after the other, a revision for each.
struct RefereedRights {
  Entry next(std::vector<Record> effects, uint64_t epoch = 1) const {
    return Entry{Epoch(epoch), Revision(revision + 1), std::move(effects), 0};
  }
  std::string entry(std::vector<Record> effects) {
    const Entry entry = next(std::move(effects));
    ++revision;
    referee.on_appended(entry);
    return referee.on_entry(entry);
  }
  Record record(const std::string& key, const std::string& value, Space space) const {
    return Record(key, value, {Revision(revision + 1), Revision(revision + 1), 1, space});
  }
  Record without(const std::string& key) const {
    return Record::deletion(key, {Revision(1), Revision(revision + 1), 0, Space::kAccess});
  }
  Record policy(const Policy& what) const {
    return record(access_key(AccessKind::kPolicy, "p"), encode_policy(what), Space::kAccess);
  }
  Record user(std::vector<std::string> policies) const {
    return record(access_key(AccessKind::kUser, "u"), encode_user({std::move(policies), {}}), Space::kAccess);
  }
  std::string write(const std::string& key = "r/0/u/k") { return entry({record(key, "1", Space::kData)}); }
  uint64_t grant() {
    CHECK(entry({policy(kAll)}).empty());
    CHECK(entry({user({"p"})}).empty());
    return revision;
  }
  std::string refused(ErrorCode code, uint64_t from) const {
    return referee.on_refused("u", needs, code, Revision(from));
  }

  RightsReferee referee;
  uint64_t revision = 0;
  Needs needs{{Resource::kKv, Right::kWrite, "r/0/u/k"}};
};

bool tells(const std::string& why, const std::string& part) { return why.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a write under a right is one behind its grant, and before its end") {
  RefereedRights all;
  CHECK(tells(all.write(), "no right"));
  all.grant();
  CHECK(all.write().empty());
  CHECK(tells(all.write("r/1/u/k"), "no right"));
  CHECK(tells(all.write("r/0/other/k"), "no right"));
  SUBCASE("the policy grants less") { CHECK(all.entry({all.policy(kReads)}).empty()); }
  SUBCASE("the policy is gone") {
    CHECK(all.entry({all.without(access_key(AccessKind::kPolicy, "p"))}).empty());
  }
  SUBCASE("the user has it no more") { CHECK(all.entry({all.user({})}).empty()); }
  SUBCASE("the user is gone") { CHECK(all.entry({all.without(access_key(AccessKind::kUser, "u"))}).empty()); }
  CHECK(tells(all.write(), "no right"));
  all.grant();
  CHECK(all.write().empty());
}

TEST_CASE("what others write is not judged") {
  RefereedRights all;
  CHECK(all.write("a/0").empty());
}

TEST_CASE("an acknowledged write is judged by the entries before it") {
  RefereedRights all;
  const uint64_t granted = all.grant();
  CHECK(all.write().empty());
  CHECK(all.entry({all.user({})}).empty());
  CHECK(all.referee.on_done("u", all.needs, Revision(granted + 1)).empty());
  CHECK(all.referee.on_done("u", all.needs, Revision(granted + 2))
            .empty());  // it would be the revocation itself
  CHECK(tells(all.referee.on_done("u", all.needs, Revision(granted)), "no right"));
  CHECK(tells(all.referee.on_done("u", all.needs, Revision(granted + 9)), "not committed"));
}

TEST_CASE("a read is of a copy that grants it") {
  RefereedRights all;
  const Needs reads{{Resource::kKv, Right::kRead, "r/0/u/k"}};
  const uint64_t granted = all.grant();
  CHECK(all.entry({all.policy(kReads)}).empty());
  CHECK(all.entry({all.user({})}).empty());
  const auto read = [&](uint64_t from, uint64_t to) {
    return all.referee.on_read("u", reads, Revision(from), Revision(to));
  };
  CHECK(read(granted, granted).empty());
  CHECK(read(0, granted).empty());
  CHECK(read(granted + 1, granted + 2).empty());
  CHECK(tells(read(0, granted - 1), "no right"));
  CHECK(tells(read(granted + 2, granted + 2), "no right"));
}

TEST_CASE("who is refused lacks the right by some copy that may judge him") {
  RefereedRights all;
  const uint64_t granted = all.grant();
  CHECK(all.refused(ErrorCode::kUnauthenticated, granted - 1).empty());
  CHECK(all.refused(ErrorCode::kForbidden, granted - 1).empty());
  CHECK(tells(all.refused(ErrorCode::kForbidden, granted), "had the right"));
  CHECK(tells(all.refused(ErrorCode::kUnauthenticated, granted), "unknown"));
  CHECK(all.entry({all.policy(kReads)}).empty());
  CHECK(all.entry({all.policy(kAll)}).empty());
  CHECK(all.refused(ErrorCode::kForbidden, granted).empty());
  CHECK(tells(all.refused(ErrorCode::kUnauthenticated, granted), "unknown"));
  CHECK(tells(all.refused(ErrorCode::kForbidden, all.revision), "had the right"));
}

TEST_CASE("a leader may refuse by what is never committed") {
  RefereedRights all;
  const uint64_t granted = all.grant();
  all.referee.on_appended(all.next({all.user({})}, 2));
  CHECK(all.refused(ErrorCode::kForbidden, granted).empty());
  CHECK(tells(all.refused(ErrorCode::kUnauthenticated, granted), "unknown"));
  all.referee.on_appended(all.next({all.without(access_key(AccessKind::kUser, "u"))}, 3));
  CHECK(all.refused(ErrorCode::kUnauthenticated, granted).empty());
  CHECK(all.write().empty());  // another entry has its place
  CHECK(all.refused(ErrorCode::kForbidden, granted).empty());
  CHECK(tells(all.refused(ErrorCode::kForbidden, granted + 1), "had the right"));
}

TEST_CASE("an acknowledged change of rights is the entry that it is said to be") {
  RefereedRights all;
  const uint64_t granted = all.grant();
  const auto changed = [&](Operation operation, uint64_t at) {
    return all.referee.on_changed(operation, Revision(at), Revision(at));
  };
  CHECK(changed(PutPolicy{"p", kAll}, granted - 1).empty());
  CHECK(changed(PutUser{"u", {{"p"}, {}}}, granted).empty());
  CHECK(tells(changed(PutPolicy{"p", kReads}, granted - 1), "and is not"));
  CHECK(tells(changed(PutUser{"u", {}}, granted), "and is not"));
  CHECK(tells(changed(DeleteAccess{AccessKind::kUser, "u"}, granted), "and is not"));
  ReplaceAccess same{{{"p", kAll}}, {{"u", {{"p"}, {}}}}, {}};
  CHECK(changed(Box(same), granted).empty());
  same.users.front().user.policies.clear();
  CHECK(tells(changed(Box(same), granted), "and is not"));
  CHECK(all.entry({all.without(access_key(AccessKind::kUser, "u"))}).empty());
  CHECK(changed(DeleteAccess{AccessKind::kUser, "u"}, all.revision).empty());
  CHECK(tells(changed(DeleteAccess{AccessKind::kUser, "u"}, all.revision + 1), "and is not"));
  same.users.front().user.policies = {"p"};  // as it was when it was asked for, and is not any more
  CHECK(all.referee.on_changed(Box(same), Revision(granted), Revision(all.revision)).empty());
}

TEST_CASE("in a new lineage nobody has a right, and nothing of the one before is judged") {
  RefereedRights all;
  const uint64_t granted = all.grant();
  all.revision = lineage_base(Lineage(1)).value;
  CHECK(tells(all.write(), "no right"));
  CHECK(all.refused(ErrorCode::kForbidden, granted).empty());
  CHECK(all.referee.on_done("u", all.needs, Revision(granted)).empty());
}

}  // namespace kvd::sim
