// The clients of a simulated world: each has one request at a time, to a server drawn at random, and
// remembers what it saw (for conditions and for min_revision tokens). What they ask and hear goes to the
// history; every answer goes past the checkers. Ends with a closing round: a write through every server and a
// linear read of every key.
#pragma once
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "checkers.hpp"
#include "context.hpp"
#include "judge/history.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

// The keys that transactions change, and others one by one: these are judged together. Numbers are only added to.
inline constexpr std::string_view kTxnPrefix = "t/";
inline constexpr std::string_view kTxnKeys[] = {"t/a", "t/b", "t/c"};
inline constexpr std::string_view kNumbers[] = {"t/n0", "t/n1"};
inline constexpr std::string_view kTxnLog = "t/log";  // only appended to, and deleted

class Workload {
 public:
  Workload(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  void stop();  // no new requests, except by the closing round
  // A write through each of these servers and a linear read of every key, repeated until each is done.
  void start_round(const std::vector<int>& servers);
  bool round_done() const { return rounds_ > 0 && tasks_.empty(); }
  std::string round_left() const;
  // What is asked from here on and not answered is a failure.
  void on_healed() { healed_at_ = history_.operations().size(); }

  void on_reply(int server, NumberedAnswer reply);
  void on_process_died(int server);

  const History& history() const { return history_; }
  const std::vector<std::string>& keys() const { return keys_; }
  // With the option `txn`: an explanation when what concerns the keys of transactions is not serializable, or a number
  // of theirs is no sum. As History::check_together.
  std::optional<std::string> check_together(uint64_t steps_max, int& undecided) const;
  Revision acknowledged() const { return floor_; }  // the newest that any client was told
  size_t acknowledged_writes() const { return acknowledged_writes_; }
  size_t answered() const { return answered_.size(); }

 private:
  struct Client {
    uint64_t turn = 0;  // counts its requests: what belongs to a former one is ignored
    Revision token;
    std::map<std::string, Revision> seen;
    std::map<std::string, uint64_t> tokens;  // that it holds, by resource
  };
  struct Outstanding {
    size_t index;  // in the history
    int server;
  };
  struct Task {
    int server;
    Operation operation;
  };

  void next(int client);
  StoreCall make_request(Client& client);
  Operation make_write(Client& client);
  Operation make_put(Client& client);
  Operation make_batch();
  StoreCall make_txn_request(Client& client);
  Operation make_txn_write(Client& client);
  Transaction make_transaction(const Client& client);
  TxnCondition make_txn_condition(const Client& client);
  TxnOp make_txn_op();
  std::string txn_key() { return std::string(kTxnKeys[context_.prng.below(std::size(kTxnKeys))]); }
  std::string number_key() { return std::string(kNumbers[context_.prng.below(std::size(kNumbers))]); }
  int64_t amount() { return context_.prng.between(-9, 9); }
  Operation make_settings();
  Operation make_move();
  Operation make_list(const std::string& key);
  Condition make_condition(Client& client, const std::string& key);
  Fence make_fence(Client& client);
  EntityTags some_tags(const Client& client, const std::string& key);
  Bytes new_value();
  const std::string& any_key() { return keys_[context_.prng.below(keys_.size())]; }
  std::string prefix_of(const std::string& key) const { return key.substr(0, 2); }

  void send(int client, int server, StoreCall request, Duration timeout);
  void attempt(size_t index, int server);
  bool try_again(size_t index);
  void arrive(RequestId id);
  void give_up(RequestId id);
  void cancel(RequestId id);
  void hear(size_t index, StoreAnswer reply);
  void refused(size_t index);
  void go_on(int client, bool succeeded);
  void remember(Client& client, const ClientOperation& operation, const StoreAnswer& reply);
  Duration delay() { return context_.up_to(context_.options.delay_us_max) + Duration(20); }

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  std::vector<std::string> keys_;
  std::vector<Client> clients_;  // the last one does the closing round
  History history_;
  std::map<RequestId, Outstanding> outstanding_;
  std::map<size_t, int> repeats_left_;  // of writes with an idempotency key, by place in the history
  std::set<RequestId> delivered_;
  std::set<RequestId> answered_;
  std::set<RequestId> left_;  // their client went away: an answer may still come, once
  std::vector<Task> tasks_;
  uint64_t requests_ = 0;
  uint64_t values_ = 0;
  std::map<std::string, uint64_t> tokens_;  // the newest that was handed out, by resource
  size_t acknowledged_writes_ = 0;
  Revision floor_;
  bool stopped_ = false;
  int rounds_ = 0;
  RequestId task_request_;       // the newest try of the round's first task
  size_t healed_at_ = SIZE_MAX;  // the first request, by its place in the history, after all faults ended
};

// May a request be answered like this?
bool answers(const StoreCall& request, const Answer& answer);

}  // namespace kvd::sim
