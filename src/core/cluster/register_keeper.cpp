// See register_keeper.hpp.
#include "core/cluster/register_keeper.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/mutation.hpp"
#include "msg/history.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr Duration kDoubtPause = milliseconds(500);  // between looks at a register that is not believed

constexpr int kExitConfiguration = 78;
constexpr size_t kOwnEpochs = 64;  // attempts at a takeover that are remembered

// ZooKeeper cannot check that something is absent, but a create fails when it is not.
void check_unregistered(ZkMulti& multi, const Member& member) {
  multi.ops.push_back(ZkCreate{life_path(member), "", ZkMode::kPersistent});
  multi.ops.push_back(ZkDelete{life_path(member), -1});
}

bool counts(const std::vector<Member>& in_sync, const Member& self) {
  return std::any_of(in_sync.begin(), in_sync.end(), [&](const Member& member) {
    return member == self || (mutated(Mutation::kSetById) && member.id == self.id);
  });
}

}  // namespace

void RegisterKeeper::handle(RegisterKeeperMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

ZkCallId RegisterKeeper::next_call() { return zk_call_id(ZkCaller::kRegisterKeeper, ++calls_); }

// The disk does not tell: the directory may be an older copy of itself, from before it led.
bool RegisterKeeper::ours(const Register& content) const {
  if (content.leader != out_.config.self.member) return false;
  return !out_.config.self.durable ||
         std::count(own_epochs_.begin(), own_epochs_.end(), content.epoch_id) > 0;
}

uint64_t RegisterKeeper::draw_epoch_id() {
  own_epochs_.push_back(draw_change_id());
  if (own_epochs_.size() > kOwnEpochs) own_epochs_.pop_front();
  return own_epochs_.back();
}

uint64_t RegisterKeeper::draw_change_id() {
  uint64_t id = out_.prng.next();
  return id == 0 ? 1 : id;
}

std::string RegisterKeeper::draw_uuid() {  // RFC 9562, version 4
  uint64_t high = (out_.prng.next() & ~0xF000ull) | 0x4000ull;
  uint64_t low = (out_.prng.next() & ~(3ull << 62)) | (1ull << 63);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF,
                     low >> 48, low & 0xFFFFFFFFFFFFull);
}

void RegisterKeeper::on(ZkSessionChanged message) {
  connected_ = message.state == ZkState::kConnected;
  members_read_ = false;
  if (!connected_) return;
  read_call_ = exists_call_ = ZkCallId(0);
  tell_again_ = true;
  // Watches may have been lost with the connection, and events missed: read everything again.
  read();
  retry_at_ = out_.now + kZkRetry;
}

void RegisterKeeper::on(ZkWatchFired) { read(); }

void RegisterKeeper::restore(const DiskFacts& facts) {
  if (out_.config.standalone) return;  // which begins an epoch of its own at each start
  register_ = facts.remembers;
  heard_ = facts.epoch;
}

// From here on its reign has promised something.
void RegisterKeeper::on(LeadActive message) {
  if (message.active) before_.reset();
}

void RegisterKeeper::on(EpochHeard message) {
  if (message.epoch > heard_) heard_since_ = out_.now;
  heard_ = std::max(heard_, message.epoch);
  if (connected_ && (!register_ || register_->epoch < heard_)) read();
}

// ---- reading ----

void RegisterKeeper::read() {
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

void RegisterKeeper::on(ZkResult message) {
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

void RegisterKeeper::on_read(ZkResult& result) {
  if (result.code == ZkCode::kNoNode) return on_nothing_there();
  if (result.code != ZkCode::kOk) {
    retry_at_ = out_.now + kZkRetry;
    return;
  }
  const int32_t version = result.stat.version;
  Result<Register> content = decode_register(result.data);
  if (!register_ && !content) {
    out_.emit(Exit{kExitConfiguration, "ZooKeeper's /kvd/config is not readable: " + content.error().detail +
                                           "; it is another version's, or somebody changed it: restore it, "
                                           "or use another prefix in --zookeeper"});
    return;
  }
  const std::string& cluster = out_.config.remembered.cluster;
  if (!register_ && !cluster.empty() &&
      content->cluster != cluster) {  // written by a kvd that kept no register
    out_.emit(Exit{kExitConfiguration, "the data directory belongs to another cluster, " + cluster +
                                           "; ZooKeeper's is " + content->cluster +
                                           ": give the right --data-dir, or the right ZooKeeper"});
    return;
  }
  if (!register_) return adopt(std::move(*content), version);
  if (!content) return doubt(RegisterFault::kUnreadable, version, std::nullopt);
  const bool same = past_of(*content) == past_of(*register_);
  if (mutated(Mutation::kRegisterBelieved) ||
      (same ? *content == *register_ : descends(*content, *register_))) {
    adopt(std::move(*content), version);
    // At once, but not for ever: the one who spoke of it may have it from elsewhere.
    const bool soon = out_.now - heard_since_ < 2 * out_.config.leader_silence;
    if (register_->epoch < heard_) retry_at_ = out_.now + (soon ? kZkRetry : kDoubtPause);
    return;
  }
  if (content->cluster != register_->cluster)
    return doubt(RegisterFault::kForeign, version, std::move(*content));
  const bool older = !same && descends(*register_, *content);
  if (older && lags(version)) {
    retry_at_ = out_.now + kZkRetry;
    return;
  }
  doubt(older ? RegisterFault::kOlder : RegisterFault::kForked, version, std::move(*content));
}

void RegisterKeeper::on_nothing_there() {
  if (register_) {
    doubt(RegisterFault::kAbsent, kNoVersion, std::nullopt);
  } else if (!out_.config.remembered.cluster.empty()) {  // written by a kvd that kept no register
    out_.emit(
        Exit{kExitConfiguration,
             "the data directory belongs to the cluster " + out_.config.remembered.cluster +
                 ", but ZooKeeper has no register /kvd/config: is it the right ZooKeeper, and the right "
                 "prefix? (kvd export DIR FILE makes a backup of a directory)"});
    return;
  } else {
    out_.election.post(RegisterAbsent{});
    out_.replica.post(RegisterAbsent{});
  }
  // A watch for its creation. The get has set none, since there was nothing to read.
  exists_call_ = next_call();
  out_.emit(ZkCall{exists_call_, ZkExists{kConfigPath, true}});
}

// A server of the ensemble may be behind, for a moment. (Also our own reads that were under way when we changed it.)
bool RegisterKeeper::lags(int32_t version) {
  if (doubt_ || (version_ != kNoVersion && version > version_)) return false;
  if (lag_since_ == kNever) lag_since_ = out_.now;
  return out_.now - lag_since_ < out_.config.leader_silence;
}

// Rule 17. ZooKeeper's word is not taken against what this server knows: it would throw away what was acknowledged
// since.
void RegisterKeeper::doubt(RegisterFault fault, int32_t version, std::optional<Register> found) {
  retry_at_ = out_.now + kDoubtPause;
  const bool same = doubt_ && doubt_->fault == fault && doubt_->version == version &&
                    doubt_->found == found && doubt_->remembered == *register_;
  if (same && !tell_again_) return;
  tell_again_ = false;
  RegisterDoubted doubted{fault, version, std::move(found), *register_, out_.config.remembered.proposed};
  // What we were about to change is there no more. A set that may have grown by it may have led since.
  if (doubt_ && doubt_->proposed) doubted.proposed = doubt_->proposed;
  if (change_ && !mutated(Mutation::kGrowthForgotten)) doubted.proposed = change_->content;
  const bool settled = doubted.proposed && (register_->epoch > doubted.proposed->epoch ||
                                            descends(*register_, *doubted.proposed));
  if (settled) doubted.proposed.reset();
  change_.reset();
  doubt_ = doubted;
  out_.links.post(doubted);
  out_.election.post(doubted);
  out_.replica.post(std::move(doubted));
}

// Somebody remembers a register that was made of ours: ZooKeeper has gone back to the one that we believe.
void RegisterKeeper::on(RegisterLearned message) {
  if (!register_) return;
  const bool retreats =
      message.retreats && before_ && !doubt_ && register_->leader == out_.config.self.member;
  const Register& known = retreats ? *before_ : *register_;
  if (!descends(message.content, known) || past_of(message.content) == past_of(known)) return;
  std::optional<Register> found = doubt_ ? doubt_->found : *register_;
  const int32_t version = doubt_ ? doubt_->version : version_;
  RegisterFault fault = doubt_ ? doubt_->fault : RegisterFault::kOlder;
  if (retreats) fault = RegisterFault::kForked;
  if (!retreats && found && found->cluster == message.content.cluster)
    fault = descends(message.content, *found) ? RegisterFault::kOlder : RegisterFault::kForked;
  register_ = std::move(message.content);
  before_.reset();
  doubt(fault, version, std::move(found));
}

void RegisterKeeper::adopt(Register content, int32_t version) {
  if (!register_ && content.min_in_sync != out_.config.min_in_sync) {
    out_.log(LogLevel::kWarn, "the cluster's min_in_sync differs from --min-in-sync and is obeyed",
             {{"cluster", std::to_string(content.min_in_sync)},
              {"flag", std::to_string(out_.config.min_in_sync)}});
  }
  const bool own_reign =
      register_ && content.epoch > register_->epoch && content.leader == out_.config.self.member;
  if (own_reign && descends(content, *register_)) before_ = register_;
  if (content.leader != out_.config.self.member) before_.reset();
  lag_since_ = kNever;
  doubt_.reset();
  register_ = std::move(content);
  version_ = version;
  RegisterSeen seen{*register_, version_, ours(*register_)};
  out_.links.post(seen);
  out_.election.post(seen);
  out_.replica.post(std::move(seen));
  // After RegisterSeen: the replica must never count the old set alone while the new one is in force.
  if (change_) resolve_change();
}

void RegisterKeeper::on(MembersRead) { members_read_ = true; }

// ---- the leader's changes within its epoch ----

void RegisterKeeper::on(RegisterChangeWanted message) {
  Change change;
  change.content = std::move(message.content);
  change.made_of = register_ ? register_->change_id : 0;
  change.expected = version_;
  const bool ours = register_ && !doubt_ && register_->leader == out_.config.self.member &&
                    change.content.epoch_id == register_->epoch_id;
  change_ = std::move(change);
  if (out_.config.standalone) {
    adopt(Register(change_->content), version_ + 1);
  } else if (!ours || !connected_ || !members_read_) {
    finish_change(false);
  } else {
    send_change();
  }
}

void RegisterKeeper::send_change() {
  change_->in_flight = true;
  change_call_ = next_call();
  out_.emit(ZkCall{change_call_, ZkSet{kConfigPath, encode_register(change_->content), change_->expected}});
}

void RegisterKeeper::on_change_result(const ZkResult& result) {
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
  retry_at_ = out_.now + kZkRetry;
}

// The register was read: does it settle what became of the change?
void RegisterKeeper::resolve_change() {
  if (change_->in_flight) return;  // its own answer is the better one
  // Versions begin again with ZooKeeper's data: never again in another epoch.
  if (register_->epoch_id != change_->content.epoch_id) return finish_change(false);
  bool one_read = mutated(Mutation::kAmbiguityByOneRead) && change_->ambiguous;
  if (version_ <= change_->expected && !one_read) return;
  if (version_ > change_->expected && register_->change_id == change_->made_of) {
    // ZooKeeper has gone back, perhaps over this change, which others may have seen. It is ordered once more.
    change_->expected = version_;
    retry_at_ = std::min(retry_at_, out_.now + kZkRetry);
    return;
  }
  finish_change(register_->change_id == change_->content.change_id);
}

void RegisterKeeper::finish_change(bool applied) {
  out_.replica.post(ChangeResolved{change_->content.change_id, applied});
  change_.reset();
}

// ---- becoming leader ----

void RegisterKeeper::send_multi(ZkMulti multi, Register content, int32_t version) {
  if (multi_call_ != ZkCallId(0)) return;  // one at a time; election asks again
  multi_call_ = next_call();
  multi_content_ = std::move(content);
  multi_version_ = version;
  out_.emit(ZkCall{multi_call_, std::move(multi)});
}

void RegisterKeeper::on(BootstrapWanted message) {
  if (register_) return;
  Register content;
  content.cluster = draw_uuid();
  content.epoch = Epoch(1);
  content.epoch_id = draw_epoch_id();
  content.serial = 1;
  content.leader = out_.config.self.member;
  content.leader_znode = message.own_znode;
  content.in_sync = {content.leader};
  content.min_in_sync = out_.config.min_in_sync;
  content.disks = out_.config.self.durable;
  content.change_id = draw_change_id();
  ZkMulti multi;
  multi.ops.push_back(ZkCreate{kConfigPath, encode_register(content), ZkMode::kPersistent});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  send_multi(std::move(multi), std::move(content), 0);
}

// Above what anybody has spoken of. ZooKeeper may have gone back to this register, and somebody have led since in the
// epoch after it: entries of two epochs with one number would pass for the same.
Register RegisterKeeper::begin_epoch() {
  return next_epoch(*register_, draw_epoch_id(), mutated(Mutation::kEpochBegunTwice) ? Epoch(0) : heard_);
}

void RegisterKeeper::on(TakeoverWanted message) {
  const Member& self = out_.config.self.member;
  bool in_sync = register_ && counts(register_->in_sync, self);
  // A leader that has restarted takes over from itself, see Replica::led_before.
  bool leads = register_ && ours(*register_);
  if (!in_sync || leads || doubt_ || message.version != version_) {
    out_.election.post(TakeoverFailed{});
    return;
  }
  Register content = begin_epoch();
  content.leader = self;
  content.disks |= out_.config.self.durable;
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

void RegisterKeeper::on(NewLineageWanted message) {
  bool old = register_ && message.version != version_;
  if (!register_ || doubt_ || (old && !mutated(Mutation::kLossByOldVerdict))) {
    out_.election.post(TakeoverFailed{});
    return;
  }
  const Member& self = out_.config.self.member;
  Register content = begin_epoch();
  content.lineage = content.lineage.next();
  content.leader = self;
  content.disks |= out_.config.self.durable;
  content.cause = message.forced ? ElectionCause::kForced : ElectionCause::kNewLineage;
  content.leader_znode = message.own_znode;
  content.in_sync = {self};
  content.change_id = draw_change_id();
  ZkMulti multi;
  multi.ops.push_back(ZkSet{kConfigPath, encode_register(content), version_});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  for (const Member& member : message.lost) {
    if (message.superseded_only) multi.ops.push_back(ZkCheck{member_path(member.id), -1});
    check_unregistered(multi, member);
  }
  send_multi(std::move(multi), std::move(content), version_ + 1);
}

void RegisterKeeper::on(RestoreWanted message) {
  if (!doubt_ || doubt_->version != message.version) {
    out_.election.post(TakeoverFailed{});
    return;
  }
  const Member& self = out_.config.self.member;
  Register content = next_epoch(message.base, draw_epoch_id(), std::max(message.above, heard_));
  content.leader = self;
  content.disks |= out_.config.self.durable;
  content.cause = message.forced ? ElectionCause::kForced : ElectionCause::kRestored;
  content.leader_znode = message.own_znode;
  content.change_id = draw_change_id();
  if (message.forced) {
    content.lineage = content.lineage.next();
    content.in_sync = {self};
    for (const PastEpoch& past : message.given_up) remember(content, past);
  }
  ZkMulti multi;
  const bool absent = message.version == kNoVersion;
  std::string data = encode_register(content);
  if (absent) multi.ops.push_back(ZkCreate{kConfigPath, std::move(data), ZkMode::kPersistent});
  if (!absent) multi.ops.push_back(ZkSet{kConfigPath, std::move(data), message.version});
  multi.ops.push_back(ZkCheck{election_path(message.own_znode), -1});
  for (const std::string& znode : message.smaller_znodes)
    multi.ops.push_back(ZkDelete{election_path(znode), -1});
  for (const auto& [id, version] : message.told) multi.ops.push_back(ZkCheck{member_path(id), version});
  for (const Member& member : message.lost) check_unregistered(multi, member);
  send_multi(std::move(multi), std::move(content), absent ? 0 : message.version + 1);
}

// Whatever came of it, the register knows: who it names leads. That also covers an attempt that was believed
// lost.
void RegisterKeeper::on_multi_result(const ZkResult& result) {
  const bool newer = multi_version_ > version_ || doubt_;
  if (result.code == ZkCode::kOk && newer && (!register_ || descends(multi_content_, *register_))) {
    adopt(std::move(multi_content_), multi_version_);
  } else if (result.code != ZkCode::kOk) {
    out_.election.post(TakeoverFailed{});
  }
  read();
}

// ---- without ZooKeeper ----

void RegisterKeeper::start_standalone() {
  const DiskFacts& remembered = out_.config.remembered;
  Register content;
  content.cluster = remembered.cluster.empty() ? draw_uuid() : remembered.cluster;
  content.lineage = remembered.lineage;
  content.epoch = remembered.epoch.next();
  content.epoch_id = draw_epoch_id();
  content.serial = 1;
  content.leader = out_.config.self.member;
  content.in_sync = {content.leader};
  content.min_in_sync = out_.config.min_in_sync;
  content.disks = out_.config.self.durable;
  adopt(std::move(content), 0);
}

void RegisterKeeper::on_time() {
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
