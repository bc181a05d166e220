// One whole node as a value: its actors, their mailboxes and the order in which they run. Production gives it
// to one libuv loop; the simulator and the golden scripts run many. It has no clock, no sockets, no threads.
#pragma once
#include <memory>
#include <vector>

#include "base/append_buffer.hpp"
#include "base/time.hpp"
#include "base/trace.hpp"
#include "core/config.hpp"
#include "msg/actors.hpp"

namespace kvd {

class Store;  // core/replica/store.hpp

// What checkers (simulator, tests) may look at. Pointers live until the next pump().
struct NodeView {
  Member self;
  Role role = Role::kCandidate;
  bool leading = false;  // believes to be the leader of `epoch`
  bool active = false;   // leading, and may acknowledge
  bool complete = false;
  Lineage lineage;
  Epoch epoch;                   // newest known
  Revision commit;               // known committed here, applied, visible
  LogPosition last;              // end of the log
  Revision log_base;             // the log holds (log_base, last.revision]
  std::vector<Member> required;  // while leading: M, whose members must all acknowledge; sorted
  uint64_t digest = 0;           // of the store at `commit`
};

class Node {
 public:
  // `seed` feeds the node's own randomness (uuid, jitter). `trace` outlives the node.
  Node(NodeConfig config, uint64_t seed, Trace* trace);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Puts `input` into the mailbox of the actor that it is for. Nothing is decided before pump(). When that
  // mailbox is full a client is refused (kOverloaded), a peer's link is closed (it starts anew and everything
  // is sent again).
  void push(NodeInput&& input);

  // Runs the actors until their mailboxes are empty or the turn's budget is spent. `now` never goes back.
  // Returns when it wants to run again at the latest (kNever: only on input; `now`: at once, the budget was
  // spent).
  Instant pump(Instant now);

  // What the shell has to perform, in order; the shell's to move from, until the next call.
  AppendBuffer<NodeEffect>& take_effects();

  NodeView view() const;
  // The log's entry at `revision`; null outside (log_base, last.revision].
  EntryPointer entry_at(Revision revision) const;
  // The visible store, in key order.
  std::vector<Record> items() const;
  // All of it, with what is derived of it; while this node leads, that is of its log's end.
  const Store& store() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvd
