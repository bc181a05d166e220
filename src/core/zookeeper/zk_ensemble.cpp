// See zk_ensemble.hpp. The order of tests within each operation is that of ZooKeeper 3.8's
// PrepRequestProcessor, since it decides which error a client sees when several apply.
#include "core/zookeeper/zk_ensemble.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/limits.hpp"
#include "msg/zk_checks.hpp"

namespace kvd {
namespace {

using Kind = ZkWatch::Kind;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Goes past what is below a child at once: between "/a/b/" and "/a/b0" there is nothing else.
std::vector<std::string> children_of(const ZkTree& tree, const std::string& path) {
  const std::string prefix = path == "/" ? "/" : path + "/";
  std::vector<std::string> names;
  for (auto it = tree.upper_bound(prefix); it != tree.end() && it->first.starts_with(prefix);) {
    const size_t end = it->first.find('/', prefix.size());
    if (end == std::string::npos) {
      names.push_back(it->first.substr(prefix.size()));
      ++it;
    } else {
      it = tree.lower_bound(it->first.substr(0, end) + static_cast<char>('/' + 1));
    }
  }
  return names;
}

uint64_t size_of(const std::string& path, const ZkZnode& node) {
  return limits::kZnodeOverhead + path.size() + node.data.size();
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

bool zk_is_write(const ZkRequest& request) {
  return std::holds_alternative<ZkCreate>(request) || std::holds_alternative<ZkDelete>(request) ||
         std::holds_alternative<ZkSet>(request) || std::holds_alternative<ZkMulti>(request);
}

ZkEnsemble::ZkEnsemble(Prng& prng, uint64_t bytes_max) : prng_(prng), bytes_max_(bytes_max) {
  tree_["/"].children_count = 1;  // which its counter does not know, as with the real one
  tree_["/zookeeper"] = {};
  states_[0] = {};
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
  Draft draft = new_draft(0);
  change(draft, path).read_only = true;
  draft.state.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(draft));
}

void ZkEnsemble::hide(const std::string& path) {
  Draft draft = new_draft(0);
  change(draft, path).hidden = true;
  draft.state.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(draft));
}

void ZkEnsemble::permit(const std::string& path) {
  Draft draft = new_draft(0);
  ZkZnode& node = change(draft, path);
  node.read_only = node.hidden = false;
  draft.state.changes.push_back({Happened::kRightsChanged, path});
  commit(std::move(draft));
}

void ZkEnsemble::use_up_numbers(const std::string& path) {
  Draft draft = new_draft(0);
  change(draft, path).next_sequence = INT32_MAX;
  draft.state.changes.push_back({Happened::kChildrenChanged, path});
  commit(std::move(draft));
}

void ZkEnsemble::restore_tree(const ZkTree& tree) {
  sessions_.clear();
  resume(tree, zxid_);
  Draft restored = new_draft(0);
  remove_ephemerals(restored, 0);
  restored.state.changes.push_back({Happened::kChildrenChanged, "/"});
  commit(std::move(restored));
}

void ZkEnsemble::resume(ZkTree tree, int64_t zxid) {
  CHECK(sessions_.empty());
  tree_ = std::move(tree);
  zxid_ = zxid;
  bytes_ = 0;
  for (const auto& [path, node] : tree_) bytes_ += size_of(path, node);
  states_.clear();
  states_[zxid_] = {};
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
  remove_ephemerals(end, session);
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

  if (zk_is_write(call.request)) {
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
  if (up_ && alive(session) && zk_is_write(call.request) && zk_request_valid(call.request)) {
    write(session, call.request);
  }
}

ZkResult ZkEnsemble::write(uint64_t session, const ZkRequest& request) {
  // A write that fails takes a zxid as well: ZooKeeper's leader proposes the error.
  Draft draft = new_draft(session);
  ZkResult result;
  if (const auto* multi = std::get_if<ZkMulti>(&request)) {
    result = write_multi(draft, *multi);
  } else {
    OpResult done;
    if (const auto* create = std::get_if<ZkCreate>(&request)) done = run(draft, *create);
    if (const auto* deletion = std::get_if<ZkDelete>(&request)) done = run(draft, *deletion);
    if (const auto* set = std::get_if<ZkSet>(&request)) done = run(draft, *set);
    result.code = done.code;
    result.path = done.path;
    result.stat = done.stat;
  }
  if (result.code != ZkCode::kOk) roll_back(draft);
  commit(std::move(draft));
  return result;
}

ZkResult ZkEnsemble::write_multi(Draft& draft, const ZkMulti& multi) {
  ZkResult result;
  result.code = ZkCode::kOk;
  for (const auto& op : multi.ops) {
    OpResult done{ZkCode::kRolledBack, {}, {}};
    if (result.code == ZkCode::kOk) {
      done = std::visit([this, &draft](const auto& one) { return run(draft, one); }, op);
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
  const std::string above = parent_of(op.path);
  const auto found = tree_.find(above);
  if (op.path == "/") return {ZkCode::kNodeExists, {}, {}};
  if (found == tree_.end()) return {ZkCode::kNoNode, {}, {}};
  if (found->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  std::string path = op.path;
  if (zk_is_sequential(op.mode)) path += fmt::format("{:010}", found->second.next_sequence);
  if (tree_.contains(path)) return {ZkCode::kNodeExists, {}, {}};
  if (found->second.ephemeral_owner != 0) return {ZkCode::kNoChildrenForEphemerals, {}, {}};

  ZkZnode node;
  node.data = op.data;
  node.created_zxid = node.modified_zxid = node.children_zxid = draft.zxid;
  node.created_ms = node.modified_ms = clock_ms_;
  node.ephemeral_owner = zk_is_ephemeral(op.mode) ? draft.session : 0;
  const uint64_t size = size_of(path, node);
  if (bytes_ + size > bytes_max_) return {ZkCode::kNoAuth, {}, {}};  // a quota
  bytes_ += size;

  ZkZnode& parent = change(draft, above);
  if (parent.next_sequence < INT32_MAX) parent.next_sequence += 1;
  parent.children_count += 1;
  parent.children_zxid = draft.zxid;
  draft.state.before.try_emplace(path, std::nullopt);
  draft.state.changes.push_back({Happened::kCreated, path});
  draft.state.changes.push_back({Happened::kChildrenChanged, above});
  const ZkStat stat = stat_of(node);
  tree_[path] = std::move(node);
  return {ZkCode::kOk, path, stat};
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkDelete& op) {
  if (op.path == "/") return {ZkCode::kInvalid, {}, {}};
  const auto parent = tree_.find(parent_of(op.path));
  if (parent != tree_.end() && parent->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  const auto it = tree_.find(op.path);
  if (it == tree_.end()) return {ZkCode::kNoNode, {}, {}};
  if (!version_fits(it->second, op.version)) return {ZkCode::kBadVersion, {}, {}};
  if (it->second.children_count > 0) return {ZkCode::kNotEmpty, {}, {}};
  remove(draft, op.path);
  return {};
}
ZkEnsemble::OpResult ZkEnsemble::run(Draft& draft, const ZkSet& op) {
  const auto it = tree_.find(op.path);
  if (it == tree_.end()) return {ZkCode::kNoNode, {}, {}};
  if (it->second.read_only) return {ZkCode::kNoAuth, {}, {}};
  if (!version_fits(it->second, op.version)) return {ZkCode::kBadVersion, {}, {}};
  const uint64_t bytes = bytes_ - it->second.data.size() + op.data.size();
  if (bytes > bytes_ && bytes > bytes_max_) return {ZkCode::kNoAuth, {}, {}};  // a quota
  bytes_ = bytes;
  ZkZnode& node = change(draft, op.path);
  node.data = op.data;
  node.version += 1;
  node.modified_zxid = draft.zxid;
  node.modified_ms = clock_ms_;
  draft.state.changes.push_back({Happened::kDataChanged, op.path});
  return {ZkCode::kOk, {}, stat_of(node)};
}

ZkEnsemble::OpResult ZkEnsemble::run(Draft&, const ZkCheck& op) {
  const auto it = tree_.find(op.path);
  if (it == tree_.end()) return {ZkCode::kNoNode, {}, {}};
  if (it->second.hidden) return {ZkCode::kNoAuth, {}, {}};
  return {version_fits(it->second, op.version) ? ZkCode::kOk : ZkCode::kBadVersion, {}, {}};
}

ZkZnode& ZkEnsemble::change(Draft& draft, const std::string& path) {
  const auto it = tree_.find(path);
  CHECK(it != tree_.end());
  draft.state.before.try_emplace(path, it->second);
  return it->second;
}

void ZkEnsemble::remove(Draft& draft, const std::string& path) {
  bytes_ -= size_of(path, change(draft, path));
  tree_.erase(path);
  ZkZnode& parent = change(draft, parent_of(path));
  parent.children_count -= 1;
  parent.children_zxid = draft.zxid;
  draft.state.changes.push_back({Happened::kDeleted, path});
  draft.state.changes.push_back({Happened::kChildrenChanged, parent_of(path)});
}

void ZkEnsemble::remove_ephemerals(Draft& draft, uint64_t owner) {
  std::vector<std::string> owned;
  for (const auto& [path, node] : tree_) {
    if (node.ephemeral_owner != 0 && (owner == 0 || node.ephemeral_owner == owner)) owned.push_back(path);
  }
  for (const std::string& path : owned) remove(draft, path);
}

void ZkEnsemble::roll_back(Draft& draft) {
  for (auto& [path, before] : draft.state.before) {
    if (before) {
      tree_[path] = std::move(*before);
    } else {
      tree_.erase(path);
    }
  }
  bytes_ = draft.bytes;
  draft.state = {};
}

ZkResult ZkEnsemble::read(int64_t at, const ZkRequest& request) const {
  const auto* list = std::get_if<ZkChildren>(&request);
  const auto* get = std::get_if<ZkGet>(&request);
  const auto* exists = std::get_if<ZkExists>(&request);
  const std::string& path = list != nullptr ? list->path : get != nullptr ? get->path : exists->path;
  ZkResult result;
  result.code = ZkCode::kNoNode;
  const ZkZnode* node = find(at, path);
  if (node == nullptr) return result;
  result.code = ZkCode::kNoAuth;
  if (exists == nullptr && node->hidden) return result;
  if (get != nullptr) result.data = node->data;
  if (list != nullptr) result.children = children(at, path);
  result.stat = stat_of(*node);
  result.code = ZkCode::kOk;
  return result;
}

// As it was when `at` was the newest state.
const ZkZnode* ZkEnsemble::find(int64_t at, const std::string& path) const {
  CHECK(at >= states_.begin()->first);
  for (auto state = states_.upper_bound(at); state != states_.end(); ++state) {
    const auto before = state->second.before.find(path);
    if (before != state->second.before.end()) return before->second ? &*before->second : nullptr;
  }
  const auto it = tree_.find(path);
  return it == tree_.end() ? nullptr : &it->second;
}

std::vector<std::string> ZkEnsemble::children(int64_t at, const std::string& path) const {
  std::vector<std::string> names = children_of(tree_, path);
  for (auto state = states_.rbegin(); state != states_.rend() && state->first > at; ++state) {
    for (const auto& [changed, before] : state->second.before) {
      if (changed == "/" || parent_of(changed) != path) continue;
      const std::string name = changed.substr(changed.rfind('/') + 1);
      const auto place = std::lower_bound(names.begin(), names.end(), name);
      const bool there = place != names.end() && *place == name;
      if (before && !there) names.insert(place, name);
      if (!before && there) names.erase(place);
    }
  }
  return names;
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
  std::vector<ZkFired> fired;
  for (const auto& [watch, read_at] : mine.client_watches) {
    const ZkZnode* node = find(mine.view, watch.first);
    const bool there = node != nullptr;
    bool fires = !there;
    if (watch.second == Kind::kAbsent) fires = there;
    if (watch.second == Kind::kData && there) fires = node->modified_zxid > read_at;
    if (watch.second == Kind::kChildren && there) fires = node->children_zxid > read_at;
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

void ZkEnsemble::commit(Draft draft) {
  zxid_ = draft.zxid;
  states_[zxid_] = std::move(draft.state);
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
