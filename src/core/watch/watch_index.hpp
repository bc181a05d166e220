// Who watches a key: looked up among the exact keys, and among the prefixes of each length that there is. So a change
// costs some look-ups and those who watch it, however many watch something else.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "msg/watch.hpp"

namespace kvd {

template <class Watcher>
class WatchIndex {
 public:
  // `watcher` stays where it is until it is removed with the same filter.
  void add(const WatchFilter& filter, Watcher* watcher) {
    (filter.prefix ? prefixes_[filter.key.size()] : keys_)[filter.key].watchers.push_back(watcher);
  }
  void remove(const WatchFilter& filter, Watcher* watcher) {
    ByText& all = filter.prefix ? prefixes_.at(filter.key.size()) : keys_;
    const auto it = all.find(filter.key);
    std::erase(it->second.watchers, watcher);
    if (it->second.watchers.empty()) all.erase(it);
    if (filter.prefix && all.empty()) prefixes_.erase(filter.key.size());
  }
  // Calls visit(Watcher&) for each that it was not called for since begin_anew(): many changes that many watch are no
  // more than one. It must not change the index.
  template <class Visit>
  void each_once(std::string_view key, Visit visit) {
    each_of(keys_, key, visit);
    for (auto& [size, all] : prefixes_) {
      if (size > key.size()) break;
      each_of(all, key.substr(0, size), visit);
    }
  }
  void begin_anew() { ++round_; }

 private:
  struct Same {  // who watches the same
    std::vector<Watcher*> watchers;
    uint64_t round = 0;  // in which they were visited
  };
  using ByText = std::map<std::string, Same, std::less<>>;

  template <class Visit>
  void each_of(ByText& all, std::string_view text, Visit& visit) {
    const auto it = all.find(text);
    if (it == all.end() || std::exchange(it->second.round, round_) == round_) return;
    for (Watcher* watcher : it->second.watchers) visit(*watcher);
  }

  uint64_t round_ = 1;
  ByText keys_;
  std::map<size_t, ByText> prefixes_;  // by their length
};

}  // namespace kvd
