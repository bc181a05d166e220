// Watching the keys: what a client asks to be told, and the lines that tell it. A face makes NDJSON or Server-Sent
// Events of them (the manual's page on watches has each line's form).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

struct WatchFilter {
  std::string key;      // 0 to limits::kKeyBytes; empty only as a prefix: all keys
  bool prefix = false;  // whatever begins with `key`
  bool matches(std::string_view other) const { return prefix ? other.starts_with(key) : other == key; }
};

// A stream of lines, until the client closes its connection or the last line (WatchGone).
struct WatchCall {
  WatchFilter filter;
  std::optional<Revision> since;  // what came behind it; none: from now on
  // What is there comes first, and then what changes it; with `since` only when the history does not reach back so
  // far. Such a stream is reset where another one ends.
  bool state = false;
  bool values = true;   // the lines bring them
  bool linear = false;  // progress is confirmed by a linear read
  Duration progress = seconds(10);
};

// A long poll: once something that matches has changed behind `since`, `read` is done. (Also where the history does
// not reach back so far: it may have.)
struct PollCall {
  WatchFilter filter;
  Revision since;
  Duration wait{0};
  StoreCall read;
  Duration timeout = seconds(5);  // of that; set where it arrives
};

// How such a call is answered, unless it is refused (StoreAnswer with Failed).
struct WatchOpened {  // a stream: its lines follow
  bool complete = true;
};
struct HistoryGone {  // ... none: what it asks for is no longer in the history
  Revision oldest;    // a stream may begin behind it, or later
};
struct NotChanged {};  // a poll: nothing in time. To go on from the answer's revision
struct WatchAnswer {
  std::variant<WatchOpened, HistoryGone, NotChanged> what;
  Epoch epoch;  // that the answering node is in
  Revision revision;
};

const char* watch_break_name(WatchBreak why);

// Nothing is said again at or below the revision of a change, of progress, or of the end of the state. (Those of the
// other lines only tell how far this server is.) What is said of one revision is to be taken together: until an event
// without `more`, a stream cannot be resumed from there.
struct WatchEvent {
  Record record;      // as the change left it; without a value: deleted
  bool more = false;  // another change of this revision follows
  bool state =
      false;  // it belongs to the state, which ends with WatchSynced: until then nothing can be resumed
};
struct WatchProgress {  // everything up to `revision` was said
  Revision revision;
  // ... and nothing newer had been acknowledged when this server asked, which was after the former linear progress.
  bool linear = false;
};
struct WatchWaiting {  // the stream begins behind a revision that this server does not have yet
  Revision revision;   // that it has
};
struct WatchStale {  // this server does not hear its leader, or does not lead: others may know more
  Duration silent{0};
};
struct WatchCurrent {  // ... it does again
  Revision revision;
};
struct WatchSynced {  // the state was said: together it is what was there at `revision`
  Revision revision;
  bool complete = true;  // false: this server knows that it misses keys
};
struct WatchReset {  // forget what was said; the state follows
  Revision revision;
  WatchBreak reason = WatchBreak::kHistory;
};
struct WatchGone {    // the last line. Read what is there, and watch behind the revision of that
  Revision revision;  // this server's
  Revision oldest;    // a stream may begin behind it, or later
  WatchBreak reason = WatchBreak::kHistory;
};
using WatchLine = std::variant<WatchEvent, WatchProgress, WatchWaiting, WatchStale, WatchCurrent, WatchSynced,
                               WatchReset, WatchGone>;

// What a line counts of what a stream may have that its client has not taken.
size_t line_bytes(const WatchLine& line, bool values);

// From the node to a face, for a stream whose call was answered with WatchOpened.
struct StreamLines {
  RequestId id;
  std::vector<WatchLine> lines;
  bool last = false;
};
// From a face to the node: the kernel has taken lines of a watch or a consumer that counted so many bytes since the
// time before. To be told at least whenever it has taken everything and that is limits::kStreamReport or more.
struct StreamTaken {
  RequestId id;
  size_t bytes = 0;
};

}  // namespace kvd
