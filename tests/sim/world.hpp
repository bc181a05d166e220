// One simulated cluster and its run: servers, network, ZooKeeper and clients on one queue of events. First a
// phase with faults, in which nothing may go wrong; then, in some runs, one in which a few servers that could make
// progress are healthy, the others stay broken for good, and progress is demanded; at last a healed one in which
// everything must become ready, equal and writable again. A run is a function of its seed and options, nothing else.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkers.hpp"
#include "context.hpp"
#include "hold_clients.hpp"
#include "network.hpp"
#include "pipelines.hpp"
#include "process.hpp"
#include "queue_clients.hpp"
#include "rights_clients.hpp"
#include "service_clients.hpp"
#include "sim_disk.hpp"
#include "term_clients.hpp"
#include "topic_clients.hpp"
#include "topic_streams.hpp"
#include "watch_clients.hpp"
#include "workload.hpp"
#include "zk_gateway.hpp"

namespace kvd::sim {

struct RunResult {
  Verdict verdict = Verdict::kOk;
  std::string explanation;
  uint64_t trace_hash = 0;  // 0 without a trace
  uint64_t state_hash = 0;  // of how the run went and ended, with or without a trace
  uint64_t events = 0;
  size_t operations = 0;
  size_t acknowledged_writes = 0;
  uint64_t epochs = 0;  // the register's last epoch
  uint64_t lineages = 0;
  int undecided = 0;  // keys whose linearizability was too hard to tell
  Duration simulated{0};
};

enum class DeathKind { kCrash, kCrashInTurn, kPowerLoss };

class World final : public Hosts, public ProcessOwner {
 public:
  // `context` holds the options and, if wanted, an enabled trace.
  explicit World(SimContext& context);
  RunResult run();

  // ---- for the nemesis ----
  // Would it leave at least one living server of the in-sync set (or do the options not mind)?
  bool may_kill(int server) const;
  // Whom the register names; nothing: nobody yet.
  std::optional<int> leader() const;
  bool is_alive(int server) const { return processes_[server]->alive(); }
  bool is_paused(int server) const { return processes_[server]->paused(); }
  void kill(int server, DeathKind kind, Duration away);
  // Of servers with disks, unless nobody else is sure to have everything: all of the disk is lost, or bits turn over.
  void kill_and_damage(int server, bool all, Duration away);
  void stop_gracefully(int server, Duration away);
  void pause(int server, Duration span);
  void jump_clock(int server, Duration by);
  // A second process with the id of `server`, at another address, for at most `span`: an operator's mistake.
  void start_twin(int server, Duration span);
  // Somebody with a certificate of the cluster's authority, but not of that server's, says to `server` that he is
  // `whom`, and that he leads.
  void impersonate(int server, int whom);
  Network& network() { return network_; }
  SimDisk& disk(int server) { return *disks_[server]; }
  ZkGateway& zookeeper() { return zookeeper_; }
  SimContext& context() { return context_; }
  bool faults_allowed() const { return phase_ == Phase::kFaults; }

 private:
  HostState host_state(int server) const override;
  std::optional<int> server_at(const Address& address) const override;
  std::string certified(int server) const override { return "dns:" + info_of(server, {}).peer.host; }
  void deliver(int server, NodeInput input) override;
  void on_turn(int server) override;
  void perform(int server, NodeEffect effect) override;
  void crash(int server) override;

  enum class Phase { kFaults, kCore, kHealed };

  int twin() const { return static_cast<int>(context_.options.servers); }  // its place among the processes
  int role_of(int server) const { return server == twin() ? twin_of_ : server; }
  std::vector<int> everyone() const;  // without the twin
  ServerInfo info_of(int server, Incarnation incarnation) const;
  bool durable() const { return context_.options.durable != 0; }
  // Another one does: in sync, on a sound disk or alive.
  bool others_keep_everything(int server) const;
  void start(int server);
  void die(int server, bool host_too, bool closes_session, Duration away);
  void on_exit(int server, const Exit& exit);
  void check_views(int server);
  void on_zookeeper_changed();
  void cut_off_now_and_then(const Register& config);
  // world_end.cpp: after the faults.
  void begin_core();
  std::set<int> choose_core();
  bool holds_everything(int server) const;
  bool may_recover(int server) const { return phase_ != Phase::kCore || core_.contains(server); }
  void mend(int server);
  void break_for_good(int server);
  void poll_core();
  void heal();
  // world_back.cpp: ZooKeeper's data, or a server's directory, becomes an older one.
  bool all_in_sync_are_here() const;
  void turn_zookeeper_back();
  bool give_old_directory();
  void poll_convergence();
  void ask_status();
  std::string why_not_converged();
  std::string why_not_ready(int server) const;
  bool is_sparse(int server) const {
    return role_of(server) >= context_.options.servers - context_.options.sparse;
  }
  void note(const std::string& line);
  RunResult result();

  SimContext& context_;
  const std::shared_ptr<const Caller> root_;  // as whom others ask where rights count
  Network network_;
  Checkers checkers_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<SimDisk>> disks_;
  std::vector<Member> kept_;  // whose data is on the disk, as far as known
  std::vector<bool> host_down_;
  int twin_of_ = 0;
  std::vector<Duration> away_;  // how long a stopping server will stay away
  ZkGateway zookeeper_;
  Workload workload_;
  Pipelines pipelines_;
  WatchClients watch_clients_;
  TermClients term_clients_;
  HoldClients hold_clients_;
  QueueClients queue_clients_;
  TopicClients topic_clients_;
  TopicStreams topic_streams_;
  RightsClients rights_clients_;
  ServiceCalls service_calls_;
  std::vector<std::unique_ptr<ServiceClients>> service_clients_;
  std::map<RequestId, int> status_requests_;
  std::vector<std::optional<Status>> statuses_;
  uint64_t status_requests_made_ = 0;
  int64_t register_zxid_ = -1;
  std::vector<std::shared_ptr<const ZkTree>> backups_;  // of ZooKeeper, at each change of the register
  Instant register_changed_{};
  bool directory_given_ = false;
  Epoch crowned_;  // the newest epoch whose leader has been drawn to be cut off, or not
  Phase phase_ = Phase::kFaults;
  std::set<int> core_;         // healthy in Phase::kCore
  std::vector<bool> leaving_;  // asked to stop
  bool done_ = false;
  Instant deadline_{};
};

}  // namespace kvd::sim
