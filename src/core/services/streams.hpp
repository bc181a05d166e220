// What clients hold, until they have had time to hear that they do no more; and what they hold by a connection
// (`hold=1`), as lines on it: the last one is repeated now and then, so that both ends know of each other, and whoever
// loses what is held hears of it before anybody else can have it.
//
// A part of holdings.hpp; the service names what is held by keys of its own.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

// {"state":"lost","reason":WHY}
Document lost_line(const std::string& why);
Document over_line();     // {"state":"over"}
Document timeout_line();  // {"state":"timeout"}: it could not be had in time

template <class Key>
class Streams {
 public:
  static constexpr Duration kProgress = seconds(10);  // between a line and its repetition

  explicit Streams(Outbox& out) : out_(out) {}

  void open(const Key& key, uint64_t token);
  bool has(const Key& key) const;  // a connection
  // Now, and again whenever nothing else has been said for kProgress. Nothing without a stream, or when it has been
  // told that it lost; as all of these.
  void say(const Key& key, Document line);
  void tell(const Key& key, Document line);    // now, once
  void repeat(const Key& key, Document line);  // instead of what would be repeated next
  void end(const Key& key, Document line);
  void end_lost(const Key& key, const std::string& why);
  // Says that it is lost. True: whoever holds it has until `grace` is over, or the connection closed, to let go;
  // on_time() or dropped() names it then, unless it is forgotten. Who holds by a client's session cannot be told, and
  // has as long to hear of it by asking. False: there is nothing to wait for, and no stream any more.
  bool part(const Key& key, const std::string& why, Duration grace);
  // Its connection is closed: what was held there, if it was one of these.
  std::optional<Key> dropped(uint64_t token);
  // Whose grace is over.
  std::vector<Key> on_time();
  // There is no such thing, and never was: the answer to its connection, if it has one, is the caller's to give.
  std::optional<uint64_t> refuse(const Key& key);
  // There is no such thing any more, nor a stream that would have to hear of it.
  void forget(const Key& key);
  Instant deadline() const { return times_.empty() ? kNever : times_.begin()->first; }

 private:
  struct Stream {
    std::optional<uint64_t> token;
    Document line;
    bool parting = false;
    Instant at = kNever;
  };

  Stream* speaking(const Key& key);
  void send(const Stream& stream, Document line, bool last);
  void wake_at(const Key& key, Stream& stream, Instant at);

  Outbox& out_;
  std::map<Key, Stream> streams_;
  std::map<uint64_t, Key> by_token_;
  std::set<std::pair<Instant, Key>> times_;
};

template <class Key>
void Streams<Key>::open(const Key& key, uint64_t token) {
  streams_[key].token = token;
  by_token_.emplace(token, key);
}

template <class Key>
bool Streams<Key>::has(const Key& key) const {
  const auto it = streams_.find(key);
  return it != streams_.end() && it->second.token.has_value();
}

template <class Key>
typename Streams<Key>::Stream* Streams<Key>::speaking(const Key& key) {
  const auto it = streams_.find(key);
  return it == streams_.end() || it->second.parting ? nullptr : &it->second;
}

template <class Key>
void Streams<Key>::send(const Stream& stream, Document line, bool last) {
  out_.service_router.post(ServiceAnswered{*stream.token, {ServiceStatus::kOk, std::move(line)}, true, last});
}

template <class Key>
void Streams<Key>::wake_at(const Key& key, Stream& stream, Instant at) {
  times_.erase({stream.at, key});
  stream.at = at;
  times_.emplace(at, key);
}

template <class Key>
void Streams<Key>::forget(const Key& key) {
  const auto it = streams_.find(key);
  if (it == streams_.end()) return;
  times_.erase({it->second.at, key});
  if (it->second.token) by_token_.erase(*it->second.token);
  streams_.erase(it);
}

template <class Key>
std::optional<uint64_t> Streams<Key>::refuse(const Key& key) {
  const auto it = streams_.find(key);
  if (it == streams_.end()) return std::nullopt;
  const std::optional<uint64_t> token = it->second.token;
  forget(key);
  return token;
}

template <class Key>
void Streams<Key>::say(const Key& key, Document line) {
  tell(key, line);
  repeat(key, std::move(line));
}

template <class Key>
void Streams<Key>::tell(const Key& key, Document line) {
  Stream* stream = speaking(key);
  if (stream == nullptr || !out_.certain()) return;  // that it is lost comes next
  send(*stream, std::move(line), false);
  wake_at(key, *stream, out_.now + kProgress);
}

template <class Key>
void Streams<Key>::repeat(const Key& key, Document line) {
  Stream* stream = speaking(key);
  if (stream == nullptr) return;
  stream->line = std::move(line);
  if (stream->at == kNever) wake_at(key, *stream, out_.now + kProgress);
}

template <class Key>
void Streams<Key>::end(const Key& key, Document line) {
  const auto it = streams_.find(key);
  if (it == streams_.end()) return;
  if (it->second.token) send(it->second, std::move(line), true);
  forget(key);
}

template <class Key>
void Streams<Key>::end_lost(const Key& key, const std::string& why) {
  const bool told = streams_.contains(key) && streams_.at(key).parting;
  end(key, told ? over_line() : lost_line(why));
}

template <class Key>
bool Streams<Key>::part(const Key& key, const std::string& why, Duration grace) {
  if (grace == Duration(0)) return end_lost(key, why), false;
  Stream& stream = streams_[key];
  if (std::exchange(stream.parting, true)) return true;
  if (stream.token) send(stream, lost_line(why), false);
  wake_at(key, stream, out_.now + grace);
  return true;
}

template <class Key>
std::optional<Key> Streams<Key>::dropped(uint64_t token) {
  const auto it = by_token_.find(token);
  if (it == by_token_.end()) return std::nullopt;
  const Key key = it->second;
  forget(key);
  return key;
}

template <class Key>
std::vector<Key> Streams<Key>::on_time() {
  std::vector<Key> over;
  while (deadline() <= out_.now) {
    const Key key = times_.begin()->second;
    Stream& stream = streams_.at(key);
    if (stream.parting) {
      over.push_back(key);
      end(key, over_line());
    } else {
      if (out_.certain()) send(stream, stream.line, false);
      wake_at(key, stream, out_.now + kProgress);
    }
  }
  return over;
}

}  // namespace kvd
