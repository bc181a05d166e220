// See barrier_clients.hpp.
#include "barrier_clients.hpp"

#include <fmt/format.h>

#include "call_text.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kEnterAgainMost = milliseconds(300);
constexpr int kBarrierTtl = 6;  // seconds
constexpr int kWaitMs = 1500;
// Not for ever: who comes back while others still leave may be waited for by them, and wait for them.
constexpr int kHoldWaitMs = 4000;
constexpr size_t kWaiters = 2;
constexpr size_t kSizes[] = {3, 2};  // each with every other member
constexpr char kSingle[] = "gate";

kvd::ServiceStatus verdict_of(const ServiceReply* reply) {
  return reply == nullptr ? kvd::ServiceStatus::kUnknown : reply->answer.status;
}

}  // namespace

BarrierClients::BarrierClients(SimContext& context, ServiceCalls& calls)
    : ServiceClients(context, calls, static_cast<uint64_t>(context.options.barriers) + 79),
      members_(static_cast<size_t>(context.options.barriers)),
      passes_since_(kWaiters) {
  for (size_t i = 0; i < std::size(kSizes); ++i) barriers_[barrier_of(static_cast<int>(i))].size = kSizes[i];
}

void BarrierClients::start() {
  for (size_t i = 0; i < members_.size(); ++i) think(static_cast<int>(i));
  for (size_t i = 0; i < kWaiters; ++i) wait(static_cast<int>(i));
  raise();
}

std::string BarrierClients::barrier_of(int member) const {
  return fmt::format("meet/{}", static_cast<size_t>(member) % std::size(kSizes));
}

// ---- double ----

void BarrierClients::think(int index) {
  members_[index].name.clear();
  within(kThinkMost, [this, index] { enter(index); });
}

void BarrierClients::enter(int index) {
  Member& member = members_[index];
  if (prng_.one_in(2)) {
    return open_session(any_server(), kBarrierTtl, [this, index](const std::string& id) {
      members_[index].session = id;
      if (id.empty()) return think(index);
      enter_by_session(index);
    });
  }
  const std::string path = barrier_of(index);
  const std::string call = fmt::format("POST barriers/{}/enter?size={}&member=c{}&hold=1&wait={}", path,
                                       barriers_.at(path).size, index, kHoldWaitMs);
  member.call = calls_.call(any_server(), call, [this, index](const ServiceReply* reply) {
    if (reply == nullptr) return think(index);
    if (reply->line) hear_line(index, *reply);
    if (reply->last) think(index);
  });
}

// Who holds its place by a connection leaves by closing it.
void BarrierClients::hear_line(int index, const ServiceReply& reply) {
  Member& member = members_[index];
  const std::string state = member_of(reply.answer, "state");
  if (state == "released" && member.name.empty()) {
    released(index, reply.answer);
    ++member.through_since;
    hang_up_after(keeping(), member.call, [this, index] { think(index); });
  }
  if (state == "lost" && !reply.last)
    hang_up_after(up_to(kLetGoMost), member.call, [this, index] { think(index); });
}

// One in six gives up while it waits, and its place stays until the session runs out.
void BarrierClients::enter_by_session(int index) {
  const std::string path = barrier_of(index);
  const std::string call = fmt::format("POST barriers/{}/enter?size={}&member=c{}&session={}&wait={}", path,
                                       barriers_.at(path).size, index, members_[index].session, kWaitMs);
  calls_.call(any_server(), call, [this, index](const ServiceReply* reply) {
    const kvd::ServiceStatus verdict = verdict_of(reply);
    if (verdict == kvd::ServiceStatus::kOk) {
      released(index, reply->answer);
      return context_.queue.after(keeping(), [this, index] { leave(index); });
    }
    if (verdict == kvd::ServiceStatus::kGone || verdict == kvd::ServiceStatus::kConflict || prng_.one_in(6))
      return think(index);
    within(kEnterAgainMost, [this, index] { enter_by_session(index); });
  });
}

void BarrierClients::leave(int index) {
  calls_.call(any_server(),
              fmt::format("POST barriers/{}/leave?member=c{}&session={}&wait={}", barrier_of(index), index,
                          members_[index].session, kWaitMs),
              [this, index](const ServiceReply* reply) { hear_left(index, reply); });
}

void BarrierClients::hear_left(int index, const ServiceReply* reply) {
  const kvd::ServiceStatus verdict = verdict_of(reply);
  if (verdict == kvd::ServiceStatus::kGone || verdict == kvd::ServiceStatus::kNotFound) return think(index);
  if (verdict != kvd::ServiceStatus::kOk) {
    within(kEnterAgainMost, [this, index] { leave(index); });
    return;
  }
  const std::string path = barrier_of(index);
  const std::string& name = members_[index].name;
  for (const std::string& other : barriers_.at(path).complete.at(name)) {
    if (tree().contains(fmt::format("/{}/{}", path, other)))
      return wrong(fmt::format("{} is told to have left {}, but {} is still in", name, path, other));
  }
  ++members_[index].through_since;
  think(index);
}

// ---- single ----

void BarrierClients::raise() {
  calls_.call(any_server(), fmt::format("PUT barriers/{}", kSingle),
              [this](const ServiceReply*) { context_.queue.after(keeping(), [this] { lower(); }); });
}

void BarrierClients::lower() {
  calls_.call(any_server(), fmt::format("DELETE barriers/{}", kSingle), [this](const ServiceReply* reply) {
    const bool down = verdict_of(reply) == kvd::ServiceStatus::kDone;
    within(kThinkMost, [this, down] { down ? raise() : lower(); });
  });
}

void BarrierClients::wait(int index) {
  const int server = any_server();
  const int64_t seen = calls_.seen_zxid(server);
  calls_.call(
      server, fmt::format("GET barriers/{}?wait=2000", kSingle),
      [this, index, seen](const ServiceReply* reply) {
        if (verdict_of(reply) == kvd::ServiceStatus::kOk) {
          const auto it = tree().find(fmt::format("/{}", kSingle));
          if (it != tree().end() && it->second.created_zxid <= seen)
            return wrong("who waits at a barrier is told that it is down, but it has been up all the time");
          ++passes_since_[index];
        }
        within(kThinkMost, [this, index] { wait(index); });
      });
}

// ---- the referee ----

void BarrierClients::released(int index, const ServiceAnswer& answer) {
  const std::string path = barrier_of(index);
  members_[index].name = member_of(answer, "member");
  if (!barriers_.at(path).complete.contains(members_[index].name))
    wrong(fmt::format("{} is released for {}, which was never in with as many as it takes", path,
                      kvd::words_of(answer)));
}

void BarrierClients::on_zookeeper_changed() {
  for (auto& [path, barrier] : barriers_) {
    std::set<std::string> in;
    const std::string above = fmt::format("/{}/", path);
    for (auto it = tree().lower_bound(above); it != tree().end() && it->first.starts_with(above); ++it) {
      if (!it->first.ends_with("/ready")) in.insert(it->first.substr(above.size()));
    }
    if (in.size() < barrier.size) continue;
    for (const std::string& name : in) barrier.complete.try_emplace(name, in);
  }
}

void BarrierClients::on_progress_expected() {
  for (Member& member : members_) member.through_since = 0;
  passes_since_.assign(kWaiters, 0);
}

std::string BarrierClients::stuck() const {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].through_since == 0) return fmt::format("member {} does not get through; ", i);
  }
  for (const uint64_t passes : passes_since_) {
    if (passes == 0) return "who waits at the single barrier never passes; ";
  }
  return {};
}

}  // namespace kvd::sim
