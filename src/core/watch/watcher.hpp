// One client that watches: by a stream, or by a call that waits for a change. Plain values of the watch actor, which
// alone changes them.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/box.hpp"
#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/types.hpp"
#include "msg/watch.hpp"

namespace kvd {

// What is there is read page by page, while writes go on. Before a page is said, so is what has changed up to it.
struct StateReading {
  uint64_t token = 0;           // of the read that is under way; 0: none is
  bool begun = false;           // there was a page
  Revision base;                // of the first page: what has changed behind it is said as a change
  std::string after;            // the last key of it
  std::optional<Listing> page;  // being said
  Revision revision;            // of it
  size_t said = 0;              // of it
};

struct Watcher {
  RequestId id;
  std::variant<Box<WatchCall>, Box<PollCall>> call;
  // What matches was said (a poll: looked at) up to here; while it rests, also up to the history's end.
  Revision at;
  bool resting = false;
  size_t place = 0;     // ... and so many effects of the first entry behind it
  size_t untaken = 0;   // bytes of lines that its client has not taken, as far as it is known
  bool queued = false;  // to be visited
  bool told_stale = false;
  bool tells = false;              // how far it is, with the next visit
  std::optional<WatchBreak> lost;  // what is between `at` and the history will not come
  bool asked = false;  // what a linear read finds, which is to be said before it is asked for again
  std::optional<Revision> confirmed;  // it found this; to be said once it was reached
  Instant due = kNever;               // when to say how far one is; a poll's end
  std::unique_ptr<StateReading> state;

  const WatchCall* stream() const {
    const auto* stream = std::get_if<Box<WatchCall>>(&call);
    return stream == nullptr ? nullptr : &**stream;
  }
  PollCall* poll() {
    auto* poll = std::get_if<Box<PollCall>>(&call);
    return poll == nullptr ? nullptr : &**poll;
  }
  const WatchFilter& filter() const {
    const auto* stream = std::get_if<Box<WatchCall>>(&call);
    return stream != nullptr ? (*stream)->filter : std::get<Box<PollCall>>(call)->filter;
  }
};

}  // namespace kvd
