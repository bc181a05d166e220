// A few whole nodes with one simulated ZooKeeper that answers at once, links that need no time, and clients of the
// coordination services: a stage for cases in which every step and every fault is the test's own. Time moves only when
// it is told to.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "base/trace.hpp"
#include "core/node.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "msg/text.hpp"

namespace kvd::sim {

class ServicesHarness {
 public:
  static constexpr Duration kSession = seconds(6);  // ZooKeeper's timeout for each server

  // All servers are up, connected, registered and linked when it returns.
  // `config` but for what a harness decides itself: who they are, and ZooKeeper's timeout.
  explicit ServicesHarness(int servers = 1, NodeConfig config = {});
  ~ServicesHarness();

  // ---- clients: `request` as on curl's command line, "POST locks/a?session=S&wait=5" ----
  struct Heard {
    std::vector<std::string> lines;       // of a stream, as JSON
    std::optional<ServiceAnswer> answer;  // the one that is no line
    bool ended = false;
  };
  // Gives the request to the server; what is heard at once, and later, is found under the number.
  uint64_t send(int server, std::string_view request, std::string body = "");
  // The same, but for so many turns alone: what the last one asked of ZooKeeper is done, and the answers have not been
  // seen when this returns. Then the server stands still, as after pause().
  uint64_t send_and_pause(int server, std::string_view request, int turns = 1);
  const Heard& heard(uint64_t request) const { return heard_.at(request); }
  void hang_up(uint64_t request);  // its connection is closed
  // For requests that are answered at once.
  ServiceAnswer ask(int server, std::string_view request, std::string body = "");
  // The text that stands for `member` in an answer or a line as JSON, however deep, without quotes; empty: it has none.
  static std::string member(const ServiceAnswer& answer, std::string_view member);
  static std::string member(const std::string& line, std::string_view member);
  std::string open_session(int server, int ttl_s = 60);  // its id

  // ---- time and faults ----
  void pass(Duration span);
  void cut(int server);    // from ZooKeeper: what was asked and not answered has an unknown outcome
  void mend(int server);   // connected again, in the same session unless that has expired
  void pause(int server);  // the process stands still, and so does its session's heartbeat
  // `sees_all`: what has arrived meanwhile is in its first turn; otherwise that comes before all of it.
  void resume(int server, bool sees_all = false);
  // From now on its ZooKeeper server shows it nothing new of itself, only what a write or a sync of its own brings.
  void lag(int server);
  void kill(int server);   // its session lives on until it expires
  void start(int server);  // one that was killed, again: as another incarnation
  void stop(int server);   // SIGTERM
  // The server's next call of that kind is carried out, and its answer lost with the connection.
  enum class Kind { kCreate, kDelete, kMulti };
  void lose_answer_of(int server, Kind kind);
  // Right before the server's next call of that kind is carried out, another client's is.
  void overtake(int server, Kind kind, ZkRequest request);

  // ---- ZooKeeper, as others use it (a client of its own) ----
  ZkResult zk(ZkRequest request);
  // One write before each of the nodes' next turns, so that they meet what is under way.
  void zk_between_turns(std::vector<ZkRequest> requests);
  // Another client: what kazoo would be. Its ephemerals go with end_client().
  uint64_t begin_client();
  ZkResult zk_as(uint64_t client, ZkRequest request);
  void end_client(uint64_t client);
  // By an ACL: its data and the list of its children stay as they are.
  void forbid_changes(const std::string& path) { zookeeper_.make_read_only(path); }
  // Likewise: what it has cannot be read, nor what stands below it listed.
  void hide(const std::string& path) { zookeeper_.hide(path); }
  void permit(const std::string& path) { zookeeper_.permit(path); }
  void use_up_numbers(const std::string& path) { zookeeper_.use_up_numbers(path); }
  std::vector<std::string> children(const std::string& path) const;
  bool exists(const std::string& path) const { return zookeeper_.tree().contains(path); }
  const ZkZnode& znode(const std::string& path) const { return zookeeper_.tree().at(path); }

  // ---- looking in ----
  // Calls to ZooKeeper by the services of all servers since the last take.
  size_t take_calls() { return std::exchange(calls_, 0); }
  Instant now() const { return now_; }
  bool exited(int server) const;
  int logged(const std::string& message) const;  // lines of all servers, since the start

 private:
  struct Server;

  void settle();
  bool turn(int server);
  void perform(int server, NodeEffect effect);
  void perform_call(Server& server, ZkCall call);
  void make_node(Server& server);
  void lose_connection(Server& server);
  void connect(Server& server);
  void advance();

  NodeConfig config_;
  Prng prng_{1};
  ZkEnsemble zookeeper_{prng_};
  Trace trace_;
  Instant now_ = Instant(seconds(1));
  uint64_t others_ = 0;
  std::deque<ZkRequest> between_turns_;  // of others
  std::vector<std::unique_ptr<Server>> servers_;
  std::map<uint64_t, Heard> heard_;
  std::map<uint64_t, int> asked_of_;
  uint64_t requests_ = 0;
  size_t calls_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace kvd::sim
