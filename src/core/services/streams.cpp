// See streams.hpp.
#include "core/services/streams.hpp"

#include "base/json_writer.hpp"

namespace kvd {
namespace {

constexpr Duration kProgress = seconds(10);

std::string lost_line(const std::string& why) {
  JsonWriter json;
  return json.begin_object().member("state", "lost").member("reason", why).end_object().take();
}

}  // namespace

void Streams::open(uint64_t id, uint64_t token) {
  streams_[id].token = token;
  by_token_[token] = id;
}

void Streams::send(const Stream& stream, std::string line, bool last) {
  out_.desk.post(ServiceAnswered{stream.token, ServiceAnswer{Verdict::kOk, std::move(line), Form::kJson, {}},
                                 true, last});
}

void Streams::wake_at(uint64_t id, Instant at) {
  Stream& stream = streams_.at(id);
  times_.erase({stream.at, id});
  stream.at = at;
  times_.emplace(at, id);
}

void Streams::forget(uint64_t id) {
  const auto it = streams_.find(id);
  times_.erase({it->second.at, id});
  by_token_.erase(it->second.token);
  streams_.erase(it);
}

void Streams::say(uint64_t id, std::string line) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.parting) return;
  it->second.line = line;
  send(it->second, std::move(line), false);
  wake_at(id, out_.now + kProgress);
}

void Streams::end(uint64_t id, std::string line) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  send(it->second, std::move(line), true);
  forget(id);
}

void Streams::end_lost(uint64_t id, const std::string& why) { end(id, lost_line(why)); }

bool Streams::part(uint64_t id, const std::string& why, Duration grace) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return false;
  if (grace == Duration(0)) return end_lost(id, why), false;
  it->second.parting = true;
  send(it->second, lost_line(why), false);
  wake_at(id, out_.now + grace);
  return true;
}

std::optional<uint64_t> Streams::dropped(uint64_t token) {
  const auto it = by_token_.find(token);
  if (it == by_token_.end()) return std::nullopt;
  const uint64_t id = it->second;
  forget(id);
  return id;
}

std::vector<uint64_t> Streams::on_time() {
  std::vector<uint64_t> over;
  while (deadline() <= out_.now) {
    const uint64_t id = times_.begin()->second;
    Stream& stream = streams_.at(id);
    if (stream.parting) {
      over.push_back(id);
      end(id, R"({"state":"over"})");
    } else {
      send(stream, stream.line, false);
      wake_at(id, out_.now + kProgress);
    }
  }
  return over;
}

}  // namespace kvd
