// See watch_budget.hpp.
#include "core/services/watch_budget.hpp"

#include <vector>

namespace kvd {

bool WatchBudget::take(size_t bytes) {
  if (bytes_ + bytes > limits::kWatchedBytes) return false;
  bytes_ += bytes;
  return true;
}

bool WatchBudget::ask(ZkCallId call, const std::string& path, Kind kind, bool also_of_nothing) {
  const Watched watched(path, kind);
  if (!watches_.contains(watched)) {
    const size_t bytes = bytes_of(path);
    if (waiting_bytes_ + bytes > limits::kWatchedBytes / 2 || !take(bytes)) return false;
    waiting_bytes_ += bytes;
  }
  ++watches_[watched].asked;
  asked_[call] = {watched, also_of_nothing};
  return true;
}

void WatchBudget::answered(const ZkResult& result) {
  const auto it = asked_.find(result.id);
  if (it == asked_.end()) return;
  const auto [watched, also_of_nothing] = std::move(it->second);
  asked_.erase(it);
  Watch& watch = watches_.at(watched);
  --watch.asked;
  watch.stands |= result.code == ZkCode::kOk || (also_of_nothing && result.code == ZkCode::kNoNode);
  settle(watched);
  // Nothing is there: whatever watched its children has fired.
  const Watched children(watched.first, Kind::kChildren);
  const auto other = watches_.find(children);
  if (result.code != ZkCode::kNoNode || other == watches_.end()) return;
  other->second.stands = false;
  settle(children);
}

void WatchBudget::leave_behind(const std::string& path) {
  if (!lives_) return;
  const auto [it, fresh] = watches_.try_emplace({path, Kind::kData});
  it->second.stands = true;
  if (!fresh) return;
  bytes_ += bytes_of(path);
  waiting_bytes_ += bytes_of(path);
}

// It does not say of which kind; of two that stand one is gone, or both.
void WatchBudget::fired(const std::string& path) {
  for (const Kind kind : {Kind::kData, Kind::kChildren}) {
    const auto it = watches_.find({path, kind});
    if (it == watches_.end() || !std::exchange(it->second.stands, false)) continue;
    return settle({path, kind});
  }
}

void WatchBudget::forget_watches() {
  lives_ = false;
  std::vector<Watched> all;
  for (auto& [watched, watch] : watches_) {
    watch.stands = false;
    all.push_back(watched);
  }
  for (const Watched& watched : all) settle(watched);
}

void WatchBudget::settle(const Watched& watched) {
  const auto it = watches_.find(watched);
  if (it->second.stands || it->second.asked > 0) return;
  watches_.erase(it);
  const size_t bytes = bytes_of(watched.first);
  give_back(bytes);
  waiting_bytes_ -= bytes;
}

}  // namespace kvd
