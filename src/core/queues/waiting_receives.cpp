// See waiting_receives.hpp.
#include "core/queues/waiting_receives.hpp"

namespace kvd {
namespace {

SourceName source_of(const WaitingReceive& receive) {
  return source_of(*std::get<Box<ReceiveMessages>>(receive.message.operation));
}

}  // namespace

void WaitingReceives::add(WaitingReceive receive) {
  const uint64_t token = receive.message.token;
  due_.emplace(receive.until, token);
  Line& line = lines_[source_of(receive)];
  line.push_back(std::move(receive));
  where_.emplace(token, std::prev(line.end()));
}

WaitingReceives::Line* WaitingReceives::of(const SourceName& source) {
  const auto it = lines_.find(source);
  return it == lines_.end() ? nullptr : &it->second;
}

std::vector<SourceName> WaitingReceives::sources(const std::string& name) const {
  std::vector<SourceName> all;
  for (auto it = lines_.lower_bound({name, ""}); it != lines_.end() && it->first.first == name; ++it)
    all.push_back(it->first);
  return all;
}

uint64_t WaitingReceives::size(const SourceName& source) const {
  const auto it = lines_.find(source);
  return it == lines_.end() ? 0 : it->second.size();
}

// A line that is empty goes with its last one.
WaitingReceive WaitingReceives::take(Line& line, Line::iterator it) {
  WaitingReceive receive = std::move(*it);
  line.erase(it);
  where_.erase(receive.message.token);
  due_.erase({receive.until, receive.message.token});
  if (line.empty()) lines_.erase(source_of(receive));
  return receive;
}

std::optional<WaitingReceive> WaitingReceives::take(uint64_t token) {
  const auto it = where_.find(token);
  if (it == where_.end()) return std::nullopt;
  return take(lines_.at(source_of(*it->second)), it->second);
}

std::optional<WaitingReceive> WaitingReceives::take_due(Instant now) {
  if (deadline() > now) return std::nullopt;
  return take(due_.begin()->second);
}

std::vector<WaitingReceive> WaitingReceives::take_all() {
  std::vector<WaitingReceive> all;
  all.reserve(where_.size());
  while (!where_.empty()) all.push_back(*take(where_.begin()->first));
  return all;
}

std::vector<WaitingReceive> WaitingReceives::take_of(LinkId from) {
  std::vector<uint64_t> tokens;
  for (const auto& [token, it] : where_) {
    if (it->message.from == from) tokens.push_back(token);
  }
  std::vector<WaitingReceive> all;
  for (const uint64_t token : tokens) all.push_back(*take(token));
  return all;
}

}  // namespace kvd
