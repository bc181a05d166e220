// Clients' ephemeral znodes: made, found again after a lost answer, and removed when their holder ends. See znodes.hpp.
#include <fmt/format.h>

#include <algorithm>

#include "core/services/znodes/znodes.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_made_of(std::string_view name, std::string_view asked) {
  if (name.size() != asked.size() + kSequenceDigits || !name.starts_with(asked)) return false;
  name.remove_prefix(asked.size());
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

void Znodes::make(ServiceAsked message, bool sequential, bool parents) {
  if (made_.all().size() >= limits::kClientSessions)
    return reply(message.token,
                 {ServiceStatus::kUnavailable, "this server keeps too many ephemeral znodes for clients"});
  Made made;
  made.watch_bytes = message.streams ? out_.watches.bytes_of(message.call.path) : 0;
  made.holder = message.holder;
  made.asked = std::move(message.call.path);
  made.data = std::move(message.call.body);
  made.sequential = sequential;
  made.parents = parents;
  if (!message.streams) made.asker = message.token;
  const MadeId id = ++counter_;
  if (!made_.add(id, std::move(made)))
    return reply(message.token, {ServiceStatus::kUnavailable, kWatchesFull});
  message.streams ? made_.streams().open(id, message.token) : made_.ask(message.token, id);
  make_now(id);
}

void Znodes::make_now(MadeId id) {
  const Made& made = made_.at(id);
  const ZkMode mode = made.sequential ? ZkMode::kEphemeralSequential : ZkMode::kEphemeral;
  zk_.call(ZkCreate{made.asked, made.data, mode},
           [this, id](const ZkResult& result) { on_made(id, result); });
}

void Znodes::on_made(MadeId id, const ZkResult& result) {
  Made* made = made_.find(id);
  if (made == nullptr) return;
  switch (result.code) {
    case ZkCode::kOk:
      return there(id, result.path, result.stat.created_zxid);
    case ZkCode::kUnknown:
      made_.put_off(id, result.code);
      return;
    case ZkCode::kNoNode:
      if (!made->parents)
        return made_.fail(id,
                          {ServiceStatus::kNotFound, "what is above it is not there; parents=1 makes it"});
      made->parents = false;
      zk_.make_path(parent_of(made->asked), [this, id](ZkCode code) {
        if (made_.find(id) == nullptr) return;
        if (code != ZkCode::kOk) return fail(id, code);
        make_now(id);
      });
      return;
    default:
      fail(id, result.code);
  }
}

// ---- was it made? ----

// The session's server may be behind: hence the sync.
void Znodes::find(MadeId id) {
  const Made& made = made_.at(id);
  zk_.call(ZkSync{parent_of(made.asked)}, [](const ZkResult&) {});
  if (made.sequential) return find_sequential(id);
  zk_.call(ZkGet{made.asked}, [this, id](const ZkResult& result) {
    Made* found = made_.find(id);
    if (found == nullptr || made_.put_off(id, result.code)) return;
    if (result.code == ZkCode::kNoNode) return not_made(id);
    if (result.code != ZkCode::kOk) return fail(id, result.code);
    if (!is_it(*found, found->asked, result)) return fail(id, ZkCode::kNodeExists);
    there(id, found->asked, result.stat.created_zxid);
  });
}

bool Znodes::is_it(const Made& made, const std::string& path, const ZkResult& result) const {
  return result.code == ZkCode::kOk && result.stat.ephemeral_owner == made_.session() &&
         result.data == made.data && !is_known(path, result.stat.created_zxid);
}

bool Znodes::is_known(const std::string& path, int64_t czxid) const {
  const auto id = made_.in(path);
  return id && made_.at(*id).czxid == czxid;
}

void Znodes::find_sequential(MadeId id) {
  zk_.call(ZkChildren{parent_of(made_.at(id).asked)}, [this, id](const ZkResult& result) {
    Made* made = made_.find(id);
    if (made == nullptr || made_.put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode) return fail(id, result.code);
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
    Made* made = made_.find(id);
    if (made == nullptr || made_.put_off(id, result.code)) return;
    if (is_it(*made, path, result)) return there(id, path, result.stat.created_zxid);
    look_at_found(id, candidates);
  });
}

void Znodes::not_made(MadeId id) {
  if (made_.at(id).leaves) return made_.forget(id);
  make_now(id);
}

void Znodes::there(MadeId id, std::string path, int64_t czxid) {
  Made& made = made_.at(id);
  if (is_known(path, czxid)) {  // somebody with the same wish took it for its own when an answer was lost
    if (made.sequential) return not_made(id);
    return fail(id, ZkCode::kNodeExists);
  }
  if (const auto former = made_.in(path)) made_.lose(*former, kZnodeDeleted);
  made_.there(id, std::move(path));
  made.czxid = czxid;
  if (made.leaves) return remove_own(id);
  if (made.asker) answer_created(*std::exchange(made.asker, std::nullopt), made.znode, czxid);
  if (!made_.streams().has(id)) return;
  made_.streams().say(id,
                      Document().add("state", "held").add("path", made.znode.substr(1)).add("czxid", czxid));
  check_own(id);
}

// Of what a connection holds: somebody else may delete it.
void Znodes::check_own(MadeId id) {
  zk_.call(ZkExists{made_.at(id).znode, true}, [this, id](const ZkResult& result) {
    const Made* made = made_.find(id);
    if (made == nullptr || made->leaves) return;
    if (made_.put_off(id, result.code)) return;
    const bool other = result.code == ZkCode::kOk && result.stat.created_zxid != made->czxid;
    if (other || result.code == ZkCode::kNoNode) made_.lose(id, kZnodeDeleted);
  });
}

// ---- its end ----

bool Znodes::end_calls(MadeId id, const ServiceAnswer& answer) {
  Made& made = made_.at(id);
  if (made.asker) made_.reply(*std::exchange(made.asker, std::nullopt), answer);
  return true;
}

void Znodes::unasked(MadeId id) {
  made_.at(id).asker.reset();
  made_.give_up(id);
}

// One that may not be removed stays until that is allowed.
void Znodes::remove_own(MadeId id) {
  const std::string path = made_.at(id).znode;
  if (path.empty()) return;  // what is under way looks at `leaves` when it has its answer
  zk_.call(ZkExists{path}, [this, id, path](const ZkResult& result) {
    const Made* made = made_.find(id);
    if (made == nullptr || made_.put_off(id, result.code)) return;
    if (result.code != ZkCode::kOk || result.stat.created_zxid != made->czxid) return made_.forget(id);
    zk_.call(ZkDelete{path}, [this, id](const ZkResult& deleted) {
      if (made_.find(id) == nullptr) return;
      const bool stays = zk_silent(deleted.code) || deleted.code == ZkCode::kNoAuth;
      stays ? made_.stays(id, deleted.code) : made_.forget(id);
    });
  });
}

void Znodes::fail(MadeId id, ZkCode code) { made_.fail(id, zk_refusal(code, true)); }

// A client did, in so many words. Who holds it by a connection learns of it by the watch.
void Znodes::forget_deleted(const std::string& path) {
  const auto id = made_.in(path);
  if (id && !made_.streams().has(*id) && !made_.at(*id).leaves) made_.forget(*id);
}

}  // namespace kvd
