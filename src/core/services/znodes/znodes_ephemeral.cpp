// Clients' ephemeral znodes: made, found again after a lost answer, and removed when their holder ends. See znodes.hpp.
#include <fmt/format.h>

#include <algorithm>

#include "base/json_writer.hpp"
#include "core/services/znodes/znodes.hpp"

namespace kvd {
namespace {

constexpr Duration kRetry = milliseconds(20);
constexpr Duration kRefusedRetry = seconds(10);
constexpr size_t kDigits = 10;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_made_of(std::string_view name, std::string_view asked) {
  if (name.size() != asked.size() + kDigits || !name.starts_with(asked)) return false;
  name.remove_prefix(asked.size());
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Znodes::Made* Znodes::find_made(MadeId id) {
  const auto it = made_.find(id);
  return it == made_.end() ? nullptr : &it->second;
}

void Znodes::make(ServiceAsked message, bool sequential, bool parents) {
  if (made_.size() >= limits::kClientSessions)
    return reply(message.token, ServiceStatus::kUnavailable,
                 "this server keeps too many ephemeral znodes for clients");
  const size_t watched = message.streams ? out_.watches.bytes_of(message.call.path) : 0;
  if (!out_.watches.take(watched)) return reply(message.token, ServiceStatus::kUnavailable, kWatchesFull);
  const MadeId id = ++counter_;
  Made& made = made_[id];
  made.watched = watched;
  made.holder = message.holder;
  made.asked = std::move(message.call.path);
  made.data = std::move(message.call.body);
  made.sequential = sequential;
  made.parents = parents;
  made.asker = message.token;
  askers_[message.token] = id;
  if (message.streams) streams_.open(id, message.token);
  by_holder_.emplace(made.holder, id);
  make_now(id);
}

void Znodes::make_now(MadeId id) {
  const Made& made = made_.at(id);
  const ZkMode mode = made.sequential ? ZkMode::kEphemeralSequential : ZkMode::kEphemeral;
  zk_.call(ZkCreate{made.asked, made.data, mode},
           [this, id](const ZkResult& result) { on_made(id, result); });
}

void Znodes::on_made(MadeId id, const ZkResult& result) {
  Made* made = find_made(id);
  if (made == nullptr) return;
  switch (result.code) {
    case ZkCode::kOk:
      return there(id, result.path, result.stat.created_zxid);
    case ZkCode::kUnknown:
      put_off(id, result.code);
      return;
    case ZkCode::kNoNode:
      if (!made->parents)
        return fail(id, {ServiceStatus::kNotFound,
                         "what is above it is not there; parents=1 makes it",
                         ContentType::kJson,
                         {}});
      made->parents = false;
      zk_.make_path(parent_of(made->asked), [this, id](ZkCode code) {
        if (find_made(id) == nullptr) return;
        if (code != ZkCode::kOk) return fail(id, zk_refusal(code, true));
        make_now(id);
      });
      return;
    default:
      fail(id, zk_refusal(result.code, true));
  }
}

// ---- was it made? ----

bool Znodes::put_off(MadeId id, ZkCode code) {
  if (!zk_silent(code)) return false;
  adrift_.insert(id);
  retry_in(kRetry);
  return true;
}

void Znodes::retry_in(Duration pause) {
  if (connected_) retry_at_ = std::min(retry_at_, out_.now + pause);
}

// The session's server may be behind: hence the sync.
void Znodes::find(MadeId id) {
  const Made& made = made_.at(id);
  zk_.call(ZkSync{parent_of(made.asked)}, [](const ZkResult&) {});
  if (made.sequential) return find_sequential(id);
  zk_.call(ZkGet{made.asked}, [this, id](const ZkResult& result) {
    Made* found = find_made(id);
    if (found == nullptr || put_off(id, result.code)) return;
    if (result.code == ZkCode::kNoNode) return not_made(id);
    if (result.code != ZkCode::kOk) return fail(id, zk_refusal(result.code, true));
    if (!is_it(*found, found->asked, result)) return fail(id, zk_refusal(ZkCode::kNodeExists, true));
    there(id, found->asked, result.stat.created_zxid);
  });
}

bool Znodes::is_it(const Made& made, const std::string& path, const ZkResult& result) const {
  return result.code == ZkCode::kOk && result.stat.ephemeral_owner == session_ && result.data == made.data &&
         !is_known(path, result.stat.created_zxid);
}

bool Znodes::is_known(const std::string& path, int64_t czxid) const {
  const auto it = by_path_.find(path);
  return it != by_path_.end() && made_.at(it->second).czxid == czxid;
}

void Znodes::find_sequential(MadeId id) {
  zk_.call(ZkChildren{parent_of(made_.at(id).asked)}, [this, id](const ZkResult& result) {
    Made* made = find_made(id);
    if (made == nullptr || put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode)
      return fail(id, zk_refusal(result.code, true));
    const std::string above = parent_of(made->asked) == "/" ? "/" : parent_of(made->asked) + "/";
    std::vector<std::string> candidates;
    for (const std::string& name : result.children) {
      if (is_made_of(above + name, made->asked)) candidates.push_back(above + name);
    }
    // The newest last, where it is looked for first.
    if (candidates.size() > kFoundMax)
      candidates.erase(candidates.begin(), candidates.end() - static_cast<ptrdiff_t>(kFoundMax));
    look_at_found(id, std::move(candidates));
  });
}

void Znodes::look_at_found(MadeId id, std::vector<std::string> candidates) {
  if (candidates.empty()) return not_made(id);
  std::string path = std::move(candidates.back());
  candidates.pop_back();
  zk_.call(ZkGet{path}, [this, id, path, candidates = std::move(candidates)](const ZkResult& result) {
    Made* made = find_made(id);
    if (made == nullptr || put_off(id, result.code)) return;
    if (is_it(*made, path, result)) return there(id, path, result.stat.created_zxid);
    look_at_found(id, candidates);
  });
}

void Znodes::not_made(MadeId id) {
  if (made_.at(id).over) return forget(id);
  make_now(id);
}

void Znodes::there(MadeId id, std::string path, int64_t czxid) {
  Made& made = made_.at(id);
  if (is_known(path, czxid)) {  // somebody with the same wish took it for its own when an answer was lost
    if (made.sequential) return not_made(id);
    return fail(id, zk_refusal(ZkCode::kNodeExists, true));
  }
  if (const auto former = by_path_.find(path); former != by_path_.end())
    lose(former->second, "its znode was deleted");
  made.path = std::move(path);
  made.czxid = czxid;
  by_path_[made.path] = id;
  if (made.over) return remove_own(id);
  if (!made.asker) return;
  const uint64_t token = *std::exchange(made.asker, std::nullopt);
  askers_.erase(token);
  if (!streams_.has(id)) return answer_created(token, made.path, czxid);
  JsonWriter json;
  json.begin_object().member("state", "held").member("path", std::string_view(made.path).substr(1));
  streams_.say(id, json.member("czxid", czxid).end_object().take());
  check_own(id);
}

// Of what a connection holds: somebody else may delete it.
void Znodes::check_own(MadeId id) {
  const std::string& path = made_.at(id).path;
  zk_.call(ZkExists{path, true}, [this, id](const ZkResult& result) {
    const Made* made = find_made(id);
    if (made == nullptr || made->over) return;
    if (put_off(id, result.code)) return;
    const bool other = result.code == ZkCode::kOk && result.stat.created_zxid != made->czxid;
    if (other || result.code == ZkCode::kNoNode) lose(id, "its znode was deleted");
  });
}

// ---- its end ----

void Znodes::on(const HoldersEnded& message) {
  std::vector<MadeId> theirs;
  for (const HolderId holder : message.holders) {
    for (auto it = by_holder_.lower_bound({holder, 0}); it != by_holder_.end() && it->first == holder; ++it)
      theirs.push_back(it->second);
  }
  for (const MadeId id : theirs) {
    Made& made = made_.at(id);
    if (made.over) continue;
    if (made.asker && !streams_.has(id)) {
      askers_.erase(*made.asker);
      reply(*std::exchange(made.asker, std::nullopt), ServiceStatus::kGone, message.why);
    }
    if (!streams_.part(id, message.why, message.grace)) give_up(id);
  }
}

void Znodes::give_up(MadeId id) {
  Made& made = made_.at(id);
  if (made.asker) askers_.erase(*std::exchange(made.asker, std::nullopt));
  if (std::exchange(made.over, true)) return;
  if (!made.path.empty())
    remove_own(id);  // otherwise what is under way looks at `over` when it has its answer
}

// One that may not be removed stays until that is allowed.
void Znodes::remove_own(MadeId id) {
  const std::string path = made_.at(id).path;
  zk_.call(ZkExists{path}, [this, id, path](const ZkResult& result) {
    Made* made = find_made(id);
    if (made == nullptr || put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk || result.stat.created_zxid != made->czxid) return forget(id);
    zk_.call(ZkDelete{path}, [this, id](const ZkResult& deleted) {
      if (find_made(id) == nullptr || put_off(id, deleted.code)) return;
      if (deleted.code != ZkCode::kNoAuth) return forget(id);
      adrift_.insert(id);
      retry_in(kRefusedRetry);
    });
  });
}

void Znodes::fail(MadeId id, ServiceAnswer answer) {
  Made& made = made_.at(id);
  if (made.asker) {
    askers_.erase(*made.asker);
    streams_.dropped(*made.asker);
    reply(*std::exchange(made.asker, std::nullopt), std::move(answer));
  }
  forget(id);
}

void Znodes::lose(MadeId id, const std::string& why) {
  streams_.end_lost(id, why);
  fail(id, {ServiceStatus::kGone, why, ContentType::kJson, {}});
}

void Znodes::forget(MadeId id) {
  const Made& made = made_.at(id);
  if (const auto own = by_path_.find(made.path); own != by_path_.end() && own->second == id)
    by_path_.erase(own);
  streams_.forget(id);
  out_.watches.give_back(made.watched);
  by_holder_.erase({made.holder, id});
  adrift_.erase(id);
  made_.erase(id);
}

// A client did, in so many words. Who holds it by a connection learns of it by the watch.
void Znodes::forget_deleted(const std::string& path) {
  const auto own = by_path_.find(path);
  if (own == by_path_.end() || streams_.has(own->second) || made_.at(own->second).over) return;
  forget(own->second);
}

// ---- ZooKeeper ----

void Znodes::on(const ZkSessionChanged& message) {
  connected_ = message.state == ZkState::kConnected;
  if (!connected_) return;
  const bool other = std::exchange(session_, message.session) != message.session;
  while (other && !made_.empty())
    lose(made_.begin()->first, "the ZooKeeper session of this server has ended");
  std::vector<uint64_t> tokens;  // what they wait for may have happened unseen
  for (const auto& [path, token] : waiting_) tokens.push_back(token);
  for (const uint64_t token : tokens) look_again(token);
  for (const auto& [path, id] : by_path_) {
    if (streams_.has(id)) check_own(id);
  }
  go_on_adrift();
}

void Znodes::go_on_adrift() {
  retry_at_ = kNever;
  for (const MadeId id : std::exchange(adrift_, {})) {
    const Made& made = made_.at(id);
    if (made.path.empty()) {
      find(id);
    } else if (made.over) {
      remove_own(id);
    } else {
      check_own(id);
    }
  }
}

}  // namespace kvd
