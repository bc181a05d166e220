// The lease keeper: the leases that connections to this server hold (`hold=1`). It renews them while the connection
// stands, tells its client how long the lease certainly lives, and ends the lease when the connection is closed. A
// lease outlives this server: while nobody renews it its time runs, and whoever takes it up at another server holds it
// from then on (TakeLease). So a connection that is only slow to be found dead does not end what has moved on. What
// the keeper asks goes through the KV router to the leader, like a client's.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

class LeaseKeeper {
 public:
  explicit LeaseKeeper(Outbox& out) : out_(out) {}

  void handle(LeaseKeeperMessage&& message);
  void on_time();
  Instant deadline() const;

  uint64_t held() const;  // for status
  bool drained() const { return stopping_ && holds_.empty() && endings_.empty(); }

 private:
  struct Hold {
    uint64_t lease = 0;
    uint64_t number = 0;  // of the hold; 0: there is none yet
    Duration ttl{0};
    std::shared_ptr<const Caller> caller;  // whose right is judged with each renewal
    bool asked = false;                    // one is under way
    bool unsure = false;                   // `until` has passed
    Instant until{};                       // it certainly lives until then
    Instant renew_at{};
    Instant speak_at{};    // a line is to be said by then
    Instant due = kNever;  // when it is to be looked at: in due_
  };
  using Holds = std::map<RequestId, Hold>;
  // What is to be ended, as its connection was closed: a lease, and the number of the hold.
  using Ended = std::pair<uint64_t, uint64_t>;
  struct Ending {
    bool asked = false;
    Instant retry_at{};
    Instant until{};  // its time has ended it by then
  };
  // What the leader was asked, by token.
  struct Question {
    std::vector<RequestId> clients = {};  // whose holds are opened (one) or renewed; none: a hold is ended
    bool opens = false;
    uint64_t lease = 0;  // that is taken up
    Ended ended = {};
    std::shared_ptr<const Caller> caller = {};  // null: rights do not count
    Instant at = {};
  };

  void on(Call&& message);
  void on(const CallCancelled& message);
  void on(Answered&& message);
  void on(const StopRequested& message);

  void ask(Question question, Operation operation, Duration timeout);
  void take_opened(const Question& question, Answered& answered);
  void open(Hold& hold, RequestId client, Instant asked);
  void renew(const std::vector<RequestId>& clients);
  void renew_of_one(const std::vector<RequestId>& clients, const std::shared_ptr<const Caller>& caller);
  void take_renewed(const Question& question, const Answer& answer);
  void end(Ended ended, Instant until);
  void end_again();
  void take_ended(const Question& question, const Answer& answer);
  void look_at(Holds::iterator it, std::vector<RequestId>& to_renew);
  void arm(RequestId client, Hold& hold, Instant due);
  void arm(RequestId client, Hold& hold);
  void forget(Holds::iterator it);
  void say(RequestId client, Document line, bool last);
  void say_state(RequestId client, Hold& hold);
  Document with_left(Document line, const Hold& hold) const;

  Outbox& out_;
  Holds holds_;
  std::set<std::pair<Instant, RequestId>> due_;
  std::map<Ended, Ending> endings_;
  Instant end_at_ = kNever;  // the earliest of them that is to be asked for again
  std::map<uint64_t, Question> questions_;
  uint64_t last_token_ = 0;
  bool stopping_ = false;
};

}  // namespace kvd
