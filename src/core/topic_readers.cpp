// See topic_readers.hpp.
#include "core/topic_readers.hpp"

#include <algorithm>
#include <optional>

#include "core/mutation.hpp"
#include "core/queues/stored.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr Duration kReaderIdle = seconds(10);   // between two lines of a stream
constexpr size_t kReaderPages = 32;             // in one turn
constexpr size_t kReaderPageBytes = 64u << 10;  // or one message: of a stream
constexpr uint32_t kReaderPageMessages = 256;

}  // namespace

void TopicReaders::handle(TopicReadersMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- who comes and goes ----

void TopicReaders::on(Call&& message) {
  if (stopping_) return out_.emit(refusal(message, ErrorCode::kShuttingDown, "this server is shutting down"));
  FollowTopic& wanted = *std::get<Box<FollowTopic>>(message.what);
  const bool stream = !wanted.wait;
  if (!stream && readers_.size() - streams_ >= out_.config.tuning.client_requests)
    return out_.emit(refusal(message, ErrorCode::kOverloaded, "too many requests wait in this server"));
  if (readers_.empty()) out_.replica.post(TopicsRead{true});
  Reader& reader = readers_[message.id];
  reader.page = std::move(wanted.page);
  reader.stream = stream;
  if (stream) {
    ++streams_;
    reader.page.limit = kReaderPageMessages;
    reader.page.bytes_max = kReaderPageBytes;
  }
  arm(message.id, reader, out_.now + wanted.wait.value_or(kReaderIdle));
  ask_soon(message.id, reader);
}

void TopicReaders::forget(All::iterator it) {
  auto& [id, reader] = *it;
  if (reader.stream) --streams_;
  if (reader.token != 0) asked_.erase(reader.token);
  topics_.erase({reader.number, id});
  due_.erase({reader.due, id});
  readers_.erase(it);
  if (readers_.empty()) out_.replica.post(TopicsRead{false});
}

void TopicReaders::on(const CallCancelled& message) {
  const auto it = readers_.find(message.id);
  if (it != readers_.end()) forget(it);
}

void TopicReaders::on(const StopRequested&) {
  stopping_ = true;
  while (!readers_.empty()) {
    auto& [id, reader] = *readers_.begin();
    if (reader.opened) {
      say_state(id, reader, Document().add("state", "stopping"), true);
    } else {
      Failed why{ErrorCode::kShuttingDown, Outcome::kNotApplied, "this server is shutting down"};
      out_.emit(Reply{id, StoreAnswer{std::move(why), role_.epoch, {}, {}}, false, true});
    }
    forget(readers_.begin());
  }
}

// ---- from pages to lines ----

void TopicReaders::ask(RequestId id, Reader& reader) {
  reader.token = ++last_token_;
  reader.woken = Revision();
  asked_.emplace(reader.token, id);
  out_.replica.post(Read{reader.token, reader.page, false, Read::By::kTopicReaders});
}

void TopicReaders::ask_soon(RequestId id, Reader& reader) {
  if (reader.token != 0 || reader.untaken >= limits::kStreamWindow || std::exchange(reader.queued, true))
    return;
  ready_.push_back(id);
}

void TopicReaders::flush() {
  for (size_t asked = 0; !ready_.empty() && asked < kReaderPages;) {
    const auto it = readers_.find(ready_.front());
    ready_.pop_front();
    if (it == readers_.end()) continue;
    it->second.queued = false;
    ask(it->first, it->second);
    ++asked;
  }
}

// Who is asking already looks once more if it should have looked too early.
void TopicReaders::wake(RequestId id, Reader& reader, Revision revision) {
  reader.woken = std::max(reader.woken, revision);
  ask_soon(id, reader);
}

void TopicReaders::wake_all() {
  for (auto& [id, reader] : readers_) wake(id, reader, reader.woken);
}

void TopicReaders::on(Answered&& message) {
  const auto asked = asked_.extract(message.token);
  if (!asked) return;  // it is gone
  const auto it = readers_.find(asked.mapped());
  it->second.token = 0;
  if (auto* found = std::get_if<Peeked>(&message.answer)) {
    take(it, std::move(*found), message.revision);
  } else {
    take_failure(it, std::move(message));
  }
}

void TopicReaders::take(All::iterator it, Peeked&& found, Revision revision) {
  auto& [id, reader] = *it;
  const bool another = reader.opened && found.number != reader.number;  // made anew
  if (another) return lose(it);
  const bool more = found.more || reader.woken > revision;
  const bool none = found.messages.empty() && !found.gap;
  number(id, reader, found.number);
  if (!mutated(Mutation::kReaderRepeats) || reader.opened || found.messages.empty())
    reader.page.after = {TopicPlace::Kind::kId, found.last, 0};
  if (!reader.stream) {
    if (none && !reader.over) {
      if (more) ask_soon(id, reader);
      return;
    }
    out_.emit(Reply{id, StoreAnswer{std::move(found), role_.epoch, revision, {}}, false, true});
    return forget(it);
  }
  const bool opens = !std::exchange(reader.opened, true);
  if (!none || opens) say(id, reader, std::move(found), revision);
  if (opens) say_current(id, reader);
  if (more) ask_soon(id, reader);
}

void TopicReaders::lose(All::iterator it) {
  say_state(it->first, it->second, Document().add("state", "lost").add("reason", "no topic"), true);
  forget(it);
}

// A copy that is being replaced has nothing to say for a while. Who has begun waits for it, and everybody else asks
// elsewhere.
void TopicReaders::take_failure(All::iterator it, Answered&& answered) {
  auto& [id, reader] = *it;
  const ErrorCode code = std::get<Failed>(answered.answer).code;
  if (!reader.opened) {
    out_.emit(
        Reply{id, StoreAnswer{std::move(answered.answer), role_.epoch, answered.revision, {}}, false, true});
    forget(it);
  } else if (code == ErrorCode::kNoTopic) {
    lose(it);
  }
}

// Without a message it says how far the stream has come.
void TopicReaders::say(RequestId id, Reader& reader, Peeked&& page, Revision revision) {
  for (const QueuedMessage& message : page.messages) reader.untaken += line_bytes(message);
  out_.emit(Reply{id, StoreAnswer{std::move(page), role_.epoch, revision, {}}, true, false});
  arm(id, reader, out_.now + kReaderIdle);
}

void TopicReaders::say_state(RequestId id, Reader& reader, Document line, bool last) {
  out_.emit(Reply{id, ServiceAnswer{ServiceStatus::kOk, std::move(line)}, true, last});
  arm(id, reader, out_.now + kReaderIdle);
}

void TopicReaders::say_current(RequestId id, Reader& reader) {
  if (heard_.current) return;
  say_state(id, reader, Document().add("state", "stale").add("silent_ms", to_ms(heard_.silent)), false);
}

void TopicReaders::on(const StreamTaken& message) {
  const auto it = readers_.find(message.id);
  if (it == readers_.end()) return;
  Reader& reader = it->second;
  const bool was_full = reader.untaken >= limits::kStreamWindow;
  reader.untaken -= std::min(reader.untaken, message.bytes);
  if (was_full) ask_soon(message.id, reader);
}

// ---- what this server knows ----

// Each is woken once, by the number of its topic; or by its name, when that was made or deleted.
void TopicReaders::on(Committed&& message) {
  if (mutated(Mutation::kReaderUnwoken)) return;
  std::map<uint64_t, Revision> numbers;
  for (const EntryPointer& entry : message.entries) {
    for (const Record& effect : entry->effects) {
      if (effect.space() == Space::kMessages && effect.has_value()) {
        numbers[message_key_of(effect.key()).number] = entry->revision;
      } else if (effect.space() == Space::kQueues && names_topic(effect.key())) {
        for (auto& [id, reader] : readers_) {
          if (effect.key().substr(1) == reader.page.topic) wake(id, reader, entry->revision);
        }
      }
    }
  }
  for (const auto& [number, revision] : numbers) {
    auto it = topics_.lower_bound({number, RequestId()});
    for (; it != topics_.end() && it->first == number; ++it)
      wake(it->second, readers_.at(it->second), revision);
  }
}

void TopicReaders::on(const HistoryReset&) { wake_all(); }

void TopicReaders::on(RoleChanged&& message) {
  const bool readable = message.readable && !role_.readable;
  role_ = std::move(message);
  if (readable) wake_all();
}

void TopicReaders::on(const CopyHeard& message) {
  heard_ = message;
  for (auto& [id, reader] : readers_) {
    if (!reader.opened) continue;
    if (heard_.current) say_state(id, reader, Document().add("state", "current"), false);
    say_current(id, reader);
  }
}

void TopicReaders::number(RequestId id, Reader& reader, uint64_t number) {
  if (reader.number == number) return;
  topics_.erase({reader.number, id});
  reader.number = number;
  topics_.emplace(number, id);
}

// ---- time ----

Instant TopicReaders::deadline() const {
  if (!ready_.empty()) return out_.now;
  return due_.empty() ? kNever : due_.begin()->first;
}

void TopicReaders::arm(RequestId id, Reader& reader, Instant due) {
  due_.erase({reader.due, id});
  reader.due = due;
  due_.emplace(due, id);
}

void TopicReaders::on_time() {
  while (!due_.empty() && due_.begin()->first <= out_.now) {
    const RequestId id = due_.begin()->second;
    Reader& reader = readers_.at(id);
    if (reader.stream) {
      const bool rests =
          reader.opened && reader.token == 0 && !reader.queued && reader.untaken < limits::kStreamWindow;
      arm(id, reader, out_.now + kReaderIdle);
      if (!rests) continue;
      Peeked nothing;
      nothing.last = reader.page.after.id;
      say(id, reader, std::move(nothing), Revision());
    } else {
      arm(id, reader, kNever);
      reader.over = true;
      ask_soon(id, reader);
    }
  }
}

}  // namespace kvd
