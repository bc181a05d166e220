// Entries of locking queues that clients have: taken, told, found again after a lost answer, done or given back. See
// zk_queues.hpp.
#include <fmt/format.h>

#include "core/mutation.hpp"
#include "core/services/zk_queues/zk_queues.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr char kEntryDeleted[] = "its entry was deleted";

ServiceAnswer gone_because(const char* why) { return {ServiceStatus::kGone, why}; }

}  // namespace

void ZkQueues::lock(TakeId id) {
  const Take& take = takes_.at(id);
  zk_.call(ZkCreate{take.queue.taken(take.entry), take.guid, ZkMode::kEphemeral},
           [this, id](const ZkResult& result) { on_locked(id, result); });
}

void ZkQueues::on_locked(TakeId id, const ZkResult& result) {
  const Take* take = takes_.find(id);
  if (take == nullptr || takes_.put_off(id, result.code)) return;
  switch (result.code) {
    case ZkCode::kOk:
      return locked(id, result.stat.created_zxid);
    case ZkCode::kNodeExists:
      return try_again(id);
    case ZkCode::kNoNode:
      return make_paths(take->queue, [this, id](ZkCode code) {
        if (takes_.find(id) == nullptr || takes_.put_off(id, code)) return;
        code == ZkCode::kOk ? try_again(id) : fail(id, code, true);
      });
    default:
      fail(id, result.code, true);
  }
}

// Was it locked? What stands in its znode tells.
void ZkQueues::find(TakeId id) {
  const Take& take = takes_.at(id);
  const std::string path = take.queue.taken(take.entry);
  zk_.call(ZkSync{path}, [](const ZkResult&) {});
  zk_.call(ZkGet{path}, [this, id](const ZkResult& result) {
    Take* found = takes_.find(id);
    if (found == nullptr || takes_.put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) return fail(id, result.code, true);
    const bool ours = result.code == ZkCode::kOk && result.data == found->guid;
    if (ours) return locked(id, result.stat.created_zxid);
    found->fence = 0;
    try_again(id);
  });
}

void ZkQueues::locked(TakeId id, int64_t fence) {
  Take& take = takes_.at(id);
  take.fence = fence;
  take.leaves ? release(id) : read(id);
}

// Somebody may have finished it before it was locked here, or deleted it since.
void ZkQueues::read(TakeId id) {
  const Take& take = takes_.at(id);
  zk_.call(ZkGet{take.queue.entry(take.entry)}, [this, id](const ZkResult& result) {
    const Take* reads = takes_.find(id);
    if (reads == nullptr || reads->leaves || takes_.put_off(id, result.code)) return;
    if (result.code == ZkCode::kOk) return has(id, result.data);
    if (result.code == ZkCode::kNoNode)
      return reads->znode.empty() ? release(id) : takes_.take_back(id, kEntryDeleted, Duration(0));
    const bool had = !reads->znode.empty();  // and has it all the same
    takes_.refuse(id, zk_refusal(result.code, false));
    if (!had) takes_.give_up(id);
  });
}

void ZkQueues::has(TakeId id, const std::string& data) {
  Take& take = takes_.at(id);
  if (take.znode.empty()) {
    takes_.there(id, take.queue.taken(take.entry));
    end_try(take.queue, take.entry, false);
  }
  for (const auto& [token, until] : std::exchange(take.asking, {})) {
    take.known = true;
    reply(token, {ServiceStatus::kOk, Document()
                                          .add("path", take.queue.path.substr(1))
                                          .add("entry", take.entry)
                                          .add("fence", take.fence)
                                          .add("data", Octets{data})});
  }
  if (!takes_.streams().has(id)) return;
  Document held = Document().add("state", "held").add("entry", take.entry).add("fence", take.fence);
  takes_.streams().tell(id, Document(held).add("data", Octets{data}));
  takes_.streams().repeat(id, std::move(held));
  if (!mutated(Mutation::kEntryUnwatched)) check_own(id);
}

// What a connection has is watched: others may delete it. Who asks is told what it has.
void ZkQueues::check_own(TakeId id) {
  zk_.call(ZkExists{takes_.at(id).znode, takes_.streams().has(id)}, [this, id](const ZkResult& result) {
    const Take* take = takes_.find(id);
    if (take == nullptr || take->leaves || takes_.put_off(id, result.code)) return;
    const bool other = result.code == ZkCode::kOk && result.stat.created_zxid != take->fence;
    if (other || result.code == ZkCode::kNoNode) return lost_or_done(id, std::nullopt);
    if (!take->asking.empty()) read(id);
  });
}

// ---- done ----

void ZkQueues::finish(const ServiceAsked& message) {
  const std::string& path = message.call.path;
  const size_t slash = path.rfind('/');
  const QueueName name{path.substr(0, slash), true};
  const std::string own = name.taken(path.substr(slash + 1));
  const std::optional<uint64_t> fence = message.call.number(Parameter::kFence);
  const bool by_session = message.holder != HolderId();
  std::optional<TakeId> id;
  if (by_session) {
    id = takes_.find_of(message.holder, [&](const Take& one) { return one.znode == own; });
  } else if (const auto held = takes_.in(own); held && takes_.streams().has(*held)) {
    id = held;
  }
  if (!id)
    return reply(message.token,
                 {ServiceStatus::kNotFound, by_session ? "the client's session does not have that entry"
                                                       : "no connection to this server has that entry"});
  if (fence && static_cast<int64_t>(*fence) != takes_.at(*id).fence)
    return reply(message.token, {ServiceStatus::kConditionFailed, "that entry is held with another fence"});
  zk_.call(ZkSync{own}, [](const ZkResult&) {});
  zk_.call(ZkExists{own}, [this, id = *id, token = message.token](const ZkResult& result) {
    finish_now(token, id, result);
  });
}

// `own`: whether its znode is there. ZooKeeper has no deletion of what was made then, hence the look right before.
void ZkQueues::finish_now(uint64_t token, TakeId id, const ZkResult& own) {
  Take* take = takes_.find(id);
  if (take == nullptr || take->leaves) return reply(token, gone_because("the entry was given back"));
  if (own.code != ZkCode::kOk && own.code != ZkCode::kNoNode)
    return reply(token, zk_refusal(own.code, false));
  const bool ours = own.code == ZkCode::kOk && own.stat.created_zxid == take->fence;
  if (!ours) return lost_or_done(id, token);
  take->finishing = true;
  zk_.call(ZkMulti{{ZkDelete{take->queue.entry(take->entry)}, ZkDelete{take->znode}}},
           [this, token, id](const ZkResult& result) { on_finished(token, id, result); });
}

// Its znode is gone. Where the answer was lost when it was to be finished, that may have been done; then the entry is
// gone as well.
void ZkQueues::lost_or_done(TakeId id, std::optional<uint64_t> token) {
  const Take& take = takes_.at(id);
  if (!take.finishing) return lost(id, token);
  zk_.call(ZkExists{take.queue.entry(take.entry)}, [this, id, token](const ZkResult& result) {
    if (result.code == ZkCode::kNoNode) return done(id, token);
    if (result.code == ZkCode::kOk) return lost(id, token);
    if (token) reply(*token, zk_refusal(result.code, false));
    if (takes_.find(id) != nullptr) takes_.put_off(id, result.code);
  });
}

void ZkQueues::lost(TakeId id, std::optional<uint64_t> token) {
  if (token) reply(*token, gone_because(kZnodeDeleted));
  if (takes_.find(id) != nullptr) takes_.lose(id, kZnodeDeleted);
}

void ZkQueues::on_finished(uint64_t token, TakeId id, const ZkResult& result) {
  if (result.code == ZkCode::kOk) return done(id, token);
  if (result.code != ZkCode::kNoNode) return reply(token, zk_refusal(result.code, true));
  if (result.codes.front() != ZkCode::kNoNode) return lost(id, token);
  reply(token, gone_because(kEntryDeleted));
  if (takes_.find(id) != nullptr) takes_.take_back(id, kEntryDeleted, Duration(0));
}

void ZkQueues::done(TakeId id, std::optional<uint64_t> token) {
  if (token) reply(*token, {});
  if (takes_.find(id) == nullptr) return;
  takes_.streams().end(id, Document().add("state", "done"));
  takes_.fail(id, {ServiceStatus::kUnavailable, "the entry is done meanwhile; ask again"});
}

// ---- its end ----

bool ZkQueues::end_calls(TakeId id, const ServiceAnswer& answer) {
  Take& take = takes_.at(id);
  for (const auto& [token, until] : std::exchange(take.asking, {})) reply(token, answer);
  return !take.znode.empty();
}

// What its session was never told of is given back.
void ZkQueues::unasked(TakeId id, uint64_t token) {
  Take& take = takes_.at(id);
  take.asking.erase(token);
  if (take.asking.empty() && !take.known) takes_.give_up(id);
}

void ZkQueues::remove(TakeId id) {
  const Take& take = takes_.at(id);
  if (!take.queue.locking || take.entry.empty()) return takes_.forget(id);
  if (take.fence != 0) release(id);  // else what is under way looks at `leaves` when it has its answer
}

// Gives the entry back. One that may not be given back stays until that is allowed.
void ZkQueues::release(TakeId id) {
  const Take& take = takes_.at(id);
  const std::string path = take.queue.taken(take.entry);
  zk_.call(ZkExists{path}, [this, id, path](const ZkResult& result) {
    const Take* mine = takes_.find(id);
    if (mine == nullptr || takes_.put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk || result.stat.created_zxid != mine->fence) return released(id);
    zk_.call(ZkDelete{path}, [this, id](const ZkResult& deleted) {
      if (takes_.find(id) == nullptr) return;
      const bool stays = zk_silent(deleted.code) || deleted.code == ZkCode::kNoAuth;
      stays ? takes_.stays(id, deleted.code) : released(id);
    });
  });
}

void ZkQueues::released(TakeId id) {
  Take& take = takes_.at(id);
  if (take.leaves) return takes_.forget(id);
  take.fence = 0;
  try_again(id);
}

}  // namespace kvd
