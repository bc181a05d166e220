// Clients of a simulated world that send messages to a few queues, one or many at a time, and receive, settle and
// forget them; that wait for them and hang up; and that make, change, empty and delete the queues. What is committed
// and what they hear is judged by the checkers' model (queue_model.hpp). Once they are stopped they send nothing and
// receive until nothing is left.
#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

class QueueClients {
 public:
  QueueClients(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  // What is asked from here on has to be answered in time.
  void on_healed();
  void stop();  // soon
  // A reply to one of these clients; false: to somebody else.
  bool on_reply(int server, const NumberedAnswer& reply);
  void on_process_died(int server);
  // Empty, or what is left in the queues.
  std::string stuck() const;

 private:
  struct Held {
    std::string queue;
    MessageId id;
    uint64_t receipt = 0;
  };
  struct Client {
    uint64_t turn = 0;  // counts what it does: what was planned before is ignored
    int server = 0;
    RequestId id;          // of what is under way; 0: nothing
    bool in_time = false;  // it has to be answered
    StoreCall call;
    Instant asked{};
    Epoch epoch;    // ... in which
    int tries = 0;  // of what is under way, which may be repeated when it has an idempotency key
    std::vector<Held> held;
  };

  void think(Client& client);
  void act(Client& client);
  void ask(Client& client, Operation operation);
  void send(Client& client);
  void give_up(Client& client);
  void hang_up(Client& client);
  void ask_again(Client& client);
  void hear(Client& client, const StoreAnswer& answer);
  void judge_wait(const Client& client, const StoreAnswer& answer);
  void watch_grants();

  Operation any_operation(Client& client);
  Operation any_send();
  Operation any_transaction(Client& client);
  Operation any_receive(Client& client);
  Operation drain(Client& client);
  Operation about_queues();
  Operation any_read();
  std::vector<Settling> settle_some(Client& client, const std::string& queue, bool all);
  Settling any_settling(const Held& held);
  QueueConfig any_config();
  std::string any_queue();
  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own
  std::vector<Client> clients_;
  std::set<uint64_t> answered_;  // requests
  uint32_t connections_ = 0;
  uint64_t keyed_ = 0;
  uint64_t bodies_ = 0;
  bool healed_ = false;
  bool stopped_ = false;
  Instant calm_{};  // nobody has died since
};

}  // namespace kvd::sim
