// See config_mirror.hpp.
#include "client/config_mirror.hpp"

#include <utility>

namespace kvd::client {

void ConfigMirror::begin() {
  forget();
  stale_ = false;
  confirmed_.reset();
}

void ConfigMirror::forget() {
  set_.clear();
  records_.clear();
  held_.clear();
  whole_ = false;
  ++changes_;
}

void ConfigMirror::apply(const WatchedLine& line) {
  using Kind = WatchedLine::Kind;
  switch (line.kind) {
    case Kind::kChange:
      if (!whole_) return change(line);  // in the midst of the state: at its end all of it is so
      held_.push_back(line);
      if (line.more) return;
      for (const WatchedLine& each : std::exchange(held_, {})) change(each);
      revision_ = line.revision;
      return;
    case Kind::kSynced:
      whole_ = true;
      revision_ = line.revision;
      return;
    case Kind::kProgress:
      revision_ = line.revision;
      if (line.linear) confirmed_ = line.revision;
      return;
    case Kind::kReset:
      return forget();
    case Kind::kStale:
      stale_ = true;
      return;
    case Kind::kCurrent:
      stale_ = false;
      return;
    case Kind::kGone:
    case Kind::kOther:
      return;
  }
}

void ConfigMirror::change(const WatchedLine& line) {
  if (!line.key.starts_with(prefix_)) return;
  const std::string key = line.key.substr(prefix_.size());
  const bool put = line.type == "put";
  if (key.starts_with(kConfigRecords)) {
    const std::string node = key.substr(kConfigRecords.size());
    put ? void(records_[node] = line.value) : void(records_.erase(node));
    return;
  }
  put ? void(set_[key] = ConfigKey{line.value, line.revision}) : void(set_.erase(key));
  ++changes_;
}

}  // namespace kvd::client
