// One simulated server process: a node, the turns in which it runs, and the ways in which a process dies or
// stops. It mirrors production's loop: inputs gather, one pump() takes them, then the effects are performed
// in order, with one timer armed at the returned deadline. Owned by the world.
#pragma once
#include <memory>
#include <vector>

#include "context.hpp"
#include "core/node.hpp"

namespace kvd::sim {

class ProcessOwner {
 public:
  virtual ~ProcessOwner() = default;
  // The node has run; nothing of what it wants has been performed yet.
  virtual void on_turn(int server) = 0;
  virtual void perform(int server, NodeEffect effect) = 0;
  // The process is to die now, in the middle of its effects. Calls kill() on it.
  virtual void crash(int server) = 0;
};

class Process {
 public:
  Process(SimContext& context, int server, ProcessOwner& owner);

  void start(const NodeConfig& config);
  // The node is gone with all that it knew.
  void kill();
  // A paused process takes nothing; what arrives waits. On resume its timers fire before it sees what has
  // arrived, as in libuv; then the sockets are read, in any order.
  void pause();
  void resume();
  // Its clock shows so much more from now on: the machine was suspended, or moved to another one.
  void jump_clock(Duration by);
  void deliver(NodeInput input);
  // Dies while it performs the effects of one of its next turns.
  void crash_in_next_turn(bool armed = true) { crash_armed_ = armed; }

  bool alive() const { return node_ != nullptr; }
  bool paused() const { return paused_; }
  const Node& node() const { return *node_; }
  Member member() const {
    return node_ ? node_->view().self : Member{};
  }  // a disk may have brought another one
  uint64_t lives() const { return lives_; }

 private:
  void shuffle_waiting();
  void plan_turn();
  void turn();
  void perform_effects();
  void plan_timer(Instant wanted);
  Instant by_its_clock(Instant now) const;

  SimContext& context_;
  int server_;
  ProcessOwner& owner_;
  Trace trace_;
  std::unique_ptr<Node> node_;
  uint64_t lives_ = 0;  // counts starts and ends: a planned turn of a former life does nothing
  bool paused_ = false;
  bool turn_planned_ = false;
  bool crash_armed_ = false;
  Instant timer_ = kNever;
  Duration ahead_{0};     // of the true time, its clock ...
  int64_t rate_ppm_ = 0;  // ... and faster, by so many millionths
  Instant turned_at_{};
  int turns_at_once_ = 0;
  std::vector<NodeInput> waiting_;
};

}  // namespace kvd::sim
