// What a client makes of the lines of its streams: a copy of what matches, and the place from which to go on.
// The referee asks it what the client may believe by now.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "judge/committed.hpp"
#include "msg/watch.hpp"

namespace kvd::sim {

class WatchCopy {
 public:
  // Nothing is known of what matches `filter`.
  void begin(const WatchFilter& filter);
  // All changes behind `revision` follow; `whole`: nothing matches there.
  void begin_at(Revision revision, bool whole);
  // What a read found.
  void read_at(Revision revision, const Answer& found, bool with_values);
  // Of a stream. True: all of its revision was told, and none of the state.
  bool take(const WatchEvent& event, bool with_values);
  void forget();
  // The client's connection is gone: a part of a revision, or of the state, is of no use.
  void leave();

  const WatchFilter& filter() const { return filter_; }
  // To go on from there; none: from nowhere.
  std::optional<Revision> point() const { return point_; }
  // Nothing that matches is missing.
  void complete(bool whole) { whole_ = whole; }
  // Everything up to there was said. Empty, or why that is not so.
  std::string reach(Revision revision, const CommittedHistory& committed);

 private:
  struct Known {
    Record record;
    bool with_value = false;
  };
  std::string check(Revision at, const CommittedHistory& committed) const;

  WatchFilter filter_;
  std::map<std::string, Known> items_;  // also what was deleted
  std::vector<Known> torn_;             // changes of a revision of which more follow
  std::optional<Revision> point_;
  bool whole_ = false;
};

}  // namespace kvd::sim
