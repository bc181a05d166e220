// The ZooKeeper client against a real server: the conformance script, and what happens to sessions and calls
// when the server goes away. No timing is asserted; everything waits for what it expects, with a deadline. Sessions are
// long, so that a machine which stands still for a while loses none of them; where the server's silence must be noticed
// or a session must expire they are short, and the test bears the loss of one too early.
#include "shell/zookeeper/zk_client.hpp"

#include <doctest.h>
#include <fmt/format.h>
#include <uv.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "cluster/zookeeper_door.hpp"
#include "msg/limits.hpp"
#include "rig/free_port.hpp"
#include "rig/zookeeper_server.hpp"
#include "shell/zookeeper/zk_bridge.hpp"
#include "support/zk_conformance.hpp"

namespace kvd::testing {
namespace {

constexpr uint64_t kDeadlineMs = 120'000;

// Some clients on one loop. Closes what is still open when it goes.
class Harness {
 public:
  struct Client {
    std::unique_ptr<ZkClient> zk;
    std::deque<ZkResult> results;
    std::deque<ZkSessionChanged> changes;
    std::vector<std::string> watches;
    std::vector<LogLine> logs;
    uint64_t inputs = 0;
    bool closed = false;
  };

  Harness() {
    REQUIRE(uv_loop_init(&loop_) == 0);
    REQUIRE(uv_timer_init(&loop_, &timer_) == 0);
  }
  ~Harness() {
    for (auto& [who, client] : clients_) {
      if (client.zk && !client.closed) close(who);
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop_) != 0) MESSAGE("a handle was left open");
  }

  Client& add(char who, ZkOptions options) {
    Client& client = clients_[who];
    client = Client{};
    const auto inputs = [&client](NodeInput input) {
      ++client.inputs;
      if (auto* result = std::get_if<ZkResult>(&input)) client.results.push_back(std::move(*result));
      if (auto* change = std::get_if<ZkSessionChanged>(&input)) client.changes.push_back(*change);
      if (auto* watch = std::get_if<ZkWatchFired>(&input)) client.watches.push_back(watch->path);
    };
    client.zk = std::make_unique<ZkClient>(&loop_, std::move(options), inputs, [&client](LogLine line) {
      client.logs.push_back(std::move(line));
    });
    client.zk->start();
    return client;
  }
  Client& operator[](char who) { return clients_.at(who); }

  // Runs the loop until `holds()` or the deadline; says which.
  template <class Condition>
  bool until(Condition holds, uint64_t limit_ms = kDeadlineMs) {
    const uint64_t deadline = uv_hrtime() / 1'000'000 + limit_ms;
    uv_timer_start(
        &timer_, [](uv_timer_t*) {}, 10, 10);  // so that the loop looks up now and then
    while (!holds() && uv_hrtime() / 1'000'000 < deadline) uv_run(&loop_, UV_RUN_ONCE);
    uv_timer_stop(&timer_);
    return holds();
  }
  // The next session change, which must be `state`.
  ZkSessionChanged change(char who, ZkState state) {
    Client& client = clients_.at(who);
    REQUIRE(until([&] { return !client.changes.empty(); }));
    ZkSessionChanged next = client.changes.front();
    client.changes.pop_front();
    REQUIRE(next.state == state);
    return next;
  }
  ZkResult result(char who) {
    Client& client = clients_.at(who);
    REQUIRE(until([&] { return !client.results.empty(); }));
    ZkResult next = std::move(client.results.front());
    client.results.pop_front();
    return next;
  }
  void perform(char who, ZkRequest request) {
    clients_.at(who).zk->perform({ZkCallId(++last_id_), std::move(request)});
  }
  ZkResult call(char who, ZkRequest request) {
    perform(who, std::move(request));
    ZkResult got = result(who);
    CHECK(got.id == ZkCallId(last_id_));
    return got;
  }
  // All of them succeed, in order; as many at once as the services may have.
  void call_all(char who, const std::vector<ZkRequest>& requests) {
    const uint64_t first = last_id_ + 1;
    size_t sent = 0;
    for (size_t done = 0; done < requests.size(); ++done) {
      while (sent < requests.size() && sent < done + limits::kZkServiceCalls) perform(who, requests[sent++]);
      const ZkResult got = result(who);
      CHECK(got.id == ZkCallId(first + done));
      CHECK(got.code == ZkCode::kOk);
    }
  }
  void close(char who) {
    Client& client = clients_.at(who);
    client.zk->close([&client] { client.closed = true; });
    const uint64_t inputs = client.inputs;
    CHECK(until([&] { return client.closed; }));
    CHECK(client.inputs == inputs);
    client.zk.reset();
  }
  uint64_t last_id() const { return last_id_; }
  uv_loop_t* loop() { return &loop_; }

 private:
  uv_loop_t loop_{};
  uv_timer_t timer_{};
  std::map<char, Client> clients_;
  uint64_t last_id_ = 0;
};

class RealDriver : public ZkDriver {
 public:
  RealDriver(Harness& harness, ZkOptions options) : harness_(harness), options_(std::move(options)) {}
  uint64_t open(char who) override {
    harness_.add(who, options_);
    return harness_.change(who, ZkState::kConnected).session;
  }
  void close(char who) override { harness_.close(who); }
  ZkResult call(char who, ZkRequest request) override { return harness_.call(who, std::move(request)); }
  std::vector<std::string> watches(char who, size_t wanted) override {
    harness_.until([&] { return harness_[who].watches.size() >= wanted; });
    return std::exchange(harness_[who].watches, {});
  }
  // kvd sets no ACLs: an operator's tool would, so does this one.
  void make_read_only(const std::string& path) override {
    const Address& server = options_.servers.front();
    const std::string host = fmt::format("{}:{}", server.host, server.port);
    zhandle_t* tool = zookeeper_init(host.c_str(), nullptr, 30'000, nullptr, nullptr, 0);
    REQUIRE(tool != nullptr);
    const std::string whole = options_.prefix + path;
    int code = ZCONNECTIONLOSS;
    CHECK(harness_.until([&] {
      if (code != ZOK) code = zoo_set_acl(tool, whole.c_str(), -1, &ZOO_READ_ACL_UNSAFE);
      return code == ZOK;
    }));
    zookeeper_close(tool);
  }
  int64_t wall_ms() override {
    uv_timeval64_t now{};
    CHECK(uv_gettimeofday(&now) == 0);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
  }

 private:
  Harness& harness_;
  ZkOptions options_;
};

// ZooKeeper clamps sessions to 2 to 20 ticks.
constexpr int kTickMs = 1500;
constexpr Duration kShortest = milliseconds(2 * kTickMs);
constexpr Duration kLongest = milliseconds(20 * kTickMs);

struct Fixture {
  ZookeeperEnsemble server{1, kTickMs};
  Harness harness;  // goes first: a session can be closed while the server lives

  Fixture() {
    server.start();
    REQUIRE_MESSAGE(server.wait_ready(), server.log(0));
  }
  ZkOptions options(std::string prefix = "", Duration session = kLongest) const {
    return {server.addresses(), std::move(prefix), session};
  }
  ZkSessionChanged connect(char who, std::string prefix = "") {
    harness.add(who, options(std::move(prefix)));
    return harness.change(who, ZkState::kConnected);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a real server answers as the simulated ensemble does") {
  RealDriver driver(harness, options());
  check_zk_conformance(driver);
}

TEST_CASE_FIXTURE(Fixture, "the same below a prefix, which is created, and which nobody sees") {
  RealDriver driver(harness, options("/deep/down/here"));
  check_zk_conformance(driver);
  connect('X');
  CHECK(harness.call('X', ZkChildren{"/deep/down/here"}).children ==
        std::vector<std::string>{"c", "m", "q", "r", "w"});
  connect('Y', "/deep/down/here");
  CHECK(harness.call('Y', ZkChildren{"/"}).children == std::vector<std::string>{"c", "m", "q", "r", "w"});
  CHECK(harness.call('Y', ZkGet{"/", true}).code == ZkCode::kOk);
  CHECK(harness.call('X', ZkSet{"/deep/down/here", "new", -1}).code == ZkCode::kOk);
  CHECK(harness.until([&] { return harness['Y'].watches == std::vector<std::string>{"/"}; }));
}

TEST_CASE_FIXTURE(Fixture, "session and negotiated timeout are told; servers clamp what was asked for") {
  harness.add('A', options("", kLongest * 2));
  const ZkSessionChanged change = harness.change('A', ZkState::kConnected);
  CHECK(change.timeout == kLongest);
  CHECK(harness.call('A', ZkCreate{"/e", "", ZkMode::kEphemeral}).code == ZkCode::kOk);
  CHECK(harness.call('A', ZkExists{"/e"}).stat.ephemeral_owner == change.session);
}

TEST_CASE_FIXTURE(Fixture, "many calls at once are answered in order, and too many are refused") {
  connect('A');
  const size_t calls = limits::kZkCalls + 10;
  const uint64_t first = harness.last_id() + 1;
  for (size_t i = 0; i < calls; ++i) harness.perform('A', ZkExists{"/"});
  size_t done = 0;
  size_t refused = 0;
  uint64_t next = first;
  for (size_t i = 0; i < calls; ++i) {
    const ZkResult got = harness.result('A');
    if (got.code == ZkCode::kNotConnected) {
      CHECK(got.id.value >= first + limits::kZkCalls);
      ++refused;
    } else {
      CHECK(got.code == ZkCode::kOk);
      CHECK(got.id == ZkCallId(next++));
      ++done;
    }
  }
  CHECK(done == limits::kZkCalls);
  CHECK(refused == 10);
  CHECK(harness['A'].logs.size() > 0);
  CHECK(harness.call('A', ZkExists{"/"}).code == ZkCode::kOk);
}

TEST_CASE_FIXTURE(Fixture, "a thousand calls in line and a thousand watches at once") {
  connect('A');
  connect('B');
  std::vector<std::string> paths;
  for (int i = 0; i < 1000; ++i) paths.push_back(fmt::format("/service/instance-{:04}", i));
  std::vector<ZkRequest> creates{ZkCreate{"/service", "", ZkMode::kPersistent}};
  std::vector<ZkRequest> reads{ZkSync{"/service"}};
  std::vector<ZkRequest> deletes;
  for (const std::string& path : paths) {
    creates.emplace_back(ZkCreate{path, "", ZkMode::kEphemeral});
    reads.emplace_back(ZkExists{path, true});
    deletes.emplace_back(ZkDelete{path, 0});
  }
  harness.call_all('A', creates);
  harness.call_all('B', reads);
  SUBCASE("on one connection") {}
  SUBCASE("which outlive the connection") {
    REQUIRE(server.stop(0));
    for (const char who : {'A', 'B'}) harness.change(who, ZkState::kConnecting);
    server.start();
    for (const char who : {'A', 'B'}) harness.change(who, ZkState::kConnected);
  }
  harness.call_all('A', deletes);
  CHECK(harness.until([&] { return harness['B'].watches.size() >= paths.size(); }));
  CHECK(harness.call('B', ZkSync{"/service"}).code == ZkCode::kOk);
  std::vector<std::string> fired = harness['B'].watches;
  std::sort(fired.begin(), fired.end());
  CHECK(fired == paths);
}

TEST_CASE_FIXTURE(Fixture,
                  "stopped and started again: calls in between are certainly not done, the session goes on") {
  const uint64_t began = uv_hrtime();
  const uint64_t session = connect('A').session;
  harness.add('B', options("", kShortest));  // the shorter the session, the more often it dials
  CHECK(harness.call('A', ZkCreate{"/e", "", ZkMode::kEphemeral}).code == ZkCode::kOk);
  CHECK(harness.call('A', ZkGet{"/e", true}).code == ZkCode::kOk);
  REQUIRE(server.stop(0));
  harness.change('A', ZkState::kConnecting);
  CHECK(harness.call('A', ZkCreate{"/never", "", ZkMode::kPersistent}).code == ZkCode::kNotConnected);
  CHECK(harness.call('A', ZkCreate{"bad", "", ZkMode::kPersistent}).code == ZkCode::kInvalid);
  server.start();
  CHECK(harness.change('A', ZkState::kConnected).session == session);
  CHECK(harness.call('A', ZkExists{"/never"}).code == ZkCode::kNoNode);
  CHECK(harness.call('A', ZkExists{"/e"}).stat.ephemeral_owner == session);
  CHECK(harness.call('A', ZkSet{"/e", "1", -1}).code == ZkCode::kOk);
  CHECK(
      harness.until([&] { return harness['A'].watches == std::vector<std::string>{"/e"}; }));  // it was kept
  const size_t windows = 1 + (uv_hrtime() - began) / 10'000'000'000;
  // The library may write hundreds a second.
  for (const char who : {'A', 'B'}) CHECK(harness[who].logs.size() <= 6 * (windows + 1));
}

TEST_CASE_FIXTURE(Fixture,
                  "a server that falls silent: calls that are out end as unknown, each of them once") {
  // A connection that was lost even before, as the machine was slow, leaves a call certainly not done: once more then.
  int out = 0;
  for (int round = 0; round < 20 && out < 2; ++round) {
    harness.add('A', options("", kShortest));
    harness.change('A', ZkState::kConnected);
    server.pause(0);
    harness.perform('A', ZkCreate{"/perhaps", "", ZkMode::kPersistent});
    harness.perform('A', ZkMulti{{ZkCreate{"/m", "", ZkMode::kPersistent}, ZkSet{"/m", "", -1}}});
    out = 0;
    for (int i = 0; i < 2; ++i) {
      const ZkResult result = harness.result('A');
      CHECK((result.code == ZkCode::kUnknown || result.code == ZkCode::kNotConnected));
      CHECK(result.codes.empty());
      if (result.code == ZkCode::kUnknown) ++out;
    }
    harness.change('A', ZkState::kConnecting);
    server.resume(0);
    CHECK(harness.until([&] { return !harness['A'].changes.empty(); }));
    CHECK(harness['A'].results.empty());
    harness.close('A');
  }
  CHECK(out == 2);
}

TEST_CASE("an expired session: told once, calls before it unknown, another one on demand") {
  ZookeeperEnsemble ensemble(3, kTickMs);
  Harness harness;
  ensemble.start();
  REQUIRE_MESSAGE(ensemble.wait_ready(), ensemble.log(0));
  harness.add('W', {{ensemble.address(1), ensemble.address(2)}, "", kLongest});
  harness.change('W', ZkState::kConnected);
  // One client knows only a server that dies with a call unanswered; again if it had lost the connection before.
  uint64_t first = 0;
  ZkCode call = ZkCode::kNotConnected;
  for (int round = 0; round < 20 && call != ZkCode::kUnknown; ++round) {
    if (round > 0) harness.close('A');
    if (!ensemble.running(0)) ensemble.start(0);
    REQUIRE(ensemble.wait_ready());
    harness.add('A', {{ensemble.address(0)}, "", kShortest});
    first = harness.change('A', ZkState::kConnected).session;
    if (harness.call('A', ZkCreate{"/e", "", ZkMode::kEphemeral}).code != ZkCode::kOk) continue;
    ensemble.pause(0);
    harness.perform('A', ZkSet{"/", "", -1});
    ensemble.kill(0);
    call = harness.result('A').code;
    CHECK((call == ZkCode::kUnknown || call == ZkCode::kNotConnected));
  }
  REQUIRE(call == ZkCode::kUnknown);
  // The other servers end its session, which the other client sees.
  ZkCode seen = ZkCode::kUnknown;
  REQUIRE(harness.until([&] {
    if (harness.call('W', ZkSync{"/e"}).code != ZkCode::kOk) return false;
    seen = harness.call('W', ZkExists{"/e", true}).code;
    return seen == ZkCode::kOk || seen == ZkCode::kNoNode;
  }));
  if (seen == ZkCode::kOk) REQUIRE(harness.until([&] { return !harness['W'].watches.empty(); }));
  ensemble.start(0);
  std::deque<ZkSessionChanged>& changes = harness['A'].changes;
  REQUIRE(harness.until([&] { return !changes.empty() && changes.back().state == ZkState::kExpired; }));
  for (const ZkSessionChanged& change : std::exchange(changes, {})) {
    CHECK((change.state != ZkState::kConnected || change.session == first));
  }
  CHECK(harness.call('A', ZkExists{"/"}).code == ZkCode::kNotConnected);
  CHECK(changes.empty());
  harness['A'].zk->reopen();
  const uint64_t second = harness.change('A', ZkState::kConnected).session;
  CHECK(second != first);
  // The second one is as short as the first: a call may have to be made again.
  const auto surely = [&](const ZkRequest& request) {
    ZkResult result;
    CHECK(harness.until([&] {
      result = harness.call('A', request);
      return result.code != ZkCode::kUnknown && result.code != ZkCode::kNotConnected;
    }));
    return result;
  };
  CHECK(surely(ZkExists{"/e"}).code == ZkCode::kNoNode);
  surely(ZkCreate{"/e", "", ZkMode::kEphemeral});
  CHECK(surely(ZkExists{"/e"}).stat.ephemeral_owner == second);
}

TEST_CASE_FIXTURE(Fixture, "closing while calls are out, while connecting and at once") {
  connect('A');
  for (int i = 0; i < 200; ++i) {
    harness.perform('A',
                    ZkMulti{{ZkCreate{fmt::format("/x{}", i), "", ZkMode::kPersistent}, ZkCheck{"/", -1}}});
  }
  harness.close('A');
  harness.add('B', options());
  harness.close('B');
  harness.add('C', {{{"127.0.0.1", free_port()}}, "/p", kLongest});
  CHECK(harness.until([&] { return !harness['C'].logs.empty(); }));
  harness.close('C');
}

TEST_CASE("a server that is not there, nor was, is one clear line at first") {
  Harness harness;
  const uint16_t port = free_port();
  harness.add('A', {{{"127.0.0.1", port}, {"127.0.0.2", port}}, "", seconds(2)});
  REQUIRE(harness.until([&] { return !harness['A'].logs.empty(); }));
  const LogLine& line = harness['A'].logs.front();
  CHECK(line.level == LogLevel::kWarn);
  CHECK(line.message == "no connection to ZooKeeper yet, trying on");
  REQUIRE(line.fields.size() == 2);
  CHECK(line.fields[0].second == fmt::format("127.0.0.1:{},127.0.0.2:{}", port, port));
  CHECK(line.fields[1].second.find("Connection refused") != std::string::npos);
}

namespace {

const char kRefused[] =
    "ZooKeeper refuses this server's session though it answers others: it seems to have lost data; "
    "begins a new session";

size_t said(const Harness::Client& client, const std::string& message) {
  return std::count_if(client.logs.begin(), client.logs.end(),
                       [&](const LogLine& line) { return line.message == message; });
}

// Sessions 1, 2 and so on. Shut, the door turns away whoever had one.
struct DoorFixture {
  static constexpr int kSessionMs = 3000;
  const uint16_t port = free_port();
  Harness harness;
  uint64_t sessions = 0;
  bool open_to_new = true;
  bool open_to_former = true;
  ZookeeperDoor door{harness.loop(), port, [this](uint64_t asked) { return admit(asked); }, kSessionMs};

  uint64_t admit(uint64_t asked) {
    if (asked != 0) return open_to_former ? asked : 0;
    return open_to_new ? ++sessions : 0;
  }
  void connect() {
    harness.add('A', {{{"127.0.0.1", port}}, "", milliseconds(kSessionMs)});
    CHECK(harness.change('A', ZkState::kConnected).session == 1);
  }
  void lose_connection() {
    open_to_former = false;
    door.hang_up();
    harness.change('A', ZkState::kConnecting);
  }
  size_t new_ones() const { return std::count(door.asked().begin(), door.asked().end(), uint64_t{0}); }
  ~DoorFixture() {
    if (!harness['A'].closed) harness.close('A');
  }
};

}  // namespace

TEST_CASE_FIXTURE(DoorFixture, "a session that is refused while a new one would not be is given up") {
  connect();
  harness.perform('A', ZkSet{"/", "", -1});
  lose_connection();
  CHECK(harness.result('A').code == ZkCode::kUnknown);
  harness.change('A', ZkState::kExpired);
  CHECK(said(harness['A'], kRefused) == 1);
  CHECK(harness.call('A', ZkExists{"/"}).code == ZkCode::kNotConnected);
  harness['A'].zk->reopen();
  CHECK(harness.change('A', ZkState::kConnected).session == 3);
  CHECK(door.closed() == std::set<uint64_t>{2});
  CHECK(harness['A'].changes.empty());
}

TEST_CASE_FIXTURE(DoorFixture,
                  "a session that comes back while a new one is tried goes on, again and again") {
  connect();
  for (uint64_t trial = 2; trial < 4; ++trial) {
    lose_connection();
    REQUIRE(harness.until([&] { return sessions == trial; }));
    open_to_former = true;
    CHECK(harness.change('A', ZkState::kConnected).session == 1);
    CHECK(harness.until([&] { return door.closed().contains(trial); }));
  }
  CHECK(harness['A'].changes.empty());
  CHECK(door.closed().size() == 2);
  CHECK(said(harness['A'], kRefused) == 0);
}

TEST_CASE_FIXTURE(DoorFixture,
                  "a new session that is lost itself proves nothing, and is followed by another one") {
  connect();
  lose_connection();
  REQUIRE(harness.until([&] { return sessions == 2; }));
  open_to_new = false;
  door.hang_up();
  const size_t before = new_ones();
  REQUIRE(harness.until([&] { return new_ones() > before; }));
  CHECK(harness['A'].changes.empty());
  open_to_new = true;
  harness.change('A', ZkState::kExpired);
  CHECK(sessions == 3);
}

TEST_CASE_FIXTURE(DoorFixture, "closing while a new session is tried") {
  connect();
  SUBCASE("and not let in either") {
    open_to_new = false;
    lose_connection();
    REQUIRE(harness.until([&] { return new_ones() > 1; }));
    harness.close('A');
  }
  SUBCASE("and let in") {
    lose_connection();
    REQUIRE(harness.until([&] { return sessions == 2; }));
    harness.close('A');
  }
  SUBCASE("and let in, and the former one as well") {
    lose_connection();
    REQUIRE(harness.until([&] { return sessions == 2; }));
    open_to_former = true;
    REQUIRE(harness.until([&] { return door.asked().back() == 1; }));
    harness.close('A');
  }
  CHECK(harness['A'].changes.size() <= 1);
}

TEST_CASE_FIXTURE(Fixture, "a server that is without its data, or with older data, gets a new session") {
  harness.add('A', options("/p", kShortest * 2));
  const uint64_t session = harness.change('A', ZkState::kConnected).session;
  REQUIRE(server.stop(0));
  server.save_data(0);
  server.start();
  harness.change('A', ZkState::kConnecting);
  CHECK(harness.change('A', ZkState::kConnected).session == session);
  // More than the new sessions are for the server, which would take the former one as soon as it had seen as much.
  harness.call_all('A', std::vector<ZkRequest>(100, ZkSet{"/", "", -1}));
  server.kill(0);
  SUBCASE("wiped") { server.wipe_data(0); }
  SUBCASE("restored") { server.restore_data(0); }
  server.start();
  harness.change('A', ZkState::kConnecting);
  harness.change('A', ZkState::kExpired);
  CHECK(said(harness['A'], kRefused) == 1);
  harness['A'].zk->reopen();
  CHECK(harness.change('A', ZkState::kConnected).session != session);
  CHECK(harness.call('A', ZkCreate{"/new", "", ZkMode::kPersistent}).code == ZkCode::kOk);
}

TEST_CASE_FIXTURE(Fixture,
                  "a server that comes back with its data goes on with a session that seemed long over") {
  harness.add('A', options("", kShortest * 3));
  const uint64_t session = harness.change('A', ZkState::kConnected).session;
  CHECK(harness.call('A', ZkCreate{"/e", "", ZkMode::kEphemeral}).code == ZkCode::kOk);
  REQUIRE(server.stop(0));
  harness.change('A', ZkState::kConnecting);
  {
    ZookeeperDoor door(
        harness.loop(), server.address(0).port, [](uint64_t) { return 0; }, 0);
    const auto tried = [&] { return std::count(door.asked().begin(), door.asked().end(), uint64_t{0}) > 0; };
    REQUIRE(harness.until(tried));  // a new session: the time of the former one is over
  }
  server.start();
  CHECK(harness.change('A', ZkState::kConnected).session == session);
  CHECK(harness.call('A', ZkExists{"/e"}).stat.ephemeral_owner == session);
  CHECK(said(harness['A'], kRefused) == 0);
}

TEST_CASE_FIXTURE(Fixture, "a server that comes late, and one among others that are absent") {
  const Address absent{"127.0.0.1", free_port()};
  REQUIRE(server.stop(0));
  harness.add('A', options("/late"));
  // Several, as the library shuffles its list and with two servers would find the living one only half of the
  // time.
  for (const char who : {'B', 'C', 'D', 'E'}) {
    harness.add(who, {{absent, server.address(0)}, "", kLongest});
    harness.add(static_cast<char>(who + 10), {{absent, absent, absent, server.address(0)}, "", kLongest});
  }
  CHECK(harness.call('A', ZkGet{"/x"}).code == ZkCode::kNotConnected);
  server.start();
  CHECK(harness.change('A', ZkState::kConnected).session != 0);
  for (const char who : {'B', 'C', 'D', 'E'}) {
    CHECK(harness.change(who, ZkState::kConnected).session != 0);
    CHECK(harness.change(static_cast<char>(who + 10), ZkState::kConnected).session != 0);
  }
  CHECK(harness.call('B', ZkSync{"/"}).code == ZkCode::kOk);
  CHECK(harness.call('B', ZkExists{"/late"}).code == ZkCode::kOk);
}

TEST_CASE("an ensemble answers the same, and a session outlives the death of its server") {
  ZookeeperEnsemble ensemble(3, kTickMs);
  Harness harness;
  ensemble.start();
  REQUIRE_MESSAGE(ensemble.wait_ready(), ensemble.log(0));
  RealDriver driver(harness, {ensemble.addresses(), "/kvd", kLongest});
  check_zk_conformance(driver);

  const uint64_t session = driver.open('C');
  CHECK(harness.call('C', ZkCreate{"/e", "", ZkMode::kEphemeral}).code == ZkCode::kOk);
  bool moved = false;
  for (int member = 0; member < 3 && !moved; ++member) {  // one of them is the session's server
    ensemble.kill(member);
    CHECK(harness.until([&] {
      return harness.call('C', ZkSet{"/e", "", -1}).code == ZkCode::kOk &&
             harness['C'].changes.size() % 2 == 0;
    }));
    moved = !harness['C'].changes.empty();
    for (const ZkSessionChanged& change : std::exchange(harness['C'].changes, {})) {
      CHECK(change.state != ZkState::kExpired);
      CHECK((change.state == ZkState::kConnecting || change.session == session));
    }
    ensemble.start(member);
    REQUIRE(ensemble.wait_ready());
  }
  CHECK(moved);
  CHECK(harness.call('C', ZkExists{"/e"}).stat.ephemeral_owner == session);
}

TEST_CASE("codes that no server of these tests gives: what is certainly not done and what is not known") {
  for (const int code : {ZNOTREADONLY, ZTHROTTLEDOP}) CHECK(zk_code_of(code) == ZkCode::kNotConnected);
  CHECK(zk_code_of(-125) == ZkCode::kNoAuth);  // a quota is exceeded
  CHECK(zk_code_of(ZEPHEMERALONLOCALSESSION) == ZkCode::kInvalid);
  for (const int code : std::initializer_list<int>{
           ZSYSTEMERROR, ZRUNTIMEINCONSISTENCY, ZCONNECTIONLOSS, ZMARSHALLINGERROR, ZOPERATIONTIMEOUT,
           ZAPIERROR, ZSESSIONEXPIRED, ZSESSIONMOVED, ZAUTHFAILED, ZCLOSING, -999}) {
    CHECK(zk_code_of(code) == ZkCode::kUnknown);
  }
}

TEST_CASE("addresses that the library cannot use are a line in the log, again and again") {
  Harness harness;
  harness.add('A', {{{"no-such-host.invalid", 2181}}, "", seconds(2)});
  const auto tries = [&] {
    return std::count_if(harness['A'].logs.begin(), harness['A'].logs.end(),
                         [](const LogLine& line) { return line.level == LogLevel::kError; });
  };
  CHECK(harness.until([&] { return tries() >= 2; }));
  CHECK(harness['A'].logs.size() == 2);
  const LogLine& line = harness['A'].logs.front();
  CHECK(line.message == "cannot use the ZooKeeper servers' addresses, trying again");
  CHECK(line.fields.front().second.starts_with("no-such-host.invalid: "));
  CHECK(harness.call('A', ZkGet{"/x"}).code == ZkCode::kNotConnected);
  harness.close('A');
}

}  // namespace kvd::testing
