// Users, tokens and policies: what is written of them and may be, who is known by what, and what the judge says of
// each operation.
#include <doctest.h>

#include <string>
#include <vector>

#include "core/access/access_space.hpp"
#include "core/access/judge.hpp"
#include "evaluator_fixture.hpp"
#include "msg/limits.hpp"

namespace kvd::access_test {
namespace {

using evaluator_test::Leader;

Rule rule(Resource resource, std::string prefix, bool read, bool write) {
  return {resource, std::move(prefix), read, write};
}
Operation policy(const std::string& name, std::vector<Rule> rules) {
  return Box(PutPolicy{name, Policy{std::move(rules)}});
}
Operation user(const std::string& name, std::vector<std::string> policies,
               std::vector<std::string> identities = {}) {
  return Box(PutUser{name, UserAccount{std::move(policies), std::move(identities)}});
}
Operation token(const std::string& id, const std::string& owner, uint64_t ttl_ms = 0) {
  return Box(CreateToken{id, std::string(32, 'd'), owner, ttl_ms, "note"});
}

const Failed* refused(const Evaluation& evaluation) {
  if (const auto* failed = std::get_if<Failed>(&evaluation)) return failed;
  const auto* unchanged = std::get_if<Unchanged>(&evaluation);
  return unchanged != nullptr ? std::get_if<Failed>(&unchanged->answer) : nullptr;
}
ErrorCode code_of(const Evaluation& evaluation) {
  const Failed* failed = refused(evaluation);
  REQUIRE(failed != nullptr);
  return failed->code;
}
bool done(const Evaluation& evaluation) { return std::holds_alternative<Change>(evaluation); }

Call call_of(Operation operation, OptionalBox<Fence> fence = {}) {
  StoreCall store;
  store.operation = std::move(operation);
  store.fence = std::move(fence);
  return Call{RequestId(1), std::move(store)};
}

// A user with these rules, and his table.
struct Someone {
  explicit Someone(std::vector<Rule> rules) {
    REQUIRE(done(leader.write(policy("p", std::move(rules)))));
    REQUIRE(done(leader.write(user("u", {"p"}, {"dns:u"}))));
  }
  bool may(Operation operation) { return may(call_of(std::move(operation))); }
  bool may(const Call& call) { return !missing_right({&who, leader.evaluator->access(), 0}, call); }

  Caller who{"u", "dns:u"};
  Leader leader;
};

}  // namespace

TEST_CASE("access: what is not granted is refused, and a prefix has to lie inside of what is") {
  Someone some({rule(Resource::kKv, "app/", true, true), rule(Resource::kKv, "shared/", true, false)});
  CHECK(some.may(ReadKey{"app/x"}));
  CHECK(some.may(ReadKey{"shared/x"}));
  CHECK_FALSE(some.may(ReadKey{"app"}));
  CHECK_FALSE(some.may(ReadKey{"other"}));
  CHECK(some.may(PutKey{"app/x", Bytes("v"), {}, {}}));
  CHECK_FALSE(some.may(PutKey{"shared/x", Bytes("v"), {}, {}}));
  CHECK(some.may(ListKeys{"app/", "", 1, false}));
  CHECK(some.may(ListKeys{"app/x", "", 1, false}));
  CHECK_FALSE(some.may(ListKeys{"app", "", 1, false}));
  CHECK_FALSE(some.may(ListKeys{"", "", 1, false}));
  CHECK_FALSE(some.may(DeletePrefix{"a", 0}));
  CHECK_FALSE(some.may(AddNumber{"shared/n", 1, {}}));
  CHECK_FALSE(some.may(ChangeSettings{1}));
  CHECK_FALSE(some.may(ReadSnapshot{}));
  CHECK_FALSE(some.may(GrantLease{1000, ""}));
  CHECK(some.may(QueryStatus{QueryStatus::Use::kHealth}));
  CHECK_FALSE(some.may(QueryStatus{QueryStatus::Use::kCluster}));
  CHECK_FALSE(some.may(QueryStatus{QueryStatus::Use::kMetrics}));
}

TEST_CASE("access: each operation of a batch and of a transaction is judged, and so is a fence") {
  Someone some({rule(Resource::kKv, "a/", true, true), rule(Resource::kQueues, "q", false, true)});
  WriteBatch batch;
  batch.ops = {{"a/1", Bytes("v")}, {"a/2", std::nullopt}};
  CHECK(some.may(batch));
  batch.ops.push_back({"b", std::nullopt});
  CHECK_FALSE(some.may(batch));
  Transaction txn;
  txn.then_ops.push_back(TxnOp{TxnOp::Kind::kPut, "a/1"});
  CHECK(some.may(Box(txn)));
  Transaction looks = txn;
  looks.conditions.push_back(TxnCondition{"b"});
  CHECK_FALSE(some.may(Box(looks)));
  Transaction otherwise = txn;
  otherwise.else_ops.push_back(TxnOp{TxnOp::Kind::kGet, "b"});
  CHECK_FALSE(some.may(Box(otherwise)));
  Transaction sends = txn;
  sends.then_ops.push_back(TxnOp{TxnOp::Kind::kSend, "q1"});
  CHECK(some.may(Box(sends)));
  sends.then_ops.push_back(TxnOp{TxnOp::Kind::kPublish, "q1"});
  CHECK_FALSE(some.may(Box(sends)));
  OptionalBox<Fence> fence;
  fence.emplace() = Fence{"lock", 7};
  CHECK_FALSE(some.may(call_of(PutKey{"a/1", Bytes("v"), {}, {}}, fence)));
  Someone fenced({rule(Resource::kKv, "a/", false, true), rule(Resource::kFences, "lock", false, true)});
  CHECK(fenced.may(call_of(PutKey{"a/1", Bytes("v"), {}, {}}, fence)));
}

TEST_CASE("access: a key lives by a lease of who may write leases") {
  Someone some({rule(Resource::kKv, "", true, true)});
  const Term lease{Term::Kind::kLease, 7};
  CHECK(some.may(PutKey{"k", Bytes("v"), {}, Term{Term::Kind::kTime, 1000}}));
  CHECK_FALSE(some.may(PutKey{"k", Bytes("v"), {}, lease}));
  WriteBatch batch;
  batch.ops = {{"k", Bytes("v"), lease}};
  CHECK_FALSE(some.may(batch));
  Transaction txn;
  TxnOp put{TxnOp::Kind::kPut, "k"};
  put.term = lease;
  txn.then_ops.push_back(put);
  CHECK_FALSE(some.may(Box(txn)));
  Someone holder({rule(Resource::kKv, "", false, true), rule(Resource::kLeases, "", false, true)});
  CHECK(holder.may(PutKey{"k", Bytes("v"), {}, lease}));
}

TEST_CASE("access: dead letters go where one may write") {
  Someone some({rule(Resource::kQueues, "mine/", true, true), rule(Resource::kTopics, "mine/", true, true)});
  QueueConfig config;
  CHECK(some.may(Box(MakeQueue{"mine/q", config})));
  config.dead_letter = "theirs";
  CHECK_FALSE(some.may(Box(MakeQueue{"mine/q", config})));
  MakeSubscription subscription;
  subscription.topic = "mine/t";
  CHECK(some.may(Box(subscription)));
  subscription.config.dead_letter = "theirs";
  CHECK_FALSE(some.may(Box(subscription)));
  KickMessages kick;
  kick.queue = "mine/q";
  CHECK(some.may(kick));
  kick.to = "theirs";
  CHECK_FALSE(some.may(kick));
}

TEST_CASE("access: the services are judged by their paths, and sessions are for who may use one") {
  Someone some({rule(Resource::kLocks, "app/", false, true), rule(Resource::kNames, "", true, false)});
  const auto may = [&](Collection collection, Verb verb, const std::string& path) {
    return some.may(Call{RequestId(1), ServiceCall{collection, verb, path, {}, "", ""}});
  };
  CHECK(may(Collection::kLocks, Verb::kPost, "app/db"));
  CHECK_FALSE(may(Collection::kLocks, Verb::kGet, "app/db"));
  CHECK_FALSE(may(Collection::kLocks, Verb::kPost, "db"));
  CHECK_FALSE(may(Collection::kElections, Verb::kPost, "app/db"));
  CHECK(may(Collection::kNames, Verb::kGet, "x"));
  CHECK(may(Collection::kHosts, Verb::kGet, ""));
  CHECK_FALSE(may(Collection::kNames, Verb::kPut, "x"));
  CHECK(may(Collection::kSessions, Verb::kPost, ""));
  Someone reader({rule(Resource::kLocks, "", true, false)});
  CHECK_FALSE(
      reader.may(Call{RequestId(1), ServiceCall{Collection::kSessions, Verb::kPost, "", {}, "", ""}}));
}

TEST_CASE("access: what is about several places at first needs a right somewhere") {
  Someone some({rule(Resource::kKv, "a/", false, true)});
  CHECK(some.may(WriteBatch{}));
  CHECK(some.may(Box(Transaction())));
  Someone reader({rule(Resource::kKv, "a/", true, false)});
  CHECK_FALSE(reader.may(WriteBatch{}));
  CHECK(reader.may(Box(Transaction())));
  Someone sender({rule(Resource::kQueues, "q", false, true)});
  CHECK(sender.may(Box(Transaction())));
  Someone none({rule(Resource::kLocks, "", true, true)});
  CHECK_FALSE(none.may(Box(Transaction())));
}

TEST_CASE("access: root may everything, anonymous what is granted to him") {
  Leader leader;
  const auto missing = [&](const Caller* who, Operation operation) {
    return missing_right({who, leader.evaluator->access(), 0}, call_of(std::move(operation)));
  };
  const Caller root{"root", "uid:0"};
  CHECK_FALSE(missing(&root, DecideLineage{}));
  REQUIRE(missing(nullptr, ReadKey{"k"}));
  CHECK(code_of(leader.write(user("root", {}))) == ErrorCode::kInvalid);
  REQUIRE(done(leader.write(policy("open", {rule(Resource::kKv, "", true, false)}))));
  CHECK(code_of(leader.write(user("anonymous", {"open"}, {"uid:1000"}))) == ErrorCode::kInvalid);
  REQUIRE(done(leader.write(user("anonymous", {"open"}))));
  CHECK_FALSE(missing(nullptr, ReadKey{"k"}));
  CHECK(missing(nullptr, DeleteKey{"k", {}}));
  CHECK(code_of(leader.write(token("aaaaaaaa", "anonymous"))) == ErrorCode::kInvalid);
  CHECK(code_of(leader.write(token("aaaaaaaa", "root"))) == ErrorCode::kInvalid);
}

TEST_CASE("access: nobody is told to show himself who is known, nor the others that they may not") {
  Someone some({rule(Resource::kKv, "app/", true, true)});
  const auto code = [&](const Caller* who, Operation operation) {
    const auto missing =
        missing_right({who, some.leader.evaluator->access(), 0}, std::move(operation), OptionalBox<Fence>());
    REQUIRE(missing);
    CHECK(lacks_right(*missing));
    CHECK(missing->outcome == Outcome::kNotApplied);
    return missing->code;
  };
  CHECK(code(&some.who, ReadKey{"x"}) == ErrorCode::kForbidden);
  CHECK(code(nullptr, ReadKey{"x"}) == ErrorCode::kUnauthenticated);
  const Caller anonymous{"anonymous", "nothing"}, other{"u", "dns:v"}, gone{"v", "dns:u"};
  for (const Caller* who : {&anonymous, &other, &gone})
    CHECK(code(who, ReadKey{who == &anonymous ? "x" : "app/x"}) == ErrorCode::kUnauthenticated);
}

TEST_CASE("access: who loses anything, or goes and comes back, does not keep his rights") {
  Leader leader;
  const auto table_of = [&](Operation operation) {
    REQUIRE(done(leader.write(std::move(operation))));
    return std::make_unique<const AccessTable>(access_records(leader.store, &leader.evaluator->tail()));
  };
  const auto rules = [](std::vector<Rule> all) { return policy("p", std::move(all)); };
  const Rule own = rule(Resource::kKv, "app/", true, true);
  table_of(rules({own}));
  const auto before = table_of(user("u", {"p"}));
  CHECK(keeps_rights("u", *before, *table_of(rules({own, rule(Resource::kLocks, "", true, true)}))));
  CHECK(keeps_rights("u", *before, *table_of(rules({rule(Resource::kKv, "a", true, true)}))));
  CHECK_FALSE(keeps_rights("u", *before, *table_of(rules({rule(Resource::kKv, "app/", true, false)}))));
  CHECK_FALSE(keeps_rights("u", *before, *table_of(rules({rule(Resource::kKv, "app/x", true, true)}))));
  CHECK(keeps_rights("u", *before, *table_of(rules({own}))));
  CHECK_FALSE(keeps_rights("u", *before, *table_of(DeleteAccess{AccessKind::kUser, "u"})));
  const auto again = table_of(user("u", {"p"}));
  CHECK_FALSE(keeps_rights("u", *before, *again));
  CHECK(keeps_rights("root", *before, *again));
  CHECK(keeps_rights("anonymous", *before, *again));
}

TEST_CASE("access: what is revoked is so at the log's end, before it is committed") {
  Someone some({rule(Resource::kKv, "", true, true)});
  some.leader.commit();
  CHECK(some.may(ReadKey{"k"}));
  REQUIRE(done(some.leader.write(policy("p", {}))));
  CHECK_FALSE(some.may(ReadKey{"k"}));
  REQUIRE(done(some.leader.write(policy("p", {rule(Resource::kKv, "", true, true)}))));
  CHECK(some.may(ReadKey{"k"}));
  REQUIRE(done(some.leader.write(DeleteAccess{AccessKind::kUser, "u"})));
  CHECK(some.leader.evaluator->access().find("u") == nullptr);
  some.leader.commit();
  CHECK(some.leader.evaluator->access().find("u") == nullptr);
}

TEST_CASE("access: a token is its user's, and not of a later one of his name") {
  Leader leader;
  CHECK(code_of(leader.write(token("aaaaaaaa", "u"))) == ErrorCode::kNoAccess);
  REQUIRE(done(leader.write(user("u", {}))));
  REQUIRE(done(leader.write(token("aaaaaaaa", "u"))));
  CHECK(code_of(leader.write(token("aaaaaaaa", "u"))) == ErrorCode::kAccessExists);
  CHECK(leader.evaluator->access().token("aaaaaaaa").has_value());
  CHECK_FALSE(leader.evaluator->access().token("aaaaaaab").has_value());
  REQUIRE(done(leader.write(user("u", {}))));  // the same one, changed
  CHECK(leader.evaluator->access().token("aaaaaaaa").has_value());
  REQUIRE(done(leader.write(DeleteAccess{AccessKind::kUser, "u"})));
  CHECK_FALSE(leader.evaluator->access().token("aaaaaaaa").has_value());
  REQUIRE(done(leader.write(user("u", {}))));
  CHECK_FALSE(leader.evaluator->access().token("aaaaaaaa").has_value());
  REQUIRE(done(leader.write(token("bbbbbbbb", "u"))));
  REQUIRE(done(leader.write(DeleteAccess{AccessKind::kToken, "bbbbbbbb"})));
  CHECK_FALSE(leader.evaluator->access().token("bbbbbbbb").has_value());
  CHECK(code_of(leader.write(DeleteAccess{AccessKind::kToken, "bbbbbbbb"})) == ErrorCode::kNoAccess);
}

TEST_CASE("access: what somebody has shown counts as long as it is his") {
  Leader leader;
  REQUIRE(done(leader.write(user("u", {}, {"dns:a.example", "uid:1000"}))));
  REQUIRE(done(leader.write(user("v", {}))));
  REQUIRE(done(leader.write(token("aaaaaaaa", "u"))));
  const auto shows = [&](const char* name, const char* via) {
    return leader.evaluator->access().shows(Caller{name, via, 0}, leader.room.wall_ms);
  };
  for (const char* via : {"token:aaaaaaaa", "dns:a.example", "uid:1000"}) {
    CHECK(shows("u", via));
    CHECK_FALSE(shows("v", via));
  }
  for (const char* via : {"token:aaaaaaab", "dns:b.example", "uid:0", "nothing", ""})
    CHECK_FALSE(shows("u", via));
  CHECK(shows("root", "uid:0"));
  CHECK(shows("anonymous", "nothing"));
  REQUIRE(done(leader.write(user("u", {}, {"dns:a.example"}))));
  CHECK_FALSE(shows("u", "uid:1000"));
  REQUIRE(done(leader.write(DeleteAccess{AccessKind::kToken, "aaaaaaaa"})));
  CHECK_FALSE(shows("u", "token:aaaaaaaa"));
  CHECK(shows("u", "dns:a.example"));
  REQUIRE(done(leader.write(token("bbbbbbbb", "u", 1000))));
  CHECK(shows("u", "token:bbbbbbbb"));
  leader.room.wall_ms += 1000;
  CHECK_FALSE(shows("u", "token:bbbbbbbb"));
}

TEST_CASE("access: tokens that nobody can use go when others are made") {
  Leader leader;
  leader.room.wall_ms = 1000;
  REQUIRE(done(leader.write(user("u", {}))));
  REQUIRE(done(leader.write(token("bbbbbbbb", "u", 5000))));
  REQUIRE(done(leader.write(token("cccccccc", "u"))));
  leader.commit();
  leader.room.wall_ms = 7000;
  REQUIRE(done(leader.write(token("aaaaaaaa", "u"))));
  leader.commit();
  CHECK(leader.store.access().counts.at(static_cast<size_t>(AccessKind::kToken)) == 2);
  CHECK_FALSE(leader.evaluator->access().token("bbbbbbbb").has_value());
  CHECK(leader.evaluator->access().token("cccccccc").has_value());
}

TEST_CASE("access: all is restored at once, in place of what is there") {
  Leader of_backup;
  REQUIRE(done(of_backup.write(policy("p", {rule(Resource::kKv, "a/", true, true)}))));
  REQUIRE(done(of_backup.write(user("u", {"p"}, {"dns:a.example"}))));
  REQUIRE(done(of_backup.write(user("v", {}, {"dns:b.example"}))));
  REQUIRE(done(of_backup.write(token("aaaaaaaa", "u"))));
  REQUIRE(done(of_backup.write(token("bbbbbbbb", "v"))));
  REQUIRE(done(of_backup.write(DeleteAccess{AccessKind::kUser, "v"})));  // his token is void from here on
  REQUIRE(done(of_backup.write(user("v", {}, {"dns:b.example"}))));
  REQUIRE(done(of_backup.write(token("cccccccc", "u", 1000))));
  of_backup.commit();
  const auto replacement = replacement_by(of_backup.store);
  REQUIRE(replacement.has_value());
  const ReplaceAccess& all = *replacement;
  CHECK(all.policies.size() == 1);
  CHECK(all.users.size() == 2);
  CHECK(all.tokens.size() == 2);

  Leader leader;
  leader.room.wall_ms = of_backup.room.wall_ms + 1000;  // by now the last one has expired
  REQUIRE(done(leader.write(policy("p", {}))));
  REQUIRE(done(leader.write(policy("later", {}))));
  REQUIRE(done(leader.write(user("w", {"later"}, {"dns:a.example"}))));
  REQUIRE(done(leader.write(user("u", {}, {"dns:b.example"}))));
  REQUIRE(done(leader.write(token("dddddddd", "u"))));
  const auto is_restored = [&] {
    const AccessTable& table = leader.evaluator->access();
    CHECK(table.find("w") == nullptr);
    CHECK(table.known_by("dns:a.example")->name == "u");
    CHECK(table.known_by("dns:b.example")->name == "v");
    CHECK(grants(*table.find("u"), Resource::kKv, Right::kWrite, "a/x"));
    CHECK(table.token("aaaaaaaa").has_value());
    for (const char* gone : {"bbbbbbbb", "cccccccc", "dddddddd"}) CHECK_FALSE(table.token(gone).has_value());
  };
  REQUIRE(done(leader.write(Box(all))));
  is_restored();
  leader.commit();
  CHECK(leader.store.access().counts == std::array<size_t, 3>{1, 2, 1});
  CHECK(leader.store.access().users_by_identity.size() == 2);
  CHECK(leader.store.access().users_by_identity.at("dns:a.example") == "u");
  CHECK(std::holds_alternative<Unchanged>(leader.write(Box(all))));  // as it is already
  is_restored();
}

TEST_CASE("access: of what cannot be there nothing is restored") {
  const auto refuses = [](const char* why, void (*spoil)(ReplaceAccess&)) {
    ReplaceAccess all{{{"p", {}}}, {{"u", UserAccount{{"p"}, {"uid:1"}}}, {"anonymous", {}}}, {}};
    all.tokens.push_back({"aaaaaaaa", TokenRecord{"u", 1, std::string(kTokenDigestBytes, 'd'), 0, 0, ""}});
    CHECK(problem_of(all) == "");
    spoil(all);
    CAPTURE(problem_of(all));
    CHECK(problem_of(all).find(why) != std::string::npos);
  };
  refuses("two users", [](auto& all) { all.users[1] = {"v", UserAccount{{}, {"uid:1"}}}; });
  refuses("root", [](auto& all) { all.users[0].name = "root"; });
  refuses("anonymous", [](auto& all) { all.users[1].user.identities = {"uid:2"}; });
  refuses("more of a kind", [](auto& all) { all.policies.assign(limits::kPolicies + 1, {"p", {}}); });
  refuses("a name here", [](auto& all) { all.users[0].name = std::string(65, 'u'); });
  refuses("a name here", [](auto& all) { all.tokens[0].token.user = "a b"; });
  refuses("an identity is", [](auto& all) { all.users[0].user.identities = {"cn:x"}; });
  refuses("prefix", [](auto& all) {
    all.policies[0].policy.rules = {
        rule(Resource::kKv, std::string(limits::kKeyBytes + 1, 'k'), true, false)};
  });
  refuses("digest", [](auto& all) { all.tokens[0].token.digest.pop_back(); });
  Leader leader;
  REQUIRE(done(leader.write(policy("p", {}))));
  leader.commit();
  CHECK(replacement_by(leader.store).has_value());
  leader.store.put(
      Record(access_key(AccessKind::kPolicy, "q"), "\xff", {Revision(2), Revision(2), 1, Space::kAccess}));
  CHECK_FALSE(replacement_by(leader.store).has_value());
}

TEST_CASE("access: an identity is one user's, committed or not") {
  Leader leader;
  REQUIRE(done(leader.write(user("u", {}, {"dns:a.example", "uid:1000"}))));
  CHECK(code_of(leader.write(user("v", {}, {"uid:1000"}))) == ErrorCode::kAccessExists);
  leader.commit();
  CHECK(code_of(leader.write(user("v", {}, {"uid:1000"}))) == ErrorCode::kAccessExists);
  CHECK(leader.evaluator->access().known_by("uid:1000")->name == "u");
  REQUIRE(done(leader.write(user("u", {}, {"dns:a.example"}))));
  REQUIRE(done(leader.write(user("v", {}, {"uid:1000"}))));
  leader.commit();
  CHECK(leader.evaluator->access().known_by("uid:1000")->name == "v");
  CHECK(leader.evaluator->access().known_by("dns:a.example")->name == "u");
}

TEST_CASE("access: a policy that is not there grants nothing, and nobody is given it") {
  Someone some({rule(Resource::kKv, "", true, true)});
  CHECK(code_of(some.leader.write(user("v", {"nothing"}))) == ErrorCode::kInvalid);
  REQUIRE(done(some.leader.write(DeleteAccess{AccessKind::kPolicy, "p"})));
  CHECK_FALSE(some.may(ReadKey{"k"}));
}

TEST_CASE("access: there are bounds") {
  Leader leader;
  leader.room.memory_max = UINT64_MAX;
  for (size_t i = 0; i < limits::kPolicies; ++i)
    REQUIRE(done(leader.write(policy("p" + std::to_string(i), {}))));
  leader.commit();
  CHECK(code_of(leader.write(policy("more", {}))) == ErrorCode::kTooLarge);
  CHECK(done(leader.write(policy("p0", {rule(Resource::kKv, "", true, false)}))));
  REQUIRE(done(leader.write(DeleteAccess{AccessKind::kPolicy, "p1"})));
  leader.commit();
  CHECK(done(leader.write(policy("more", {}))));
}

TEST_CASE("access: what a copy counts is the same whatever the way to it") {
  Leader one;
  REQUIRE(done(one.write(user("u", {}, {"uid:1"}))));
  one.commit();
  Leader other;
  other.store.put(*one.store.find(access_key(AccessKind::kUser, "u"), Space::kAccess));
  CHECK(one.store.access().digest == other.store.access().digest);
  CHECK(one.store.access().digest != 0);
  REQUIRE(done(one.write(DeleteAccess{AccessKind::kUser, "u"})));
  one.commit();
  CHECK(one.store.access().digest == 0);
  CHECK(one.store.access().users_by_identity.empty());
}

TEST_CASE("access: tokens as texts") {
  const TokenText token = new_token(std::string(kTokenRandomBytes, '\xff'));
  CHECK(token.text().size() == 4 + 8 + 1 + 43);
  const auto read = parse_token(token.text());
  REQUIRE(read.has_value());
  CHECK(read->id == token.id);
  CHECK(read->secret == token.secret);
  for (const char* wrong : {"", "kvd_", "kvd_aaaaaaaa", "kve_aaaaaaaa_"})
    CHECK_FALSE(parse_token(wrong).has_value());
  CHECK_FALSE(parse_token(token.text() + "x").has_value());
  std::string other = token.text();
  other.back() = '+';
  CHECK_FALSE(parse_token(other).has_value());
  const RootToken root{token.id, std::string(32, '\x0f')};
  const auto line = parse_root_token(root_token_line(root));
  REQUIRE(line.has_value());
  CHECK(line->id == root.id);
  CHECK(line->digest == root.digest);
  for (const std::string& wrong :
       {std::string(), token.id, token.id + " ", token.id + " 0f", token.id + " " + std::string(64, 'g')})
    CHECK_FALSE(parse_root_token(wrong).has_value());
}

TEST_CASE("access: names and identities") {
  for (const char* right : {"a", "app-1.x_y"}) CHECK(problem_of_access_name(right).empty());
  for (const char* wrong : {"", "a b", "a/b", "\xc3\xa4"}) CHECK_FALSE(problem_of_access_name(wrong).empty());
  CHECK_FALSE(problem_of_access_name(std::string(65, 'a')).empty());
  for (const char* right : {"uri:spiffe://a/b", "dns:x", "email:a@b", "uid:1000"})
    CHECK(problem_of_identity(right).empty());
  for (const char* wrong : {"", "uri:", "cn:x", "uid:", "uid:x", "uid:01", "uid:0", "dns:\xff"})
    CHECK_FALSE(problem_of_identity(wrong).empty());
}

}  // namespace kvd::access_test
