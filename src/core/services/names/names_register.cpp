// See names.hpp. Registering and giving back: each write is decided on what was just read and fails if that is no
// longer so, and whatever is unclear is read again.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/hash.hpp"
#include "core/mutation.hpp"
#include "core/services/names/names.hpp"
#include "core/services/zk_refusal.hpp"

namespace kvd {
namespace {

constexpr char kClaimsPath[] = "/kvd/addresses";
constexpr int kTries = 20;  // of one registration: others are in its way again and again
constexpr Duration kNameRefusedRetry = seconds(1);
constexpr char kNoAnswer[] = "ZooKeeper did not answer; try again";

std::string znode_of_name(const std::string& path) { return fmt::format("{}/{}", kNamesPath, path); }
std::string claim_of(const std::string& address) { return fmt::format("{}/{}", kClaimsPath, address); }

Document put_shown(const std::string& path, const std::string& address, int64_t version) {
  return Document().add("path", path).add("address", address).add("version", version);
}

uint32_t index_of(const AddressPool& pool, const std::string& path) {
  return static_cast<uint32_t>(hash_bytes(path) % pool_size(pool));
}

// Which operation of a multi made it fail.
size_t guilty(const ZkResult& result) {
  const auto blamed = [](ZkCode code) { return code != ZkCode::kOk && code != ZkCode::kRolledBack; };
  const auto it = std::find_if(result.codes.begin(), result.codes.end(), blamed);
  return static_cast<size_t>(it - result.codes.begin());
}

}  // namespace

// ---- to register ----

void Names::put(ServiceAsked message) {
  Result<NameEntry> entry = parse_name(message.call.body);
  if (!entry) return reply(message.token, {ServiceStatus::kInvalid, entry.error().detail});
  Put put;
  put.holder = message.holder;
  put.path = std::move(message.call.path);
  put.wanted = std::move(*entry);
  put.streams = message.streams;
  puts_[message.token] = std::move(put);
  read(message.token);
}

void Names::refuse(uint64_t token, ServiceStatus status, std::string why) {
  const Put put = std::move(puts_.at(token));
  puts_.erase(token);
  const Held* held = held_.find(put.path);
  const bool intended = held != nullptr && held->holder == put.holder && held->znode.empty();
  const bool others = std::any_of(puts_.begin(), puts_.end(), [&](const auto& one) {
    return one.second.holder == put.holder && one.second.path == put.path;
  });
  if (intended && !held->over && !others) held_.forget(put.path);
  reply(token, {status, std::move(why)});
}

void Names::refuse_by(uint64_t token, ZkCode code) {
  const ServiceAnswer answer = zk_refusal(code, true);
  refuse(token, answer.status, answer.why);
}

// Has an outcome that nothing can be done about, or only later.
bool Names::fails(uint64_t token, ZkCode code) {
  const bool later = zk_silent(code);
  if (later && puts_.at(token).unsure) {
    adrift_.put_off(token, code);
  } else if (later) {
    refuse(token, ServiceStatus::kUnavailable, kNoAnswer);
  } else if (code == ZkCode::kNoAuth) {
    refuse_by(token, code);
  } else {
    return false;
  }
  return true;
}

void Names::again(uint64_t token) {
  if (++puts_.at(token).tries < kTries) return read(token);
  refuse(token, ServiceStatus::kUnavailable, "others change it or claim addresses all the time; try again");
}

void Names::read(uint64_t token) {
  const std::string znode = znode_of_name(puts_.at(token).path);
  if (puts_.at(token).unsure) zk_.call(ZkSync{znode}, [](const ZkResult&) {});
  zk_.call(ZkGet{znode}, [this, token](const ZkResult& result) {
    if (puts_.contains(token)) on_read(token, result);
  });
}

// What is there, and whose.
void Names::on_read(uint64_t token, const ZkResult& result) {
  Put& put = puts_.at(token);
  if (fails(token, result.code)) return;
  const Held* held = held_.find(put.path);
  const bool other = held != nullptr && (held->holder != put.holder || held->over);
  const bool mine = held != nullptr && !other;
  put.creates = result.code == ZkCode::kNoNode;
  if (put.creates) {
    if (other) return refuse(token, ServiceStatus::kConflict, "another client's session has this name");
    return write(token, std::nullopt, {});
  }
  if (result.code != ZkCode::kOk) return refuse_by(token, result.code);
  const uint64_t owner = result.stat.ephemeral_owner;
  const std::optional<NameEntry> old = decode_name(result.data);
  if (owner != 0 && put.holder == HolderId())
    return refuse(token, ServiceStatus::kConflict,
                  "the name is a session's: only with that session can it be changed");
  if (owner != 0 && !(mine && owner == held_.session()))
    return refuse(token, ServiceStatus::kConflict, "another client's session has this name");
  if (owner == 0 && put.holder != HolderId()) {
    return refuse(
        token, ServiceStatus::kConflict,
        old ? "the name is there without a session: DELETE it first"
            : "other names stand below it, or did (DELETE it then): a session's name has none below it");
  }
  write(token, old, result.stat);
}

// Whether the claim of an entry's address is this name's: others may have deleted it, and a third name have it now. No
// answer: nothing.
void Names::whether_claimed(const std::string& path, const std::optional<NameEntry>& entry, Claimed then) {
  if (!entry || !entry->allocated) return then(false);
  zk_.call(ZkGet{claim_of(entry->address)}, [path, then = std::move(then)](const ZkResult& result) {
    if (zk_silent(result.code)) return then(std::nullopt);
    then(result.code == ZkCode::kOk && result.data == path);
  });
}

// The entry, and the claim of its address with it. `old` is what is there.
void Names::write(uint64_t token, const std::optional<NameEntry>& old, const ZkStat& stat) {
  Put& put = puts_.at(token);
  put.is_new = !old;
  NameEntry entry = put.wanted;
  if (entry.address.empty() && !choose_address(token, old, entry)) return;
  if (old == entry) return finish(token, entry, stat.modified_zxid);  // also: of an unknown outcome, done
  const bool keeps = old && old->allocated && entry.allocated;
  whether_claimed(put.path, keeps ? std::nullopt : old,
                  [this, token, entry, old, version = stat.version](std::optional<bool> frees) {
                    if (!puts_.contains(token) || (!frees && fails(token, ZkCode::kUnknown))) return;
                    write_both(token, entry, old, version, *frees);
                  });
}

// `version` is that of what is there, `frees` whether its claim has to go.
void Names::write_both(uint64_t token, const NameEntry& entry, const std::optional<NameEntry>& old,
                       int32_t version, bool frees) {
  Put& put = puts_.at(token);
  const std::string znode = znode_of_name(put.path);
  const ZkMode mode = put.holder == HolderId() ? ZkMode::kPersistent : ZkMode::kEphemeral;
  const bool keeps = old && old->allocated && entry.allocated;
  ZkMulti multi;
  put.ops.clear();
  auto add = [&](Op about, auto op) {
    put.ops.push_back(about);
    multi.ops.emplace_back(std::move(op));
  };
  const std::string data = encode_name(entry);
  if (put.creates) add(Op::kEntry, ZkCreate{znode, data, mode});
  add(Op::kEntry, ZkSet{znode, data, put.creates ? -1 : version});  // behind a create: for its stat
  if (entry.allocated && !keeps && !mutated(Mutation::kAddressUnclaimed)) {
    if (put.stale_claim) add(Op::kStaleClaim, ZkDelete{claim_of(entry.address)});
    add(Op::kClaim, ZkCreate{claim_of(entry.address), put.path, mode});
  }
  if (frees) add(Op::kFormerClaim, ZkDelete{claim_of(old->address)});
  // From now on it may be there, and has to go with its holder.
  if (put.holder != HolderId() && !hold(put.path, put.holder))
    return refuse(token, ServiceStatus::kUnavailable, kWatchesFull);
  zk_.call(std::move(multi), [this, token, entry](const ZkResult& result) {
    if (puts_.contains(token)) on_written(token, entry, result);
  });
}

// What it has stays; else that of the hash, and if that is another's what was found free. False: refused.
bool Names::choose_address(uint64_t token, const std::optional<NameEntry>& old, NameEntry& entry) {
  entry.allocated = true;
  if (old && old->allocated) {
    entry.address = old->address;
    return true;
  }
  const Put& put = puts_.at(token);
  if (!out_.config.names_pool) {
    refuse(token, ServiceStatus::kInvalid,
           "\"address\" is missing, and this server has no pool to take one from: it needs --names-pool");
    return false;
  }
  entry.address = put.claims.value_or(preferred_address(put.path));
  return true;
}

std::string Names::preferred_address(const std::string& path) const {
  const AddressPool& pool = *out_.config.names_pool;
  return pool_address(pool, index_of(pool, path));
}

void Names::on_written(uint64_t token, const NameEntry& entry, const ZkResult& result) {
  Put& put = puts_.at(token);
  if (result.code == ZkCode::kOk) {
    int64_t version = 0;
    for (const ZkStat& stat : result.stats) version = std::max(version, stat.modified_zxid);
    return finish(token, entry, version);
  }
  put.unsure |= result.code == ZkCode::kUnknown;
  if (fails(token, result.code)) return;
  const size_t at = guilty(result);
  if (at >= put.ops.size()) return refuse_by(token, result.code);
  const ZkCode code = result.codes[at];
  switch (put.ops[at]) {
    case Op::kEntry:
      return on_entry_refused(token, code);
    case Op::kClaim:
      if (code == ZkCode::kNoNode) return make_path(token, kClaimsPath);
      return on_claim_taken(token);
    case Op::kStaleClaim:
      put.stale_claim = false;
      return again(token);
    case Op::kFormerClaim:
      return again(token);
  }
}

void Names::on_entry_refused(uint64_t token, ZkCode code) {
  const Put& put = puts_.at(token);
  if (code == ZkCode::kNoChildrenForEphemerals)
    return refuse(token, ServiceStatus::kConflict,
                  "a name above it is a session's, and such a name has none below it");
  const std::string znode = znode_of_name(put.path);
  if (code == ZkCode::kNoNode && put.creates) return make_path(token, znode.substr(0, znode.rfind('/')));
  again(token);
}

void Names::make_path(uint64_t token, const std::string& path) {
  zk_.make_path(path, [this, token](ZkCode code) {
    if (!puts_.contains(token) || fails(token, code)) return;
    if (code == ZkCode::kNoChildrenForEphemerals || code == ZkCode::kNoNode)
      return refuse(token, ServiceStatus::kConflict,
                    "a name above it is a session's, and such a name has none below it");
    again(token);
  });
}

// The address of the hash may be claimed in this very name: the entry was deleted by others, who left the claim. Nobody
// else takes such a claim, and that there is no entry is part of the multi. (An ephemeral one is left to its owner.)
void Names::on_claim_taken(uint64_t token) {
  Put& put = puts_.at(token);
  if (put.claims || put.stale_claim) return choose_free(token);
  put.claims = preferred_address(put.path);
  zk_.call(ZkGet{claim_of(*put.claims)}, [this, token](const ZkResult& result) {
    if (!puts_.contains(token) || fails(token, result.code)) return;
    Put& mine = puts_.at(token);
    mine.stale_claim =
        result.code == ZkCode::kOk && result.data == mine.path && result.stat.ephemeral_owner == 0;
    if (mine.stale_claim || result.code == ZkCode::kNoNode) return again(token);
    choose_free(token);
  });
}

// The next one behind that of the hash.
void Names::choose_free(uint64_t token) {
  puts_.at(token).stale_claim = false;
  zk_.call(ZkChildren{kClaimsPath}, [this, token](const ZkResult& result) {
    if (!puts_.contains(token) || fails(token, result.code)) return;
    Put& put = puts_.at(token);
    const std::set<std::string> taken(result.children.begin(), result.children.end());
    const AddressPool& pool = *out_.config.names_pool;
    const uint32_t size = pool_size(pool);
    const uint32_t first = index_of(pool, put.path);
    for (uint32_t step = 0; step < size; ++step) {
      std::string address = pool_address(pool, (first + step) % size);
      if (taken.contains(address)) continue;
      put.claims = std::move(address);
      return again(token);
    }
    refuse(token, ServiceStatus::kUnavailable, "the pool of addresses is exhausted: all of them are taken");
  });
}

void Names::finish(uint64_t token, const NameEntry& entry, int64_t version) {
  const Put put = std::move(puts_.at(token));
  puts_.erase(token);
  if (put.holder != HolderId()) {
    Held* held = held_.find(put.path);
    if (held == nullptr || held->over)
      return reply(token, {ServiceStatus::kGone, "others deleted it at once"});
    held->address = entry.address;
    held->allocated = entry.allocated;
    held->version = version;
    held_.there(put.path, znode_of_name(put.path));
    if (put.streams) held_.streams().open(put.path, token);
    watch_own(put.path);
  }
  if (put.streams) return held_.streams().say(put.path, put_shown(put.path, entry.address, version));
  reply(token, {put.is_new ? ServiceStatus::kCreated : ServiceStatus::kOk,
                put_shown(put.path, entry.address, version)});
}

// ---- what a holder has ----

// False: there is no room for its watch.
bool Names::hold(const std::string& path, HolderId holder) {
  if (held_.find(path) != nullptr) return true;
  Held held;
  held.holder = holder;
  held.watch_bytes = out_.watches.bytes_of(path);
  return held_.add(path, std::move(held));
}

// Others may delete it, and then somebody else may register there.
void Names::watch_own(const std::string& path) {
  zk_.call(ZkExists{znode_of_name(path), true}, [this, path](const ZkResult& result) {
    const Held* held = held_.find(path);
    if (held == nullptr || held->znode.empty()) return;
    if (result.code == ZkCode::kNotConnected && held_.connected()) {
      held_.put_off(path, result.code);
      return;
    }
    const bool gone = result.code == ZkCode::kNoNode;
    if (!gone && (result.code != ZkCode::kOk || result.stat.ephemeral_owner == held_.session())) return;
    if (held->leaves) return;  // by ourselves
    held_.take_back(path, kZnodeDeleted, Duration(0));
  });
}

void Names::on(const HoldersEnded& message) {
  const std::set<HolderId> ended(message.holders.begin(), message.holders.end());
  std::vector<uint64_t> asking;
  for (const auto& [token, put] : puts_) {
    if (ended.contains(put.holder)) asking.push_back(token);
  }
  for (const uint64_t token : asking) {
    puts_.erase(token);
    reply(token, {ServiceStatus::kGone, message.why});
  }
  held_.on(message);
}

// The sync: of a registration whose outcome was not heard the session's server may not know yet.
void Names::release(const std::string& path) {
  if (held_.at(path).znode.empty()) zk_.call(ZkSync{znode_of_name(path)}, [](const ZkResult&) {});
  zk_.call(ZkGet{znode_of_name(path)}, [this, path](const ZkResult& result) {
    if (is_leaving(path)) on_release_read(path, result);
  });
}

bool Names::is_leaving(const std::string& path) const {
  const Held* held = held_.find(path);
  return held != nullptr && held->leaves;
}

void Names::on_release_read(const std::string& path, const ZkResult& result) {
  if (result.code != ZkCode::kOk && result.code != ZkCode::kNoNode)
    return held_.stays(path, result.code, kNameRefusedRetry);
  if (result.code != ZkCode::kOk || result.stat.ephemeral_owner != held_.session()) return free_claim(path);
  const std::optional<NameEntry> entry = decode_name(result.data);
  whether_claimed(path, entry,
                  [this, path, entry, version = result.stat.version](std::optional<bool> claimed) {
                    if (!is_leaving(path)) return;
                    if (!claimed) return held_.stays(path, ZkCode::kUnknown);
                    ZkMulti multi{{ZkDelete{znode_of_name(path), version}}};
                    if (*claimed) multi.ops.emplace_back(ZkDelete{claim_of(entry->address)});
                    zk_.call(std::move(multi), [this, path](const ZkResult& deleted) {
                      if (!is_leaving(path)) return;
                      if (deleted.code == ZkCode::kOk) return held_.forget(path);
                      if (deleted.code == ZkCode::kBadVersion || deleted.code == ZkCode::kNoNode)
                        return release(path);
                      held_.stays(path, deleted.code, kNameRefusedRetry);
                    });
                  });
}

// Others have deleted the entry. Until the claim is gone as well, nobody registers here.
void Names::free_claim(const std::string& path) {
  const Held& held = held_.at(path);
  if (!held.allocated) return held_.forget(path);
  const std::string claim = claim_of(held.address);
  auto end = [this, path](const ZkResult&) {
    if (is_leaving(path)) held_.forget(path);
  };
  zk_.call(ZkGet{claim}, [this, path, claim, end](const ZkResult& result) {
    const bool ours =
        result.code == ZkCode::kOk && result.data == path && result.stat.ephemeral_owner == held_.session();
    if (!ours) return end(result);
    zk_.call(ZkDelete{claim, result.stat.version}, end);
  });
}

// ---- to delete ----

void Names::remove(ServiceAsked message) {
  const std::string& path = message.call.path;
  const uint64_t token = message.token;
  Held* held = held_.find(path);
  if (message.holder != HolderId() && held != nullptr && held->holder == message.holder) {
    held_.await_end(token, path);
    if (!held->over) held_.take_back(path, "it was given back", Duration(0));
    return;
  }
  removals_.emplace(token, path);
  if (message.holder == HolderId()) return remove_kept(token, path, false);
  zk_.call(ZkExists{znode_of_name(path)}, [this, token](const ZkResult& result) {
    removals_.erase(token);
    if (result.code == ZkCode::kNoNode)
      return reply(token, {ServiceStatus::kNotFound, "there is no such name"});
    if (result.code != ZkCode::kOk) return reply(token, zk_refusal(result.code, false));
    reply(token, {ServiceStatus::kConflict, "the name is another's"});
  });
}

// What no session has. `unsure`: it may be gone by our own hand.
void Names::remove_kept(uint64_t token, const std::string& path, bool unsure) {
  zk_.call(ZkGet{znode_of_name(path)}, [this, token, path, unsure](const ZkResult& result) {
    if (removals_.contains(token)) on_kept_read(token, path, unsure, result);
  });
}

void Names::on_kept_read(uint64_t token, const std::string& path, bool unsure, const ZkResult& result) {
  if (zk_silent(result.code)) return remove_later(token, unsure);
  if (result.code == ZkCode::kNoNode)
    return unsure ? removed(token, ServiceStatus::kDone)
                  : removed(token, {ServiceStatus::kNotFound, "there is no such name"});
  if (result.code != ZkCode::kOk) return removed_not(token, result.code);
  if (result.stat.ephemeral_owner != 0)
    return removed(token, {ServiceStatus::kConflict,
                           "the name is a session's: only with that session can it be deleted"});
  const std::optional<NameEntry> entry = decode_name(result.data);
  const bool others_below = result.stat.children_count > 0;
  if (!entry && others_below) {
    if (unsure) return removed(token, ServiceStatus::kDone);
    return removed(token, {ServiceStatus::kConflict, "there is no such name, but others below it"});
  }
  whether_claimed(path, entry, [=, this, version = result.stat.version](std::optional<bool> claimed) {
    if (!removals_.contains(token)) return;
    if (!claimed) return remove_later(token, unsure);
    ZkMulti multi;
    if (others_below) {  // what holds them stays
      multi.ops.emplace_back(ZkSet{znode_of_name(path), "", version});
    } else {
      multi.ops.emplace_back(ZkDelete{znode_of_name(path), version});
    }
    if (*claimed) multi.ops.emplace_back(ZkDelete{claim_of(entry->address)});
    zk_.call(std::move(multi), [this, token, path, unsure](const ZkResult& deleted) {
      if (!removals_.contains(token)) return;
      if (deleted.code == ZkCode::kOk) return removed(token, ServiceStatus::kDone);
      if (deleted.code == ZkCode::kNoAuth || deleted.code == ZkCode::kInvalid)
        return removed_not(token, deleted.code);
      remove_kept(token, path, unsure || deleted.code == ZkCode::kUnknown);
    });
  });
}

void Names::remove_later(uint64_t token, bool unsure) {
  if (!unsure) return removed(token, {ServiceStatus::kUnavailable, kNoAnswer});
  adrift_.put_off(token, ZkCode::kUnknown);
}

void Names::removed_not(uint64_t token, ZkCode code) { removed(token, zk_refusal(code, true)); }

void Names::removed(uint64_t token, ServiceAnswer answer) {
  removals_.erase(token);
  reply(token, std::move(answer));
}

}  // namespace kvd
