// The simulated network between servers: TCP links as production sees them. Within one direction of a link
// nothing is lost, doubled or reordered; links end (both ends told, or one, or neither until it sends), stall
// under a partition and go on when it heals, and are refused or unreachable. Owned by the world; it never
// looks into a node.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "context.hpp"
#include "msg/actors.hpp"
#include "msg/wire.hpp"

namespace kvd::sim {

enum class HostState {
  kRunning,
  kProcessDown,
  kHostDown
};  // kRunning: a paused process too, its kernel still answers

class Hosts {  // what the network needs of the world
 public:
  virtual ~Hosts() = default;
  virtual HostState host_state(int server) const = 0;
  virtual std::optional<int> server_at(const Address& address) const = 0;
  virtual void deliver(int server, NodeInput input) = 0;
  virtual std::string certified(int server) const = 0;  // the name in its certificate
};

class Network {
 public:
  Network(SimContext& context, Hosts& hosts) : context_(context), hosts_(hosts) {}

  // What a node ordered.
  void perform(int server, LinkDial order);
  void perform(int server, LinkSend order);
  void perform(int server, LinkClose order);

  // The process is gone. `silently`: its host too, so that nobody resets its links.
  void process_died(int server, bool silently);
  void host_came_up(int server);

  // Faults. A blocked direction delivers nothing until it is unblocked; nothing is lost by that alone.
  void block(int from, int to);
  void unblock(int from, int to);
  void heal_all();
  // ... between any two of these servers.
  void heal_among(const std::set<int>& servers);
  // A clogged direction takes what its sender sends and delivers nothing: its receiver does not read. No kernel gives
  // up; the sender's queue grows. Only of the links that `dialer`, one of the two, has dialed: what goes the same way
  // on the other one's overtakes it.
  void clog(int from, int to, int dialer) { clogged_.insert({from, to, dialer}); }
  void unclog(int from, int to, int dialer) {
    if (clogged_.erase({from, to, dialer}) != 0) kick(from, to);
  }
  // A stranger dials and says this, whatever he is answered.
  void break_in(int server, const std::string& certified, std::vector<PeerMessage> messages);
  void slow_down(int from, int to, Duration extra);
  void break_some_link(bool tell_both);

  size_t link_count() const { return ends_.size(); }

 private:
  struct Packet;
  struct Direction;
  struct Link;
  using LinkPointer = std::shared_ptr<Link>;
  struct EndRef {
    LinkPointer link;
    int end = 0;
  };

  Duration delay(int from, int to);
  bool passable(int from, int to) const;
  void put(const LinkPointer& link, int to_end, Packet packet);
  void arm(const LinkPointer& link, int to_end);
  void on_due(const LinkPointer& link, int to_end);
  void on_stalled(const LinkPointer& link, int to_end);
  void take(const LinkPointer& link, int to_end, Packet packet);
  void take_message(const LinkPointer& link, int to_end, Packet packet);
  void accept(const LinkPointer& link);
  void end(const LinkPointer& link, int end, LinkEnd why, std::string detail);
  void reset_towards(const LinkPointer& link, int to_end, bool drop_pending);
  void forget(const LinkPointer& link, int end);
  void kick(int from, int to);

  SimContext& context_;
  Hosts& hosts_;
  std::map<std::pair<int, LinkId>, EndRef> ends_;  // the open ones, by owner and its number
  std::set<std::pair<int, int>> blocked_;
  std::set<std::tuple<int, int, int>> clogged_;
  std::map<std::pair<int, int>, Duration> extra_delay_;
  std::vector<std::weak_ptr<Link>> links_;  // all that may still carry something
  uint64_t accepted_ = 0;
};

}  // namespace kvd::sim
