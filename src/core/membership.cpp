// See membership.hpp.
#include "core/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/mutation.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr Duration kRetry = milliseconds(20);

constexpr int kExitConfiguration = 78;

bool counts(const std::vector<Member>& in_sync, const Member& self) {
  return std::any_of(in_sync.begin(), in_sync.end(), [&](const Member& member) {
    return member == self || (mutated(Mutation::kSetById) && member.id == self.id);
  });
}

}  // namespace

void Membership::handle(MembershipMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

ZkCallId Membership::next_call() { return zk_call_id(ZkCaller::kMembership, ++calls_); }

uint64_t Membership::draw_change_id() {
  uint64_t id = out_.prng.next();
  return id == 0 ? 1 : id;
}

std::string Membership::draw_uuid() {  // RFC 9562, version 4
  uint64_t high = (out_.prng.next() & ~0xF000ull) | 0x4000ull;
  uint64_t low = (out_.prng.next() & ~(3ull << 62)) | (1ull << 63);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF,
                     low >> 48, low & 0xFFFFFFFFFFFFull);
}

void Membership::on(ZkSessionChanged message) {
  connected_ = message.state == ZkState::kConnected;
  if (!connected_) return;
  read_call_ = exists_call_ = ZkCallId(0);
  // Watches may have been lost with the connection, and events missed: read everything again.
  read();
  retry_at_ = out_.now + kRetry;
}

void Membership::on(ZkWatchFired) { read(); }

void Membership::on(EpochHeard message) {
  heard_ = std::max(heard_, message.epoch);
  if (connected_ && (!register_ || register_->epoch < heard_)) read();
}

// ---- reading ----

void Membership::read() {
  if (!connected_) return;
  if (read_call_ != ZkCallId(0)) {
    read_again_ = true;
    return;
  }
  read_again_ = false;
  // The server that our session is on may lag; sync makes what it answers next recent. It is a courtesy:
  // nothing that must be safe rests on how new a read is, only on the versions that writes name.
  out_.emit(ZkCall{next_call(), ZkSync{kConfigPath}});
  read_call_ = next_call();
  out_.emit(ZkCall{read_call_, ZkGet{kConfigPath, true}});
}

void Membership::on(ZkResult message) {
  if (message.id == read_call_) {
    read_call_ = ZkCallId(0);
    on_read(message);
    if (read_again_) read();
  } else if (message.id == exists_call_) {
    exists_call_ = ZkCallId(0);
    if (message.code == ZkCode::kOk) read();  // created between the two
  } else if (message.id == change_call_) {
    change_call_ = ZkCallId(0);
    on_change_result(message);
  } else if (message.id == multi_call_) {
    multi_call_ = ZkCallId(0);
    on_multi_result(message);
  }
}

void Membership::on_read(ZkResult& result) {
  if (result.code == ZkCode::kNoNode) {
    if (register_) {
      // Epochs would begin again at 1, and with them everything that they fence.
      out_.emit(Exit{
          kExitConfiguration,
          "the register /kvd/config has vanished from ZooKeeper while this cluster lives: refusing to go on. "
          "Stop all servers before you start a new cluster"});
      return;
    }
    if (!out_.config.remembered.cluster.empty()) {
      out_.emit(
          Exit{kExitConfiguration,
               "the data directory belongs to the cluster " + out_.config.remembered.cluster +
                   ", but ZooKeeper has no register /kvd/config: is it the right ZooKeeper, and the right "
                   "prefix? A new cluster begins with empty directories (GET /v1/snapshot makes a backup)"});
      return;
    }
    // A watch for its creation. The get above has set none, since there was nothing to read.
    exists_call_ = next_call();
    out_.emit(ZkCall{exists_call_, ZkExists{kConfigPath, true}});
    out_.election.post(RegisterAbsent{});
    out_.replica.post(RegisterAbsent{});
    return;
  }
  if (result.code != ZkCode::kOk) {
    retry_at_ = out_.now + kRetry;
    return;
  }
  Result<Register> content = decode_register(result.data);
  if (!content) {
    out_.emit(Exit{kExitConfiguration, "ZooKeeper's /kvd/config is not readable: " + content.error().detail +
                                           "; it is another version's, or somebody changed it: restore it, "
                                           "or use another prefix in --zookeeper"});
    return;
  }
  const std::string& remembered = out_.config.remembered.cluster;
  if (!remembered.empty() && content->cluster != remembered) {
    out_.emit(Exit{kExitConfiguration, "the data directory belongs to another cluster, " + remembered +
                                           "; ZooKeeper's is " + content->cluster +
                                           ": give the right --data-dir, or the right ZooKeeper"});
    return;
  }
  if (register_ && content->cluster != register_->cluster) {
    out_.emit(Exit{kExitConfiguration, "ZooKeeper's /kvd/config now names another cluster, " +
                                           content->cluster + " instead of " + register_->cluster +
                                           ": refusing to go on"});
    return;
  }
  if (register_ && result.stat.version >= version_ &&
      (content->epoch < register_->epoch || content->lineage < register_->lineage)) {
    out_.emit(Exit{kExitConfiguration,
                   "ZooKeeper's /kvd/config went back from epoch " + std::to_string(register_->epoch.value) +
                       " to " + std::to_string(content->epoch.value) +
                       ", which no server does: was it written by hand? Refusing to go on"});
    return;
  }
  if (register_ && result.stat.version < version_) {  // a server of the ensemble that lags
    retry_at_ = out_.now + kRetry;
    return;
  }
  adopt(std::move(*content), result.stat.version);
  if (register_->epoch < heard_) retry_at_ = out_.now + kRetry;
}

void Membership::adopt(Register content, int32_t version) {
  if (!register_ && content.min_in_sync != out_.config.min_in_sync) {
    out_.log(LogLevel::kWarn, "the cluster's min_in_sync differs from --min-in-sync and is obeyed",
             {{"cluster", std::to_string(content.min_in_sync)},
              {"flag", std::to_string(out_.config.min_in_sync)}});
  }
  register_ = std::move(content);
  version_ = version;
  RegisterSeen seen{*register_, version_};
  out_.links.post(seen);
  out_.election.post(seen);
  out_.replica.post(std::move(seen));
  // After RegisterSeen: the replica must never count the old set alone while the new one is in force.
  if (change_) resolve_change();
}

// ---- the leader's changes within its epoch ----

void Membership::on(RegisterChangeWanted message) {
  Change change;
  change.content = register_.value_or(Register{});
  change.content.in_sync = std::move(message.in_sync);
  change.content.min_in_sync = message.min_in_sync;
  change.content.change_id = message.change_id;
  change.expected = version_;
  bool ours = register_ && register_->leader == out_.config.self.member;
  change_ = std::move(change);
  if (out_.config.standalone) {
    adopt(Register(change_->content), version_ + 1);
  } else if (!ours || !connected_) {
    finish_change(false);
  } else {
    send_change();
  }
}

void Membership::send_change() {
  change_->in_flight = true;
  change_call_ = next_call();
  out_.emit(ZkCall{change_call_, ZkSet{kConfigPath, encode_register(change_->content), change_->expected}});
}

void Membership::on_change_result(const ZkResult& result) {
  if (!change_) return;
  change_->in_flight = false;
  switch (result.code) {
    case ZkCode::kOk:
      if (version_ <= change_->expected) {
        adopt(Register(change_->content), change_->expected + 1);
      } else {
        resolve_change();
      }
      return;
    case ZkCode::kNotConnected:
    case ZkCode::kInvalid:
      if (!change_->ambiguous) {
        finish_change(false);  // never sent
        return;
      }
      break;
    case ZkCode::kBadVersion:
      if (!change_->ambiguous) {
        finish_change(false);  // somebody else was first; who, the next read tells
        read();
        return;
      }
      resolve_change();  // by what was read meanwhile, if that is new enough; else by the next read
      break;
    default:
      // Rule 6: it may have been done, it may still be done. Guessing wrong either way loses acknowledged
      // writes: the leader would stop waiting for a server that others may count on. So the replica keeps
      // waiting for both sets, and we ask again with the same version until the answer is certain.
      change_->ambiguous = true;
      if (mutated(Mutation::kAmbiguityGuessed)) finish_change(false);
      break;
  }
  read();
  retry_at_ = out_.now + kRetry;
}

// The register was read: does it settle what became of the change?
void Membership::resolve_change() {
  if (change_->in_flight) return;  // its own answer is the better one
  bool one_read = mutated(Mutation::kAmbiguityByOneRead) && change_->ambiguous;
  if (version_ <= change_->expected && !one_read) return;
  finish_change(register_->change_id == change_->content.change_id);
}

void Membership::finish_change(bool applied) {
  out_.replica.post(ChangeResolved{change_->content.change_id, applied});
  change_.reset();
}

// ---- becoming leader ----

void Membership::send_multi(ZkMulti multi, Register content, int32_t version) {
  if (multi_call_ != ZkCallId(0)) return;  // one at a time; election asks again
  multi_call_ = next_call();
  multi_content_ = std::move(content);
  multi_version_ = version;
  out_.emit(ZkCall{multi_call_, std::move(multi)});
}

void Membership::on(BootstrapWanted message) {
  if (register_) return;
  Register content;
  content.cluster = draw_uuid();
  content.epoch = Epoch(1);
  content.leader = out_.config.self.member;
  content.leader_znode = message.own_znode;
  content.in_sync = {content.leader};
  content.min_in_sync = out_.config.min_in_sync;
  content.change_id = draw_change_id();
  ZkMulti multi;
  multi.ops.push_back(ZkCreate{kConfigPath, encode_register(content), ZkMode::kPersistent});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  send_multi(std::move(multi), std::move(content), 0);
}

void Membership::on(TakeoverWanted message) {
  const Member& self = out_.config.self.member;
  bool in_sync = register_ && counts(register_->in_sync, self);
  // A leader that has restarted takes over from itself, see Replica::led_before.
  bool leads = register_ && register_->leader == self && register_->epoch > out_.config.remembered.epoch;
  if (!in_sync || leads || message.version != version_) {
    out_.election.post(TakeoverFailed{});
    return;
  }
  Register content = *register_;
  content.epoch = content.epoch.next();
  content.leader = self;
  content.cause = message.cause;
  content.leader_znode = message.own_znode;
  content.change_id = draw_change_id();
  if (message.exclude) std::erase(content.in_sync, *message.exclude);
  // The order matters: the set first, so that a repetition after an unknown outcome fails on it, with
  // kBadVersion, and not on a znode that the first attempt has already deleted.
  ZkMulti multi;
  int32_t replaced = mutated(Mutation::kTakeoverUnconditional) ? -1 : version_;
  multi.ops.push_back(ZkSet{kConfigPath, encode_register(content), replaced});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  for (const std::string& znode : message.smaller_znodes) {
    multi.ops.push_back(ZkDelete{election_path(znode), -1});
  }
  send_multi(std::move(multi), std::move(content), version_ + 1);
}

void Membership::on(NewLineageWanted message) {
  bool old = register_ && message.version != version_;
  if (!register_ || (old && !mutated(Mutation::kLossByOldVerdict))) {
    out_.election.post(TakeoverFailed{});
    return;
  }
  const Member& self = out_.config.self.member;
  Register content = *register_;
  content.lineage = content.lineage.next();
  content.epoch = content.epoch.next();
  content.leader = self;
  content.cause = ElectionCause::kNewLineage;
  content.leader_znode = message.own_znode;
  content.in_sync = {self};
  content.change_id = draw_change_id();
  ZkMulti multi;
  multi.ops.push_back(ZkSet{kConfigPath, encode_register(content), version_});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  // ZooKeeper cannot check that something is absent, but a create fails when it is not.
  for (const Member& member : message.lost) {
    if (message.superseded_only) multi.ops.push_back(ZkCheck{member_path(member.id), -1});
    multi.ops.push_back(ZkCreate{life_path(member), "", ZkMode::kPersistent});
    multi.ops.push_back(ZkDelete{life_path(member), -1});
  }
  send_multi(std::move(multi), std::move(content), version_ + 1);
}

// Whatever came of it, the register knows: who it names leads. That also covers an attempt that was believed
// lost.
void Membership::on_multi_result(const ZkResult& result) {
  if (result.code == ZkCode::kOk && multi_version_ > version_) {
    adopt(std::move(multi_content_), multi_version_);
  } else if (result.code != ZkCode::kOk) {
    out_.election.post(TakeoverFailed{});
  }
  read();
}

// ---- without ZooKeeper ----

void Membership::start_standalone() {
  const DiskFacts& remembered = out_.config.remembered;
  Register content;
  content.cluster = remembered.cluster.empty() ? draw_uuid() : remembered.cluster;
  content.lineage = remembered.lineage;
  content.epoch = remembered.epoch.next();
  content.leader = out_.config.self.member;
  content.in_sync = {content.leader};
  content.min_in_sync = out_.config.min_in_sync;
  adopt(std::move(content), 0);
}

void Membership::on_time() {
  if (out_.config.standalone) {
    if (!register_) start_standalone();
    return;
  }
  if (retry_at_ > out_.now) return;
  retry_at_ = kNever;
  if (!connected_) return;  // connecting reads again by itself
  if (change_ && !change_->in_flight && change_->ambiguous && version_ <= change_->expected) send_change();
  read();
}

}  // namespace kvd
