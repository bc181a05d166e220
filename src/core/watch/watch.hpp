// The watch actor: who watches the keys at this server, and what is said to whom and when. It knows only what this
// server has applied, in the order of the log, and keeps the newest of it (history.hpp). A stream is a filter and a
// revision, and no buffer: one that is read slowly stays behind, and is told when what it needs is gone. So nothing
// that matches is ever skipped.
#pragma once
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"
#include "core/watch/history.hpp"
#include "core/watch/watch_index.hpp"
#include "core/watch/watcher.hpp"

namespace kvd {

class Watch {
 public:
  explicit Watch(Outbox& out) : out_(out), history_(out.config.history_bytes) {}

  void handle(WatchMessage&& message);
  void on_time();
  // Once per turn, when nothing more is known: says what there is to say, to so many that others are not held up.
  void flush();
  Instant deadline() const;

  // For status.
  WatchStatus status() const;
  bool drained() const { return stopping_ && watchers_.empty(); }

 private:
  // watch.cpp: who watches, and what is known
  void on(Call&& message);
  void on(const CallCancelled& message);
  void on(const StreamTaken& message);
  void on(Committed&& message);
  void on(const HistoryReset& message);
  void on(RoleChanged&& message);
  void on(const CopyHeard& message);
  void on(Answered&& message);
  void take_confirmation(const Answered& message);
  void on(const StopRequested& message);

  void open_stream(RequestId id, Box<WatchCall> call);
  void open_poll(RequestId id, Box<PollCall> call);
  Watcher& add(RequestId id, std::variant<Box<WatchCall>, Box<PollCall>> call, Duration due);
  void remove(Watcher& watcher);
  void answer(RequestId id, decltype(WatchAnswer::what) what, Revision at);
  void refuse(RequestId id, ErrorCode code, const char* why);
  void visit_soon(Watcher& watcher);
  void rouse(Watcher& watcher);
  void wake(Watcher& watcher, Revision revision);
  Revision place_of(const Watcher& watcher) const;
  bool full(const Watcher& watcher) const;
  void arm(Watcher& watcher, Instant due);
  void come_due(Watcher& watcher);
  void ask_for_confirmation();

  // watch_lines.cpp: what is said
  void visit(Watcher& watcher);
  void visit_poll(Watcher& watcher);
  void finish_poll(Watcher& watcher, bool changed);
  bool say_what_is_due(Watcher& watcher);
  bool say_events(Watcher& watcher, Revision until);
  bool say_entry(Watcher& watcher, const Entry& entry);
  bool say_state(Watcher& watcher);
  void begin_state(Watcher& watcher);
  void ask_for_page(Watcher& watcher);
  void take_page(Watcher& watcher, Answered& answered);
  void lose(Watcher& watcher, WatchBreak why);
  void say(Watcher& watcher, WatchLine line);
  bool may_say_how_far(const Watcher& watcher) const;
  void say_how_far(Watcher& watcher, bool linear);
  void send(Watcher& watcher, bool last);

  Outbox& out_;
  History history_;
  RoleChanged role_;
  bool stale_ = true;
  Duration silent_{0};  // then the leader was
  bool stopping_ = false;
  std::map<RequestId, Watcher> watchers_;
  WatchIndex<Watcher> index_;
  std::deque<RequestId> ready_;                  // to be visited; perhaps gone meanwhile, as all of these
  std::set<std::pair<Instant, RequestId>> due_;  // Watcher::due
  std::map<uint64_t, RequestId> pages_;          // who has asked for one, by the read's token
  static constexpr uint64_t kConfirmation = 0;   // no page's token
  uint64_t last_token_ = kConfirmation;
  // Linear reads on behalf of all who want one at the time, one after another.
  bool asking_ = false;
  std::vector<RequestId> asked_for_;
  std::vector<RequestId> to_ask_for_;
  std::set<std::pair<Revision, RequestId>> confirmed_;  // who waits until this server has what was confirmed
  // While somebody is visited:
  std::vector<WatchLine> lines_;
  size_t effects_left_ = 0;
  size_t turn_bytes_ = 0;
  WatchStatus counted_;
};

}  // namespace kvd
