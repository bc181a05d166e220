// See znodes.hpp.
#include "core/services/znodes/znodes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "msg/calls.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr size_t kSweepsUnderWay = 32;  // calls of one sweep at once: others want to have their turn

std::string_view without_slash(std::string_view path) { return path.substr(1); }

// A number of 64 bits would be rounded by many who read JSON.
std::string owner_shown(const ZkStat& stat) { return fmt::format("0x{:x}", stat.ephemeral_owner); }

void add_stat(Document& document, const ZkStat& stat) {
  document.add("version", stat.version).add("czxid", stat.created_zxid).add("mzxid", stat.modified_zxid);
  document.add("ctime_ms", stat.created_ms).add("mtime_ms", stat.modified_ms);
  document.add("cversion", stat.children_version).add("children_count", stat.children_count);
  document.add("ephemeral_owner", owner_shown(stat)).add("data_length", stat.data_length);
}

}  // namespace

Znodes::Znodes(Outbox& out)
    : out_(out),
      zk_(out, ServiceActor::kZnodes),
      made_(out, {.find = [this](MadeId id) { find(id); },
                  .check = [this](MadeId id) { check_own(id); },
                  .remove = [this](MadeId id) { remove_own(id); },
                  .end_calls = [this](MadeId id, const auto& answer) { return end_calls(id, answer); },
                  .unasked = [this](MadeId id, uint64_t) { unasked(id); },
                  .forgotten = {}}) {}

void Znodes::handle(ServiceMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

void Znodes::reply(uint64_t token, ServiceAnswer answer) {
  pending_.erase(token);
  sweeps_.erase(token);
  made_.reply(token, std::move(answer));
}

void Znodes::refuse(uint64_t token, ZkCode code) { reply(token, zk_refusal(code, true)); }

void Znodes::on(ServiceAsked message) {
  switch (message.call.name) {
    case CallName::kReadZnode:
    case CallName::kListZnode:
    case CallName::kStatZnode:
      return get(std::move(message));
    case CallName::kSetZnode:
      return set(std::move(message));
    case CallName::kCreateZnode:
    case CallName::kCreateEphemeral:
      return post(std::move(message));
    case CallName::kDeleteZnode:
      return remove(std::move(message));
    default:
      CHECK(!"a call of znodes");
  }
}

// ---- reads ----

void Znodes::get(ServiceAsked message) {
  PendingCall pending;
  pending.what = message.call.name;
  const bool children = pending.what == CallName::kListZnode;
  if (const auto version = message.call.number(children ? Parameter::kCversion : Parameter::kVersion))
    pending.version = static_cast<int32_t>(*version);
  pending.path = std::move(message.call.path);
  pending.until = message.until;
  pending_[message.token] = std::move(pending);
  look(message.token);
}

// Watches only where it may have to wait: a watch that is not needed stands all the same.
void Znodes::look(uint64_t token) {
  const PendingCall& pending = pending_.at(token);
  const bool watch = pending.version && pending.until > out_.now;
  ZkRequest request = ZkGet{pending.path};
  if (pending.what == CallName::kStatZnode && !watch)
    request = ZkExists{pending.path};  // its watch would stand on nothing, too
  if (pending.what == CallName::kListZnode) request = ZkChildren{pending.path};
  auto then = [this, token](const ZkResult& result, bool watches) { on_looked(token, result, watches); };
  if (watch) return zk_.watch(std::move(request), std::move(then));
  zk_.call(std::move(request), [then = std::move(then)](const ZkResult& result) { then(result, false); });
}

void Znodes::on_looked(uint64_t token, const ZkResult& result, bool watches) {
  const auto it = pending_.find(token);
  if (it == pending_.end()) return;
  PendingCall& pending = it->second;
  const bool waits = pending.until > out_.now;
  if (result.code == ZkCode::kNoNode && waits && !pending.version) return await_creation(token);
  if (result.code != ZkCode::kOk) return reply(token, zk_refusal(result.code, false));
  const int32_t version =
      pending.what == CallName::kListZnode ? result.stat.children_version : result.stat.version;
  if (pending.czxid == 0) pending.czxid = result.stat.created_zxid;
  const bool same = pending.version == version && pending.czxid == result.stat.created_zxid;
  if (same && waits) return wait(token, watches);
  reply(token, shown(pending, result));
}

// Of what is not there only this watches.
void Znodes::await_creation(uint64_t token) {
  zk_.watch(ZkExists{pending_.at(token).path}, [this, token](const ZkResult& result, bool watches) {
    if (!pending_.contains(token)) return;
    if (result.code == ZkCode::kOk) return look(token);
    if (result.code != ZkCode::kNoNode) return reply(token, zk_refusal(result.code, false));
    wait(token, watches);
  });
}

void Znodes::wait(uint64_t token, bool watches) {
  if (!watches) return reply(token, {ServiceStatus::kUnavailable, kWatchesFull});
  PendingCall& pending = pending_.at(token);
  pending.waiting = true;
  waiting_.emplace(pending.path, token);
  untils_.emplace(pending.until, token);
}

bool Znodes::stop_waiting(uint64_t token) {
  PendingCall& pending = pending_.at(token);
  if (!std::exchange(pending.waiting, false)) return false;
  const auto [begin, end] = waiting_.equal_range(pending.path);
  waiting_.erase(std::find_if(begin, end, [token](const auto& one) { return one.second == token; }));
  untils_.erase({pending.until, token});
  return true;
}

void Znodes::look_again(uint64_t token) {
  if (stop_waiting(token)) look(token);
}

ServiceAnswer Znodes::shown(const PendingCall& pending, const ZkResult& result) const {
  const ZkStat& stat = result.stat;
  if (pending.what == CallName::kReadZnode) {
    return {ServiceStatus::kOk, Octets{result.data},
            Document()
                .add(kNoteZnodeVersion, stat.version)
                .add(kNoteZnodeCzxid, stat.created_zxid)
                .add(kNoteZnodeMzxid, stat.modified_zxid)
                .add(kNoteZnodeOwner, owner_shown(stat))};
  }
  Document document = Document().add("path", without_slash(pending.path));
  add_stat(document, stat);
  if (pending.what == CallName::kListZnode) {
    const size_t shown = std::min(result.children.size(), kNamesMax);
    const auto end = result.children.begin() + static_cast<ptrdiff_t>(shown);
    document.add("children", ValueList(result.children.begin(), end));
    if (shown < result.children.size()) document.add("more", true);
  }
  return {ServiceStatus::kOk, std::move(document)};
}

// ---- set ----

void Znodes::set(ServiceAsked message) {
  const std::optional<uint64_t> version = message.call.number(Parameter::kVersion);
  ZkSet set{std::move(message.call.path), std::move(message.call.body),
            version ? static_cast<int32_t>(*version) : -1};
  zk_.call(std::move(set), [this, token = message.token](const ZkResult& result) {
    if (result.code != ZkCode::kOk) return refuse(token, result.code);
    reply(token, {ServiceStatus::kOk, Document().add("version", result.stat.version)});
  });
}

// ---- create ----

void Znodes::post(ServiceAsked message) {
  const bool sequential = message.call.flag(Parameter::kSeq);
  const bool parents = message.call.flag(Parameter::kParents);
  const std::string& path = message.call.path;
  if (path == "/" && !sequential)
    return reply(message.token, {ServiceStatus::kConflict, "the root is always there"});
  if (message.call.name == CallName::kCreateEphemeral) return make(std::move(message), sequential, parents);
  create(message.token,
         ZkCreate{path, std::move(message.call.body),
                  sequential ? ZkMode::kPersistentSequential : ZkMode::kPersistent},
         parents);
}

void Znodes::create(uint64_t token, ZkCreate create, bool parents) {
  const ZkCreate request = create;
  zk_.call(request, [this, token, parents, create = std::move(create)](const ZkResult& result) {
    if (result.code == ZkCode::kOk) return answer_created(token, result.path, result.stat.created_zxid);
    if (result.code != ZkCode::kNoNode) return refuse(token, result.code);
    if (!parents)
      return reply(token, {ServiceStatus::kNotFound, "what is above it is not there; parents=1 makes it"});
    zk_.make_path(create.path.substr(0, create.path.rfind('/')), [this, token, create](ZkCode code) {
      if (code == ZkCode::kOk) return this->create(token, create, false);
      refuse(token, code);
    });
  });
}

void Znodes::answer_created(uint64_t token, const std::string& path, int64_t czxid) {
  reply(token, {ServiceStatus::kCreated, Document().add("path", without_slash(path)).add("czxid", czxid),
                Document().add(kNoteMade, "znodes" + path)});
}

// ---- delete ----

void Znodes::remove(ServiceAsked message) {
  const std::optional<uint64_t> version = message.call.number(Parameter::kVersion);
  const bool recurse = message.call.flag(Parameter::kRecurse);
  std::string path = std::move(message.call.path);
  if (path == "/") return reply(message.token, {ServiceStatus::kForbidden, "the root stays"});
  const int32_t expected = version ? static_cast<int32_t>(*version) : -1;
  if (!recurse) {
    zk_.call(ZkDelete{path, expected}, [this, token = message.token, path](const ZkResult& result) {
      if (result.code != ZkCode::kOk) return refuse(token, result.code);
      forget_deleted(path);
      reply(token, ServiceStatus::kDone);
    });
    return;
  }
  Sweep& sweep = sweeps_[message.token];
  sweep.top = path;
  sweep.version = expected;
  sweep.found = {path};
  zk_.call(ZkExists{path}, [this, token = message.token, expected](const ZkResult& result) {
    if (!sweeps_.contains(token)) return;
    ZkCode code = result.code;
    if (code == ZkCode::kOk && expected >= 0 && expected != result.stat.version) code = ZkCode::kBadVersion;
    if (code == ZkCode::kUnknown) code = ZkCode::kNotConnected;  // nothing has been done
    if (code != ZkCode::kOk) return refuse(token, code);
    this->sweep(token);
  });
}

// Lists everything first, so that too much is refused before any of it is gone.
void Znodes::sweep(uint64_t token) {
  Sweep& sweep = sweeps_.at(token);
  while (sweep.under_way < kSweepsUnderWay && sweep.next < sweep.found.size()) {
    const std::string path = sweep.found[sweep.next++];
    ++sweep.under_way;
    zk_.call(ZkChildren{path},
             [this, token, path](const ZkResult& result) { on_listed(token, path, result); });
  }
  if (sweep.under_way > 0) return;
  go_on_sweeping(token);
}

void Znodes::on_listed(uint64_t token, const std::string& path, const ZkResult& result) {
  const auto it = sweeps_.find(token);
  if (it == sweeps_.end()) return;
  Sweep& sweep = it->second;
  --sweep.under_way;
  if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) {
    ServiceAnswer answer = zk_refusal(result.code, false);
    answer.why =
        fmt::format("nothing was deleted, since {} cannot be listed: {}", without_slash(path), answer.why);
    return reply(token, std::move(answer));
  }
  for (const std::string& name : result.children) sweep.found.push_back(path + "/" + name);
  if (sweep.found.size() > kSweepMax)
    return reply(token, {ServiceStatus::kTooLarge,
                         fmt::format("that is more than {} znodes; nothing was deleted", kSweepMax)});
  this->sweep(token);
}

// Each parent was found before its children: backwards, ZooKeeper performs them bottom up.
void Znodes::go_on_sweeping(uint64_t token) {
  Sweep& sweep = sweeps_.at(token);
  while (sweep.under_way < kSweepsUnderWay && sweep.next > 0) {
    const std::string path = sweep.found[--sweep.next];
    const bool top = sweep.next == 0;
    ++sweep.under_way;
    zk_.call(ZkDelete{path, top ? sweep.version : -1}, [this, token, top, path](const ZkResult& result) {
      if (result.code == ZkCode::kOk) forget_deleted(path);
      on_swept(token, top, result);
    });
  }
}

void Znodes::on_swept(uint64_t token, bool top, const ZkResult& result) {
  const auto it = sweeps_.find(token);
  if (it == sweeps_.end()) return;
  --it->second.under_way;
  const bool gone = result.code == ZkCode::kOk || result.code == ZkCode::kNoNode;
  if (gone && top) return reply(token, ServiceStatus::kDone);
  if (gone) return go_on_sweeping(token);
  ServiceAnswer answer = zk_refusal(result.code, true);
  if (result.code == ZkCode::kNotConnected) answer.status = ServiceStatus::kUnknown;
  answer.why = fmt::format("part of it was deleted, then: {}", answer.why);
  reply(token, std::move(answer));
}

// ---- ZooKeeper, time ----

void Znodes::on(const ZkWatchFired& message) {
  std::vector<uint64_t> concerned;
  const auto [begin, end] = waiting_.equal_range(message.path);
  for (auto it = begin; it != end; ++it) concerned.push_back(it->second);
  for (const uint64_t token : concerned) look_again(token);
  const auto own = made_.in(message.path);
  if (own && made_.streams().has(*own)) check_own(*own);
}

void Znodes::on(const ZkSessionChanged& message) {
  const bool other = made_.on(message);
  if (!made_.connected()) return;
  if (other) made_.lose_all(kSessionEnded);
  std::vector<uint64_t> tokens;  // what they wait for may have happened unseen
  for (const auto& [path, token] : waiting_) tokens.push_back(token);
  for (const uint64_t token : tokens) look_again(token);
  for (const MadeId id : made_.streamed()) check_own(id);
  made_.go_on_adrift();
}

void Znodes::on(const ServiceDropped& message) {
  if (pending_.contains(message.token)) stop_waiting(message.token);
  pending_.erase(message.token);
  sweeps_.erase(message.token);
  made_.on(message);
}

void Znodes::on_time() {
  while (!untils_.empty() && untils_.begin()->first <= out_.now) look_again(untils_.begin()->second);
  made_.on_time();
}

Instant Znodes::deadline() const {
  const Instant next = untils_.empty() ? kNever : untils_.begin()->first;
  return std::min(next, made_.deadline());
}

}  // namespace kvd
