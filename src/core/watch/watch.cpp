// The watch actor: who watches, and what is known. See watch.hpp.
#include "core/watch/watch.hpp"

#include <algorithm>
#include <utility>

#include "core/mutation.hpp"

namespace kvd {

void Watch::handle(WatchMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- who comes and goes ----

void Watch::on(Call&& message) {
  if (stopping_) return refuse(message.id, ErrorCode::kShuttingDown, "this server is shutting down");
  if (!role_.readable)
    return refuse(message.id, ErrorCode::kNotReady, "this server has no copy of the data yet");
  if (watchers_.size() - counted_.streams >= out_.config.tuning.client_requests)
    return refuse(message.id, ErrorCode::kOverloaded, "too many requests wait in this server");
  if (auto* stream = std::get_if<Box<WatchCall>>(&message.what)) {
    open_stream(message.id, std::move(*stream));
  } else {
    auto& poll = std::get<Box<PollCall>>(message.what);
    poll->timeout = message.timeout;
    open_poll(message.id, std::move(poll));
  }
}

void Watch::open_stream(RequestId id, Box<WatchCall> call) {
  const std::optional<Revision> since = call->since;
  const bool too_old = since && *since < history_.oldest();
  if (too_old && !call->state) return answer(id, HistoryGone{history_.oldest()}, history_.newest());
  answer(id, WatchOpened{role_.complete}, since.value_or(history_.newest()));
  const Duration progress = call->progress;
  Watcher& watcher = add(id, std::move(call), progress);
  watcher.at = since.value_or(history_.newest());
  if (too_old) {
    watcher.lost = WatchBreak::kHistory;
  } else if (!since && watcher.stream()->state) {
    begin_state(watcher);
  } else if (watcher.at > history_.newest()) {
    if (mutated(Mutation::kFutureIgnored)) watcher.at = history_.newest();
    say(watcher, WatchWaiting{history_.newest()});
    send(watcher, false);
  }
  visit_soon(watcher);
}

void Watch::open_poll(RequestId id, Box<PollCall> call) {
  const Duration wait = call->wait;
  const Revision since = call->since;
  Watcher& watcher = add(id, std::move(call), wait);
  watcher.at = since;
  if (since < history_.oldest()) watcher.lost = WatchBreak::kHistory;
  visit_soon(watcher);
}

Watcher& Watch::add(RequestId id, std::variant<Box<WatchCall>, Box<PollCall>> call, Duration due) {
  auto [it, fresh] = watchers_.try_emplace(id);
  CHECK(fresh);
  Watcher& watcher = it->second;
  watcher.id = id;
  watcher.call = std::move(call);
  if (watcher.stream() != nullptr) ++counted_.streams;
  index_.add(watcher.filter(), &watcher);
  arm(watcher, out_.now + due);
  return watcher;
}

void Watch::remove(Watcher& watcher) {
  if (watcher.stream() != nullptr) --counted_.streams;
  index_.remove(watcher.filter(), &watcher);
  due_.erase({watcher.due, watcher.id});
  watchers_.erase(watcher.id);
}

void Watch::answer(RequestId id, decltype(WatchAnswer::what) what, Revision at) {
  const bool opens = std::holds_alternative<WatchOpened>(what);
  out_.emit(Reply{id, WatchAnswer{what, role_.epoch, at}, opens, !opens});
}

void Watch::refuse(RequestId id, ErrorCode code, const char* why) {
  Failed failed{code, Outcome::kNotApplied, why};
  out_.emit(
      Reply{id, StoreAnswer{std::move(failed), role_.epoch, history_.newest(), std::nullopt}, false, true});
}

void Watch::on(const CallCancelled& message) {
  const auto it = watchers_.find(message.id);
  if (it != watchers_.end()) remove(it->second);
}

void Watch::on(const StopRequested&) {
  stopping_ = true;
  for (auto& [id, watcher] : watchers_) {
    watcher.lost = WatchBreak::kStopping;
    visit_soon(watcher);
  }
}

// ---- who has to be visited ----

bool Watch::full(const Watcher& watcher) const {
  return watcher.untaken >= out_.config.tuning.watch_window && !mutated(Mutation::kNoWindow);
}

// Everything that matches was said up to there.
Revision Watch::place_of(const Watcher& watcher) const {
  return watcher.resting ? std::max(watcher.at, history_.newest()) : watcher.at;
}

void Watch::visit_soon(Watcher& watcher) {
  if (std::exchange(watcher.queued, true)) return;
  ready_.push_back(watcher.id);
}

// For something else than a change that matches.
void Watch::rouse(Watcher& watcher) {
  watcher.at = place_of(watcher);
  watcher.resting = false;
  visit_soon(watcher);
}

// A change of this revision matches, and perhaps others behind it. Who does not rest gets there anyway.
void Watch::wake(Watcher& watcher, Revision revision) {
  if (!watcher.resting) return;
  watcher.at = std::max(watcher.at, revision.previous());
  watcher.resting = false;
  visit_soon(watcher);
}

void Watch::on(const StreamTaken& message) {
  const auto it = watchers_.find(message.id);
  if (it == watchers_.end()) return;
  Watcher& watcher = it->second;
  const bool was_full = full(watcher);
  watcher.untaken -= std::min(watcher.untaken, message.bytes);
  if (was_full && !full(watcher)) rouse(watcher);
}

// ---- what this server knows ----

void Watch::on(Committed&& message) {
  for (const EntryPointer& entry : message.entries) {
    history_.add(entry);
    if (watchers_.empty()) continue;
    for (const Record& effect : entry->effects) {
      if (effect.space() != Space::kData) continue;
      index_.each_once(effect.key(), [&](Watcher& watcher) { wake(watcher, entry->revision); });
    }
  }
  index_.begin_anew();
  while (!confirmed_.empty() && confirmed_.begin()->first <= history_.newest()) {
    const auto it = watchers_.find(confirmed_.begin()->second);
    if (it != watchers_.end()) rouse(it->second);
    confirmed_.erase(confirmed_.begin());
  }
}

// A copy that has gone back was given up: what was said of it may not be so.
void Watch::on(const HistoryReset& message) {
  const bool back = message.base < history_.newest();
  for (auto& [id, watcher] : watchers_) {
    rouse(watcher);
    if (!stopping_ && (back || watcher.at < message.base)) watcher.lost = message.why;
  }
  history_.reset(message.base);
}

void Watch::on(RoleChanged&& message) {
  role_ = std::move(message);
  if (!role_.readable) return;
  for (auto& [id, watcher] : watchers_) {
    if (watcher.state && watcher.state->token == 0 && !watcher.state->page) ask_for_page(watcher);
  }
}

void Watch::on(const CopyHeard& message) {
  stale_ = !message.current;
  silent_ = message.silent;
  for (auto& [id, watcher] : watchers_) {
    if (watcher.stream() != nullptr) rouse(watcher);
  }
}

// A page of what is there, or why there is none; or what a linear read found.
void Watch::on(Answered&& message) {
  if (message.token == kConfirmation) return take_confirmation(message);
  const auto asked = pages_.extract(message.token);
  const auto it = asked ? watchers_.find(asked.mapped()) : watchers_.end();
  if (it == watchers_.end() || !it->second.state || it->second.state->token != message.token) return;
  take_page(it->second, message);
}

// ---- time ----

void Watch::arm(Watcher& watcher, Instant due) {
  due_.erase({watcher.due, watcher.id});
  watcher.due = due;
  due_.emplace(due, watcher.id);
}

void Watch::on_time() {
  while (!due_.empty() && due_.begin()->first <= out_.now) come_due(watchers_.at(due_.begin()->second));
  ask_for_confirmation();
}

// Who is full is not reading, who is being told the state hears enough, and in the midst of a revision nobody has got
// anywhere.
bool Watch::may_say_how_far(const Watcher& watcher) const {
  return !full(watcher) && !watcher.state && !watcher.lost && watcher.place == 0;
}

void Watch::come_due(Watcher& watcher) {
  const WatchCall* stream = watcher.stream();
  if (stream == nullptr) {
    if (watcher.resting) return finish_poll(watcher, false);
    arm(watcher, kNever);  // it has not looked at everything yet, and is done when it has
    watcher.poll()->wait = Duration(0);
    return;
  }
  arm(watcher, out_.now + stream->progress);
  if (!may_say_how_far(watcher)) return;
  if (stream->linear && mutated(Mutation::kProgressLocal)) {
    watcher.confirmed = history_.newest();
    return rouse(watcher);
  }
  if (stream->linear && !watcher.asked) {
    watcher.asked = true;
    to_ask_for_.push_back(watcher.id);
  } else {
    watcher.tells = true;
    rouse(watcher);
  }
}

// One that began before somebody wanted it says nothing about what was acknowledged in between.
void Watch::ask_for_confirmation() {
  if (asking_ || to_ask_for_.empty()) return;
  asking_ = true;
  asked_for_ = std::exchange(to_ask_for_, {});
  // A listing of nothing.
  out_.kv_router.post(Ask{Ask::By::kWatch, kConfirmation, ListKeys{}, out_.config.leader_silence * 2});
}

void Watch::take_confirmation(const Answered& message) {
  const bool failed = std::holds_alternative<Failed>(message.answer);  // nobody could be asked
  asking_ = false;
  for (const RequestId id : std::exchange(asked_for_, {})) {
    const auto it = watchers_.find(id);
    if (it == watchers_.end()) continue;
    Watcher& watcher = it->second;
    if (failed) {
      watcher.asked = false;
      watcher.tells = true;
      rouse(watcher);
      continue;
    }
    watcher.confirmed = message.revision;
    if (message.revision <= history_.newest()) {
      rouse(watcher);
    } else {
      confirmed_.emplace(message.revision, id);
    }
  }
  ask_for_confirmation();
}

Instant Watch::deadline() const {
  if (!ready_.empty()) return out_.now;
  return due_.empty() ? kNever : due_.begin()->first;
}

void Watch::flush() {
  turn_bytes_ = 0;
  for (size_t visits = 0; !ready_.empty() && visits < out_.config.tuning.watch_visits; ++visits) {
    if (turn_bytes_ >= limits::kTurnBytes) return;
    const auto it = watchers_.find(ready_.front());
    ready_.pop_front();
    if (it == watchers_.end()) continue;
    it->second.queued = false;
    visit(it->second);
  }
}

WatchStatus Watch::status() const {
  WatchStatus status = counted_;
  status.polls = watchers_.size() - status.streams;
  status.oldest = history_.oldest();
  status.history_bytes = history_.bytes();
  return status;
}

}  // namespace kvd
