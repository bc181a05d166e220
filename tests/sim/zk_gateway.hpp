// Between the simulated servers and the simulated ZooKeeper ensemble: one client per server process, with
// connections that delay, break and come back, results that get lost, operations that apply although nobody
// hears of it, sessions whose end is learned only at the next connection, and watches that come late. Owned
// by the world; what ZooKeeper answers is decided by ZkEnsemble alone.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "context.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "msg/actors.hpp"

namespace kvd::sim {

class ZkGateway {
 public:
  using Deliver = std::function<void(int server, NodeInput input)>;
  using Changed = std::function<void()>;  // the tree may have changed

  ZkGateway(SimContext& context, int servers, Deliver deliver, Changed changed);

  void process_started(int server);
  void process_died(int server, bool closes_session);
  void process_paused(int server);
  void process_resumed(int server);

  // What a node ordered.
  void perform(int server, ZkCall call);
  void perform(int server, ZkReopen);

  // Faults.
  void lose_connection(int server);
  void cut(int server);  // nothing gets through until mend()
  void mend(int server);
  void set_ensemble_up(bool up);
  // The server of the ensemble that this client is on loses the ensemble's leader, and does not know it: it answers
  // pings and reads of the state that it has, no write and no sync, nor what was asked behind them. The leader hears
  // nothing of the client and expires its session in time; the connection breaks then, if it has not before.
  void strand(int server);
  void rejoin(int server);
  // ZooKeeper comes back with the znodes of `tree`, and without anybody's session.
  void restore_tree(const ZkTree& tree);
  void by_hand(ZkRequest request);  // an operator's own client does this
  // The server of the ensemble that this client is on learns of nothing by itself, until it is released.
  void hold_view(int server) { clients_[server].view_held = true; }
  void release_view(int server);

  const ZkEnsemble& ensemble() const { return zk_; }
  // Of the newest state that this client was shown.
  int64_t seen_zxid(int server) const { return zk_.seen(clients_[server].session); }
  // A change of the register that this server ordered, in this life or a former one, may yet be made.
  bool changes_register(int server) const;

 private:
  enum class State { kNone, kConnecting, kConnected, kExpired };
  struct Pending {
    ZkCall call;
    bool applied = false;
  };
  struct Client {
    State state = State::kNone;
    uint64_t session = 0;     // 0: none yet
    uint64_t life = 0;        // counts the deaths of its process
    uint64_t connection = 0;  // counts them: what belongs to a former one is void
    std::deque<Pending> pending;
    Instant last_request{};
    Instant last_reply{};
    Instant settled{};  // until then operations of the lost connection may still apply
    Instant paused_at{};
    int abandoned = 0;  // changes of the register that nobody hears of, still to be made
    bool paused = false;
    bool is_cut = false;
    bool stranded = false;
    bool advance_planned = false;
    bool view_held = false;
  };

  Duration delay() { return context_.up_to(context_.options.zk_delay_us_max) + Duration(50); }
  Duration session_timeout() const { return Duration(context_.options.session_us); }
  void try_connect(int server, uint64_t connection);
  void connected(int server, const std::vector<ZkFired>& fired);
  void deliver_fired(int server, const std::vector<ZkFired>& fired);
  void take_request(int server, uint64_t connection);
  void reply(int server, uint64_t connection, EventQueue::Action action);
  void abandon_requests(Client& client);
  void apply_unseen_at(Instant when, Client& client, ZkCall call);
  void ping(int server, uint64_t connection);
  void plan_expiry();
  void after_change();
  void advance(int server);

  SimContext& context_;
  Deliver deliver_;
  Changed changed_;
  ZkEnsemble zk_;
  std::vector<Client> clients_;
  bool expiry_planned_ = false;
  int64_t seen_zxid_ = 0;
};

}  // namespace kvd::sim
