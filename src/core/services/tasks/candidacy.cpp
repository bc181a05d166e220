// See candidacy.hpp.
#include "core/services/tasks/candidacy.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/services/tasks/task_layout.hpp"

namespace kvd {
namespace {

constexpr size_t kDeadRemembered = 64;  // until ZooKeeper has counted their sessions' timeout

}  // namespace

Candidacy::Candidacy(Outbox& out, ZkCalls& zk, std::string path, std::string prefix, std::string data,
                     Events events)
    : out_(out),
      zk_(zk),
      path_(std::move(path)),
      prefix_(std::move(prefix)),
      data_(std::move(data)),
      events_(std::move(events)) {}

// What is outstanding when the next era begins is not heard of any more.
void Candidacy::call(ZkRequest request, ZkCalls::Then then) {
  zk_.call(std::move(request), [this, era = era_, then = std::move(then)](const ZkResult& result) {
    if (era != era_) return;
    if (!zk_silent(result.code)) return then(result);
    if (connected_) retry_at_ = std::min(retry_at_, out_.now + kZkRetry);
  });
}

// The sync: what the session's server shows may be too old to show our own.
void Candidacy::begin() {
  ++era_;
  retry_at_ = kNever;
  watched_.clear();
  if (std::exchange(leading_, false)) events_.ended();
  if (!connected_) return;
  call(ZkSync{path_}, [](const ZkResult&) {});
  call(ZkChildren{path_}, [this](const ZkResult& result) {
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) return refused(result.code);
    on_listed(contenders_in_order(result.children));
  });
}

void Candidacy::on_listed(const std::vector<std::string>& children) {
  if (own_.empty() && unsure_) return find_own(children);
  const auto own = std::find(children.begin(), children.end(), own_);
  if (own == children.end()) return create();
  take_place({children.begin(), own});
}

void Candidacy::find_own(const std::vector<std::string>& children) {
  const auto left = std::make_shared<size_t>(children.size());
  const auto done = [this, children] {
    unsure_ = false;
    on_listed(children);
  };
  if (children.empty()) return done();
  for (const std::string& name : children) {
    call(ZkExists{path_ + "/" + name}, [this, name, left, done](const ZkResult& result) {
      if (result.code == ZkCode::kOk && result.stat.ephemeral_owner == session_) {
        own_ = name;
        created_at_ = out_.now;
      }
      if (--*left == 0) done();
    });
  }
}

// Unsure until there is an answer, which need not come.
void Candidacy::create() {
  own_.clear();
  unsure_ = true;
  call(ZkCreate{path_ + "/" + prefix_, data_, ZkMode::kEphemeralSequential}, [this](const ZkResult& result) {
    unsure_ = false;
    if (result.code == ZkCode::kOk) {
      own_ = result.path.substr(path_.size() + 1);
      created_at_ = out_.now;
      made_path_ = false;
      refused_ = ZkCode::kOk;
      return begin();
    }
    if (result.code == ZkCode::kNoNode && !std::exchange(made_path_, true))
      return zk_.make_path(path_, [this, era = era_](ZkCode) {
        if (era == era_) begin();
      });
    refused(result.code);
  });
}

void Candidacy::refused(ZkCode code) {
  retry_at_ = out_.now + kZkRefusedRetry;
  if (std::exchange(refused_, code) == code) return;
  out_.log(LogLevel::kWarn, "cannot stand", {{"path", path_}, {"why", zk_code_name(code)}});
}

// The one before ours decides, or ours itself.
void Candidacy::take_place(std::vector<std::string> before) {
  if (before.empty()) return lead();
  const std::string name = before.back();
  const std::string path = path_ + "/" + name;
  before.pop_back();
  call(ZkExists{path, true}, [this, name, path, before](const ZkResult& result) {
    if (result.code == ZkCode::kNoNode) return begin();
    if (result.code != ZkCode::kOk) return refused(result.code);
    if (result.stat.ephemeral_owner == 0) {
      if (passed_over_.insert(name).second)
        out_.log(LogLevel::kWarn, "a contender that is not ephemeral is nobody's; it is passed over",
                 {{"path", path}, {"remedy", "delete it"}});
      return take_place(before);
    }
    wait_for(path, result.stat);
  });
}

void Candidacy::wait_for(const std::string& path, const ZkStat& stat) {
  watched_ = path;
  watched_stat_ = stat;
  const auto proof = std::find_if(dead_.begin(), dead_.end(),
                                  [&](const Dead& one) { return one.session == stat.ephemeral_owner; });
  if (proof != dead_.end() && !proof->used) remove(path, stat);
}

// The proof is spent once there is an answer, and also when the watch has told before; but not where our own contender
// was gone.
void Candidacy::remove(const std::string& path, const ZkStat& stat) {
  ZkMulti multi;
  multi.ops = {ZkCheck{contender()}, ZkDelete{path, stat.version}};
  zk_.call(std::move(multi), [this, path, session = stat.ephemeral_owner](const ZkResult& result) {
    if (zk_silent(result.code)) {
      if (connected_) retry_at_ = std::min(retry_at_, out_.now + kZkRetry);
      return;
    }
    for (Dead& one : dead_) one.used |= one.session == session && !check_failed(result);
    if (result.code == ZkCode::kOk)
      out_.log(LogLevel::kInfo, "has removed the contender of a dead server", {{"path", path}});
    if (watched_ == path) begin();
  });
}

Instant Candidacy::died(uint64_t session) const {
  const auto proof =
      std::find_if(dead_.begin(), dead_.end(), [&](const Dead& one) { return one.session == session; });
  return proof == dead_.end() ? kNever : proof->since;
}

// What is heard once more is no other proof.
void Candidacy::on(const SessionJudged& message) {
  const auto same = [&](const Dead& one) { return one.session == message.session; };
  if (!message.dead) std::erase_if(dead_, same);
  if (!message.dead || std::any_of(dead_.begin(), dead_.end(), same)) return;
  dead_.push_back(Dead{message.session, out_.now, false});
  if (dead_.size() > kDeadRemembered) dead_.pop_front();
  if (!watched_.empty() && !leading_) wait_for(watched_, watched_stat_);
}

void Candidacy::lead() {
  call(ZkExists{contender(), true}, [this](const ZkResult& result) {
    if (result.code == ZkCode::kNoNode) return begin();
    if (result.code != ZkCode::kOk) return refused(result.code);
    watched_ = contender();
    leading_ = true;
    created_ms_ = result.stat.created_ms;
    events_.leads();
  });
}

void Candidacy::on(const ZkWatchFired& message) {
  if (!watched_.empty() && message.path == watched_) begin();
}

void Candidacy::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  if (connected_ && std::exchange(session_, message.session) != message.session) {
    own_.clear();
    unsure_ = false;  // a new one owns nothing
  }
  made_path_ = false;
  begin();
}

void Candidacy::on_time() {
  if (retry_at_ <= out_.now) begin();
}

}  // namespace kvd
