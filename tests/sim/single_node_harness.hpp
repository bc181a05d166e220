// One node on a stage of its own: ZooKeeper is a simulated one that answers at once, and what other servers say, and
// when, is up to the test. For what no cluster of honest nodes would ever do to each other, and for single steps of
// the protocol.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "base/trace.hpp"
#include "core/node.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "msg/znodes.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

inline Member member(const std::string& id, uint64_t incarnation) {
  return Member{ServerId{id}, Incarnation(incarnation)};
}
inline ServerInfo info_of(const Member& who) {
  return ServerInfo{who, Address{who.id.value, 8001}, Address{who.id.value, 18001}};
}

class SingleNodeHarness {
 public:
  // The node under test is ("a", 1). `others` is the session that znodes of other servers belong to.
  explicit SingleNodeHarness(NodeConfig config = {});

  // ---- ZooKeeper, as others use it ----
  void create(const std::string& path, const std::string& data, ZkMode mode = ZkMode::kEphemeral);
  void remove(const std::string& path);
  void set(const std::string& path, const std::string& data);
  bool exists(const std::string& path) const { return zookeeper_.tree().contains(path); }
  const std::string& data(const std::string& path) const { return zookeeper_.tree().at(path).data; }
  void register_server(const Member& who);  // its member and life znodes
  // A register as a cluster that has lived for a while would have it, with everything above it.
  void create_register(Register content);
  // As whoever leads would: made of the one that is there, in its epoch or the next one.
  void change_register(Register next);

  // ---- the node ----
  void connect();              // to ZooKeeper: a session begins
  void reconnect();            // ... of the same session
  void push(NodeInput input);  // ... and lets it settle
  void pass(Duration span);    // in steps of a quarter heartbeat
  void step(Duration span);    // in one
  // From here on the node's calls to ZooKeeper are carried out and their results kept ...
  void hold_results() { holding_ = true; }
  // ... until now: they arrive together, when `span` has passed in which the node did not run.
  void release_results(Duration span);
  // ... or never.
  void forget_held_results() {
    holding_ = false;
    held_.clear();
  }
  // Of its kind whatever it is; its number, as of all calls here.
  uint64_t call(decltype(Call::what) what);
  uint64_t ask(Operation operation, ReadMode read = ReadMode::kLinear,
               const std::string& idempotency_key = "", OptionalBox<Fence> fence = {});
  uint64_t ask_once(const std::string& key, Operation operation) {
    return ask(std::move(operation), ReadMode::kLinear, key);
  }
  uint64_t ask_fenced(const std::string& resource, uint64_t token, Operation operation,
                      const std::string& idempotency_key = "") {
    return ask(std::move(operation), ReadMode::kLinear, idempotency_key, Fence{resource, token});
  }

  // ---- other servers ----
  LinkId greet(const Member& from, Epoch epoch,
               bool sparse = false);  // `from` dials the node; the link that stands
  // The node's newest dial to `to`, answered: the link that stands; 0 when none is under way.
  LinkId answer_dial(const Member& to, Epoch epoch, bool sparse = false);
  LinkId answer_dial_as(const Member& to, const Member& who, Epoch epoch, bool sparse = false);

  LinkId dialed(const std::string& host) const;  // the newest dial there that is not closed; 0: none
  void prove_dead(const Member& who);            // its port refuses the node, twice in a row

  // ---- what the node did since the last take of its kind ----
  template <class Message>
  std::vector<Message> sent(LinkId link);  // messages of that type on that link
  template <class Order>
  std::vector<Order> orders();  // to the disk
  std::vector<NumberedAnswer> replies() { return std::exchange(replies_, {}); }
  std::vector<Reply> watch_answers() { return std::exchange(watch_answers_, {}); }
  std::vector<StreamLines> stream_lines() { return std::exchange(stream_lines_, {}); }
  int logged(const std::string& message) const;  // lines since the start
  int closed(LinkId link) const;
  size_t most_calls() const { return most_calls_; }  // to ZooKeeper, in one turn
  const std::optional<Exit>& exit() const { return exit_; }
  Node& node() { return *node_; }
  const Register& config() const { return register_; }
  Instant now() const { return now_; }

 private:
  void settle();
  void perform(NodeEffect effect);

  Prng prng_{1};
  ZkEnsemble zookeeper_{prng_};
  Trace trace_;
  Instant now_ = Instant(seconds(1));
  std::unique_ptr<Node> node_;
  uint64_t session_ = 0;
  uint64_t others_ = 0;
  Register register_;
  uint64_t requests_ = 0;
  uint64_t accepted_ = 0;
  std::vector<NodeInput> answers_;
  bool holding_ = false;
  std::vector<ZkResult> held_;
  std::vector<LinkDial> dials_;
  std::vector<std::pair<LinkId, PeerMessage>> sent_;
  std::vector<LinkId> closed_;
  std::vector<DiskOrder> orders_;
  std::vector<LogLine> lines_;
  std::vector<NumberedAnswer> replies_;
  std::vector<Reply> watch_answers_;
  std::vector<StreamLines> stream_lines_;
  size_t most_calls_ = 0;
  std::optional<Exit> exit_;
};

template <class Message>
std::vector<Message> SingleNodeHarness::sent(LinkId link) {
  std::vector<Message> found;
  std::erase_if(sent_, [&](auto& entry) {
    auto* message = entry.first == link ? std::get_if<Message>(&entry.second) : nullptr;
    if (message != nullptr) found.push_back(std::move(*message));
    return message != nullptr;
  });
  return found;
}

template <class Order>
std::vector<Order> SingleNodeHarness::orders() {
  std::vector<Order> found;
  std::erase_if(orders_, [&](DiskOrder& order) {
    auto* wanted = std::get_if<Order>(&order);
    if (wanted != nullptr) found.push_back(std::move(*wanted));
    return wanted != nullptr;
  });
  return found;
}

Register led_by(const Member& leader, std::vector<Member> in_sync, uint64_t epoch);

// The node leads epoch 1, and b, which is in sync with it, has said nothing yet. The link to b.
LinkId lead_with(SingleNodeHarness& a, const Member& b);

}  // namespace kvd::sim
