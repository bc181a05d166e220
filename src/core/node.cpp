// See node.hpp. The order of the actors in a turn is fixed: what links bring goes to the register keeper, election and
// replica, and what those decide reaches the KV router, and so the clients, in the same turn.
#include "core/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/access/judge.hpp"
#include "core/cluster/election.hpp"
#include "core/cluster/links.hpp"
#include "core/cluster/register_keeper.hpp"
#include "core/consumers.hpp"
#include "core/kv_router.hpp"
#include "core/lease_keeper.hpp"
#include "core/outbox.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/recovery.hpp"
#include "core/replica/replica.hpp"
#include "core/replica/table.hpp"
#include "core/services/service_router.hpp"
#include "core/services/services.hpp"
#include "core/services/sessions.hpp"
#include "core/topic_readers.hpp"
#include "core/watch/watch.hpp"
#include "msg/text.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr int kExitIoError = 74;
constexpr int kMessagesPerVisit = 1024;  // of one actor, before the next one has its turn
constexpr int kRoundsPerTurn = 64;       // then the shell gets to see its sockets again

}  // namespace

struct Node::Parts {
  Parts(NodeConfig the_config, uint64_t seed, Trace* the_trace)
      : config(std::move(the_config)),
        prng(seed),
        trace(the_trace),
        out{config, prng},
        links(out),
        register_keeper(out),
        election(out),
        recovery(out),
        replica(out),
        kv_router(out),
        watch(out),
        lease_keeper(out),
        consumers(out),
        topic_readers(out),
        service_router(out),
        sessions(out),
        services(out, out, out, out, out, out, out) {}

  template <class Actor, class Message>
  bool visit(Actor& actor, Mailbox<Message>& mailbox) {
    bool any = !mailbox.empty();
    for (int i = 0; i < kMessagesPerVisit && !mailbox.empty(); ++i) {
      actor.handle(std::move(mailbox.first()));
      mailbox.drop_first();
    }
    return any;
  }

  bool visit_services() {
    bool any = false;
    auto mailbox = out.services.begin();
    std::apply([&](auto&... service) { ((any |= visit(service, *mailbox), ++mailbox), ...); }, services);
    return any;
  }

  bool busy() const {
    return !(
        out.links.empty() && out.register_keeper.empty() && out.election.empty() && out.replica.empty() &&
        out.kv_router.empty() && out.watch.empty() && out.lease_keeper.empty() && out.consumers.empty() &&
        out.topic_readers.empty() && out.service_router.empty() && out.sessions.empty() &&
        std::all_of(out.services.begin(), out.services.end(), [](const auto& one) { return one.empty(); }));
  }

  void trace_effects() {
    if (!trace->wanted()) return;
    for (; traced < out.effects.size(); ++traced) {
      trace->add(fmt::format("{} {} -> {}", to_us(out.now), config.self.member.id.value,
                             to_text(out.effects[traced])));
    }
  }

  bool recovering() const { return config.self.durable && !recovered; }
  bool refuse_link(const NodeInput& input);
  void refuse(const Call& call, ErrorCode code, std::string why);
  bool refused_by_rights(Call& call);
  void sign(Call& call);
  void warn_of_rights(const std::string& why);
  void publish_access();
  void start(Instant now);
  void recover();
  void work();

  Status status() const;
  void describe_members(Status& status) const;
  void judge(Status& status) const;

  NodeConfig config;
  Prng prng;
  Trace* trace;
  Outbox out;
  Links links;
  RegisterKeeper register_keeper;
  Election election;
  Recovery recovery;
  Replica replica;
  KvRouter kv_router;
  Watch watch;
  LeaseKeeper lease_keeper;
  Consumers consumers;
  TopicReaders topic_readers;
  ServiceRouter service_router;
  Sessions sessions;
  Services services;
  bool started = false;
  bool recovered = false;        // what the disk held is taken up
  std::vector<DiskAnswer> read;  // for the recovery
  Instant started_at{};
  Instant last_turn{};
  Instant wanted_turn = kNever;
  std::string zk_refusal;                                             // what ZkAccessJudged told last
  AccessTablePointer access = std::make_shared<const AccessTable>();  // of what is committed here
  uint64_t access_digest = 0;                                         // of the space that it was made of
  bool access_whole = false;                                          // as was told last
  Counters counters;                                                  // of what the node refuses itself
  Instant warned_at{};
  int warned = 0;  // times, since then
  bool exited = false;
  bool stopping = false;
  size_t traced = 0;
  AppendBuffer<NodeEffect> taken;  // by the shell; swapped with the outbox's, so that both keep their memory
  std::vector<RequestId> queries;  // status queries of this turn
  std::map<std::string, TlsState> tls;  // by its use
  std::set<LinkId> overflowed;          // closed for a full mailbox, while their LinkEnded still waits in it
};

Node::Node(NodeConfig config, uint64_t seed, Trace* trace)
    : parts_(std::make_unique<Parts>(std::move(config), seed, trace)) {}

Node::~Node() = default;

namespace {

bool asks_status(const Call& call) {
  const auto* store = std::get_if<StoreCall>(&call.what);
  return store != nullptr && std::holds_alternative<QueryStatus>(store->operation);
}

// What load balancers ask.
bool is_open(const Call& call) {
  const auto* store = std::get_if<StoreCall>(&call.what);
  const auto* status = store != nullptr ? std::get_if<QueryStatus>(&store->operation) : nullptr;
  return status != nullptr && status->use == QueryStatus::Use::kHealth;
}

// Where an input goes. Everything that is not listed here goes nowhere: there is no fallback.
struct Delivery {
  Outbox& out;
  bool delivered = true;

  void operator()(Call& m) {
    if (std::holds_alternative<StoreCall>(m.what)) {
      delivered = out.kv_router.offer(std::move(m));
    } else if (std::holds_alternative<ServiceCall>(m.what)) {
      delivered = out.service_router.offer(std::move(m));
    } else if (std::holds_alternative<HoldLease>(m.what)) {
      delivered = out.lease_keeper.offer(std::move(m));
    } else if (std::holds_alternative<ConsumeQueue>(m.what)) {
      delivered = out.consumers.offer(std::move(m));
    } else if (std::holds_alternative<Box<FollowTopic>>(m.what)) {
      delivered = out.topic_readers.offer(std::move(m));
    } else {
      delivered = out.watch.offer(std::move(m));
    }
  }
  void operator()(StreamTaken& m) {
    out.watch.post(m);
    out.consumers.post(m);
    out.topic_readers.post(m);
  }
  void operator()(CallCancelled& m) {
    out.watch.post(m);  // first: a poll that is due becomes a call of the KV router's
    out.kv_router.post(m);
    out.lease_keeper.post(m);
    out.consumers.post(m);
    out.topic_readers.post(m);
    out.service_router.post(m);
  }
  void operator()(DiskAnswer& m) { out.replica.post(std::move(m)); }
  void operator()(LinkOpened& m) { out.links.post(m); }
  void operator()(LinkAccepted& m) { out.links.post(std::move(m)); }
  void operator()(LinkReceived& m) { delivered = out.links.offer(std::move(m)); }
  void operator()(LinkEnded& m) { out.links.post(std::move(m)); }
  void operator()(ZkResult& m) {
    switch (zk_caller(m.id)) {
      case ZkCaller::kRegisterKeeper:
        return out.register_keeper.post(std::move(m));
      case ZkCaller::kElection:
        return out.election.post(std::move(m));
      case ZkCaller::kServices:
        break;
    }
    const ServiceActor actor = service_actor(m.id);
    if (actor == ServiceActor::kSessions) return out.sessions.post(std::move(m));
    out.zk_call_window.ended();
    out.watches.answered(m);
    out.services.at(static_cast<size_t>(actor)).post(std::move(m));
  }
  void operator()(ZkWatchFired& m) {
    out.watches.fired(m.path);
    for (auto& service : out.services) service.post(m);  // whose clients may look at any znode
    if (out.config.standalone) return;
    if (m.path == kConfigPath) return out.register_keeper.post(std::move(m));
    if (at_or_below(m.path, kElectionPath) || at_or_below(m.path, kMembersPath))
      out.election.post(std::move(m));
  }
  void operator()(ZkSessionChanged& m) {
    if (m.state == ZkState::kExpired) out.watches.forget_watches();
    if (m.state == ZkState::kConnected) out.watches.begin_session();
    // Who is alone needs no ZooKeeper to lead: it serves the services only.
    if (!out.config.standalone) {
      out.election.post(m);
      out.register_keeper.post(m);
    }
    out.sessions.post(m);
    out.service_router.post(m);
    for (auto& service : out.services) service.post(m);
  }
  void operator()(TlsState&) {}  // these two the node itself keeps
  void operator()(ZkAccessJudged&) {}
  void operator()(StopRequested& m) {
    out.replica.post(m);
    out.kv_router.post(m);
    out.watch.post(m);
    out.lease_keeper.post(m);
    out.consumers.post(m);
    out.topic_readers.post(m);
    out.sessions.post(m);
    out.service_router.post(m);
  }
};

}  // namespace

void Node::push(NodeInput&& input) {
  Parts& p = *parts_;
  if (p.trace->wanted()) {
    p.trace->add(fmt::format("{} {} <- {}", to_us(p.out.now), p.config.self.member.id.value, to_text(input)));
  }
  auto* call = std::get_if<Call>(&input);
  if (call != nullptr && p.refused_by_rights(*call)) return;
  if (call != nullptr && asks_status(*call)) {
    p.queries.push_back(call->id);
    return;
  }
  if (auto* answer = std::get_if<DiskAnswer>(&input)) {
    if (auto* failed = std::get_if<DiskFailed>(answer)) {
      p.out.emit(Exit{kExitIoError, failed->what});
      return;
    }
    if (p.recovering() && !std::holds_alternative<DiskSpace>(*answer)) {
      p.read.push_back(std::move(*answer));
      return;
    }
  }
  if (p.recovering() && p.refuse_link(input)) return;
  if (call != nullptr && p.recovering())
    return p.refuse(*call, ErrorCode::kNotReady, "this server still reads its data directory");
  if (std::holds_alternative<StopRequested>(input)) p.stopping = true;
  if (auto* tls = std::get_if<TlsState>(&input)) p.tls.insert_or_assign(tls->use, std::move(*tls));
  if (auto* judged = std::get_if<ZkAccessJudged>(&input)) p.zk_refusal = std::move(judged->refusal);
  LinkId link;
  if (auto* received = std::get_if<LinkReceived>(&input)) link = received->link;
  if (p.overflowed.contains(link)) return;
  Delivery delivery{p.out};
  std::visit(delivery, input);
  if (delivery.delivered) return;
  if (link != LinkId(0)) {
    // Dropping one message of a conversation would garble it. The whole link goes, and its successor starts
    // anew.
    p.overflowed.insert(link);
    p.out.emit(LinkClose{link});
    p.out.links.post(LinkEnded{link, LinkEnd::kOverflow, "this server's mailbox is full"});
  } else {
    p.refuse(*call, ErrorCode::kOverloaded, "too many requests wait in this server");
  }
}

// Every call of every face comes by here, and one that says nothing of who asks is anonymous'.
bool Node::Parts::refused_by_rights(Call& call) {
  const bool always = concerns_access(call);
  const bool counts = config.auth == AuthMode::kOn || always;
  if (config.auth == AuthMode::kOff && !always) {
    call.caller.reset();
    return false;
  }
  const Subject subject{call.caller.get(), *access, out.wall_ms()};
  const std::optional<Failed> missing = missing_right(subject, call);
  // What a copy that misses something would grant may be revoked.
  if (counts && !access_whole && subject.name() != kRoot && !is_open(call)) {
    refuse(call, ErrorCode::kNotReady, kRightsUnknown);
    return true;
  }
  if (missing) {
    ++(missing->code == ErrorCode::kUnauthenticated ? counters.unauthenticated : counters.forbidden);
    if (counts) {
      refuse(call, missing->code, missing->detail);
      return true;
    }
    warn_of_rights(missing->detail);
  }
  if (counts) {
    sign(call);
  } else {
    call.caller.reset();
  }
  return false;
}

// In whose name it goes on from here.
void Node::Parts::sign(Call& call) {
  if (!call.caller)
    call.caller =
        std::make_shared<const Caller>(Caller{std::string(kAnonymous), std::string(kViaNothing), 0});
  const std::string& name = call.caller->user;
  if (auto* store = std::get_if<StoreCall>(&call.what)) {
    // What was answered to one user is nobody else's to fetch.
    if (!store->idempotency_key.empty() && name != kAnonymous)
      store->idempotency_key = name + '\0' + store->idempotency_key;
  } else if (auto* service = std::get_if<ServiceCall>(&call.what)) {
    // Sessions: a user who was deleted and made again is another one.
    const uint64_t number = access->find(name)->number;
    service->user = number == 0 ? name : fmt::format("{}#{}", name, number);
  }
}

// Not of each: whoever asks could fill the log.
void Node::Parts::warn_of_rights(const std::string& why) {
  constexpr int kLinesASecond = 10;
  if (out.now - warned_at >= seconds(1)) {
    warned_at = out.now;
    warned = 0;
  }
  if (warned++ < kLinesASecond) out.log(LogLevel::kWarn, "would be refused with --auth on", {{"why", why}});
}

// The shell tells by it who asks.
void Node::Parts::publish_access() {
  const uint64_t digest = replica.store().access().digest;
  const bool whole = !recovering() && replica.complete();
  if (digest == access_digest && whole == access_whole) return;
  if (std::exchange(access_digest, digest) != digest)
    access = std::make_shared<const AccessTable>(access_records(replica.store()));
  access_whole = whole;
  out.emit(AccessChanged{access, whole});
}

// One that never became a router's. What is refused of the store tells where else to ask.
void Node::Parts::refuse(const Call& call, ErrorCode code, std::string why) {
  Reply refused = refusal(call, code, std::move(why));
  if (auto* store = std::get_if<StoreAnswer>(&refused.what))
    return kv_router.reply(call.id, std::move(store->answer), replica.commit());
  out.emit(std::move(refused));
}

// Who dials before this server knows who it is may dial again.
bool Node::Parts::refuse_link(const NodeInput& input) {
  if (auto* accepted = std::get_if<LinkAccepted>(&input)) out.emit(LinkClose{accepted->link});
  return std::holds_alternative<LinkAccepted>(input) || std::holds_alternative<LinkReceived>(input) ||
         std::holds_alternative<LinkEnded>(input);
}

void Node::Parts::start(Instant now) {
  started = true;
  started_at = last_turn = wanted_turn = now;
  if (config.self.durable) recovery.start();
}

void Node::Parts::recover() {
  for (DiskAnswer& answer : std::exchange(read, {})) recovery.on(std::move(answer));
  recovery.on_time();
  wanted_turn = recovery.deadline();
  if (!recovery.done()) return;
  // Who this server is, and what it has, is settled: from here on it is like any other.
  Recovery::Found found = recovery.take();
  recovered = true;
  last_turn = wanted_turn = out.now;
  config.self.member = found.facts.self;
  config.remembered = found.facts;
  register_keeper.restore(found.facts);
  replica.restore(std::move(found), out.now - started_at);
}

// One turn of all actors.
void Node::Parts::work() {
  Instant now = out.now;
  Instant expected = std::max(last_turn, std::min(wanted_turn, now));
  out.slept = now - expected > config.leader_silence / 2;
  if (out.slept) {
    out.log(LogLevel::kWarn, "this server's own loop slept", {{"ms", std::to_string(to_ms(now - expected))}});
    out.links.post(Stalled{});
    out.election.post(Stalled{});
    out.replica.post(Stalled{});
    // Before the timers below: they must not judge others by a clock that ran while we did not.
    visit(replica, out.replica);
    visit(election, out.election);
    visit(links, out.links);
  }
  last_turn = now;
  links.on_time();
  register_keeper.on_time();
  election.on_time();
  replica.on_time();
  kv_router.on_time();
  watch.on_time();
  lease_keeper.on_time();
  consumers.on_time();
  topic_readers.on_time();
  sessions.on_time();
  std::apply([](auto&... service) { (service.on_time(), ...); }, services);
  service_router.on_time();
  int rounds = 0;
  do {
    bool any = true;
    while (any && rounds < kRoundsPerTurn) {
      ++rounds;
      any = visit(links, out.links);
      any |= visit(register_keeper, out.register_keeper);
      any |= visit(election, out.election);
      any |= visit(replica, out.replica);
      any |= visit(kv_router, out.kv_router);
      any |= visit(watch, out.watch);
      any |= visit(lease_keeper, out.lease_keeper);
      any |= visit(consumers, out.consumers);
      any |= visit(topic_readers, out.topic_readers);
      any |= visit(sessions, out.sessions);
      any |= visit_services();
      any |= visit(service_router, out.service_router);
      while (out.zk_call_window.ready()) out.emit(out.zk_call_window.next());
    }
    // Once per turn, when nothing more is known: one batch per peer.
    if (!busy()) replica.flush();
  } while (busy() && rounds < kRoundsPerTurn);
  if (busy()) replica.flush();  // overload is no reason to stop replicating
  watch.flush();
  topic_readers.flush();
  if (out.links.empty()) overflowed.clear();
  wanted_turn =
      std::min({links.deadline(), register_keeper.deadline(), election.deadline(), replica.deadline(),
                kv_router.deadline(), watch.deadline(), lease_keeper.deadline(), consumers.deadline(),
                topic_readers.deadline(), sessions.deadline(), service_router.deadline()});
  std::apply(
      [this](auto&... service) {
        wanted_turn = std::min({wanted_turn, service.deadline()...});
      },
      services);
  if (busy()) wanted_turn = now;
}

Instant Node::pump(Instant now) {
  Parts& p = *parts_;
  if (p.exited) return kNever;
  p.out.now = now;
  if (!p.started) p.start(now);
  CHECK(now >= p.last_turn);
  if (p.recovering()) p.recover();
  if (!p.recovering()) p.work();
  p.publish_access();
  for (RequestId id : p.queries) p.kv_router.reply(id, p.status(), p.replica.commit());
  p.queries.clear();
  bool idle = p.recovering() || (p.replica.stopped() && p.kv_router.drained() && p.watch.drained() &&
                                 p.lease_keeper.drained() && p.consumers.drained() &&
                                 p.topic_readers.drained() && p.service_router.drained());
  if (p.stopping && idle) p.out.emit(Exit{0, ""});
  p.trace_effects();
  return std::max(p.wanted_turn, now);
}

AppendBuffer<NodeEffect>& Node::take_effects() {
  Parts& p = *parts_;
  p.trace_effects();
  p.traced = 0;
  // After an Exit nothing more is said.
  auto exit = std::find_if(p.out.effects.begin(), p.out.effects.end(),
                           [](const NodeEffect& effect) { return std::holds_alternative<Exit>(effect); });
  if (exit != p.out.effects.end()) {
    p.out.effects.truncate(static_cast<size_t>(exit - p.out.effects.begin()) + 1);
    p.exited = true;
  }
  p.taken.clear();
  p.taken.swap(p.out.effects);
  return p.taken;
}

// ---- looking in ----

NodeView Node::view() const {
  const Replica& replica = parts_->replica;
  NodeView view;
  view.self = parts_->config.self.member;
  view.role = replica.role();
  view.leading = replica.leading();
  view.active = replica.active();
  view.complete = replica.complete();
  view.lineage = replica.lineage();
  view.epoch = replica.epoch();
  view.commit = replica.commit();
  view.last = replica.log().last();
  view.log_base = replica.log().base().revision;
  view.required = replica.required();
  view.digest = replica.store().digest();
  return view;
}

EntryPointer Node::entry_at(Revision revision) const { return parts_->replica.log().at(revision); }

std::vector<Record> Node::items() const {
  std::vector<Record> all;
  for (const Record& item : parts_->replica.store().items()) all.push_back(item);
  return all;
}

const Store& Node::store() const { return parts_->replica.store(); }

Status Node::Parts::status() const {
  Status status;
  status.self = config.self;
  status.role = replica.role();
  status.config = replica.config();
  status.revision = replica.commit();
  status.epoch = replica.epoch();
  status.zk_state = election.zk_state();
  status.zk_session_timeout = election.session_timeout();
  status.standalone = config.standalone;
  status.complete = replica.complete();
  status.keys = replica.store().size();
  status.terms = replica.store().size(Space::kTerms);
  status.leases = replica.store().size(Space::kLeases);
  status.leases_held = lease_keeper.held();
  status.queues = replica.store().queues().count(QueueView::Kind::kQueue);
  status.topics = replica.store().queues().count(QueueView::Kind::kTopic);
  status.subscriptions = replica.store().queues().count(QueueView::Kind::kSubscription);
  status.messages = replica.store().size(Space::kMessages);
  status.deliveries = replica.store().size(Space::kDeliveries);
  status.consumers = consumers.open();
  status.topic_streams = topic_readers.streams();
  status.value_bytes = replica.store().value_bytes();
  status.store_bytes = replica.store().bytes();
  status.durable = config.self.durable;
  status.disk_low = replica.disk_low();
  status.digest = replica.store().digest();
  status.log_clock_ms = replica.clock_ms();
  status.waiting_requests = kv_router.waiting();
  status.elections = election.elections();
  status.work = recovering() ? recovery.progress().status() : replica.work();
  status.uptime = out.now - started_at;
  status.counters = replica.counters();
  status.counters.refused = kv_router.refused();
  status.counters.forwarded = kv_router.forwarded();
  status.counters.unauthenticated = counters.unauthenticated;
  status.counters.forbidden = counters.forbidden;
  status.auth = config.auth;
  status.watch = watch.status();
  describe_members(status);
  judge(status);
  return status;
}

void Node::Parts::describe_members(Status& status) const {
  auto add = [&](const ServerInfo& info) -> MemberStatus& {
    for (MemberStatus& member : status.members) {
      if (member.info.member.id == info.member.id) return member;
    }
    status.members.push_back(MemberStatus{info, Role::kLearner, std::nullopt, std::nullopt});
    return status.members.back();
  };
  MemberStatus& self = add(config.self);
  self.role = status.role;
  self.match = replica.log().last().revision;
  self.silent = Duration(0);
  for (const ServerInfo& info : links.known()) add(info);
  for (const ServerInfo& info : election.members()) add(info);
  std::sort(status.members.begin(), status.members.end(),
            [](const MemberStatus& a, const MemberStatus& b) { return a.info.member.id < b.info.member.id; });
  const auto& config_now = replica.config();
  for (MemberStatus& member : status.members) {
    if (member.info.member == config.self.member) continue;
    for (const Replica::PeerView& peer : replica.peer_views()) {
      if (peer.member != member.info.member) continue;
      member.match = peer.match;
      if (replica.leading()) member.silent = peer.silent;
      if (peer.sparse) member.role = Role::kSparse;
    }
    if (!config_now) continue;
    bool in_sync = std::count(config_now->in_sync.begin(), config_now->in_sync.end(), member.info.member) > 0;
    if (in_sync) member.role = Role::kFollower;
    if (config_now->leader == member.info.member && !election.doubted()) {
      member.role = Role::kLeader;
      status.leader = member.info;
      member.silent = replica.leader_silence();
    }
  }
  if (config_now && config_now->leader == config.self.member && replica.leading())
    status.leader = config.self;
}

// Ready: a leader is known, and this server is in sync with it (or sparse by wish). Degraded: it serves, but
// an operator should look.
void Node::Parts::judge(Status& status) const {
  const auto& config_now = replica.config();
  if (recovering()) {
    status.not_ready = "reads its data directory";
  } else if (election.doubted()) {
    status.not_ready =
        "ZooKeeper does not show the register that this server remembers; see degraded in /v1/cluster";
  } else if (replica.diverged()) {
    status.not_ready = "this copy differs from the leader's";
  } else if (!config_now) {
    status.not_ready = status.zk_state == ZkState::kConnected ? "no leader has been elected yet"
                                                              : "ZooKeeper has not answered yet";
  } else if (replica.leading() && !replica.active()) {
    const std::string others = replica.unconfirmed();
    status.not_ready = others.empty() ? "elected, waiting for acknowledgements"
                                      : "elected, waiting for what is in sync: " + others;
  } else if (!replica.leading() && !replica.hears_leader()) {
    status.not_ready = "the leader is not heard";
  } else if (status.role == Role::kLearner) {
    status.not_ready = "catching up";
  }
  status.hears_leader = replica.leading() || replica.hears_leader();
  status.ready = status.not_ready.empty();
  if (stopping) {
    status.ready = false;
    status.not_ready = "shutting down";
  }
  if (!config.standalone && status.zk_state != ZkState::kConnected) {
    status.degraded.push_back(std::string("ZooKeeper is ") + zk_state_name(status.zk_state));
  }
  for (const auto& [use, state] : tls) {
    status.tls.push_back(state);
    if (!state.problem.empty()) status.degraded.push_back(state.problem);
  }
  for (std::string& line : links.other_guards()) status.degraded.push_back(std::move(line));
  if (!zk_refusal.empty()) status.degraded.push_back(zk_refusal);
  if (election.forbidden())
    status.degraded.push_back("an ACL in ZooKeeper forbids this server to create " + *election.forbidden() +
                              ": allow it there, or use another prefix in --zookeeper");
  std::vector<Registration> all;
  for (const auto& [id, registration] : election.registrations()) all.push_back(registration);
  if (election.doubted()) {
    for (std::string& line :
         describe(*election.doubted(), election.ruling(), all, config.self, config.zookeeper_prefix))
      status.degraded.push_back(std::move(line));
    return;
  }
  if (config_now && !replica.leading() && !replica.hears_leader()) {
    for (std::string& line : describe_silence(*config_now, election.deserted(), all, config.self))
      status.degraded.push_back(std::move(line));
  }
  if (std::string mixed = describe_mixture(all); !mixed.empty()) status.degraded.push_back(std::move(mixed));
  if (status.disk_low)
    status.degraded.push_back("little space is left on disk: writes that grow are refused");
  if (!config_now || config.standalone) return;
  if (config_now->in_sync.size() == 1 && !election.deserted())
    status.degraded.push_back("a single copy: one server is in sync");
  if (config_now->in_sync.size() < config_now->min_in_sync) {
    status.degraded.push_back("fewer servers are in sync than min_in_sync asks for: writes are refused");
  } else if (replica.leading() && replica.responsive() < config_now->min_in_sync) {
    status.degraded.push_back("fewer in-sync servers answer than min_in_sync asks for: writes are refused");
  }
  if (!status.complete) status.degraded.push_back("this server's copy is not complete");
  if (replica.leading() && replica.waits_for_long())
    status.degraded.push_back(
        "elected with nothing but its directory, and waits for what is in sync and may hold more: " +
        replica.unconfirmed() +
        ". Make it reachable from here; or stop it, if what it holds beyond this copy is to be given up");
  if (replica.diverged())
    status.degraded.push_back(
        "this copy differs from the leader's: it is kept, and neither counted nor served as ready. If it is "
        "to go: stop this server, and start it with an empty --data-dir. If it is to go on: stop all others "
        "that are in sync, then 'curl -X POST http://" +
        format_address(config.self.http) + "/v1/cluster/lineage'");
  if (const std::string other = replica.contradicted_by(); !other.empty())
    status.degraded.push_back(
        "the copy of " + other +
        " differs from this one, and no third one tells which is right: writes "
        "are refused. Stop the server whose copy is to go, and start it with an empty --data-dir");
}

}  // namespace kvd
