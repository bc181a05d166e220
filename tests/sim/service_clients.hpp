// What the clients of all coordination services in a simulated world have in common. Those of one service are a few
// that ask, use what they are granted and give it back while faults happen, and the referee between them: what it sees
// of its clients and of ZooKeeper must never contradict what the service promises, and after the faults everybody has
// to get on. It knows no more of a server than its clients do, with one exception: one that stands still cannot tell
// them anything, and is excused for what they still believe.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "context.hpp"
#include "service_calls.hpp"

namespace kvd::sim {

inline constexpr Duration kThinkMost = milliseconds(200);  // before the next call
inline constexpr Duration kLetGoMost = milliseconds(300);  // of what is held

// What clients are told to have, each thing one client at a time and each time by a larger number.
class Grants {
 public:
  // `client` hears now that it has it, which it asked for then. Empty, or what is wrong: an answer may come late, but
  // nobody is told anew of what somebody else was known to have later.
  std::string hear(const std::string& what, int64_t number, int client, Instant asked, Instant now);

 private:
  struct Told {
    int client = 0;
    Instant at{};
  };
  std::map<std::string, std::map<int64_t, Told>> told_;
};

class ServiceClients {
 public:
  virtual ~ServiceClients() = default;
  virtual void start() = 0;
  virtual void on_zookeeper_changed() {}  // for every state of it
  // Faults have ended: from here on everybody has to get on. Empty, or who does not.
  void expect_progress() {
    if (!std::exchange(progress_expected_, true)) on_progress_expected();
  }
  virtual std::string stuck() const = 0;

 protected:
  // `seed`: their own randomness, so that the rest of a run is drawn as it is without them.
  ServiceClients(SimContext& context, ServiceCalls& calls, uint64_t seed)
      : context_(context), calls_(calls), prng_(seed) {}

  virtual void on_progress_expected() = 0;
  bool progress_expected() const { return progress_expected_; }

  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }
  void within(Duration most, EventQueue::Action action) {
    context_.queue.after(up_to(most), std::move(action));
  }
  // Unless the call is over by then; what comes `then` is the client's.
  void hang_up_after(Duration span, uint64_t call, EventQueue::Action then);
  // What a session has, "ids/POOL/N". Or its client forgets about it, and the session runs out.
  void give_back(const std::string& session, const std::string& what, EventQueue::Action then);
  // How long a client keeps what it was granted: now and then for longer than ZooKeeper waits for a server.
  Duration keeping() {
    return up_to(prng_.one_in(4) ? Duration(2 * context_.options.session_us) : Duration(800'000));
  }
  int any_server() { return static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers))); }
  const ZkTree& tree() const { return calls_.tree(); }
  Instant now() const { return context_.queue.now(); }
  // Hears the id of a client's session that this server keeps; empty: it could not be opened.
  void open_session(int server, int ttl_s, std::function<void(const std::string& id)> then);
  void wrong(std::string what) { context_.fail(Verdict::kCorrectness, std::move(what)); }

  SimContext& context_;
  ServiceCalls& calls_;
  Prng prng_;

 private:
  bool progress_expected_ = false;
};

// Those that the options ask for.
std::vector<std::unique_ptr<ServiceClients>> make_service_clients(SimContext& context, ServiceCalls& calls);

}  // namespace kvd::sim
