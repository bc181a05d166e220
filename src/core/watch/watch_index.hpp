// Who watches a key: looked up among the exact keys, and among the prefixes of each length that there is. So a change
// costs some look-ups and those who watch it, however many watch something else.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "msg/watch.hpp"

namespace kvd {

template <class Watcher>
class WatchIndex {
 public:
  // `watcher` stays where it is until it is removed with the same filter.
  void add(const WatchFilter& filter, Watcher* watcher) {
    (filter.prefix ? prefixes_[filter.key.size()] : keys_)[filter.key].push_back(watcher);
  }
  void remove(const WatchFilter& filter, Watcher* watcher) {
    ByText& all = filter.prefix ? prefixes_.at(filter.key.size()) : keys_;
    const auto it = all.find(filter.key);
    std::erase(it->second, watcher);
    if (it->second.empty()) all.erase(it);
    if (filter.prefix && all.empty()) prefixes_.erase(filter.key.size());
  }
  // Calls visit(Watcher&) for each; it must not change the index.
  template <class Visit>
  void each(std::string_view key, Visit visit) const {
    each_of(keys_, key, visit);
    for (const auto& [size, all] : prefixes_) {
      if (size > key.size()) break;
      each_of(all, key.substr(0, size), visit);
    }
  }

 private:
  using ByText = std::map<std::string, std::vector<Watcher*>, std::less<>>;

  template <class Visit>
  static void each_of(const ByText& all, std::string_view text, Visit& visit) {
    const auto it = all.find(text);
    if (it == all.end()) return;
    for (Watcher* watcher : it->second) visit(*watcher);
  }

  ByText keys_;
  std::map<size_t, ByText> prefixes_;  // by their length
};

}  // namespace kvd
