// Judges one stream of a watch by its lines, at the moment when they are said: what is committed tells what it has to
// say, and it knows nothing of the server but that.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "judge/committed.hpp"
#include "msg/watch.hpp"

namespace kvd::sim {

// The changes of one revision that a filter matches.
struct WatchedEntry {
  Revision revision;
  std::vector<const Record*> effects;  // empty: nobody has committed this revision
};
// The first such behind `after`, up to `until`, which is in the same lineage.
std::optional<WatchedEntry> first_watched(const CommittedHistory& committed, const WatchFilter& filter,
                                          Revision after, Revision until);

// Each judgement is empty, or says what is wrong.
class WatchReferee {
 public:
  // `window`: bytes that may be said and not taken, and a line more.
  WatchReferee(const CommittedHistory& committed, WatchCall call, size_t window)
      : committed_(committed), call_(std::move(call)), window_(window) {}

  std::string opened(Revision revision);
  std::string refused(const HistoryGone& gone, Revision revision) const;
  std::string hear(const WatchLine& line);
  void taken(size_t bytes) { untaken_ -= bytes; }

  bool is_open() const { return opened_ && !ended_; }

 private:
  std::string on(const WatchEvent& event);
  std::string on(const WatchProgress& progress);
  std::string on(const WatchWaiting& waiting);
  std::string on(const WatchStale& stale);
  std::string on(const WatchCurrent& current);
  std::string on(const WatchSynced& synced);
  std::string on(const WatchReset& reset);
  std::string on(const WatchGone& gone);
  std::string on_state(const Record& record) const;
  std::string reach(Revision revision);
  bool same(const Record& said, const Record& committed) const;

  const CommittedHistory& committed_;
  WatchCall call_;
  size_t window_;
  size_t untaken_ = 0;
  bool opened_ = false;
  bool ended_ = false;
  bool stale_ = false;
  bool state_ = false;  // is being told; from `begun_` on, or a newer one
  Revision begun_;
  Revision at_;       // all that matches was said up to here ...
  size_t place_ = 0;  // ... and so many changes of the first revision behind it that matches
};

}  // namespace kvd::sim
