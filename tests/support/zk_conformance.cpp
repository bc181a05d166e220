// The conformance script: see the header.
// A table; each line is one call with its whole result, or one expectation.
#include "support/zk_conformance.hpp"

#include <doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "msg/limits.hpp"
#include "msg/text.hpp"

namespace kvd::testing {
namespace {

constexpr auto kPersistent = ZkMode::kPersistent;
constexpr auto kPersistentSequential = ZkMode::kPersistentSequential;
constexpr auto kEphemeral = ZkMode::kEphemeral;
constexpr auto kEphemeralSequential = ZkMode::kEphemeralSequential;

struct Expect {
  ZkCode code = ZkCode::kOk;
  std::string data;
  std::vector<std::string> children;
  std::string path;
  std::vector<ZkCode> codes;
  std::vector<std::string> paths;
  int32_t version = 0;
  char owner = '-';  // whose ephemeral; '-': nobody's
  int32_t children_version = 0;
  int32_t children_count = 0;

  Expect with_children(int32_t version_of_children, int32_t count) && {
    children_version = version_of_children;
    children_count = count;
    return std::move(*this);
  }
};

enum class Act : uint8_t { kOpen, kClose, kForbid, kCall, kFires, kFired };
struct Step {
  Act act;
  char who;
  ZkRequest request;
  Expect expect;
  // Exactly these, since the last such step of that session. kFires waits for them, kFired does not.
  std::vector<std::string> paths;
};

Step open(char who) { return {Act::kOpen, who, {}, {}, {}}; }
Step close(char who) { return {Act::kClose, who, {}, {}, {}}; }
Step fires(char who, std::vector<std::string> paths) { return {Act::kFires, who, {}, {}, std::move(paths)}; }
Step forbid(std::string path) { return {Act::kForbid, '-', {}, {}, {std::move(path)}}; }
Step fired(char who, std::vector<std::string> paths) { return {Act::kFired, who, {}, {}, std::move(paths)}; }
Step call(char who, ZkRequest request, Expect expect) {
  return {Act::kCall, who, std::move(request), std::move(expect), {}};
}

Expect code(ZkCode value) {
  Expect expect;
  expect.code = value;
  return expect;
}
Expect ok() { return {}; }
Expect made(std::string path) {
  Expect expect;
  expect.path = std::move(path);
  return expect;
}
Expect found(int32_t version, std::string data = "", char owner = '-') {
  Expect expect;
  expect.version = version;
  expect.data = std::move(data);
  expect.owner = owner;
  return expect;
}
Expect listed(std::vector<std::string> children, int32_t children_version, int32_t version = 0) {
  Expect expect;
  expect.version = version;
  expect.children_version = children_version;
  expect.children_count = static_cast<int32_t>(children.size());
  expect.children = std::move(children);
  return expect;
}
Expect all(std::vector<std::string> paths) {
  Expect expect;
  expect.codes.assign(paths.size(), ZkCode::kOk);
  expect.paths = std::move(paths);
  return expect;
}
Expect none(ZkCode first, std::vector<ZkCode> codes) {
  Expect expect;
  expect.code = first;
  expect.paths.assign(codes.size(), "");
  expect.codes = std::move(codes);
  return expect;
}

ZkMulti multi(std::vector<std::variant<ZkCreate, ZkDelete, ZkSet, ZkCheck>> ops) { return {std::move(ops)}; }

std::vector<Step> creating() {
  return {
      open('A'),
      open('B'),
      call('A', ZkCreate{"/c", "root", kPersistent}, made("/c")),
      call('A', ZkCreate{"/c", "", kPersistent}, code(ZkCode::kNodeExists)),
      call('A', ZkCreate{"/no/child", "", kPersistent}, code(ZkCode::kNoNode)),
      call('A', ZkGet{"/c"}, found(0, "root")),
      call('A', ZkGet{"/no"}, code(ZkCode::kNoNode)),
      call('A', ZkExists{"/no"}, code(ZkCode::kNoNode)),
      call('A', ZkChildren{"/no"}, code(ZkCode::kNoNode)),
      // Ten digits, counted by the parent; other children take numbers too, and a failure takes none.
      call('A', ZkCreate{"/c/server_", "a", kEphemeralSequential}, made("/c/server_0000000000")),
      call('B', ZkCreate{"/c/plain", "", kPersistent}, made("/c/plain")),
      call('B', ZkCreate{"/c/plain", "", kPersistent}, code(ZkCode::kNodeExists)),
      call('B', ZkCreate{"/c/server_", "b", kEphemeralSequential}, made("/c/server_0000000002")),
      call('B', ZkDelete{"/c/server_0000000002"}, ok()),
      call('B', ZkCreate{"/c/server_", "b", kEphemeralSequential}, made("/c/server_0000000003")),
      call('A', ZkCreate{"/c/", "digits", kEphemeralSequential}, made("/c/0000000004")),
      call('A', ZkSync{"/c"}, ok()),
      call('A', ZkChildren{"/c"},
           listed({"0000000004", "plain", "server_0000000000", "server_0000000003"}, 6)),
      call('A', ZkExists{"/c/server_0000000003"}, found(0, "", 'B')),
      call('A', ZkGet{"/c/server_0000000000"}, found(0, "a", 'A')),
      // An ephemeral has no children.
      call('A', ZkCreate{"/c/server_0000000000/x", "", kPersistent}, code(ZkCode::kNoChildrenForEphemerals)),
      call('A', ZkCreate{"/c/alive", "", kEphemeral}, made("/c/alive")),
      call('B', ZkCreate{"/c/alive", "", kEphemeral}, code(ZkCode::kNodeExists)),
  };
}

std::vector<Step> changing() {
  return {
      call('A', ZkSet{"/c", "one", 0}, found(1).with_children(7, 5)),
      call('A', ZkSet{"/c", "two", 0}, code(ZkCode::kBadVersion)),
      call('A', ZkSet{"/c", "three", -1}, found(2).with_children(7, 5)),
      call('A', ZkSet{"/no", "", -1}, code(ZkCode::kNoNode)),
      call('A', ZkGet{"/c"}, found(2, "three").with_children(7, 5)),
      call('A', ZkDelete{"/no", -1}, code(ZkCode::kNoNode)),
      call('A', ZkDelete{"/no/child", -1}, code(ZkCode::kNoNode)),
      call('A', ZkDelete{"/c", 1}, code(ZkCode::kBadVersion)),  // before it sees the children
      call('A', ZkDelete{"/c", 2}, code(ZkCode::kNotEmpty)),
      call('A', ZkDelete{"/c/plain", 0}, ok()),
      call('A', ZkExists{"/c/plain"}, code(ZkCode::kNoNode)),
  };
}

std::vector<Step> counting() {
  return {
      call('A', ZkCreate{"/q", "", kPersistent}, made("/q")),
      // One counter for children of all modes.
      call('A', ZkCreate{"/q/p_", "1", kPersistentSequential}, made("/q/p_0000000000")),
      call('B', ZkCreate{"/q/e_", "", kEphemeralSequential}, made("/q/e_0000000001")),
      call('A', ZkCreate{"/q/plain", "", kEphemeral}, made("/q/plain")),
      call('A', ZkDelete{"/q/p_0000000000", -1}, ok()),
      call('A', ZkCreate{"/q/", "digits", kPersistentSequential}, made("/q/0000000003")),
      call('A', ZkGet{"/q/0000000003"}, found(0, "digits")),
      call('A', ZkCreate{"/no/p_", "", kPersistentSequential}, code(ZkCode::kNoNode)),
      call(
          'A',
          multi({ZkCreate{"/q/p_", "", kPersistentSequential}, ZkDelete{"/q/p_0000000004", 0},
                 ZkCreate{"/q/e_", "", kEphemeralSequential}, ZkCreate{"/q/p_", "6", kPersistentSequential}}),
          all({"/q/p_0000000004", "", "/q/e_0000000005", "/q/p_0000000006"})),
      // What fails takes no number.
      call('A', multi({ZkCreate{"/q/p_", "", kPersistentSequential}, ZkCheck{"/q", 7}}),
           none(ZkCode::kBadVersion, {ZkCode::kRolledBack, ZkCode::kBadVersion})),
      call('B', ZkCreate{"/q/p_", "7", kPersistentSequential}, made("/q/p_0000000007")),
      // It is nobody's, and has children and a counter of its own.
      call('B', ZkCreate{"/q/p_0000000007/", "", kPersistentSequential}, made("/q/p_0000000007/0000000000")),
      call('B', ZkGet{"/q/p_0000000007"}, found(0, "7").with_children(1, 1)),
      call('B', ZkChildren{"/q"},
           listed({"0000000003", "e_0000000001", "e_0000000005", "p_0000000006", "p_0000000007", "plain"},
                  10)),
  };
}

std::vector<Step> transactions() {
  const auto kRolledBack = ZkCode::kRolledBack;
  return {
      call('A',
           multi({ZkCreate{"/m", "0", kPersistent}, ZkCreate{"/m/x_", "1", kEphemeralSequential},
                  ZkSet{"/m", "2", 0}, ZkCheck{"/m", 1}, ZkDelete{"/m/x_0000000000", 0}}),
           all({"/m", "/m/x_0000000000", "", "", ""})),
      call('A', ZkGet{"/m"}, found(1, "2").with_children(2, 0)),
      // Made and unmade in one: how to check that something is absent.
      call('A', multi({ZkCreate{"/absent", "", kPersistent}, ZkDelete{"/absent", -1}}), all({"/absent", ""})),
      call('A', ZkExists{"/absent"}, code(ZkCode::kNoNode)),
      call('A', multi({ZkCreate{"/m", "", kPersistent}, ZkDelete{"/m", -1}}),
           none(ZkCode::kNodeExists, {ZkCode::kNodeExists, kRolledBack})),
      call('A', ZkChildren{"/m"}, listed({}, 2, 1)),
      call('A', multi({ZkCheck{"/m", 1}}), all({""})),
      call('A', multi({ZkCheck{"/m", 7}}), none(ZkCode::kBadVersion, {ZkCode::kBadVersion})),
      // What fails first, in the middle and last.
      call('A',
           multi({ZkCreate{"/m", "", kEphemeral}, ZkCreate{"/m/s_", "", kEphemeralSequential},
                  ZkSet{"/m", "", -1}}),
           none(ZkCode::kNodeExists, {ZkCode::kNodeExists, kRolledBack, kRolledBack})),
      call('A',
           multi({ZkSet{"/m", "lost", 1}, ZkDelete{"/no", -1}, ZkCreate{"/m/s_", "", kEphemeralSequential}}),
           none(ZkCode::kNoNode, {kRolledBack, ZkCode::kNoNode, kRolledBack})),
      call('A',
           multi({ZkSet{"/m", "lost", 1}, ZkCreate{"/m/s_", "", kEphemeralSequential}, ZkCheck{"/m", 1}}),
           none(ZkCode::kBadVersion, {kRolledBack, kRolledBack, ZkCode::kBadVersion})),
      call('A', multi({ZkCreate{"/m/y", "", kPersistent}, ZkDelete{"/m", -1}}),
           none(ZkCode::kNotEmpty, {kRolledBack, ZkCode::kNotEmpty})),
      call('A', multi({ZkCheck{"/no", -1}, ZkDelete{"/no", -1}}),
           none(ZkCode::kNoNode, {ZkCode::kNoNode, kRolledBack})),
      call('A', ZkGet{"/m"}, found(1, "2").with_children(2, 0)),
      call('A', ZkChildren{"/m"}, listed({}, 2, 1)),
      // None of these has taken a number: one child was created above.
      call('A', ZkCreate{"/m/s_", "", kEphemeralSequential}, made("/m/s_0000000001")),
      call('A', multi({ZkSet{"/m", "", -1}, ZkCreate{"/m/s_0000000001/x", "", kPersistent}}),
           none(ZkCode::kNoChildrenForEphemerals, {kRolledBack, ZkCode::kNoChildrenForEphemerals})),
      call('A', ZkGet{"/m"}, found(1, "2").with_children(3, 1)),
      // Delete and create again in one, as a server does that finds its former self registered.
      call('A', multi({ZkDelete{"/m/s_0000000001", 0}, ZkCreate{"/m/s_0000000001", "new", kEphemeral}}),
           all({"", "/m/s_0000000001"})),
      call('B', ZkSync{"/m"}, ok()),
      call('B', ZkGet{"/m/s_0000000001"}, found(0, "new", 'A')),
  };
}

std::vector<Step> refusing() {
  return {
      call('A', ZkCreate{"relative", "", kPersistent}, code(ZkCode::kInvalid)),
      call('A', ZkCreate{"", "", kPersistent}, code(ZkCode::kInvalid)),
      call('A', ZkCreate{"/c//x", "", kPersistent}, code(ZkCode::kInvalid)),
      call('A', ZkCreate{"/c/x/", "", kPersistent}, code(ZkCode::kInvalid)),
      call('A', ZkCreate{"/c/./x", "", kPersistent}, code(ZkCode::kInvalid)),
      call('A', ZkGet{"/c/.."}, code(ZkCode::kInvalid)),
      call('A', ZkExists{std::string("/c\0x", 4)}, code(ZkCode::kInvalid)),
      call('A', ZkSet{"/c/\x1f", "", -1}, code(ZkCode::kInvalid)),
      call('A', multi({}), code(ZkCode::kInvalid)),
      call('A', multi({ZkSet{"/c", "", -1}, ZkDelete{"/c/x/", -1}, ZkSet{"/c", "", -1}}),
           code(ZkCode::kInvalid)),
      call('A', ZkSet{"/c", std::string(limits::kZkData, 'x'), -1}, code(ZkCode::kInvalid)),
      call('A',
           multi({ZkSet{"/c", std::string(limits::kZkData / 2, 'x'), -1},
                  ZkSet{"/c", std::string(limits::kZkData / 2, 'x'), -1}}),
           code(ZkCode::kInvalid)),
      call('A', ZkSet{"/c", std::string(limits::kZkData - 2, 'x'), 2}, found(3).with_children(8, 4)),
      call('A', ZkSet{"/c", std::string("\xff\0 bytes", 8), 3}, found(4).with_children(8, 4)),
      call('A', ZkGet{"/c"}, found(4, std::string("\xff\0 bytes", 8)).with_children(8, 4)),
  };
}

std::vector<Step> forbidding() {
  const auto kNoAuth = ZkCode::kNoAuth;
  const auto kRolledBack = ZkCode::kRolledBack;
  return {
      call('A', ZkCreate{"/r", "", kPersistent}, made("/r")),
      call('A', ZkCreate{"/r/kept", "", kPersistent}, made("/r/kept")),
      call('A', ZkCreate{"/r/alive", "", kEphemeral}, made("/r/alive")),
      call('A', ZkGet{"/r", true}, found(0).with_children(2, 2)),
      forbid("/r"),
      // Before anything else that is wrong with a write.
      call('A', ZkSet{"/r", "", 0}, code(kNoAuth)),
      call('A', ZkSet{"/r", "", 7}, code(kNoAuth)),
      call('A', ZkCreate{"/r/new", "", kPersistent}, code(kNoAuth)),
      call('A', ZkCreate{"/r/new_", "", kEphemeralSequential}, code(kNoAuth)),
      call('A', ZkCreate{"/r/kept", "", kPersistent}, code(kNoAuth)),
      call('A', ZkDelete{"/r/kept", -1}, code(kNoAuth)),
      call('A', ZkDelete{"/r/no", -1}, code(kNoAuth)),
      // It is no matter of what can be read, of what is below, nor of the znode itself, which is its parent's.
      call('A', ZkGet{"/r"}, found(0).with_children(2, 2)),
      call('A', ZkChildren{"/r"}, listed({"alive", "kept"}, 2)),
      call('A', ZkSet{"/r/kept", "new", 0}, found(1)),
      call('A', ZkCreate{"/r/kept/below", "", kPersistent}, made("/r/kept/below")),
      call('A', ZkDelete{"/r", 0}, code(ZkCode::kNotEmpty)),
      fires('A', {}),
      call('A', multi({ZkCheck{"/r", 0}, ZkSet{"/r/kept", "", 1}, ZkCreate{"/r/new", "", kPersistent}}),
           none(kNoAuth, {kRolledBack, kRolledBack, kNoAuth})),
      call('A', multi({ZkSet{"/r", "", 0}, ZkCheck{"/r", 0}}), none(kNoAuth, {kNoAuth, kRolledBack})),
      call('A', multi({ZkDelete{"/r/kept/below", 0}, ZkDelete{"/r/kept", -1}}),
           none(kNoAuth, {kRolledBack, kNoAuth})),
      call('A', ZkGet{"/r/kept"}, found(1, "new").with_children(1, 1)),
  };
}

std::vector<Step> watching() {
  return {
      call('A', ZkCreate{"/w", "", kPersistent}, made("/w")),
      call('B', ZkSync{"/w"}, ok()),
      call('B', ZkGet{"/w", true}, found(0)),
      call('A', ZkSet{"/w", "1", -1}, found(1)),
      fires('B', {"/w"}),
      call('A', ZkSet{"/w", "2", -1}, found(2)),  // one-shot
      call('B', ZkSync{"/w"}, ok()),
      fires('B', {}),
      // What is not there can be watched by ZkExists alone.
      call('B', ZkExists{"/w/new", true}, code(ZkCode::kNoNode)),
      call('B', ZkGet{"/w/other", true}, code(ZkCode::kNoNode)),
      call('B', ZkChildren{"/w/other", true}, code(ZkCode::kNoNode)),
      call('A', ZkCreate{"/w/new", "", kPersistent}, made("/w/new")),
      call('A', ZkCreate{"/w/other", "", kPersistent}, made("/w/other")),
      fires('B', {"/w/new"}),
      // Children: created and deleted, not changed. Data: not by children.
      call('B', ZkSync{"/w"}, ok()),
      call('B', ZkChildren{"/w", true}, listed({"new", "other"}, 2, 2)),
      call('B', ZkExists{"/w", true}, found(2).with_children(2, 2)),
      call('A', ZkSet{"/w/new", "", -1}, found(1)),
      call('B', ZkSync{"/w"}, ok()),
      fires('B', {}),
      call('A', ZkDelete{"/w/other", -1}, ok()),
      fires('B', {"/w"}),
      call('A', ZkSet{"/w", "3", -1}, found(3).with_children(3, 1)),
      fires('B', {"/w"}),
      // A deletion fires once for whoever watches data and children. Two reads make one watch.
      call('B', ZkSync{"/w"}, ok()),
      call('B', ZkGet{"/w/new", true}, found(1)),
      call('B', ZkExists{"/w/new", true}, found(1)),
      call('B', ZkChildren{"/w/new", true}, listed({}, 0, 1)),
      call('A', ZkDelete{"/w/new", -1}, ok()),
      fires('B', {"/w/new"}),
      // One's own changes as well; a rolled back multi changes nothing.
      call('A', ZkGet{"/w", true}, found(3, "3").with_children(4, 0)),
      call('A', multi({ZkSet{"/w", "", -1}, ZkDelete{"/no", -1}}),
           none(ZkCode::kNoNode, {ZkCode::kRolledBack, ZkCode::kNoNode})),
      call('A', ZkSync{"/w"}, ok()),
      fires('A', {}),
      call('A', multi({ZkSet{"/w", "4", -1}, ZkCheck{"/w", 4}}), all({"", ""})),
      fires('A', {"/w"}),
  };
}

// Who watches one path twice. After a ZkSync whatever was on its way has come.
std::vector<Step> watching_twice() {
  return {
      call('A', ZkCreate{"/t", "", kPersistent}, made("/t")),
      call('B', ZkSync{"/t"}, ok()),
      // The same: one event.
      call('B', ZkGet{"/t", true}, found(0)),
      call('B', ZkGet{"/t", true}, found(0)),
      call('B', ZkExists{"/t", true}, found(0)),
      call('A', ZkSet{"/t", "1", -1}, found(1)),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t"}),
      call('B', ZkChildren{"/t", true}, listed({}, 0, 1)),
      call('B', ZkChildren{"/t", true}, listed({}, 0, 1)),
      call('B', ZkExists{"/t/x", true}, code(ZkCode::kNoNode)),
      call('B', ZkExists{"/t/x", true}, code(ZkCode::kNoNode)),
      call('A', ZkCreate{"/t/x", "", kPersistent}, made("/t/x")),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t", "/t/x"}),
      // Data and children: one event each, when it happens to each, whatever the order of the reads.
      call('B', ZkGet{"/t", true}, found(1, "1").with_children(1, 1)),
      call('B', ZkChildren{"/t", true}, listed({"x"}, 1, 1)),
      call('A', ZkSet{"/t", "2", -1}, found(2).with_children(1, 1)),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t"}),
      call('A', ZkDelete{"/t/x", -1}, ok()),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t"}),
      call('B', ZkChildren{"/t", true}, listed({}, 2, 2)),
      call('B', ZkExists{"/t", true}, found(2).with_children(2, 0)),
      call('A', multi({ZkCreate{"/t/y", "", kPersistent}, ZkSet{"/t", "3", -1}}), all({"/t/y", ""})),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t", "/t"}),
      // One's own change: the event comes first.
      call('B', ZkGet{"/t", true}, found(3, "3").with_children(3, 1)),
      call('B', ZkChildren{"/t", true}, listed({"y"}, 3, 3)),
      call('B', ZkSet{"/t", "4", 3}, found(4).with_children(3, 1)),
      fired('B', {"/t"}),
      // A deletion is one event for both.
      call('A', ZkDelete{"/t/y", -1}, ok()),
      fires('B', {"/t"}),
      call('B', ZkGet{"/t", true}, found(4, "4").with_children(4, 0)),
      call('B', ZkChildren{"/t", true}, listed({}, 4, 4)),
      call('A', ZkDelete{"/t", 4}, ok()),
      call('B', ZkSync{"/t"}, ok()),
      fired('B', {"/t"}),
  };
}

std::vector<Step> ending() {
  return {
      call('B', ZkSync{"/c"}, ok()),
      call('B', ZkExists{"/c/alive", true}, found(0, "", 'A')),
      call('B', ZkChildren{"/c", true},
           listed({"0000000004", "alive", "server_0000000000", "server_0000000003"}, 8, 4)),
      close('A'),  // its ephemerals vanish at once
      fires('B', {"/c", "/c/alive"}),
      call('B', ZkChildren{"/c"}, listed({"server_0000000003"}, 11, 4)),
      call('B', ZkExists{"/m/s_0000000001"}, code(ZkCode::kNoNode)),
      call('B', ZkChildren{"/q"}, listed({"0000000003", "e_0000000001", "p_0000000006", "p_0000000007"}, 12)),
      call('B', ZkChildren{"/r"}, listed({"kept"}, 3)),  // no matter what is forbidden
      open('A'),
      call('A', ZkExists{"/c/server_0000000003"}, found(0, "", 'B')),
      // A parent that was made anew counts from zero.
      call('A', ZkDelete{"/m", -1}, ok()),
      call('A', ZkCreate{"/m", "", kPersistent}, made("/m")),
      call('A', ZkCreate{"/m/s_", "", kEphemeralSequential}, made("/m/s_0000000000")),
      close('B'),
      close('A'),
  };
}

// What the script has seen so far, by which it judges what no table can say: zxids and times.
class Checker {
 public:
  explicit Checker(ZkDriver& driver) : driver_(driver) {}
  void run(const std::vector<Step>& steps);

 private:
  void perform(const Step& step);
  void check_stats(const Step& step, const ZkCreate& create, const ZkResult& got);
  void check_stats(const Step& step, const ZkSet& set, const ZkResult& got);
  void check_stats(const Step& step, const ZkMulti& multi, const ZkResult& got);
  void check_stats(const Step& step, const ZkGet& get, const ZkResult& got);
  void check_stats(const Step& step, const ZkExists& exists, const ZkResult& got);
  void check_stats(const Step& step, const ZkChildren& list, const ZkResult& got);
  template <class Other>  // which has none
  void check_stats(const Step&, const Other&, const ZkResult& got) {
    CHECK(got.stat == ZkStat{});
  }
  void check_stat(const Expect& expect, const ZkStat& stat);
  void check_read(const std::string& path, const Expect& expect, const ZkStat& stat);
  void check_written(const std::string& path, const std::string& data, const ZkStat& stat);

  ZkDriver& driver_;
  std::map<char, uint64_t> sessions_;
  std::map<std::string, ZkStat> known_;  // by path
  int64_t called_ms_ = 0;                // when the last call was made, and answered
  int64_t answered_ms_ = 0;
};

void Checker::perform(const Step& step) {
  called_ms_ = driver_.wall_ms();
  const ZkResult got = driver_.call(step.who, step.request);
  answered_ms_ = driver_.wall_ms();
  CHECK(got.code == step.expect.code);
  CHECK(got.data == step.expect.data);
  CHECK(got.children == step.expect.children);
  CHECK(got.path == step.expect.path);
  CHECK(got.codes == step.expect.codes);
  CHECK(got.paths == step.expect.paths);
  CHECK(got.stats.size() == got.codes.size());
  if (got.code != ZkCode::kOk) {
    CHECK(got.stat == ZkStat{});
    return;
  }
  std::visit([&](const auto& request) { check_stats(step, request, got); }, step.request);
}

void Checker::check_stat(const Expect& expect, const ZkStat& stat) {
  CHECK(stat.version == expect.version);
  CHECK(stat.ephemeral_owner == (expect.owner == '-' ? 0 : sessions_.at(expect.owner)));
  CHECK(stat.children_version == expect.children_version);
  CHECK(stat.children_count == expect.children_count);
  CHECK(stat.created_zxid > 0);
  CHECK(stat.created_zxid <= stat.modified_zxid);
}

void Checker::check_stats(const Step& step, const ZkCreate& create, const ZkResult& got) {
  Expect fresh;
  if (zk_is_ephemeral(create.mode)) fresh.owner = step.who;
  check_stat(fresh, got.stat);
  CHECK(got.stat.modified_zxid == got.stat.created_zxid);
  CHECK(got.stat.modified_ms == got.stat.created_ms);
  known_[got.path] = got.stat;
  check_written(got.path, create.data, got.stat);
}

void Checker::check_stats(const Step& step, const ZkSet& set, const ZkResult& got) {
  check_stat(step.expect, got.stat);
  CHECK(got.stat.modified_zxid > known_[set.path].modified_zxid);
  check_written(set.path, set.data, got.stat);
}

void Checker::check_stats(const Step&, const ZkMulti& multi, const ZkResult& got) {
  CHECK(got.stat == ZkStat{});
  REQUIRE(got.stats.size() == multi.ops.size());
  REQUIRE(got.paths.size() == multi.ops.size());
  std::optional<int64_t> zxid;  // of the multi, if one of its operations tells
  for (size_t i = 0; i < multi.ops.size(); ++i) {
    if (std::holds_alternative<ZkSet>(multi.ops[i])) {
      CHECK(got.stats[i].modified_zxid == zxid.value_or(got.stats[i].modified_zxid));
      zxid = got.stats[i].modified_zxid;
    } else {
      CHECK(got.stats[i] == ZkStat{});
    }
  }
  for (size_t i = 0; i < multi.ops.size(); ++i) {
    if (const auto* set = std::get_if<ZkSet>(&multi.ops[i])) {
      const bool made_here = std::find(got.paths.begin(), got.paths.end(), set->path) != got.paths.end();
      if (made_here) known_[set->path] = got.stats[i];
      CHECK((got.stats[i].created_zxid == *zxid) == made_here);
      check_written(set->path, set->data, got.stats[i]);
    } else if (std::holds_alternative<ZkCreate>(multi.ops[i])) {
      known_.erase(got.paths[i]);
    }
  }
}

void Checker::check_stats(const Step& step, const ZkGet& get, const ZkResult& got) {
  check_read(get.path, step.expect, got.stat);
  CHECK(got.stat.data_length == got.data.size());
}

void Checker::check_stats(const Step& step, const ZkExists& exists, const ZkResult& got) {
  check_read(exists.path, step.expect, got.stat);
}

void Checker::check_stats(const Step& step, const ZkChildren& list, const ZkResult& got) {
  check_read(list.path, step.expect, got.stat);
}

void Checker::check_read(const std::string& path, const Expect& expect, const ZkStat& stat) {
  check_stat(expect, stat);
  const ZkStat& former = known_.try_emplace(path, stat).first->second;
  CHECK(stat.created_zxid == former.created_zxid);
  CHECK(stat.created_ms == former.created_ms);
  CHECK(stat.modified_zxid == former.modified_zxid);
  CHECK(stat.modified_ms == former.modified_ms);
  CHECK(stat.data_length == former.data_length);
}

// By the call just made: the script, the driver and the ensemble share one machine and its clock.
void Checker::check_written(const std::string& path, const std::string& data, const ZkStat& stat) {
  const ZkStat former = std::exchange(known_[path], stat);
  CHECK(stat.created_zxid == former.created_zxid);
  CHECK(stat.created_ms == former.created_ms);
  CHECK(stat.modified_ms >= called_ms_);
  CHECK(stat.modified_ms <= answered_ms_);
  CHECK(stat.data_length == data.size());
}

void Checker::run(const std::vector<Step>& steps) {
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const std::string text = step.act == Act::kCall ? to_text(step.request).substr(0, 120) : "no call";
    INFO("line ", i + 1, ", session ", std::string(1, step.who), ": ", text);
    switch (step.act) {
      case Act::kOpen:
        sessions_[step.who] = driver_.open(step.who);
        CHECK(sessions_[step.who] != 0);
        break;
      case Act::kClose:
        driver_.close(step.who);
        break;
      case Act::kForbid:
        driver_.make_read_only(step.paths.front());
        break;
      case Act::kCall:
        perform(step);
        break;
      case Act::kFires:
      case Act::kFired: {
        const size_t wanted = step.act == Act::kFires ? step.paths.size() : 0;
        std::vector<std::string> events = driver_.watches(step.who, wanted);
        std::sort(events.begin(), events.end());  // of one transaction, in an order that nobody promises
        CHECK(events == step.paths);
        break;
      }
    }
  }
}

}  // namespace

void check_zk_conformance(ZkDriver& driver) {
  Checker checker(driver);
  for (const auto& part : {std::pair{"creating", creating()}, std::pair{"changing", changing()},
                           std::pair{"counting", counting()}, std::pair{"transactions", transactions()},
                           std::pair{"refusing", refusing()}, std::pair{"forbidding", forbidding()},
                           std::pair{"watching", watching()}, std::pair{"watching twice", watching_twice()},
                           std::pair{"ending", ending()}}) {
    INFO("part ", std::string(part.first));
    checker.run(part.second);
  }
}

}  // namespace kvd::testing
