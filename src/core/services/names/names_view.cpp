// See names_view.hpp.
#include "core/services/names/names_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "core/mutation.hpp"
#include "msg/name_rules.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

std::string znode_of(const std::string& path) {
  return path.empty() ? std::string(kNamesPath) : fmt::format("{}/{}", kNamesPath, path);
}

// Of one watch, about, in the message that sends them all.
size_t view_watch_bytes(const Outbox& out, const std::string& path) {
  return out.config.zookeeper_prefix.size() + path.size() + sizeof kNamesPath + sizeof(uint64_t);
}

}  // namespace

// ---- from nothing to all ----

void NamesView::want() {
  if (state_ == State::kKept && hidden_retry_at_ <= out_.now) {
    hidden_retry_at_ = kNever;
    for (const std::string& path : std::set<std::string>(hidden_)) read(path);
  }
  if (state_ != State::kUnwanted && !(state_ == State::kTooLarge && retry_at_ <= out_.now)) return;
  state_ = State::kAway;
  if (connected_) load();
}

bool NamesView::knows(std::string_view zone) const {
  return std::none_of(hidden_.begin(), hidden_.end(), [zone](const std::string& path) {
    return name_within(path, zone) || name_within(zone, path);
  });
}

void NamesView::load() {
  clear(State::kKept);
  znodes_[""];
  zk_.call(ZkSync{kNamesPath}, [](const ZkResult&) {});  // no older than what whoever asks may know already
  read("");
}

void NamesView::clear(State state) {
  state_ = state;
  retry_at_ = kNever;
  reading_ = 0;
  path_bytes_ = 0;
  data_bytes_ = 0;
  znodes_.clear();
  hidden_.clear();
  hidden_retry_at_ = kNever;
}

// To be loaded anew: when there is a connection again, or in a moment if there is one.
void NamesView::lose() {
  clear(State::kAway);
  if (connected_) retry_at_ = out_.now + kRetry;
}

bool NamesView::exceeds() {
  if (znodes_.size() <= kZnodesMax + 1 && path_bytes_ <= kPathBytesMax && data_bytes_ <= kDataBytesMax)
    return false;
  clear(State::kTooLarge);
  retry_at_ = out_.now + kLargeRetry;
  settled_();
  return true;
}

ZkCalls::Then NamesView::guarded(void (NamesView::*then)(const std::string&, const ZkResult&),
                                 const std::string& path) {
  return [this, then, path, number = znodes_.at(path).reading](const ZkResult& result) {
    const auto it = znodes_.find(path);
    if (it == znodes_.end() || it->second.reading != number) return;
    if (zk_silent(result.code)) return lose();
    (this->*then)(path, result);
  };
}

// ---- one znode ----

// Its data first, which tells whether it can have children.
void NamesView::read(const std::string& path) {
  Znode& znode = znodes_.at(path);
  if (znode.reading != 0) {
    znode.again = true;
    return;
  }
  znode.reading = ++reads_;
  ++reading_;
  zk_.call(ZkGet{znode_of(path), true}, guarded(&NamesView::on_data, path));
}

void NamesView::on_data(const std::string& path, const ZkResult& result) {
  if (result.code == ZkCode::kNoNode && path.empty()) {
    // Made at once, rather than waited for: a znode that is not there has no children to watch.
    zk_.make_path(kNamesPath, [](ZkCode) {});
    zk_.call(ZkGet{kNamesPath, true}, guarded(&NamesView::on_made_root, path));
    return;
  }
  take_data(path, result);
}

void NamesView::on_made_root(const std::string& path, const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return lose();
  take_data(path, result);
}

void NamesView::take_data(const std::string& path, const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return remove(path);
  Znode& znode = znodes_.at(path);
  data_bytes_ -= znode.data_bytes;
  znode.entry = path.empty() ? std::nullopt : decode_name(result.data);
  znode.data_bytes = znode.entry ? result.data.size() : 0;
  data_bytes_ += znode.data_bytes;
  znode.version = result.stat.modified_zxid;
  znode.ephemeral = result.stat.ephemeral_owner != 0;
  if (result.code != ZkCode::kOk) return hidden(path, result.code);
  const bool barren = znode.ephemeral;
  hidden_.erase(path);
  if (!barren && !std::exchange(znode.listed, true)) path_bytes_ += view_watch_bytes(out_, path);
  if (exceeds()) return;
  if (barren) return done(path);
  zk_.call(ZkChildren{znode_of(path), true}, guarded(&NamesView::on_children, path));
}

// What cannot be a label is not looked at.
void NamesView::on_children(const std::string& path, const ZkResult& result) {
  if (result.code == ZkCode::kNoNode) {
    if (!path.empty()) return remove(path);
    return lose();
  }
  if (result.code != ZkCode::kOk) return hidden(path, result.code);
  const std::string below = path.empty() ? "" : path + "/";
  std::set<std::string> listed;
  for (const std::string& name : result.children) {
    if (problem_of_name(below + name).empty()) listed.insert(below + name);
  }
  std::vector<std::string> gone;
  for (auto it = znodes_.lower_bound(below); it != znodes_.end() && it->first.starts_with(below); ++it) {
    const bool child = !it->first.empty() && it->first.find('/', below.size()) == std::string::npos;
    if (child && !listed.contains(it->first)) gone.push_back(it->first);
  }
  for (const std::string& child : gone) remove(child);
  for (const std::string& child : listed) {
    if (!znodes_.try_emplace(child).second) continue;
    path_bytes_ += view_watch_bytes(out_, child);
    if (exceeds()) return;
    read(child);
  }
  done(path);
}

void NamesView::hidden(const std::string& path, ZkCode why) {
  hidden_retry_at_ = out_.now + kHiddenRetry;
  if (hidden_.insert(path).second)
    out_.log(LogLevel::kWarn, "a part of the names cannot be read",
             {{"path", znode_of(path)}, {"why", zk_code_name(why)}});
  done(path);
}

void NamesView::done(const std::string& path) {
  Znode& znode = znodes_.at(path);
  znode.reading = 0;
  --reading_;
  if (std::exchange(znode.again, false)) return read(path);
  if (reading_ == 0) settled_();
}

// And what was below it.
void NamesView::remove(const std::string& path) {
  std::vector<std::string> gone{path};
  const std::string below = path + "/";
  for (auto it = znodes_.lower_bound(below); it != znodes_.end() && it->first.starts_with(below); ++it)
    gone.push_back(it->first);
  bool was_read = false;
  for (const std::string& one : gone) {
    const auto it = znodes_.find(one);
    if (it->second.reading != 0) --reading_;
    was_read |= it->second.reading != 0;
    path_bytes_ -= view_watch_bytes(out_, one) * (it->second.listed ? 2 : 1);
    data_bytes_ -= it->second.data_bytes;
    hidden_.erase(one);
    znodes_.erase(it);
  }
  if (was_read && reading_ == 0) settled_();
}

// ---- ZooKeeper ----

// While it was away anything may have changed.
void NamesView::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  if (state_ == State::kUnwanted || state_ == State::kTooLarge) return;
  if (mutated(Mutation::kViewKept) && whole()) return;
  if (connected_) {
    load();
  } else {
    lose();
  }
}

void NamesView::on(const ZkWatchFired& message) {
  if (state_ != State::kKept || !at_or_below(message.path, kNamesPath)) return;
  const std::string path = message.path.substr(std::min(sizeof kNamesPath, message.path.size()));
  if (znodes_.contains(path)) read(path);
}

// What happened while this server slept it has not read yet.
void NamesView::on_time() {
  if (deadline() <= out_.now || (out_.slept && state_ == State::kKept)) load();
}

}  // namespace kvd
