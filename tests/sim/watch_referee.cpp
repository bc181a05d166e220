// See watch_referee.hpp.
#include "watch_referee.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd::sim {

std::optional<WatchedEntry> first_watched(const CommittedHistory& committed, const WatchFilter& filter,
                                          Revision after, Revision until) {
  for (Revision revision = after.next(); revision <= until; revision = revision.next()) {
    WatchedEntry found{revision, {}};
    const Entry* entry = committed.at(revision);
    if (entry == nullptr) return found;
    for (const Record& effect : entry->effects) {
      if (effect.space() == Space::kData && filter.matches(effect.key())) found.effects.push_back(&effect);
    }
    if (!found.effects.empty()) return found;
  }
  return std::nullopt;
}

std::string WatchReferee::opened(Revision revision) {
  if (opened_) return "it is opened twice";
  opened_ = true;
  begun_ = revision;
  at_ = call_.since.value_or(revision);
  state_ = call_.state && !call_.since;
  return {};
}

std::string WatchReferee::refused(const HistoryGone& gone, Revision revision) const {
  if (opened_) return "it is refused after it was opened";
  if (!call_.since || call_.state) return "its history is gone, for which it did not ask";
  if (*call_.since >= gone.oldest || gone.oldest > revision)
    return fmt::format("the history behind {} is gone, it is said at {}, and goes back to {}",
                       call_.since->value, revision.value, gone.oldest.value);
  return {};
}

std::string WatchReferee::hear(const WatchLine& line) {
  if (!is_open()) return "a line comes before the stream is opened, or behind its last one";
  const bool full = untaken_ >= window_ && !std::holds_alternative<WatchGone>(line);
  if (full) return fmt::format("a line comes although {} bytes of those before are not taken", untaken_);
  untaken_ += line_bytes(line, call_.values);
  return std::visit([this](const auto& said) { return on(said); }, line);
}

bool WatchReferee::same(const Record& said, const Record& committed) const {
  if (!call_.values)
    return said.key() == committed.key() && said.metadata() == committed.metadata() &&
           said.has_value() == committed.has_value();
  return said == committed;
}

std::string WatchReferee::on(const WatchEvent& event) {
  const Record& record = event.record;
  const Revision revision = record.modified();
  const std::string what = fmt::format("{} at revision {}", record.key(), revision.value);
  if (!call_.filter.matches(record.key())) return fmt::format("{} does not match", what);
  if (event.state != state_) return fmt::format("{} is said to be state={}", what, event.state);
  if (state_) return on_state(record);
  if (revision <= at_) return fmt::format("{} is said behind {}", what, at_.value);
  if (lineage_of(revision) != lineage_of(at_))
    return fmt::format("{} is said behind {}, of another lineage", what, at_.value);
  const auto next = first_watched(committed_, call_.filter, at_, revision);
  if (!next) return fmt::format("{} is no change that was committed", what);
  if (next->effects.empty())
    return fmt::format("{} is said, and nobody has committed {}", what, next->revision.value);
  if (next->revision < revision)
    return fmt::format("{} is said, and not what changed {} at revision {}", what, next->effects[0]->key(),
                       next->revision.value);
  if (place_ >= next->effects.size() || !same(record, *next->effects[place_]))
    return fmt::format("{} is not the change number {} that was committed", what, place_);
  ++place_;
  const bool more = place_ < next->effects.size();
  if (event.more != more) return fmt::format("{} is said with more={}", what, event.more);
  if (!more) at_ = revision, place_ = 0;
  return {};
}

// A part of what is there, as of some revision or other, or a change on the way.
std::string WatchReferee::on_state(const Record& record) const {
  const Entry* entry = committed_.at(record.modified());
  const bool found =
      entry != nullptr && std::any_of(entry->effects.begin(), entry->effects.end(),
                                      [&](const Record& effect) { return same(record, effect); });
  if (found) return {};
  return fmt::format("{} at revision {} is said to be there, and nobody has committed it", record.key(),
                     record.modified().value);
}

// All that matches up to there has to have been said.
std::string WatchReferee::reach(Revision revision) {
  if (revision == at_ && place_ == 0) return {};
  if (revision <= at_) return fmt::format("{} is reached behind {}", revision.value, at_.value);
  if (place_ > 0)
    return fmt::format("{} is reached in the midst of the revision behind {}", revision.value, at_.value);
  if (lineage_of(revision) != lineage_of(at_))
    return fmt::format("{} is reached behind {}, of another lineage", revision.value, at_.value);
  const auto missed = first_watched(committed_, call_.filter, at_, revision);
  if (missed && missed->effects.empty())
    return fmt::format("{} is reached, and nobody has committed {}", revision.value, missed->revision.value);
  if (missed)
    return fmt::format("{} is reached, and that {} changed at revision {} was not said", revision.value,
                       missed->effects[0]->key(), missed->revision.value);
  at_ = revision;
  return {};
}

std::string WatchReferee::on(const WatchProgress& progress) {
  if (state_) return "progress is told before the state is";
  if (progress.linear && !call_.linear) return "progress is called linear, which nobody wanted";
  return reach(progress.revision);
}

std::string WatchReferee::on(const WatchWaiting& waiting) {
  if (call_.since && at_ == *call_.since && waiting.revision < at_ && !state_) return {};
  return fmt::format("it waits at {}", waiting.revision.value);
}

std::string WatchReferee::on(const WatchStale&) {
  return std::exchange(stale_, true) ? "it is stale twice" : "";
}

std::string WatchReferee::on(const WatchCurrent&) {
  return std::exchange(stale_, false) ? "" : "it is current, and was before";
}

std::string WatchReferee::on(const WatchSynced& synced) {
  if (!std::exchange(state_, false)) return "it is synced, and told no state";
  if (synced.revision < begun_)
    return fmt::format("it is synced at {}, and began at {}", synced.revision.value, begun_.value);
  at_ = synced.revision;
  place_ = 0;
  return {};
}

std::string WatchReferee::on(const WatchReset& reset) {
  if (!call_.state) return "it is reset, and was not asked for state";
  state_ = true;
  begun_ = reset.revision;
  return {};
}

std::string WatchReferee::on(const WatchGone& gone) {
  ended_ = true;
  if (gone.reason == WatchBreak::kStopping) return {};
  if (call_.state) return "it ends, and was to be reset";
  if (gone.reason == WatchBreak::kHistory && at_ >= gone.oldest)
    return fmt::format("the history behind {} is gone, it is said, and goes back to {}", at_.value,
                       gone.oldest.value);
  return {};
}

}  // namespace kvd::sim
