// See world.hpp.
#include "world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/text.hpp"
#include "msg/znodes.hpp"
#include "nemesis.hpp"
#include "queue_rebuilt.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kStopPatience = seconds(10);  // then a supervisor kills who does not stop
constexpr uint64_t kEventsMax = 30'000'000;
constexpr uint64_t kSearchSteps = 2'000'000;
constexpr uint64_t kViewsChecked = 50;        // one of so many turns
constexpr uint64_t kTogetherSteps = 100'000;  // each makes a copy of what it is about

Tuning tuning_of(const Options& options) {
  Tuning tuning;
  const auto take = [](size_t& bound, int64_t drawn) {
    if (drawn > 0) bound = static_cast<size_t>(drawn);
  };
  take(tuning.append_bytes, options.append_bytes);
  take(tuning.turn_bytes, options.append_bytes);
  take(tuning.window_bytes, options.window_bytes);
  take(tuning.retained_entries, options.retained_entries);
  take(tuning.snapshot_chunk_bytes, options.snapshot_chunk_bytes);
  take(tuning.snapshot_chunks_in_flight, options.snapshot_chunks_in_flight);
  take(tuning.uncommitted_entries, options.uncommitted_entries);
  take(tuning.client_requests, options.client_requests);
  take(tuning.snapshot_log_bytes, options.snapshot_log_bytes);
  take(tuning.watch_window, options.watch_window);
  take(tuning.watch_slice, options.watch_slice);
  take(tuning.watch_visits, options.watch_visits);
  take(tuning.watch_page, options.watch_page);
  return tuning;
}

std::vector<std::string> keys_to_watch(const Options& options, std::vector<std::string> keys) {
  if (options.txn != 0) {
    keys.insert(keys.end(), std::begin(kTxnKeys), std::end(kTxnKeys));
    keys.insert(keys.end(), std::begin(kNumbers), std::end(kNumbers));
    keys.emplace_back(kTxnLog);
  }
  if (options.terms != 0) keys.insert(keys.end(), std::begin(kTermKeys), std::end(kTermKeys));
  if (options.pipelined != 0) keys.insert(keys.end(), {"pipeline/0", "pipeline/batch"});
  return keys;
}

}  // namespace

ServerInfo World::info_of(int server, Incarnation incarnation) const {
  ServerInfo info;
  info.member.id = ServerId{fmt::format("s{}", role_of(server))};
  info.member.incarnation = incarnation;
  info.http = Address{fmt::format("h{}", server), 8001};
  info.peer = Address{fmt::format("h{}", server), 18001};
  return info;
}

std::vector<int> World::everyone() const {
  std::vector<int> all(static_cast<size_t>(context_.options.servers));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

World::World(SimContext& context)
    : context_(context),
      root_(std::make_shared<const Caller>(Caller{std::string(kRoot), "uid:0", 0})),
      network_(context, *this),
      checkers_(context, static_cast<int>(context.options.servers) + 1),
      kept_(context.options.servers + 1),
      host_down_(context.options.servers + 1, false),
      away_(context.options.servers + 1, Duration(0)),
      zookeeper_(
          context, static_cast<int>(context.options.servers) + 1,
          [this](int server, NodeInput input) { deliver(server, std::move(input)); },
          [this] { on_zookeeper_changed(); }),
      workload_(context, *this, checkers_),
      pipelines_(context, *this, checkers_),
      watch_clients_(context, *this, checkers_, keys_to_watch(context.options, workload_.keys()),
                     [this] { return workload_.acknowledged(); }),
      term_clients_(context, *this, checkers_),
      hold_clients_(context, *this, checkers_),
      queue_clients_(context, *this, checkers_),
      topic_clients_(context, *this, checkers_),
      topic_streams_(context, *this, checkers_),
      rights_clients_(context, *this, checkers_),
      service_calls_(context, {[this](int server, NodeInput input) { deliver(server, std::move(input)); },
                               [this](int server) { return is_alive(server) && !is_paused(server); },
                               [this](int server) { return is_alive(server); },
                               [this](int server) { return zookeeper_.seen_zxid(server); },
                               [this]() -> const ZkTree& { return zookeeper_.ensemble().tree(); }}),
      service_clients_(make_service_clients(context, service_calls_)),
      statuses_(context.options.servers),
      leaving_(context.options.servers + 1, false) {
  for (int64_t i = 0; i <= context.options.servers; ++i) {
    const int server = static_cast<int>(i);
    processes_.push_back(std::make_unique<Process>(context, server, *this));
    disks_.push_back(std::make_unique<SimDisk>(
        context, [this, server](DiskAnswer answer) { deliver(server, std::move(answer)); }));
  }
}

RunResult World::run() {
  Nemesis nemesis(*this);
  for (int server : everyone()) {
    context_.queue.after(context_.up_to(300'000), [this, server] { start(server); });
  }
  workload_.start();
  pipelines_.start();
  watch_clients_.start();
  term_clients_.start();
  hold_clients_.start();
  queue_clients_.start();
  topic_clients_.start();
  topic_streams_.start();
  rights_clients_.start();
  for (auto& clients : service_clients_) clients->start();
  nemesis.start();
  context_.queue.after(Duration(context_.options.fault_phase_us), [this] { begin_core(); });
  while (!done_ && context_.verdict == Verdict::kOk && !context_.queue.empty()) {
    context_.queue.step();
    if (context_.queue.executed() > kEventsMax)
      context_.fail(Verdict::kLiveness, "too many events: the run spins");
  }
  return result();
}

RunResult World::result() {
  RunResult out;
  checkers_.at_end();
  if (context_.verdict != Verdict::kCorrectness) {  // a stuck cluster may well have lied before it got stuck
    std::optional<std::string> why = workload_.history().check(workload_.keys(), kSearchSteps, out.undecided);
    if (!why) why = workload_.check_together(kTogetherSteps, out.undecided);
    if (why) {
      context_.verdict = Verdict::kOk;
      context_.fail(Verdict::kCorrectness, *why);
    }
  }
  out.verdict = context_.verdict;
  out.explanation = fmt::format("at {} us: {}", to_us(context_.queue.now()), context_.explanation);
  out.trace_hash = context_.trace.hash();
  out.events = context_.queue.executed();
  out.operations = workload_.history().operations().size();
  out.acknowledged_writes = workload_.acknowledged_writes();
  out.epochs = checkers_.config() ? checkers_.config()->epoch.value : 0;
  out.lineages = checkers_.config() ? checkers_.config()->lineage.value + 1 : 0;
  out.simulated = context_.queue.now().time_since_epoch();
  out.state_hash = hash_bytes(
      fmt::format("{} {} {} {} {} {}", out.events, to_us(context_.queue.now()), out.operations,
                  workload_.answered(), checkers_.committed().newest().value, context_.prng.next()),
      zookeeper_.ensemble().state_hash());
  return out;
}

void World::note(const std::string& line) {
  if (context_.trace.wanted()) context_.trace.add(fmt::format("{} {}", to_us(context_.queue.now()), line));
}

// ---- life and death ----

void World::start(int server) {
  Process& process = *processes_[server];
  if (process.alive()) return;
  const Options& options = context_.options;
  NodeConfig config;
  config.self = info_of(server, Incarnation(context_.prng.next() | 1));
  config.self.durable = durable();
  config.standalone = options.standalone != 0;
  config.catch_up = !is_sparse(server);
  config.min_in_sync = static_cast<uint32_t>(options.min_in_sync);
  config.expect = static_cast<uint32_t>(options.expect);
  config.session_timeout = Duration(options.session_us);
  config.heartbeat = Duration(options.heartbeat_us);
  config.leader_silence = Duration(options.silence_us);
  config.follower_lag = Duration(options.lag_us);
  config.tuning = tuning_of(options);
  if (options.history_bytes > 0) config.history_bytes = static_cast<size_t>(options.history_bytes);
  config.peer_tls = true;
  if (options.rights != 0) config.auth = AuthMode::kOn;
  config.names_pool = AddressPool{0x0a140000, 29};  // 10.20.0.0: six addresses
  note(fmt::format("world: s{} starts as {:x}", server, config.self.member.incarnation.value));
  host_down_[server] = leaving_[server] = false;
  if (durable()) disks_[server]->start();
  process.start(config);
  checkers_.on_started(server, config.self.member,
                       [&process](Revision revision) { return process.node().entry_at(revision); });
  network_.host_came_up(server);
  if (options.standalone == 0) zookeeper_.process_started(server);
}

void World::die(int server, bool host_too, bool closes_session, Duration away) {
  note(fmt::format("world: s{} dies{}", server, host_too ? " with its host" : ""));
  processes_[server]->kill();
  disks_[server]->end(host_too);
  if (host_too && context_.options.sync_interval != 0) kept_[server] = {};
  host_down_[server] = host_too;
  checkers_.on_died(server);
  network_.process_died(server, host_too);
  if (context_.options.standalone == 0) zookeeper_.process_died(server, closes_session);
  workload_.on_process_died(server);
  pipelines_.on_process_died(server);
  watch_clients_.on_process_died(server, false);
  term_clients_.on_process_died(server);
  hold_clients_.on_process_died(server);
  queue_clients_.on_process_died(server);
  topic_clients_.on_process_died(server);
  topic_streams_.on_process_died(server);
  rights_clients_.on_process_died(server);
  service_calls_.on_process_died(server);
  if (server == twin()) return;
  context_.queue.after(away, [this, server] {
    if (may_recover(server)) start(server);
  });
}

bool World::may_kill(int server) const {
  if (context_.options.total_loss != 0 || durable() || !checkers_.config()) return true;
  for (const Member& member : checkers_.config()->in_sync) {
    if (checkers_.lives(member) && !(member == processes_[server]->member())) return true;
  }
  return false;
}

std::optional<int> World::leader() const {
  if (!checkers_.config()) return std::nullopt;
  for (int server = 0; server < context_.options.servers; ++server) {
    if (info_of(server, {}).member.id == checkers_.config()->leader.id) return server;
  }
  return std::nullopt;
}

void World::kill(int server, DeathKind kind, Duration away) {
  if (!is_alive(server) || !may_kill(server)) return;
  const bool forgets = durable() && kind == DeathKind::kPowerLoss && context_.options.sync_interval != 0;
  if (forgets && !others_keep_everything(server)) return;
  if (kind == DeathKind::kCrashInTurn && !is_paused(server)) {
    away_[server] = away;
    processes_[server]->crash_in_next_turn();
    return;
  }
  die(server, kind == DeathKind::kPowerLoss, false, away);
}

// What a memory server's death is, a disk's is: one server of the in-sync set has to keep everything. Who has ordered a
// change of the set is in what it becomes: were this server alone in it, everything would be gone.
bool World::others_keep_everything(int server) const {
  if (!checkers_.config() || zookeeper_.changes_register(server)) return false;
  const std::vector<Member>& in_sync = checkers_.config()->in_sync;
  const std::vector<int> servers = everyone();
  return std::any_of(servers.begin(), servers.end(), [&](int other) {
    return other != server && std::count(in_sync.begin(), in_sync.end(), kept_[other]) > 0;
  });
}

void World::kill_and_damage(int server, bool all, Duration away) {
  if (!durable() || !is_alive(server) || !others_keep_everything(server)) return;
  die(server, false, false, away);
  if (all) {
    disks_[server]->lose_all();
  } else if (!disks_[server]->rot()) {
    return;
  }
  note(fmt::format("world: s{}'s disk {}", server, all ? "is lost" : "rots"));
  kept_[server] = {};
}

void World::crash(int server) { die(server, false, false, away_[server]); }

void World::stop_gracefully(int server, Duration away) {
  if (!is_alive(server) || !may_kill(server)) return;
  note(fmt::format("world: s{} is asked to stop", server));
  leaving_[server] = true;
  away_[server] = away;
  deliver(server, StopRequested{});
  context_.queue.after(kStopPatience, [this, server, life = processes_[server]->lives()] {
    if (processes_[server]->lives() == life) die(server, false, false, away_[server]);
  });
}

void World::on_exit(int server, const Exit& exit) {
  // Of two processes with one id one has to go, and says so.
  constexpr int kExitUnavailable = 69;
  const bool superseded = exit.code == kExitUnavailable && context_.options.twin_us != 0;
  if (superseded) away_[server] = context_.up_to(1'000'000);
  constexpr int kExitIoError = 74;
  const bool disk_failed = exit.code == kExitIoError && disks_[server]->error_asked();
  if (disk_failed) away_[server] = context_.up_to(context_.options.down_us_max);
  if (exit.code == 0 && durable() && context_.prng.one_in(2)) disks_[server]->close();
  if (exit.code != 0 && !superseded && !disk_failed) {
    context_.fail(Verdict::kCorrectness,
                  fmt::format("s{} exits with {}: {}", server, exit.code, exit.reason));
  }
  if (exit.code == 0) watch_clients_.on_process_died(server, true);
  die(server, false, true, away_[server]);
}

void World::pause(int server, Duration span) {
  Process& process = *processes_[server];
  if (!process.alive() || process.paused()) return;
  note(fmt::format("world: s{} pauses", server));
  process.pause();
  zookeeper_.process_paused(server);
  context_.queue.after(span, [this, server, life = process.lives()] {
    Process& paused = *processes_[server];
    if (paused.lives() != life || !paused.paused() || !may_recover(server)) return;
    note(fmt::format("world: s{} goes on", server));
    paused.resume();
    zookeeper_.process_resumed(server);
  });
}

void World::jump_clock(int server, Duration by) {
  if (!is_alive(server)) return;
  note(fmt::format("world: the clock of s{} jumps by {}us", server, by.count()));
  processes_[server]->jump_clock(by);
  checkers_.clock_jumped(Duration(context_.options.silence_us) / 2);
}

void World::start_twin(int server, Duration span) {
  if (is_alive(twin()) || durable()) return;  // another directory would be as good as a lost disk
  twin_of_ = server;
  start(twin());
  context_.queue.after(span, [this, life = processes_[twin()]->lives()] {
    if (processes_[twin()]->lives() == life) die(twin(), false, false, Duration(0));
  });
}

void World::impersonate(int server, int whom) {
  if (server == whom || !is_alive(server) || context_.options.standalone != 0) return;
  const NodeView view = processes_[server]->node().view();
  const Register* config = checkers_.config() ? &*checkers_.config() : nullptr;
  if (config == nullptr) return;
  auto forged = std::make_shared<Entry>();
  forged->epoch = Epoch(view.epoch.value + 1);
  forged->revision = Revision(view.last.revision.value + 1);
  forged->effects = {Record("forged", "value", {forged->revision, forged->revision, 1})};
  ServerInfo as = info_of(whom, kept_[whom].incarnation);
  if (context_.prng.one_in(2)) as.peer.host = as.http.host = "elsewhere";  // which is true
  Hello hello{config->cluster, config->lineage, as, info_of(server, {}).member.id, forged->epoch, false};
  network_.break_in(server, "dns:elsewhere",
                    {std::move(hello), Append{forged->epoch, view.last, forged->revision, {forged}}});
}

// ---- between the parts ----

HostState World::host_state(int server) const {
  if (processes_[server]->alive()) return HostState::kRunning;
  return host_down_[server] ? HostState::kHostDown : HostState::kProcessDown;
}

std::optional<int> World::server_at(const Address& address) const {
  for (int server = 0; server <= twin(); ++server) {
    if (address == info_of(server, {}).peer) return server;
  }
  return std::nullopt;
}

// Who does not say who he is may do everything: only the clients with rights are users.
void World::deliver(int server, NodeInput input) {
  auto* call = std::get_if<Call>(&input);
  if (call != nullptr && !call->caller && context_.options.rights != 0) call->caller = root_;
  processes_[server]->deliver(std::move(input));
}

void World::on_turn(int server) {
  const NodeView view = processes_[server]->node().view();
  kept_[server] = view.self;
  checkers_.on_turn(server, view);
  watch_clients_.on_turn(server, view.commit);
  topic_streams_.on_turn(server, view.commit);
  check_views(server);
}

// Now and then: each time would cost as much as all else.
void World::check_views(int server) {
  const bool any = context_.options.queues != 0 || context_.options.topics != 0;
  if (!any || !context_.prng.one_in(kViewsChecked)) return;
  const std::string why = judge_views(processes_[server]->node());
  if (!why.empty())
    context_.fail(Verdict::kCorrectness, fmt::format("s{}'s views of queues: {}", server, why));
}

void World::perform(int server, NodeEffect effect) {
  if (watch_clients_.on_effect(server, effect) || hold_clients_.on_effect(server, effect) ||
      topic_streams_.on_effect(server, effect))
    return;
  if (auto* dial = std::get_if<LinkDial>(&effect)) {
    network_.perform(server, std::move(*dial));
  } else if (auto* send = std::get_if<LinkSend>(&effect)) {
    network_.perform(server, std::move(*send));
  } else if (auto* close = std::get_if<LinkClose>(&effect)) {
    network_.perform(server, *close);
  } else if (auto* call = std::get_if<ZkCall>(&effect)) {
    zookeeper_.perform(server, std::move(*call));
  } else if (auto* reopen = std::get_if<ZkReopen>(&effect)) {
    zookeeper_.perform(server, *reopen);
  } else if (auto* order = std::get_if<DiskOrder>(&effect)) {
    disks_[server]->order(std::move(*order));
  } else if (auto* exit = std::get_if<Exit>(&effect)) {
    on_exit(server, *exit);
  } else if (auto reply = answer_of_store(effect)) {
    if (pipelines_.on_reply(server, *reply) || term_clients_.on_reply(server, *reply) ||
        queue_clients_.on_reply(server, *reply) || topic_clients_.on_reply(server, *reply) ||
        rights_clients_.on_reply(server, *reply))
      return;
    auto asked = status_requests_.find(reply->id);
    if (asked == status_requests_.end()) {
      workload_.on_reply(server, std::move(*reply));
    } else if (auto* status = std::get_if<Box<Status>>(&reply->answer)) {
      statuses_[server] = std::move(**status);
      status_requests_.erase(asked);
    } else {
      context_.fail(Verdict::kCorrectness, fmt::format("s{} does not answer a status request", server));
    }
  } else if (auto* said = std::get_if<Reply>(&effect)) {
    service_calls_.on_reply(server, std::move(*said));
  }
}

void World::on_zookeeper_changed() {
  const ZkTree& tree = zookeeper_.ensemble().tree();
  for (auto& clients : service_clients_) clients->on_zookeeper_changed();
  auto found = tree.find(kConfigPath);
  if (found == tree.end()) {
    if (std::exchange(register_zxid_, -1) >= 0) checkers_.on_register(std::nullopt);
    return;
  }
  if (found->second.modified_zxid == register_zxid_) return;
  register_zxid_ = found->second.modified_zxid;
  Result<Register> config = decode_register(found->second.data);
  if (!config) {
    context_.fail(Verdict::kCorrectness, "the register cannot be read: " + config.error().detail);
    return;
  }
  note(fmt::format("register: {}", to_text(*config)));
  register_changed_ = context_.queue.now();
  if (context_.options.zk_back != 0) backups_.push_back(std::make_shared<ZkTree>(tree));
  checkers_.on_register(*config);
  cut_off_now_and_then(*config);
}

// A new leader that does not hear of it, or no more than that; and others that do not hear how it fared until it is
// back.
void World::cut_off_now_and_then(const Register& config) {
  if (config.epoch <= crowned_ || context_.options.zk_cut_leaders == 0 || !faults_allowed()) return;
  crowned_ = config.epoch;
  if (context_.prng.below(100) >= static_cast<uint64_t>(context_.options.zk_cut_leaders)) return;
  const int leading = *leader();
  const Duration span = context_.up_to(context_.options.fault_us_max) + milliseconds(1);
  zookeeper_.cut(leading);
  context_.queue.after(span, [this, leading] {
    if (faults_allowed()) zookeeper_.mend(leading);
  });
  if (context_.prng.one_in(2)) return;
  const Duration longer = span + context_.up_to(context_.options.fault_us_max);
  for (int server : everyone()) {
    if (server == leading) continue;
    zookeeper_.hold_view(server);
    context_.queue.after(longer, [this, server] { zookeeper_.release_view(server); });
  }
}

}  // namespace kvd::sim
