// The conformance script against the simulated ensemble, and what only the simulated one can be asked: lag,
// lost replies, expiry at a given instant.
#include "support/zk_conformance.hpp"

#include <doctest.h>

#include <map>
#include <string>
#include <vector>

#include "core/zookeeper/zk_ensemble.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

// An ensemble without any delay.
class SimDriver : public testing::ZkDriver {
 public:
  uint64_t open(char who) override { return sessions_[who] = zk_.open_session(seconds(10), Instant()); }
  void close(char who) override { zk_.close_session(sessions_[who]); }
  ZkResult call(char who, ZkRequest request) override {
    const uint64_t session = sessions_[who];
    now_ += milliseconds(1);
    zk_.set_clock(now_);
    take(who, zk_.advance(session, zk_.zxid()));
    ZkOutcome out = zk_.apply(session, ZkCall{ZkCallId(1), std::move(request)});
    take(who, out.fired);
    zk_.reply_delivered(session, out);
    return out.result;
  }
  std::vector<std::string> watches(char who, size_t) override {
    take(who, zk_.advance(sessions_[who], zk_.zxid()));
    return std::exchange(fired_[who], {});
  }

  void make_read_only(const std::string& path) override { zk_.make_read_only(path); }
  int64_t wall_ms() override { return to_ms(now_.time_since_epoch()); }

 private:
  void take(char who, const std::vector<ZkFired>& fired) {
    for (const ZkFired& one : fired) {
      if (zk_.watch_delivered(sessions_[who], one)) fired_[who].push_back(one.path);
    }
  }
  Instant now_{};
  Prng prng_{1};
  ZkEnsemble zk_{prng_};
  std::map<char, uint64_t> sessions_;
  std::map<char, std::vector<std::string>> fired_;
};

ZkCall call(ZkRequest request) { return {ZkCallId(1), std::move(request)}; }

struct Fixture {
  Prng prng{7};
  ZkEnsemble zk{prng};
  Instant start{};
  uint64_t a = zk.open_session(seconds(1), start);
  uint64_t b = zk.open_session(seconds(2), start);
  ZkOutcome create(uint64_t session, std::string path, ZkMode mode = ZkMode::kPersistent) {
    return zk.apply(session, call(ZkCreate{std::move(path), "", mode}));
  }
  // Reads and gets the reply.
  ZkCode exists(uint64_t session, std::string path, bool watch = false) {
    ZkOutcome out = zk.apply(session, call(ZkExists{std::move(path), watch}));
    zk.reply_delivered(session, out);
    return out.result.code;
  }
};

}  // namespace

TEST_CASE("the simulated ensemble answers as ZooKeeper does") {
  SimDriver driver;
  testing::check_zk_conformance(driver);
}

TEST_CASE_FIXTURE(Fixture,
                  "a session reads the past until its server catches up, syncs or it writes itself") {
  create(a, "/x");
  CHECK(exists(b, "/x") == ZkCode::kNoNode);
  CHECK(exists(a, "/x") == ZkCode::kOk);
  SUBCASE("catches up") { zk.advance(b, zk.zxid()); }
  SUBCASE("syncs") { zk.apply(b, call(ZkSync{"/"})); }
  SUBCASE("writes") { create(b, "/y"); }
  CHECK(exists(b, "/x") == ZkCode::kOk);
  zk.advance(b, 1);  // never back
  CHECK(exists(b, "/x") == ZkCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "a write whose reply is lost is done, and the next server may not show it yet") {
  const int64_t seen = zk.seen(b);
  SUBCASE("applied too late") { zk.apply_unseen(b, call(ZkCreate{"/x", "", ZkMode::kPersistent})); }
  SUBCASE("reply lost") { create(b, "/x"); }
  zk.reconnect(b, seen);
  CHECK(exists(b, "/x") == ZkCode::kNoNode);
  CHECK(create(b, "/x").result.code == ZkCode::kNodeExists);
}

TEST_CASE_FIXTURE(Fixture, "a watch is the client's only once the reply has arrived") {
  ZkOutcome out = zk.apply(b, call(ZkExists{"/x", true}));
  CHECK(out.watch.has_value());
  create(a, "/x");
  SUBCASE("reply first, then the event behind it") {
    const auto fired = zk.advance(b, zk.zxid());
    zk.reply_delivered(b, out);
    CHECK(fired.size() == 1);
    CHECK(zk.watch_delivered(b, fired.at(0)));
    CHECK_FALSE(zk.watch_delivered(b, fired.at(0)));
  }
  SUBCASE("reply lost") { CHECK(zk.reconnect(b, zk.zxid()).empty()); }
}

TEST_CASE_FIXTURE(Fixture, "after a reconnection watches are compared with the state") {
  create(a, "/kept");
  zk.advance(b, zk.zxid());
  CHECK(exists(b, "/kept", true) == ZkCode::kOk);
  CHECK(exists(b, "/brief", true) == ZkCode::kNoNode);
  CHECK(exists(b, "/new", true) == ZkCode::kNoNode);
  create(a, "/brief");
  zk.apply(a, call(ZkDelete{"/brief"}));
  create(a, "/new");
  zk.apply(a, call(ZkSet{"/kept", "changed"}));
  // The events were on the way when the connection broke.
  CHECK(zk.advance(b, zk.zxid()).size() == 3);
  const auto fired = zk.reconnect(b, zk.zxid());
  REQUIRE(fired.size() == 2);
  CHECK(fired.at(0).path == "/kept");
  CHECK(fired.at(1).path == "/new");
  zk.apply(a, call(ZkSet{"/kept", "again"}));
  CHECK(zk.advance(b, zk.zxid()).empty());  // those two are spent
  create(a, "/brief");                      // this one is not
  CHECK(zk.advance(b, zk.zxid()).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "children are listed without what is below them, and as they were for who lags") {
  for (const char* path : {"/p", "/p/a", "/p/a/x", "/p/a/x/y", "/p/a-b", "/p/a0", "/p/b", "/p0"})
    create(a, path);
  zk.advance(b, zk.zxid());
  const auto names = [&](uint64_t session) {
    return zk.apply(session, call(ZkChildren{"/p"})).result.children;
  };
  const std::vector<std::string> before{"a", "a-b", "a0", "b"};
  CHECK(names(a) == before);
  zk.apply(a, call(ZkDelete{"/p/a0"}));
  create(a, "/p/c");
  create(a, "/p/a0");
  zk.apply(a, call(ZkDelete{"/p/b"}));
  CHECK(names(a) == std::vector<std::string>{"a", "a-b", "a0", "c"});
  CHECK(names(b) == before);
  CHECK(exists(b, "/p/b") == ZkCode::kOk);
  CHECK(exists(b, "/p/c") == ZkCode::kNoNode);
  zk.advance(b, zk.zxid());
  CHECK(names(b) == names(a));
}

TEST_CASE_FIXTURE(Fixture, "a multi that fails leaves nothing behind but a zxid") {
  create(a, "/p");
  create(a, "/p/one");
  const ZkTree before = zk.tree();
  const int64_t zxid = zk.zxid();
  const ZkMulti multi{{ZkCreate{"/p/two", "2"}, ZkSet{"/p/one", "changed"}, ZkDelete{"/p/one"},
                       ZkCreate{"/p/one", "another"}, ZkSet{"/p", "changed"}, ZkCheck{"/p/none", -1}}};
  CHECK(zk.apply(a, call(multi)).result.code == ZkCode::kNoNode);
  CHECK(zk.zxid() == zxid + 1);
  REQUIRE(zk.tree().size() == before.size());
  for (const auto& [path, node] : before) {
    const ZkZnode& now = zk.tree().at(path);
    CHECK(now.data == node.data);
    CHECK(now.version == node.version);
    CHECK(now.created_zxid == node.created_zxid);
    CHECK(now.children_count == node.children_count);
    CHECK(now.children_zxid == node.children_zxid);
    CHECK(now.next_sequence == node.next_sequence);
  }
}

TEST_CASE("beyond the bound of all znodes nothing grows, and what goes makes room") {
  constexpr size_t kUnit = limits::kZnodeOverhead;
  Prng prng{7};
  ZkEnsemble zk(prng, 8 * kUnit);
  const uint64_t session = zk.open_session(seconds(1), Instant());
  const auto code = [&](ZkRequest request) {
    return zk.apply(session, call(std::move(request))).result.code;
  };
  CHECK(code(ZkCreate{"/big", std::string(6 * kUnit, 'x')}) == ZkCode::kOk);
  CHECK(code(ZkCreate{"/x", ""}) == ZkCode::kNoAuth);
  CHECK(code(ZkSet{"/big", std::string(8 * kUnit, 'x')}) == ZkCode::kNoAuth);
  CHECK(code(ZkSet{"/big", "small"}) == ZkCode::kOk);
  CHECK(code(ZkCreate{"/x", std::string(4 * kUnit, 'x')}) == ZkCode::kOk);
  CHECK(code(ZkCreate{"/y", std::string(kUnit, 'y')}) == ZkCode::kNoAuth);
  CHECK(code(ZkDelete{"/x"}) == ZkCode::kOk);
  CHECK(code(ZkCreate{"/y", std::string(kUnit, 'y')}) == ZkCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "who is silent for a timeout loses its session and its ephemerals") {
  create(a, "/e", ZkMode::kEphemeral);
  CHECK(zk.next_expiry() == start + seconds(1));
  CHECK(zk.expire(start + milliseconds(999)).empty());
  zk.touch(a, start + milliseconds(500));
  CHECK(zk.expire(start + seconds(1)).empty());
  CHECK(zk.expire(start + milliseconds(1500)) == std::vector<uint64_t>{a});
  CHECK_FALSE(zk.alive(a));
  zk.advance(b, zk.zxid());
  CHECK(exists(b, "/e") == ZkCode::kNoNode);
  CHECK(create(a, "/f").result.code == ZkCode::kUnknown);
  CHECK(zk.tree().count("/f") == 0);
}

TEST_CASE_FIXTURE(Fixture, "an ensemble that is down does nothing, and ages no session") {
  zk.set_up(false, start);
  const uint64_t hash = zk.state_hash();
  CHECK(create(a, "/x").result.code == ZkCode::kUnknown);
  CHECK(zk.expire(start + seconds(100)).empty());
  CHECK(zk.state_hash() == hash);
  zk.set_up(true, start + seconds(100));
  CHECK(zk.next_expiry() == start + seconds(101));
  create(a, "/x");
  CHECK(zk.state_hash() != hash);
}

}  // namespace kvd
