// See zk_ensemble.hpp. The order of tests within each operation is that of ZooKeeper 3.8's
// PrepRequestProcessor, since it decides which error a client sees when several apply.
#include "core/zookeeper/zk_ensemble.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/zk_checks.hpp"

namespace kvd {
namespace {

using Kind = ZkWatch::Kind;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::vector<std::string> children_of(const ZkTree& tree, const std::string& path) {
  const std::string prefix = path == "/" ? "/" : path + "/";
  std::vector<std::string> names;
  for (auto it = tree.lower_bound(prefix); it != tree.end() && it->first.starts_with(prefix); ++it) {
    std::string name = it->first.substr(prefix.size());
    if (!name.empty() && name.find('/') == std::string::npos) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// ZooKeeper as well keeps the number of children created and answers with that of changes: for each child that
// was created and is not there any more there was a deletion.
ZkStat stat_of(const ZkZnode& node) {
  return {.version = node.version,
          .created_zxid = node.created_zxid,
          .modified_zxid = node.modified_zxid,
          .created_ms = node.created_ms,
          .modified_ms = node.modified_ms,
          .ephemeral_owner = node.ephemeral_owner,
          .children_version = static_cast<int32_t>(2 * int64_t{node.next_sequence} - node.children_count),
          .children_count = node.children_count,
          .data_length = static_cast<int32_t>(node.data.size())};
}

bool is_write(const ZkRequest& request) {
  return std::holds_alternative<ZkCreate>(request) || std::holds_alternative<ZkDelete>(request) ||
         std::holds_alternative<ZkSet>(request) || std::holds_alternative<ZkMulti>(request);
}

bool version_fits(const ZkZnode& node, int32_t expected) {
  return expected == -1 || expected == node.version;
}

// What a read that asked for a watch leaves behind: only exists() watches what is not there.
std::optional<ZkWatch> watch_of(const ZkRequest& request, const ZkResult& result, int64_t at) {
  const bool found = result.code == ZkCode::kOk;
  if (const auto* get = std::get_if<ZkGet>(&request); get != nullptr && get->watch && found) {
    return ZkWatch{Kind::kData, get->path, at};
  }
  if (const auto* exists = std::get_if<ZkExists>(&request); exists != nullptr && exists->watch) {
    if (found) return ZkWatch{Kind::kData, exists->path, at};
    if (result.code == ZkCode::kNoNode) return ZkWatch{Kind::kAbsent, exists->path, at};
  }
  if (const auto* list = std::get_if<ZkChildren>(&request); list != nullptr && list->watch && found) {
    return ZkWatch{Kind::kChildren, list->path, at};
  }
  return std::nullopt;
}

}  // namespace

ZkEnsemble::ZkEnsemble(Prng& prng) : prng_(prng) {
  ZkTree tree;
  tree["/"].children_count = 1;  // which its counter does not know, as with the real one
  tree["/zookeeper"] = {};
  states_[0] = {std::make_shared<const ZkTree>(std::move(tree)), {}};
}

// ---- the ensemble ----

void ZkEnsemble::set_up(bool up, Instant now) {
  if (up && !up_) {
    for (auto& [id, session] : sessions_) session.deadline = now + session.timeout;
  }
  up_ = up;
}

uint64_t ZkEnsemble::state_hash() const {
  uint64_t hash = hash_bytes(fmt::format("{} {}", zxid_, up_));
  for (const auto& [path, node] : tree()) {
    hash = hash_bytes(path, hash);
    hash = hash_bytes(node.data, hash);
    hash = hash_bytes(fmt::format("{} {} {} {} {} {} {}", node.version, node.created_zxid, node.modified_zxid,
                                  node.children_zxid, node.ephemeral_owner, node.next_sequence,
                                  static_cast<int>(node.read_only) + 2 * static_cast<int>(node.hidden)),
                      hash);
  }
  for (const auto& [id, session] : sessions_) {
    hash = hash_bytes(
        fmt::format("{} {} {} {}", id, session.view, session.seen, session.server_watches.size()), hash);
    for (const auto& [path, kind] : session.server_watches)
      hash = hash_bytes(path, hash + static_cast<uint64_t>(kind));
  }
  return hash;
}

void ZkEnsemble::make_read_only(const std::string& path) {
  Draft change = new_draft(0);
  change.tree.at(path).read_only = true;
  change.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(change));
}

void ZkEnsemble::hide(const std::string& path) {
  Draft change = new_draft(0);
  change.tree.at(path).hidden = true;
  change.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(change));
}

void ZkEnsemble::permit(const std::string& path) {
  Draft change = new_draft(0);
  change.tree.at(path).read_only = change.tree.at(path).hidden = false;
  change.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(change));
}

void ZkEnsemble::use_up_numbers(const std::string& path) {
  Draft change = new_draft(0);
  change.tree.at(path).next_sequence = INT32_MAX;
  change.changes.push_back({Happened::kChildrenChanged, path});
  commit(std::move(change));
}

void ZkEnsemble::restore_tree(const ZkTree& tree) {
  sessions_.clear();
  Draft restored = new_draft(0);
  restored.tree = tree;
  std::vector<std::string> ephemerals;
  for (const auto& [path, node] : restored.tree) {
    if (node.ephemeral_owner != 0) ephemerals.push_back(path);
  }
  for (const std::string& path : ephemerals) remove(restored, path);
  restored.changes.push_back({Happened::kChildrenChanged, "/"});
  commit(std::move(restored));
}

// ---- sessions ----

uint64_t ZkEnsemble::open_session(Duration timeout, Instant now) {
  CHECK(up_);
  uint64_t id = 0;
  while (id == 0 || sessions_.contains(id)) id = prng_.next();
  commit(new_draft(id));
  sessions_[id] = Session{timeout, now + timeout, zxid_, zxid_, {}, {}};
  return id;
}

void ZkEnsemble::touch(uint64_t session, Instant now) {
  const auto it = sessions_.find(session);
  if (it != sessions_.end()) it->second.deadline = std::max(it->second.deadline, now + it->second.timeout);
}

std::vector<uint64_t> ZkEnsemble::expire(Instant now) {
  std::vector<uint64_t> ended;
  if (!up_) return ended;
  for (const auto& [id, session] : sessions_) {
    if (session.deadline <= now) ended.push_back(id);
  }
  for (const uint64_t id : ended) end_session(id);
  return ended;
}

Instant ZkEnsemble::next_expiry() const {
  Instant next = kNever;
  if (!up_) return next;
  for (const auto& [id, session] : sessions_) next = std::min(next, session.deadline);
  return next;
}

void ZkEnsemble::close_session(uint64_t session) {
  if (up_ && alive(session)) end_session(session);
}

void ZkEnsemble::end_session(uint64_t session) {
  sessions_.erase(session);
  Draft end = new_draft(session);
  std::vector<std::string> owned;
  for (const auto& [path, node] : end.tree) {
    if (node.ephemeral_owner == session) owned.push_back(path);
  }
  for (const std::string& path : owned) remove(end, path);
  commit(std::move(end));
}

// ---- calls ----

ZkOutcome ZkEnsemble::apply(uint64_t session, const ZkCall& call) {
  ZkOutcome out;
  out.result.id = call.id;
  if (!zk_request_valid(call.request)) {
    out.result.code = ZkCode::kInvalid;
    return out;
  }
  const auto it = sessions_.find(session);
  if (!up_ || it == sessions_.end()) return out;  // kUnknown

  if (is_write(call.request)) {
    out.result = write(session, call.request);
    out.fired = move_view(it->second, zxid_);  // one sees one's own write, and so all before it
  } else if (std::holds_alternative<ZkSync>(call.request)) {
    out.fired = move_view(it->second, zxid_);
    out.result.code = ZkCode::kOk;
  } else {
    out.result = read(it->second.view, call.request);
    out.watch = watch_of(call.request, out.result, it->second.view);
    if (out.watch) it->second.server_watches.insert({out.watch->path, out.watch->kind});
  }
  out.zxid = it->second.view;
  out.result.id = call.id;
  return out;
}

void ZkEnsemble::apply_unseen(uint64_t session, const ZkCall& call) {
  if (up_ && alive(session) && is_write(call.request) && zk_request_valid(call.request)) {
    write(session, call.request);
  }
}

ZkResult ZkEnsemble::write(uint64_t session, const ZkRequest& request) {
  // A write that fails takes a zxid as well: ZooKeeper's leader proposes the error.
  Draft change = new_draft(session);
  ZkResult result;
  if (const auto* multi = std::get_if<ZkMulti>(&request)) {
    result = write_multi(change, *multi);
  } else {
    OpResult done;
    if (const auto* create = std::get_if<ZkCreate>(&request)) done = run(change, *create);
    if (const auto* deletion = std::get_if<ZkDelete>(&request)) done = run(change, *deletion);
    if (const auto* set = std::get_if<ZkSet>(&request)) done = run(change, *set);
    result.code = done.code;
    result.path = done.path;
    result.stat = done.stat;
  }
  if (result.code != ZkCode::kOk) change = new_draft(session);
  commit(std::move(change));
  return result;
}

ZkResult ZkEnsemble::write_multi(Draft& draft, const ZkMulti& multi) {
  ZkResult result;
  result.code = ZkCode::kOk;
  for (const auto& op : multi.ops) {
    OpResult done{ZkCode::kRolledBack, {}, {}};
    if (result.code == ZkCode::kOk) {
      done = std::visit([&draft](const auto& one) { return run(draft, one); }, op);
      result.code = done.code;
    }
    result.codes.push_back(done.code);
    result.paths.push_back(done.path);
    result.stats.push_back(std::holds_alternative<ZkSet>(op) ? done.stat : ZkStat{});
  }
  if (result.code == ZkCode::kOk) return result;
  for (ZkCode& code : result.codes) {
    if (code == ZkCode::kOk) code = ZkCode::kRolledBack;
  }
  result.paths.assign(multi.ops.size(), "");
  result.stats.assign(multi.ops.size(), ZkStat{});
  if (result.code == ZkCode::kInvalid) {
    result.codes.clear();
    result.paths.clear();
    result.stats.clear();
  }
  return result;
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkCreate& op) {
  const auto parent = draft.tree.find(parent_of(op.path));
  if (op.path == "/") return {ZkCode::kNodeExists, {}, {}};
  if (parent == draft.tree.end()) return {ZkCode::kNoNode, {}, {}};
  if (parent->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  std::string path = op.path;
  if (zk_is_sequential(op.mode)) path += fmt::format("{:010}", parent->second.next_sequence);
  if (draft.tree.contains(path)) return {ZkCode::kNodeExists, {}, {}};
  if (parent->second.ephemeral_owner != 0) return {ZkCode::kNoChildrenForEphemerals, {}, {}};

  if (parent->second.next_sequence < INT32_MAX) parent->second.next_sequence += 1;
  parent->second.children_count += 1;
  parent->second.children_zxid = draft.zxid;
  ZkZnode node;
  node.data = op.data;
  node.created_zxid = node.modified_zxid = node.children_zxid = draft.zxid;
  node.created_ms = node.modified_ms = draft.clock_ms;
  node.ephemeral_owner = zk_is_ephemeral(op.mode) ? draft.session : 0;
  draft.tree[path] = node;
  draft.changes.push_back({Happened::kCreated, path});
  draft.changes.push_back({Happened::kChildrenChanged, parent_of(path)});
  return {ZkCode::kOk, path, stat_of(node)};
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkDelete& op) {
  if (op.path == "/") return {ZkCode::kInvalid, {}, {}};
  const auto parent = draft.tree.find(parent_of(op.path));
  if (parent != draft.tree.end() && parent->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  const auto it = draft.tree.find(op.path);
  if (it == draft.tree.end()) return {ZkCode::kNoNode, {}, {}};
  if (!version_fits(it->second, op.version)) return {ZkCode::kBadVersion, {}, {}};
  if (it->second.children_count > 0) return {ZkCode::kNotEmpty, {}, {}};
  remove(draft, op.path);
  return {};
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkSet& op) {
  const auto it = draft.tree.find(op.path);
  if (it == draft.tree.end()) return {ZkCode::kNoNode, {}, {}};
  if (it->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  if (!version_fits(it->second, op.version)) return {ZkCode::kBadVersion, {}, {}};
  it->second.data = op.data;
  it->second.version += 1;
  it->second.modified_zxid = draft.zxid;
  it->second.modified_ms = draft.clock_ms;
  draft.changes.push_back({Happened::kDataChanged, op.path});
  return {ZkCode::kOk, {}, stat_of(it->second)};
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkCheck& op) {
  const auto it = draft.tree.find(op.path);
  if (it == draft.tree.end()) return {ZkCode::kNoNode, {}, {}};
  if (it->second.hidden) return {ZkCode::kNoAuth, {}, {}};
  return {version_fits(it->second, op.version) ? ZkCode::kOk : ZkCode::kBadVersion, {}, {}};
}

void ZkEnsemble::remove(Draft& draft, const std::string& path) {
  draft.tree.erase(path);
  ZkZnode& parent = draft.tree[parent_of(path)];
  parent.children_count -= 1;
  parent.children_zxid = draft.zxid;
  draft.changes.push_back({Happened::kDeleted, path});
  draft.changes.push_back({Happened::kChildrenChanged, parent_of(path)});
}

ZkResult ZkEnsemble::read(int64_t at, const ZkRequest& request) const {
  const ZkTree& tree = tree_at(at);
  ZkResult result;
  result.code = ZkCode::kNoNode;
  if (const auto* list = std::get_if<ZkChildren>(&request)) {
    const auto it = tree.find(list->path);
    if (it == tree.end()) return result;
    result.code = ZkCode::kNoAuth;
    if (it->second.hidden) return result;
    result.children = children_of(tree, list->path);
    result.stat = stat_of(it->second);
  } else {
    const auto* get = std::get_if<ZkGet>(&request);
    const auto it = tree.find(get != nullptr ? get->path : std::get<ZkExists>(request).path);
    if (it == tree.end()) return result;
    result.code = ZkCode::kNoAuth;
    if (get != nullptr && it->second.hidden) return result;
    if (get != nullptr) result.data = it->second.data;
    result.stat = stat_of(it->second);
  }
  result.code = ZkCode::kOk;
  return result;
}

void ZkEnsemble::reply_delivered(uint64_t session, const ZkOutcome& outcome) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  it->second.seen = std::max(it->second.seen, outcome.zxid);
  if (outcome.watch)
    it->second.client_watches[{outcome.watch->path, outcome.watch->kind}] = outcome.watch->zxid;
}

bool ZkEnsemble::watch_delivered(uint64_t session, const ZkFired& fired) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return false;
  it->second.seen = std::max(it->second.seen, fired.zxid);
  auto& watches = it->second.client_watches;
  size_t taken = 0;
  if (fired.data)
    taken += watches.erase({fired.path, Kind::kData}) + watches.erase({fired.path, Kind::kAbsent});
  if (fired.children) taken += watches.erase({fired.path, Kind::kChildren});
  return taken > 0;
}

// ---- what a session sees ----

int64_t ZkEnsemble::view(uint64_t session) const {
  const auto it = sessions_.find(session);
  return it == sessions_.end() ? zxid_ : it->second.view;
}

int64_t ZkEnsemble::seen(uint64_t session) const {
  const auto it = sessions_.find(session);
  return it == sessions_.end() ? zxid_ : it->second.seen;
}

std::vector<ZkFired> ZkEnsemble::advance(uint64_t session, int64_t to) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return {};
  return move_view(it->second, std::min(to, zxid_));
}

// SetWatches in ZooKeeper's DataTree. The client sends the newest zxid that it has seen; comparing with the
// zxid that each watch was read at gives the same, as any change between the two has been delivered and has
// taken the watch.
std::vector<ZkFired> ZkEnsemble::reconnect(uint64_t session, int64_t to) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return {};
  Session& mine = it->second;
  mine.view = mine.seen = std::clamp(to, mine.seen, zxid_);
  mine.server_watches.clear();
  const ZkTree& tree = tree_at(mine.view);
  std::vector<ZkFired> fired;
  for (const auto& [watch, read_at] : mine.client_watches) {
    const auto node = tree.find(watch.first);
    const bool there = node != tree.end();
    bool fires = !there;
    if (watch.second == Kind::kAbsent) fires = there;
    if (watch.second == Kind::kData && there) fires = node->second.modified_zxid > read_at;
    if (watch.second == Kind::kChildren && there) fires = node->second.children_zxid > read_at;
    if (fires) {
      const bool children = watch.second == Kind::kChildren;
      fired.push_back({watch.first, !children || !there, children || !there, mine.view});
    } else {
      mine.server_watches.insert(watch);
    }
  }
  forget_old_states();
  return fired;
}

const ZkTree& ZkEnsemble::tree_at(int64_t at) const {
  const auto it = states_.find(at);
  CHECK(it != states_.end());
  return *it->second.tree;
}

void ZkEnsemble::commit(Draft draft) {
  const bool changed = !draft.changes.empty();
  auto next = changed ? std::make_shared<const ZkTree>(std::move(draft.tree)) : states_.rbegin()->second.tree;
  zxid_ = draft.zxid;
  states_[zxid_] = {std::move(next), std::move(draft.changes)};
  forget_old_states();
}

// Lets the session's server apply what happened up to `to`, which sets off the watches that it holds.
std::vector<ZkFired> ZkEnsemble::move_view(Session& session, int64_t to) {
  std::vector<ZkFired> fired;
  auto& watches = session.server_watches;
  for (auto state = states_.upper_bound(session.view); state != states_.end() && state->first <= to;
       ++state) {
    for (const Change& change : state->second.changes) {
      if (change.what == Happened::kRightsChanged) continue;  // which no watch is about
      const bool data = change.what != Happened::kChildrenChanged;
      const bool children = change.what == Happened::kChildrenChanged || change.what == Happened::kDeleted;
      size_t hits = 0;
      if (data)
        hits += watches.erase({change.path, Kind::kData}) + watches.erase({change.path, Kind::kAbsent});
      if (children) hits += watches.erase({change.path, Kind::kChildren});
      if (hits > 0) fired.push_back({change.path, data, children, state->first});
    }
  }
  session.view = std::max(session.view, to);
  forget_old_states();
  return fired;
}

// Keeps what any session still looks at, or will need to see its watches fire.
void ZkEnsemble::forget_old_states() {
  int64_t oldest = zxid_;
  for (const auto& [id, session] : sessions_) oldest = std::min(oldest, session.seen);
  states_.erase(states_.begin(), states_.lower_bound(oldest));
}

}  // namespace kvd
