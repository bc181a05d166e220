// See standing_paths.hpp.
#include "core/services/standing_paths.hpp"

#include <algorithm>
#include <utility>

namespace kvd {
namespace {

constexpr Duration kSettle = seconds(1);

}  // namespace

StandingPaths::StandingPaths(Outbox& out, ZkCalls& zk, const std::vector<std::string>& paths)
    : out_(out), zk_(zk) {
  for (const std::string& path : paths) paths_[path];
}

void StandingPaths::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  for (auto& [path, one] : paths_) {
    one.look_at = kNever;
    if (connected_) look(path, true);
  }
}

void StandingPaths::on(const ZkWatchFired& message) {
  if (paths_.contains(message.path)) look(message.path, false);
}

// The watch stands also where there is nothing yet.
void StandingPaths::look(const std::string& path, bool make_at_once) {
  zk_.call(ZkExists{path, true}, [this, path, make_at_once](const ZkResult& result) {
    if (zk_silent(result.code)) return look_later(path, kZkRetry);
    if (result.code == ZkCode::kOk) {
      paths_.at(path).refused = ZkCode::kOk;
    } else if (make_at_once) {
      make(path);
    } else {
      look_later(path, kSettle);
    }
  });
}

void StandingPaths::make(const std::string& path) {
  zk_.make_path(path, [this, path](ZkCode code) {
    if (code == ZkCode::kOk) return;
    if (zk_silent(code)) return look_later(path, kZkRetry);
    look_later(path, kZkRefusedRetry);
    if (std::exchange(paths_.at(path).refused, code) == code) return;
    out_.log(LogLevel::kWarn, "cannot make a znode that others look for",
             {{"path", path}, {"why", zk_code_name(code)}});
  });
}

void StandingPaths::look_later(const std::string& path, Duration wait) {
  Path& one = paths_.at(path);
  if (connected_) one.look_at = std::min(one.look_at, out_.now + wait);
}

void StandingPaths::on_time() {
  for (auto& [path, one] : paths_) {
    if (one.look_at > out_.now) continue;
    one.look_at = kNever;
    look(path, true);
  }
}

Instant StandingPaths::deadline() const {
  Instant earliest = kNever;
  for (const auto& [path, one] : paths_) earliest = std::min(earliest, one.look_at);
  return earliest;
}

}  // namespace kvd
