// The KV router: every client request from its arrival to its one reply, wherever it is decided. Local
// reads go to this server's replica, writes and linear reads to the leader's, over the link that this server
// dialed to it. It keeps the deadlines and decides what an error says: "not applied" only when that is
// certain, "unknown" otherwise. Writes of one connection are done in their order, also while the lead moves: one waits
// where those before it may still be done elsewhere.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

class KvRouter {
 public:
  explicit KvRouter(Outbox& out) : out_(out) {}

  void handle(KvRouterMessage&& message);
  void on_time();
  Instant deadline() const;

  size_t waiting() const { return requests_.size(); }
  bool drained() const { return stopping_ && requests_.empty(); }
  uint64_t refused() const { return refused_; }
  uint64_t forwarded() const { return forwarded_; }

  // Answers a call of a client; also one that never became one of ours (its mailbox was full, or the node itself
  // answers it).
  void reply(RequestId id, Answer&& answer, Revision revision);

 private:
  // A token names a request in here and at the replica: a client's is its RequestId, one that another server
  // forwarded to us, or another actor has asked for, has the highest bit set.
  using Token = uint64_t;
  enum class Where : uint8_t {
    kRevision,  // a local read, until this server has min_revision
    kReplica,   // at our own replica, which leads
    kLeader,    // forwarded, on `link`
    kNowhere,   // no leader can be asked right now
    kBehind,    // a write, not sent before those before it on its connection
    kApplied,   // done by the leader; answered when this server has it too
  };
  enum class Asker : uint8_t {
    kClient,
    kServer,  // another one's client
    kWatch,
    kLeaseKeeper,
    kConsumers,
    kNobody,
  };
  struct Request {
    Operation operation;
    size_t bytes = 0;             // of keys and values
    std::string idempotency_key;  // empty: none
    OptionalBox<Fence> fence;
    std::shared_ptr<const Caller> caller;  // on whose behalf; null: rights do not count
    bool write = false;
    bool in_doubt = false;  // an earlier attempt may have been applied
    bool linear = false;
    bool receives = false;   // messages; it may wait for them
    bool withdrawn = false;  // ... and nobody waits for its answer
    Asker asker = Asker::kClient;
    bool followed = false;  // a write: one behind it on its connection was sent and given up, and may be done
    bool ordered =
        false;          // a client's write, not done yet: those behind it on its connection may have to wait
    uint64_t term = 0;  // ... that it was sent in; 0: it is not on its way
    Revision min_revision;
    Instant deadline{};
    Duration beyond_wait{0};  // a receive: between the end of its wait and its deadline
    Where where = Where::kNowhere;
    std::optional<LinkId> link;    // kLeader: to whom
    LinkId from;                   // kServer: answer there; 0: nobody is left there
    uint64_t number = 0;           // ... by its number; kWatch, kLeaseKeeper, kConsumers: by its token
    std::optional<Answer> answer;  // kApplied
    Revision revision;             // kApplied
  };

  using Requests = std::map<Token, Request>;

  void on(Call&& message);
  void on(const CallCancelled& message);
  void on(const PeerUp& message);
  void on(const PeerDown& message);
  void on(PeerSaid&& message);
  void on(RoleChanged&& message);
  void on(const Applied& message);
  void on(Answered&& message);
  void on(Ask&& message);
  void on(const AskWithdrawn& message);
  void on(const StopRequested& message);

  static Asker asker_of(Ask::By by);
  bool answered_here(const Operation& read) const;
  Request& keep(Token token, const Operation& operation, Duration timeout);
  void forget(Requests::iterator it);
  void route(Token token, Request& request);
  void send(Token token, Request& request);
  void find_way();
  void begin_term();
  void call_back(Request& request);
  bool has_to_wait(Token token) const;
  void leave_order(Token token, Request& request);
  void go_on_behind();
  bool full() const;
  void route_waiting();
  void leave_former_leader();
  bool may_repeat(const Request& request) const;
  bool may_ask_again(Token token, const Request& request) const;
  void mark_followed(Token token);
  void try_again(Request& request);
  bool again_elsewhere(Request& request, const Answer& answer);
  void on_forward(const PeerSaid& said, Forward forward);
  bool answers_former(const Request& request, const Answer& answer) const;
  void hasten(Token token, Request& request);
  void end_earlier(Token token, Request& request, Instant deadline);
  void on_forward_result(ForwardResult result);
  void finish(Requests::iterator it, Answer answer, Revision revision);
  void fail(Token token, ErrorCode code, Outcome outcome, std::string detail);
  void expire(Token token);
  void withdraw(Token token, Request& request);
  void give_back(const Answer& answer);
  void on_forward_cancelled(const PeerSaid& said, uint64_t number);
  std::vector<Token> tokens_by_deadline(Instant until) const;

  Outbox& out_;
  RoleChanged role_;
  Revision applied_;
  Requests requests_;                             // not the local reads that the replica has been asked for
  Instant next_deadline_ = kNever;                // none of requests_ has an earlier one, but for receives:
  std::set<std::pair<Instant, Token>> receives_;  // of which there are many, and most wait to their end
  std::map<std::pair<LinkId, uint64_t>, Token>
      receives_by_;                                // other servers' by link and number; consumers' (0)
  std::set<std::pair<Revision, Token>> awaiting_;  // kRevision and kApplied
  std::map<ServerId, std::pair<LinkId, ServerInfo>> links_;  // that we dialed
  std::map<ServerId, Address> http_;                         // of everyone we ever met
  std::optional<LinkId> way_;         // to the leader; 0: to our own replica; none: none
  uint64_t term_ = 1;                 // of writes, see Propose
  size_t ordered_ = 0;                // so many in requests_
  size_t on_way_ = 0;                 // ... of which sent in this term
  size_t behind_ = 0;                 // ... and kBehind
  std::vector<uint32_t> left_order_;  // connections in which somebody is perhaps no longer kBehind
  size_t waiting_bytes_ = 0;          // of requests_
  uint64_t others_taken_ = 0;         // requests that are no client's
  Instant retry_at_ = kNever;
  bool stopping_ = false;
  uint64_t refused_ = 0;
  uint64_t forwarded_ = 0;
};

}  // namespace kvd
