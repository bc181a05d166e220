// Clients of a simulated world that send messages, one or many at a time, and receive, settle and forget them; that
// wait for them and hang up. Where they send is for others to say: queue_clients.hpp, topic_clients.hpp. What is
// committed and what they hear a model judges. Once they are stopped they send nothing and receive until nothing is
// left.
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
#include "message_judge.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

class MessageClients {
 public:
  virtual ~MessageClients() = default;

  void start();
  // What is asked from here on has to be answered in time.
  void on_healed();
  void stop();  // soon
  // A reply to one of these clients; false: to somebody else.
  bool on_reply(int server, const NumberedAnswer& reply);
  void on_process_died(int server);
  // Empty, or what is left.
  std::string stuck() const;

 protected:
  // `of`: what they are clients of. `connection`: their connections are numbered from here on.
  MessageClients(SimContext& context, Hosts& hosts, Checkers& checkers, MessageJudge& judge, int64_t count,
                 std::string of, uint32_t connection);

  struct Held {
    SourceOf source;
    MessageId id;
    uint64_t receipt = 0;
  };

  virtual SourceOf any_source() = 0;
  virtual Operation any_send() = 0;
  virtual Operation any_change() = 0;
  virtual Operation any_read() = 0;
  // What a transaction sends.
  virtual TxnOp any_sent() = 0;
  // The key that a transaction adds to when it acknowledges this message.
  virtual std::string done_key_of(const Held& held) const = 0;

  std::string new_body() { return body_prefix_ + std::to_string(++bodies_); }
  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }

  Checkers& checkers_;
  Prng prng_;  // their own
  std::string body_prefix_ = "m";

 private:
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
  void judge(int server, const StoreCall& call, const StoreAnswer& answer);
  void hear(Client& client, const StoreAnswer& answer);
  void judge_wait(const Client& client, const StoreAnswer& answer);
  void watch_grants();

  Operation any_operation(Client& client);
  Operation any_transaction(Client& client);
  Operation any_receive(Client& client);
  Operation drain(Client& client);
  std::vector<Settling> settle_some(Client& client, const SourceOf& source, bool all);
  Settling any_settling(const Held& held);

  SimContext& context_;
  Hosts& hosts_;
  MessageJudge& judge_;
  std::string of_;
  uint32_t first_connection_;
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
