// See links.hpp.
#include "core/cluster/links.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/cluster/certified_names.hpp"
#include "core/mutation.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr Duration kFirstRetry = milliseconds(2);  // between a reset and the two dials that prove a death
constexpr Duration kBackoffMax = milliseconds(500);
constexpr Duration kHelloTimeout = milliseconds(1000);
constexpr Duration kComplaintInterval = milliseconds(1000);
constexpr int kRefusalsThatProveDeath = 2;
constexpr int kSilencesThatEndStart = 2;  // one may be the turn in which a large directory is taken up

const Hello* hello_in(const PeerMessage& message) {
  const auto* box = std::get_if<Box<Hello>>(&message);
  return box == nullptr ? nullptr : &**box;
}

}  // namespace

void Links::handle(LinksMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

Hello Links::hello_to(const ServerId& id) const {
  Hello hello;
  if (register_) {
    hello.cluster = register_->cluster;
    hello.lineage = register_->lineage;
    hello.epoch = register_->epoch;
  }
  hello.from = out_.config.self;
  hello.to = id;
  hello.sparse = sparse_;
  hello.recovered = recovered_;
  hello.guard = {out_.config.auth, out_.config.insecure};
  return hello;
}

std::vector<std::string> Links::other_guards() const {
  const Guard own{out_.config.auth, out_.config.insecure};
  const auto text = [](const Guard& guard) {
    return fmt::format("--auth {}{}", auth_mode_name(guard.auth), guard.insecure ? " --insecure" : "");
  };
  std::vector<std::string> lines;
  for (const auto& [id, target] : targets_) {
    if (!target.up || target.guard == own) continue;
    lines.push_back(fmt::format("{} guards itself otherwise than this server: by {}, and this one by {}",
                                id.value, text(target.guard), text(own)));
  }
  return lines;
}

Links::Target* Links::target_of(LinkId link) {
  if (probe_ && probe_->link == link) return &*probe_;
  for (auto& [id, target] : targets_) {
    if (target.link == link) return &target;
  }
  return nullptr;
}

void Links::dial(Target& target) {
  target.link = LinkId(next_link_);
  next_link_ += 2;
  target.hello_deadline = out_.now + kHelloTimeout;
  out_.emit(LinkDial{target.link, target.info.peer});
}

void Links::on(LinkOpened message) {
  Target* target = target_of(message.link);
  if (target == nullptr) return;
  target->opened = true;
  target->names = std::move(message.names);
  target->hello_deadline = out_.now + kHelloTimeout;
  out_.emit(LinkSend{message.link, hello_to(target->info.member.id)});
}

void Links::on(LinkAccepted message) {
  callers_[message.link] = Caller{std::move(message.from), std::move(message.names), std::nullopt};
}

void Links::on(LinkReceived message) {
  if (Target* target = target_of(message.link)) {
    on_answer(*target, std::move(message.message));
  } else if (auto it = callers_.find(message.link); it != callers_.end()) {
    on_call(message.link, it->second, std::move(message.message));
  }
}

// One clear line for whatever does not belong here, and not more than one a second: a port scanner is no log
// flood.
void Links::complain(const std::string& where, const std::string& what) {
  if (complained_ && out_.now - complained_at_ < kComplaintInterval) return;
  complained_ = true;
  complained_at_ = out_.now;
  out_.log(LogLevel::kWarn, "refused a peer", {{"peer", where}, {"reason", what}});
}

// Only of our own cluster, as far as we know it.
Epoch Links::epoch_of(const Hello& hello) const {
  return register_ && hello.cluster == register_->cluster ? hello.epoch : Epoch(0);
}

// That a server is where ZooKeeper shows it, or where it was when it was last shown: its id alone
// tells nothing of the host that its certificate names. Whoever is new is listed soon, and tries again.
bool Links::is_where_known(const ServerInfo& info) const {
  if (const auto listed = listed_.find(info.member.id); listed != listed_.end())
    return listed->second.peer.host == info.peer.host;
  const auto target = targets_.find(info.member.id);
  return target != targets_.end() && target->second.info.peer.host == info.peer.host;
}

bool Links::acceptable(const Hello& hello, const std::string& where, const std::vector<std::string>& names) {
  if (hello.to != out_.config.self.member.id) {
    complain(where,
             "it looks for server " + hello.to.value + ", this is " + out_.config.self.member.id.value);
    return false;
  }
  if (out_.config.peer_tls && !mutated(Mutation::kNameUnchecked)) {
    // A certificate of the cluster's authority is not enough: each server may be only who its own one names.
    const std::string& host = hello.from.peer.host;
    if (!is_named(host, names)) {
      complain(where, fmt::format("its certificate names {}, and it says that it is at {}",
                                  fmt::join(names, ", "), host));
      return false;
    }
    if (!is_where_known(hello.from)) return false;  // it may be new, and not listed yet: no warning
  }
  // Not before we are registered. Until then ZooKeeper may show a former life of ours: were this one in the
  // in-sync set already, everybody would take it for superseded, and its data for lost. Nor before we have
  // read the register, or that there is none, which comes first: were it another lineage than the one we start in, we
  // would acknowledge entries and then wipe them. Whoever dialed tries again.
  if (!registered_ && !mutated(Mutation::kGreetedUnregistered)) return false;
  if (doubted_) return false;
  if (register_ && !hello.cluster.empty() && hello.cluster != register_->cluster) {
    complain(where, "it belongs to another cluster, " + hello.cluster);
    return false;
  }
  // One side still has to learn of the lineage from the register: after a total loss, or where ZooKeeper had lost the
  // register when that side read it. Not worth a warning.
  return hello.lineage == (register_ ? register_->lineage : Lineage{});
}

void Links::on_call(LinkId link, Caller& caller, PeerMessage message) {
  if (caller.info) {
    pass_on(link, caller.info->member, std::move(message));
    return;
  }
  const Hello* hello = hello_in(message);
  if (hello == nullptr) {
    complain(caller.from, "its first message is no HELLO");
    drop_caller(link);
    return;
  }
  const Member& self = out_.config.self.member;
  if (hello->from.member.id == self.id) {
    // Either we reached ourselves, or another process uses our id and asks whether we live. Answering tells
    // both.
    if (hello->from.member == self) complain(caller.from, "it is this server itself");
    out_.emit(LinkSend{link, hello_to(self.id)});
    drop_caller(link);
    return;
  }
  if (!acceptable(*hello, caller.from, caller.names)) {
    drop_caller(link);
    return;
  }
  std::vector<LinkId> former;  // a new connection voids the one before it
  for (const auto& [other, known] : callers_) {
    if (known.info && known.info->member.id == hello->from.member.id) former.push_back(other);
  }
  for (LinkId other : former) drop_caller(other);
  caller.info = hello->from;
  out_.emit(LinkSend{link, hello_to(hello->from.member.id)});
  learn(hello->from);
  targets_[hello->from.member.id].starting = false;
  PeerUp up{link, false, hello->from, hello->sparse, epoch_of(*hello), hello->recovered};
  out_.replica.post(up);
  out_.kv_router.post(up);
  out_.service_router.post(up);
  out_.election.post(std::move(up));
}

void Links::on_answer(Target& target, PeerMessage message) {
  if (target.up) {
    pass_on(target.link, target.info.member, std::move(message));
    return;
  }
  const Hello* hello = hello_in(message);
  if (target.probe) {
    // Another life of this id than ours, or one out of a copy of our data directory. (Our own answer: the former
    // address was the one that we have now.)
    const ServerInfo& self = out_.config.self;
    bool alive = hello != nullptr && hello->from.member.id == self.member.id && hello->from != self;
    answer_probe(alive ? AliveChecked::Verdict::kAlive : AliveChecked::Verdict::kDead);
    return;
  }
  std::string where = format_address(target.info.peer);
  bool other = hello != nullptr && hello->from.member.id != target.info.member.id;
  if (hello == nullptr) complain(where, "its first message is no HELLO");
  if (other)
    complain(where, "it is server " + hello->from.member.id.value + ", not " + target.info.member.id.value);
  if (hello == nullptr || other || !acceptable(*hello, where, target.names)) {
    drop(target);
    return;
  }
  learn(hello->from);  // may find that the incarnation is a new one
  target.up = true;
  target.guard = hello->guard;
  target.starting = false;
  target.refusals = 0;
  target.hello_deadline = kNever;
  PeerUp up{target.link, true, target.info, hello->sparse, epoch_of(*hello), hello->recovered};
  out_.replica.post(up);
  out_.kv_router.post(up);
  out_.service_router.post(up);
  out_.election.post(std::move(up));
}

// Which actor a message of a greeted peer is for.
void Links::pass_on(LinkId link, const Member& from, PeerMessage message) {
  PeerSaid said{link, from, std::move(message)};
  struct Receiver {
    bool operator()(const Box<Hello>&) { return false; }
    bool operator()(const Append&) { return to_replica(); }
    bool operator()(const AppendAck&) { return to_replica(); }
    bool operator()(const AppendNack&) { return to_replica(); }
    bool operator()(const Heartbeat&) { return to_replica(); }
    bool operator()(const HeartbeatAck&) { return to_replica(); }
    bool operator()(const SnapshotBegin&) { return to_replica(); }
    bool operator()(const SnapshotChunk&) { return to_replica(); }
    bool operator()(const SnapshotEnd&) { return to_replica(); }
    bool operator()(const SnapshotAck&) { return to_replica(); }
    bool operator()(const Suspect&) { return to_replica(); }
    bool operator()(const SuspectReply&) { return to_election(); }
    bool operator()(const TakeOver&) { return to_election(); }
    bool operator()(const Forward&) { return to_front(); }
    bool operator()(const ForwardResult&) { return to_front(); }
    bool operator()(const ForwardCancelled&) { return to_front(); }
    bool operator()(const Box<ServiceForward>&) { return to_desk(); }
    bool operator()(const Box<ServiceForwardResult>&) { return to_desk(); }
    bool operator()(const ServiceForwardCancelled&) { return to_desk(); }
    bool to_replica() { return to = 'r', true; }
    bool to_election() { return to = 'e', true; }
    bool to_front() { return to = 'f', true; }
    bool to_desk() { return to = 'd', true; }
    char to = 0;
  } receiver;
  std::visit(receiver, said.message);
  if (receiver.to == 'r') out_.replica.post(std::move(said));
  if (receiver.to == 'e') out_.election.post(std::move(said));
  if (receiver.to == 'f') out_.kv_router.post(std::move(said));
  if (receiver.to == 'd') out_.service_router.post(std::move(said));
}

// Whoever says Hello is known from then on, registered or not; a newer incarnation proves the former one
// dead.
void Links::learn(const ServerInfo& info) {
  auto [it, fresh] = targets_.try_emplace(info.member.id);
  Target& target = it->second;
  if (!fresh && target.info.member != info.member) {
    PeerDead dead{target.info.member};
    target.starting = false;
    if (target.up && target.info.member.incarnation != Incarnation(0)) drop(target);
    out_.replica.post(dead);
    out_.election.post(dead);
  }
  if (target.info != info) {
    target.info = info;
    target.refusals = 0;
  }
  // It is there right now: do not wait for what is left of a backoff.
  target.backoff = Duration(0);
  if (target.link == LinkId(0)) target.next_dial = out_.now;
}

// What ZooKeeper showed us may be older than what a server has said itself: while a link to that stands, it is right.
void Links::believe_list(const ServerId& id) {
  auto listed = listed_.find(id);
  if (listed == listed_.end()) return;
  auto target = targets_.find(id);
  if (target == targets_.end() || (!target->second.up && target->second.info != listed->second))
    learn(listed->second);
}

void Links::tell_start(Target& target, bool starts) {
  if (std::exchange(target.starting, starts) == starts) return;
  out_.replica.post(PeerStarting{target.info.member, starts});
  out_.election.post(PeerStarting{target.info.member, starts});
}

void Links::lost(Target& target, LinkEnd why) {
  bool was_up = target.up;
  LinkId link = target.link;
  const bool closed = target.opened && !was_up && why == LinkEnd::kReset;
  target.silences = closed || was_up ? 0 : target.silences + 1;
  if (closed || was_up || why == LinkEnd::kRefused || target.silences == kSilencesThatEndStart)
    tell_start(target, closed);
  target.link = LinkId(0);
  target.opened = target.up = false;
  target.hello_deadline = kNever;
  if (was_up) {
    PeerDown down{link, true, target.info.member};
    out_.replica.post(down);
    out_.kv_router.post(down);
    out_.service_router.post(down);
    out_.election.post(std::move(down));
  }
  target.refusals = why == LinkEnd::kRefused ? target.refusals + 1 : 0;
  if (target.refusals == kRefusalsThatProveDeath) {
    PeerDead dead{target.info.member};
    out_.replica.post(dead);
    out_.election.post(dead);
  }
  bool proving = was_up || (why == LinkEnd::kRefused && target.refusals < kRefusalsThatProveDeath);
  target.backoff = proving ? kFirstRetry : std::min(kBackoffMax, std::max(kFirstRetry, target.backoff * 2));
  target.next_dial = out_.now + target.backoff;
  if (was_up) believe_list(target.info.member.id);
}

void Links::drop(Target& target) {
  if (target.link == LinkId(0)) return;
  out_.emit(LinkClose{target.link});
  target.opened = false;
  lost(target, LinkEnd::kReset);
}

void Links::drop_caller(LinkId link) {
  auto it = callers_.find(link);
  if (it == callers_.end()) return;
  out_.emit(LinkClose{link});
  if (it->second.info) {
    PeerDown down{link, false, it->second.info->member};
    out_.replica.post(down);
    out_.kv_router.post(down);
    out_.service_router.post(down);
    out_.election.post(std::move(down));
  }
  callers_.erase(it);
}

void Links::on(LinkEnded message) {
  if (Target* target = target_of(message.link)) {
    if (!target->probe) {
      lost(*target, message.why);
      return;
    }
    target->link = LinkId(0);
    target->refusals = message.why == LinkEnd::kRefused ? target->refusals + 1 : 0;
    if (target->refusals == kRefusalsThatProveDeath) {
      answer_probe(AliveChecked::Verdict::kDead);
    } else {
      target->next_dial = out_.now + kFirstRetry;
    }
    return;
  }
  auto it = callers_.find(message.link);
  if (it == callers_.end()) return;
  if (!it->second.info && message.why == LinkEnd::kProtocol) complain(it->second.from, message.detail);
  if (it->second.info) {
    PeerDown down{message.link, false, it->second.info->member};
    out_.replica.post(down);
    out_.kv_router.post(down);
    out_.service_router.post(down);
    out_.election.post(std::move(down));
  }
  callers_.erase(it);
}

// A new cluster or lineage is another world: every link starts anew, with a Hello that says so. So is the first
// register, to a server that had read that there is none, when it is not of the lineage that everybody starts in.
void Links::on(RegisterSeen message) {
  const bool other_world = register_ ? register_->cluster != message.content.cluster ||
                                           register_->lineage != message.content.lineage
                                     : message.content.lineage != Lineage{};
  register_ = std::move(message.content);
  doubted_ = false;
  if (other_world) drop_all();
}

void Links::on(const RegisterDoubted& message) {
  register_ = message.remembered;
  if (!std::exchange(doubted_, true)) drop_all();
}

void Links::drop_all() {
  for (auto& [id, target] : targets_) drop(target);
  while (!callers_.empty()) drop_caller(callers_.begin()->first);
}

void Links::on(MembersListed message) {
  registered_ = true;
  listed_.clear();
  for (const ServerInfo& info : message.members) {
    if (info.member.id == out_.config.self.member.id) continue;
    listed_[info.member.id] = info;
    believe_list(info.member.id);
  }
  // Forget who is gone from ZooKeeper and does not talk to us, unless the register still counts on it.
  std::erase_if(targets_, [&](auto& entry) {
    const Target& target = entry.second;
    auto same_id = [&](const auto& other) { return other.id == entry.first; };
    bool listed = std::any_of(message.members.begin(), message.members.end(),
                              [&](const ServerInfo& info) { return same_id(info.member); });
    bool counted = register_ && (same_id(register_->leader) ||
                                 std::any_of(register_->in_sync.begin(), register_->in_sync.end(), same_id));
    return !listed && !counted && target.link == LinkId(0);
  });
}

void Links::on(AliveCheck message) {
  if (probe_ && probe_->link != LinkId(0)) out_.emit(LinkClose{probe_->link});
  probe_ = Target{};
  probe_->info = std::move(message.suspect);
  probe_->probe = true;
  probe_until_ = out_.now + kHelloTimeout;
  dial(*probe_);
}

void Links::answer_probe(AliveChecked::Verdict verdict) {
  if (probe_->link != LinkId(0)) out_.emit(LinkClose{probe_->link});
  probe_.reset();
  out_.election.post(AliveChecked{verdict});
}

void Links::on(LogRecovered message) { recovered_ = message.end; }

void Links::on(SparseChanged message) { sparse_ = message.sparse; }

// TCP alone may take minutes to notice that the other side is gone, or to try again after a partition has
// healed.
void Links::on(LinkStale message) {
  Target* target = target_of(message.link);
  if (target != nullptr && target->up) drop(*target);
}

void Links::on(Stalled) {
  // Answers may be waiting unread in our own sockets.
  for (auto& [id, target] : targets_) {
    if (target.hello_deadline != kNever) target.hello_deadline = out_.now + kHelloTimeout;
  }
}

void Links::on_time() {
  if (probe_) {
    // However often it ends and is dialed again: an address that neither answers nor refuses gets one
    // verdict.
    if (probe_until_ <= out_.now) {
      answer_probe(AliveChecked::Verdict::kSilent);
    } else if (probe_->link == LinkId(0) && probe_->next_dial <= out_.now) {
      dial(*probe_);
    }
  }
  for (auto& [id, target] : targets_) {
    if (target.hello_deadline <= out_.now) {
      out_.emit(LinkClose{target.link});
      lost(target, LinkEnd::kUnreachable);
    }
    if (target.link == LinkId(0) && target.next_dial <= out_.now && !doubted_) dial(target);
  }
}

Instant Links::deadline() const {
  Instant earliest = kNever;
  auto consider = [&](const Target& target) {
    earliest = std::min(earliest, target.link == LinkId(0) ? target.next_dial : target.hello_deadline);
  };
  for (const auto& [id, target] : targets_) {
    if (!doubted_ || target.link != LinkId(0)) consider(target);
  }
  if (probe_) {
    consider(*probe_);
    earliest = std::min(earliest, probe_until_);
  }
  return earliest;
}

std::vector<ServerInfo> Links::known() const {
  std::vector<ServerInfo> all;
  for (const auto& [id, target] : targets_) all.push_back(target.info);
  return all;
}

}  // namespace kvd
