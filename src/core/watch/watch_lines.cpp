// The watch actor: what is said to one who watches. See watch.hpp.
#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "core/watch/watch.hpp"

namespace kvd {

// Whatever there is to say to it now.
void Watch::visit(Watcher& watcher) {
  effects_left_ = out_.config.tuning.watch_slice;
  if (watcher.poll() != nullptr) return visit_poll(watcher);
  const bool reads = watcher.state && !watcher.state->begun;  // from wherever that will be
  if (!reads && watcher.at < history_.oldest() && !watcher.lost) {
    if (mutated(Mutation::kBehindJumps)) {
      watcher.at = history_.oldest();
    } else {
      watcher.lost = WatchBreak::kHistory;
    }
  }
  if (watcher.lost) {
    const bool ends = !watcher.stream()->state || watcher.lost == WatchBreak::kStopping;
    if (full(watcher) && !ends) return;  // until there is room for a line
    return lose(watcher, *std::exchange(watcher.lost, std::nullopt));
  }
  if (watcher.told_stale != stale_ && !full(watcher)) {
    watcher.told_stale = stale_;
    if (stale_) {
      say(watcher, WatchStale{silent_});
    } else {
      say(watcher, WatchCurrent{history_.newest()});
    }
  }
  const bool done = say_what_is_due(watcher);
  watcher.resting = done;
  if (std::exchange(watcher.tells, false) && may_say_how_far(watcher)) say_how_far(watcher, false);
  if (!done && !full(watcher) && !(watcher.state && !watcher.state->page)) visit_soon(watcher);
  if (done && watcher.confirmed && *watcher.confirmed <= watcher.at && !full(watcher)) {
    watcher.asked = false;
    watcher.confirmed.reset();
    say_how_far(watcher, true);
  }
  send(watcher, false);
}

// True: there is nothing more.
bool Watch::say_what_is_due(Watcher& watcher) {
  if (watcher.state && !say_state(watcher)) return false;
  return say_events(watcher, history_.newest());
}

// ---- changes ----

// Those behind what was said, up to `until`. True: that is all.
bool Watch::say_events(Watcher& watcher, Revision until) {
  for (size_t i = history_.first_behind(watcher.at); i < history_.size(); ++i) {
    const Entry& entry = history_.at(i);
    if (entry.revision > until) break;
    watcher.at = entry.revision.previous();
    if (!say_entry(watcher, entry)) return false;
    watcher.at = entry.revision;
    watcher.place = 0;
  }
  watcher.at = std::max(watcher.at, until);
  return true;
}

bool Watch::say_entry(Watcher& watcher, const Entry& entry) {
  const auto matches = [&watcher](const Record& effect) {
    return effect.space() == Space::kData && watcher.filter().matches(effect.key());
  };
  const std::vector<Record>& all = entry.effects;
  for (; watcher.place < all.size(); ++watcher.place) {
    if (effects_left_ == 0 || full(watcher)) return false;
    --effects_left_;
    const auto effect = all.begin() + static_cast<ptrdiff_t>(watcher.place);
    if (!matches(*effect)) continue;
    const bool more = std::find_if(effect + 1, all.end(), matches) != all.end();
    say(watcher, WatchEvent{*effect, more && !mutated(Mutation::kTornResume), watcher.state != nullptr});
    if (!more) break;  // also when it is full by now: its client may go on behind this revision
  }
  return true;
}

// ---- what is there ----

void Watch::begin_state(Watcher& watcher) {
  watcher.state = std::make_unique<StateReading>();
  watcher.at = history_.newest();
  watcher.place = 0;
  watcher.resting = false;
  if (role_.readable) ask_for_page(watcher);
}

void Watch::ask_for_page(Watcher& watcher) {
  StateReading& state = *watcher.state;
  const WatchCall& call = *watcher.stream();
  state.token = ++last_token_;
  pages_[state.token] = watcher.id;
  Operation read = ReadKey{call.filter.key};
  const auto keys = static_cast<uint32_t>(out_.config.tuning.watch_page);
  if (call.filter.prefix) read = ListKeys{call.filter.key, state.after, keys, !call.values};
  out_.replica.post(Read{state.token, std::move(read), false, Read::By::kWatch});
}

void Watch::take_page(Watcher& watcher, Answered& answered) {
  StateReading& state = *watcher.state;
  state.token = 0;
  if (std::holds_alternative<Failed>(answered.answer)) return;  // asked again once there is a copy
  Listing page;
  if (auto* listing = std::get_if<Listing>(&answered.answer)) {
    page = std::move(*listing);
  } else if (auto* found = std::get_if<KeyFound>(&answered.answer)) {
    page.items.push_back(std::move(found->item));
    page.complete = found->complete;
  } else {
    page.complete = std::get<KeyMissing>(answered.answer).complete;
  }
  state.page = std::move(page);
  state.revision = answered.revision;
  state.said = 0;
  if (!std::exchange(state.begun, true)) watcher.at = state.base = answered.revision;
  visit_soon(watcher);
}

// True: it was all said.
bool Watch::say_state(Watcher& watcher) {
  StateReading& state = *watcher.state;
  if (!state.page || !say_events(watcher, state.revision)) return false;
  for (; state.said < state.page->items.size(); ++state.said) {
    if (full(watcher)) return false;
    const Record& item = state.page->items[state.said];
    if (item.modified() <= state.base) say(watcher, WatchEvent{item, false, true});  // else as a change
  }
  if (state.page->more) {
    state.after = state.page->items.back().key();
    state.page.reset();
    if (role_.readable) ask_for_page(watcher);
    return false;
  }
  if (full(watcher)) return false;
  const WatchSynced synced{state.revision, state.page->complete};
  watcher.state.reset();
  say(watcher, synced);
  return true;
}

// ---- the end of it ----

void Watch::lose(Watcher& watcher, WatchBreak why) {
  ++counted_.breaks[static_cast<size_t>(why)];
  if (std::exchange(watcher.confirmed, std::nullopt)) watcher.asked = false;
  watcher.resting = false;
  if (watcher.stream()->state && why != WatchBreak::kStopping) {
    say(watcher, WatchReset{history_.newest(), why});
    begin_state(watcher);
    return send(watcher, false);
  }
  say(watcher, WatchGone{history_.newest(), history_.oldest(), why});
  send(watcher, true);
  remove(watcher);
}

// ---- lines ----

void Watch::say(Watcher& watcher, WatchLine line) {
  const size_t bytes = line_bytes(line, watcher.stream()->values);
  watcher.untaken += bytes;
  turn_bytes_ += bytes;
  lines_.push_back(std::move(line));
}

void Watch::say_how_far(Watcher& watcher, bool linear) {
  const Revision far = mutated(Mutation::kProgressAhead) ? history_.newest() : place_of(watcher);
  if (far > history_.newest()) return say(watcher, WatchWaiting{history_.newest()});
  say(watcher, WatchProgress{far, linear});
}

void Watch::send(Watcher& watcher, bool last) {
  if (!lines_.empty()) out_.emit(StreamLines{watcher.id, std::exchange(lines_, {}), last});
}

// ---- calls that wait ----

void Watch::visit_poll(Watcher& watcher) {
  PollCall& poll = *watcher.poll();
  if (watcher.lost == WatchBreak::kStopping) {
    refuse(watcher.id, ErrorCode::kShuttingDown, "this server is shutting down");
    return remove(watcher);
  }
  const bool lost = watcher.lost || watcher.at < history_.oldest();
  for (size_t i = history_.first_behind(watcher.at); !lost && i < history_.size(); ++i) {
    const Entry& entry = history_.at(i);
    const bool hit = std::any_of(entry.effects.begin(), entry.effects.end(), [&](const Record& effect) {
      return effect.space() == Space::kData && poll.filter.matches(effect.key());
    });
    if (hit) return finish_poll(watcher, true);
    watcher.at = entry.revision;
    effects_left_ -= std::min(effects_left_, entry.effects.size());
    if (effects_left_ == 0) return visit_soon(watcher);
  }
  if (lost) return finish_poll(watcher, true);
  watcher.resting = true;
  if (poll.wait == Duration(0)) finish_poll(watcher, false);
}

void Watch::finish_poll(Watcher& watcher, bool changed) {
  if (changed) {
    Call call{watcher.id, std::move(watcher.poll()->read), watcher.poll()->timeout};
    Revision& newest = std::get<StoreCall>(call.what).min_revision;
    newest = std::max(newest, history_.newest());
    out_.kv_router.post(std::move(call));
  } else {
    answer(watcher.id, NotChanged{}, place_of(watcher));
  }
  remove(watcher);
}

}  // namespace kvd
