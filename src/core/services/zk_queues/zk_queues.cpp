// See zk_queues.hpp.
#include "core/services/zk_queues/zk_queues.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "core/mutation.hpp"
#include "core/services/zk_refusal.hpp"
#include "msg/calls.hpp"

namespace kvd {
namespace {

constexpr std::string_view kEntryPrefix = "entry-";

ValueList list_of(const std::vector<std::string>& names) { return ValueList(names.begin(), names.end()); }

}  // namespace

ZkQueues::ZkQueues(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kZkQueues),
      takes_(out, {.find = [this](TakeId id) { find(id); },
                   .check = [this](TakeId id) { check_own(id); },
                   .remove = [this](TakeId id) { remove(id); },
                   .end_calls = [this](TakeId id, const auto& answer) { return end_calls(id, answer); },
                   .unasked = [this](TakeId id, uint64_t token) { unasked(id, token); },
                   .forgotten = [this](TakeId id, const Take& was) { forgotten(id, was); }}),
      looks_(out) {}

void ZkQueues::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void ZkQueues::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kPutEntry:
      return put(std::move(message));
    case CallName::kListEntries:
      return show(message);
    case CallName::kTakeEntry:
    case CallName::kLockEntry:
      return take(std::move(message));
    case CallName::kFinishEntry:
      return finish(message);
    default:
      CHECK(!"a call of queues in ZooKeeper");
  }
}

// ---- the queue itself ----

void ZkQueues::put(ServiceAsked message) {
  const QueueName name{std::move(message.call.path), message.call.flag(Parameter::kLocking)};
  const std::string entry = fmt::format("{}{:03}-", kEntryPrefix, *message.call.number(Parameter::kPriority));
  ZkCreate create{name.entry(entry), std::move(message.call.body), ZkMode::kPersistentSequential};
  put_now(message.token, name, std::move(create), false);
}

void ZkQueues::put_now(uint64_t token, const QueueName& name, ZkCreate create, bool made) {
  const ZkCreate request = create;
  zk_.call(request, [this, token, name, made, create = std::move(create)](const ZkResult& result) {
    if (result.code == ZkCode::kNoNode && !made) {
      return make_paths(name, [this, token, name, create](ZkCode code) {
        if (code == ZkCode::kOk) return put_now(token, name, create, true);
        reply(token, zk_refusal(code, true));
      });
    }
    if (result.code != ZkCode::kOk) return reply(token, zk_refusal(result.code, true));
    reply(token, {ServiceStatus::kCreated, Document()
                                               .add("path", name.path.substr(1))
                                               .add("entry", result.path.substr(name.entries().size() + 1))});
  });
}

void ZkQueues::make_paths(const QueueName& name, std::function<void(ZkCode)> then) {
  if (!name.locking) return zk_.make_path(name.path, std::move(then));
  zk_.make_path(name.taken(), [this, name, then = std::move(then)](ZkCode code) {
    code == ZkCode::kOk ? zk_.make_path(name.entries(), then) : then(code);
  });
}

// The entries first, as kazoo does: what was done in between is tried in vain, and nothing is tried that is taken.
void ZkQueues::list(const QueueName& name, bool watch, std::function<void(const Listing&)> then) {
  read_names(name.entries(), watch, [this, name, watch, then](const ZkResult& result, bool watches) {
    Listing listing{result.code, {}, {}, watches};
    std::copy_if(result.children.begin(), result.children.end(), std::back_inserter(listing.entries),
                 [](const std::string& child) { return child.starts_with(kEntryPrefix); });
    if (!name.locking || result.code != ZkCode::kOk) return then(listing);
    read_names(name.taken(), watch, [listing, then](const ZkResult& taken, bool also) mutable {
      listing.code = taken.code;
      listing.taken = taken.children;
      listing.watched &= also;
      then(listing);
    });
  });
}

void ZkQueues::read_names(const std::string& path, bool watch, ZkCalls::WatchThen then) {
  if (watch) return zk_.watch(ZkChildren{path}, std::move(then));
  zk_.call(ZkChildren{path}, [then = std::move(then)](const ZkResult& result) { then(result, false); });
}

// A queue needs no making: one that is not there is empty.
void ZkQueues::show(const ServiceAsked& message) {
  const QueueName name{message.call.path, message.call.flag(Parameter::kLocking)};
  list(name, false, [this, name, token = message.token](const Listing& listing) {
    if (listing.code != ZkCode::kOk && listing.code != ZkCode::kNoNode)
      return reply(token, zk_refusal(listing.code, false));
    if (listing.entries.size() > kEntriesMax)
      return reply(token,
                   {ServiceStatus::kTooLarge,
                    fmt::format("there are {} entries, and at most {} are listed: a queue in ZooKeeper is a "
                                "place to meet; queues of kvd itself are for work",
                                listing.entries.size(), kEntriesMax)});
    Document document = Document().add("path", name.path.substr(1)).add("entries", list_of(listing.entries));
    if (name.locking) {
      std::vector<std::string> taken;
      std::set_intersection(listing.entries.begin(), listing.entries.end(), listing.taken.begin(),
                            listing.taken.end(), std::back_inserter(taken));
      document.add("taken", list_of(taken));
    }
    reply(token, {ServiceStatus::kOk, std::move(document)});
  });
}

// ---- the line of those who want an entry ----

void ZkQueues::take(ServiceAsked message) {
  QueueName name{std::move(message.call.path), message.call.name == CallName::kLockEntry};
  std::optional<TakeId> id;
  if (name.locking) id = takes_.find_of(message.holder, [&](const Take& one) { return one.queue == name; });
  if (!id) {
    if (takes_.all().size() >= limits::kClientSessions)
      return reply(message.token, {ServiceStatus::kUnavailable, "too many at this server want entries"});
    Take take;
    take.holder = message.holder;
    take.watch_bytes = message.streams ? out_.watches.bytes_of(name.taken()) : 0;
    take.queue = name;
    take.guid = fmt::format("{:016x}{:016x}", out_.prng.next(), out_.prng.next());
    id = ++counter_;
    if (!takes_.add(*id, std::move(take)))
      return reply(message.token, {ServiceStatus::kUnavailable, kWatchesFull});
    queues_[name].waiting.push_back(*id);
  }
  Take& take = takes_.at(*id);
  if (message.streams) {
    takes_.streams().open(*id, message.token);
    take.stream_until = message.until;
  } else {
    takes_.ask(message.token, *id);
    take.asking[message.token] = message.until;
  }
  if (!take.znode.empty()) return check_own(*id);
  if (take.entry.empty()) look(name);
}

// One look at a time, for all who stand in line. Only where somebody may have to wait it watches.
void ZkQueues::look(const QueueName& name) {
  const auto it = queues_.find(name);
  if (it == queues_.end()) return;
  Queue& queue = it->second;
  queue.again = queue.looking;
  if (queue.looking) return;
  if (queue.waiting.empty()) {
    if (queue.tried.empty()) queues_.erase(it);
    return;
  }
  queue.looking = true;
  list(name, anybody_waits(queue), [this, name](const Listing& listing) { on_looked(name, listing); });
}

bool ZkQueues::anybody_waits(const Queue& queue) const {
  return std::any_of(queue.waiting.begin(), queue.waiting.end(), [this](TakeId id) {
    const Take& take = takes_.at(id);
    return (takes_.streams().has(id) && take.stream_until > out_.now) ||
           std::any_of(take.asking.begin(), take.asking.end(),
                       [this](const auto& one) { return one.second > out_.now; });
  });
}

void ZkQueues::on_looked(const QueueName& name, const Listing& listing) {
  const bool missing = listing.code == ZkCode::kNoNode;
  if (missing && anybody_waits(queues_.at(name))) {
    return make_paths(name, [this, name](ZkCode code) {
      queues_.at(name).again |= code == ZkCode::kOk;
      end_look(name, code);
    });
  }
  if (listing.code == ZkCode::kOk || missing) give_out(name, listing);
  end_look(name, missing ? ZkCode::kOk : listing.code);
}

void ZkQueues::give_out(const QueueName& name, const Listing& listing) {
  Queue& queue = queues_.at(name);
  for (const std::string& entry : listing.entries) {
    if (queue.waiting.empty()) return;
    if (queue.tried.contains(entry) || std::binary_search(listing.taken.begin(), listing.taken.end(), entry))
      continue;
    const TakeId id = queue.waiting.front();
    queue.waiting.pop_front();
    try_entry(id, entry);
  }
  answer_late(name, ServiceStatus::kDone);
  if (!listing.watched && !queue.again) refuse_all(name, {ServiceStatus::kUnavailable, kWatchesFull});
}

void ZkQueues::end_look(const QueueName& name, ZkCode code) {
  Queue& queue = queues_.at(name);
  if (looks_.put_off(name, code)) {
    answer_late(name, zk_refusal(code, false));
  } else if (code != ZkCode::kOk) {
    refuse_all(name, zk_refusal(code, false));
  }
  queue.looking = false;
  if (queue.again || queue.waiting.empty()) look(name);
}

void ZkQueues::refuse_all(const QueueName& name, const ServiceAnswer& answer) {
  const std::deque<TakeId> waiting = queues_.at(name).waiting;
  for (const TakeId id : waiting) takes_.fail(id, answer);
}

void ZkQueues::answer_late(const QueueName& name, const ServiceAnswer& none) {
  const std::deque<TakeId> waiting = queues_.at(name).waiting;
  for (const TakeId id : waiting) answer_late(id, none);
}

// Answers those who may wait no longer.
void ZkQueues::answer_late(TakeId id, const ServiceAnswer& none) {
  Take& take = takes_.at(id);
  for (auto it = take.asking.begin(); it != take.asking.end();) {
    const auto [token, until] = *it;
    if (until > out_.now) {
      due_ = std::min(due_, until);
      ++it;
    } else {
      it = take.asking.erase(it);
      reply(token, none);
    }
  }
  if (takes_.streams().has(id)) {
    if (take.stream_until <= out_.now) {
      takes_.streams().end(id, timeout_line());
    } else {
      due_ = std::min(due_, take.stream_until);
      if (!std::exchange(take.told_waiting, true))
        takes_.streams().say(id, Document().add("state", "waiting"));
    }
  }
  if (take.asking.empty() && !takes_.streams().has(id)) takes_.give_up(id);
}

void ZkQueues::try_entry(TakeId id, std::string entry) {
  Take& take = takes_.at(id);
  queues_.at(take.queue).tried.insert(entry);
  take.entry = std::move(entry);
  take.queue.locking ? lock(id) : take_out(id);
}

// Somebody else was faster.
void ZkQueues::try_again(TakeId id) {
  Take& take = takes_.at(id);
  if (take.leaves) return takes_.forget(id);
  const QueueName name = take.queue;
  Queue& queue = queues_[name];
  queue.tried.erase(std::exchange(take.entry, ""));
  queue.waiting.push_front(id);
  look(name);
}

// `freed`: others of this server may try it.
void ZkQueues::end_try(const QueueName& name, const std::string& entry, bool freed) {
  const auto it = queues_.find(name);
  if (it == queues_.end()) return;
  const bool tried = it->second.tried.erase(entry) > 0;
  if ((tried && freed) || it->second.waiting.empty()) look(name);
}

void ZkQueues::forgotten(TakeId id, const Take& was) {
  const auto it = queues_.find(was.queue);
  if (it == queues_.end()) return;
  std::erase(it->second.waiting, id);
  end_try(was.queue, was.entry, true);
}

void ZkQueues::fail(TakeId id, ZkCode code, bool write) { takes_.fail(id, zk_refusal(code, write)); }

// ---- of a plain queue ----

void ZkQueues::take_out(TakeId id) {
  const Take& take = takes_.at(id);
  zk_.call(ZkGet{take.queue.entry(take.entry)}, [this, id](const ZkResult& result) {
    const Take* reads = takes_.find(id);
    if (reads == nullptr) return;
    if (result.code == ZkCode::kNoNode) return try_again(id);
    if (result.code != ZkCode::kOk) return fail(id, result.code, false);
    zk_.call(ZkDelete{reads->queue.entry(reads->entry), result.stat.version},
             [this, id, data = result.data](const ZkResult& deleted) { on_taken_out(id, data, deleted); });
  });
}

void ZkQueues::on_taken_out(TakeId id, const std::string& data, const ZkResult& result) {
  Take* take = takes_.find(id);
  if (take == nullptr) return;
  if (result.code == ZkCode::kOk || mutated(Mutation::kEntryTakenTwice)) {
    end_try(take->queue, take->entry, false);
    end_calls(id, {ServiceStatus::kOk, Document()
                                           .add("path", take->queue.path.substr(1))
                                           .add("entry", take->entry)
                                           .add("data", Octets{data})});
    return takes_.forget(id);
  }
  if (result.code == ZkCode::kNoNode || result.code == ZkCode::kBadVersion) return try_again(id);
  fail(id, result.code, true);
}

// ---- ZooKeeper, time ----

void ZkQueues::on(const ZkWatchFired& message) {
  look({message.path, false});
  for (const std::string_view below : {"/entries", "/taken"}) {
    if (message.path.ends_with(below))
      look({message.path.substr(0, message.path.size() - below.size()), true});
  }
  const auto own = takes_.in(message.path);
  if (own && takes_.streams().has(*own)) check_own(*own);
}

// With the session end its ephemerals; what the others wait for may have happened unseen.
void ZkQueues::on(const ZkSessionChanged& message) {
  const bool other = takes_.on(message);
  looks_.on(message);
  if (!takes_.connected()) return;
  for (const TakeId id : takes_.keys()) {
    if (other && takes_.at(id).queue.locking) takes_.lose(id, kSessionEnded);
  }
  looks_.take();
  std::vector<QueueName> names;
  for (const auto& [name, queue] : queues_) names.push_back(name);
  for (const QueueName& name : names) look(name);
  for (const TakeId id : takes_.streamed()) check_own(id);
  takes_.go_on_adrift();
}

void ZkQueues::on_time() {
  takes_.on_time();
  if (looks_.deadline() <= out_.now) {
    for (const QueueName& name : looks_.take()) look(name);
  }
  if (due_ > out_.now) return;
  due_ = kNever;
  std::vector<QueueName> names;
  for (const auto& [name, queue] : queues_) {
    if (!queue.looking) names.push_back(name);
  }
  for (const QueueName& name : names) {
    if (queues_.contains(name)) answer_late(name, ServiceStatus::kDone);
  }
}

Instant ZkQueues::deadline() const { return std::min({due_, takes_.deadline(), looks_.deadline()}); }

}  // namespace kvd
