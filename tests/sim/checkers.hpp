// The rules that hold at every moment of a run, checked after every turn of a node, every change of the
// register and every answer (the rules of src/README.md, by number). They see nodes only through
// NodeView and the log's entries, so that a test can show them a cluster that breaks a rule. A failure goes
// to the context.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "context.hpp"
#include "core/node.hpp"
#include "judge/committed.hpp"
#include "queue_model.hpp"
#include "rights_referee.hpp"
#include "term_referee.hpp"
#include "topic_model.hpp"

namespace kvd::sim {

class Checkers {
 public:
  using EntryAt = std::function<EntryPointer(Revision)>;

  Checkers(SimContext& context, int servers)
      : context_(context),
        servers_(static_cast<size_t>(servers)),
        terms_(context.options.rate_ppm),
        queues_(context.options.rate_ppm),
        topics_(context.options.rate_ppm) {}

  void on_started(int server, const Member& member, EntryAt entry_at);
  void on_died(int server);
  // A node has run; nothing that it wants has happened yet.
  void on_turn(int server, const NodeView& view);
  // The register as the ensemble has it now, after each change; nothing: it does not exist.
  void on_register(const std::optional<Register>& config);
  // ZooKeeper's data is another one from here on: what counts is the register as it was, until one is there that was
  // made of it.
  void zookeeper_went_back() { gone_back_ = true; }
  bool awaits_restoration() const { return gone_back_; }
  void restored_by_nobody() { gone_back_ = false; }  // a person would have to decide
  // An older copy of its directory has been given to this server: it may lack what it had, until it has it again.
  void excuse(int server) { servers_[server].excused = true; }
  // A server's own clock has jumped, of which the log's may have counted one turn.
  void clock_jumped(Duration turn_max) { jumps_ += turn_max; }
  // A node answers a client (the answer has not arrived yet). `floor`: see ClientOperation.
  void on_reply(int server, const StoreCall& request, const StoreAnswer& reply, Revision floor);
  // A client was told that this write certainly was not and never will be done. Judged at the end.
  void on_certainly_not(const StoreCall& request);
  // The run is over.
  void at_end();

  const CommittedHistory& committed() const { return committed_; }
  // The true time, with what jumps may have added.
  Instant stamp() const { return context_.queue.now() + jumps_; }
  // A client that asked for it at that stamp hears this.
  void on_term_answer(int server, const StoreCall& call, const StoreAnswer& answer, Instant asked);
  const TermReferee& terms() const { return terms_; }
  const RightsReferee& rights() const { return rights_; }
  // How new the copy of this server is, of its present life; and the oldest one of those by which may be judged what it
  // is asked: its own, and of who leads or believes to.
  Revision copy_of(int server) const;
  Revision oldest_copy(int server) const;
  bool is_complete(int server) const { return servers_[server].seen && servers_[server].view.complete; }
  // What clients of messages ask for and hear they tell these themselves.
  MessageJudge& queues() { return queues_; }
  MessageJudge& topics() { return topics_; }
  const std::optional<Register>& config() const { return config_; }
  // In the in-sync set, alive, in that incarnation.
  bool lives(const Member& member) const;

 private:
  struct Server {
    bool alive = false;
    Member member;
    EntryAt entry_at;
    NodeView view;
    bool seen = false;  // `view` is of this life
    Revision checked;   // committed entries up to here have been compared
    Revision appended;  // while it leads: entries up to here have been noted
    bool excused = false;
  };

  void fail(std::string what) { context_.fail(Verdict::kCorrectness, std::move(what)); }
  void check_monotonic(int server, const NodeView& view);
  void check_one_leader(const NodeView& view);
  void check_committed(int server, const NodeView& view);
  void note_appended(Server& server, const NodeView& view);
  void check_timely(const Entry& entry);
  void check_clock(const Entry& entry, Instant appended);
  void check_digest(int server, const NodeView& view);
  void check_required(const Server& server);
  void check_holds_committed(const Server& server);
  void check_register_step(const Register& before, const Register& now);
  void check_all_in_sync();
  void check_written(int server, const StoreCall& request, const StoreAnswer& reply);
  void check_token(int server, const StoreCall& request, const StoreAnswer& reply);
  void check_transaction(const Transaction& transaction, const TxnDone& done, const StoreAnswer& reply);
  void check_deleted(int server, const DeletePrefix& asked, uint64_t count, Revision at);
  void check_effect(const StoreAnswer& reply, const std::string& key, const std::optional<Bytes>& value);
  void check_item(int server, const Record& item, Revision at, bool with_value);
  void check_missing(int server, const std::string& key, Revision at);
  void check_listing(int server, const ListKeys& request, const Listing& listing, Revision at);
  void check_read(int server, const StoreCall& request, const StoreAnswer& reply, Revision floor);

  SimContext& context_;
  std::vector<Server> servers_;
  CommittedHistory committed_;
  std::optional<Register> config_;
  bool gone_back_ = false;
  std::map<std::pair<Lineage, Epoch>, Member> leaders_;
  std::unordered_map<uint64_t, uint64_t> digests_;  // revision -> digest of the complete store there
  std::vector<StoreCall> certainly_not_;
  // When an entry was appended, in true time, with what jumps may have added by then. Its clock is part of its name: a
  // server that lost an epoch with its disk may append another one at the same place.
  std::map<std::tuple<Epoch, Revision, uint64_t>, Instant> appended_;
  Duration jumps_{0};
  struct ClockSeen {      // of the committed entries
    Duration lead{0};     // what the log's clock shows, less the true time of the appending: the least
    uint64_t newest = 0;  // ms
  };
  std::map<Lineage, ClockSeen> clocks_;
  TermReferee terms_;
  RightsReferee rights_;
  QueueModel queues_;
  TopicModel topics_;
};

}  // namespace kvd::sim
