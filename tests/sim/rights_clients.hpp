// Clients of a simulated world with rights (`--auth on`): administrators make policies and users, take rights away and
// give them back, and users write, read and receive by them at any server, some calls behind one another on a
// connection. What is committed and what they hear is judged by the checkers' referee (rights_referee.hpp). At last one
// user gets a right, and another one none: then every server has to do what the first one asks, and refuse the others.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

class RightsClients {
 public:
  RightsClients(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  // What is asked from here on has to be answered in time.
  void on_healed() { healed_ = true; }
  void stop();  // the last round begins
  // A reply to one of these clients; false: to somebody else.
  bool on_reply(int server, const NumberedAnswer& reply);
  void on_process_died(int server);
  // Empty, or what the last round waits for.
  std::string stuck() const;

 private:
  enum class Who : uint8_t { kUser, kAdministrator, kLastRound };
  struct User {
    std::string name;
    std::shared_ptr<const Caller> caller;
    uint32_t connection = 0;  // 0: none
    int server = 0;
    uint32_t place = 0;  // of the next call on it
  };
  struct Asked {
    Who who = Who::kUser;
    size_t index = 0;  // of the user, or administrator
    int server = 0;
    StoreCall call;
    RightsReferee::Needs needs;  // of a user's
    Revision oldest;             // what who judges it had then, at least
    Revision copy;               // ... what this server had
    Revision floor;              // the newest change of rights that was acknowledged then
    bool in_time = false;        // it has to be answered
    int tries = 1;
  };
  // Of the last round: what is changed first, and then what everybody is told everywhere.
  struct Probe {
    int server = 0;
    std::string user;
    std::optional<ErrorCode> refused;  // none: it is done
  };

  void think(size_t user);
  void act(size_t user);
  void connect(User& user);
  void ask(size_t user);
  void administer(size_t administrator);
  void ask_again(Asked asked);
  void send(Asked asked, RequestId id, const std::shared_ptr<const Caller>& caller);
  void send_anywhere(Asked asked, const std::shared_ptr<const Caller>& caller);
  void give_up(RequestId id);
  void unheard(Asked asked);
  void hear(int server, const Asked& asked, const StoreAnswer& answer);
  void judge_user(int server, const Asked& asked, const StoreAnswer& answer);
  std::string judge_done(int server, const Asked& asked, const StoreAnswer& answer) const;
  void judge_change(int server, const Asked& asked, const StoreAnswer& answer);
  bool same_lineage(Revision revision) const;
  void wrong(int server, const std::string& why);
  // What they ask.
  Asked any_call(const User& user);
  Operation any_change();
  ReplaceAccess any_replacement();
  SendMessages any_message(const std::string& area, const std::string& user);
  Policy some_of(const std::string& area);
  Bytes new_value();
  std::string any_area() { return std::to_string(prng_.below(kAreas)); }
  std::string any_key(const User& user);
  // The last round.
  void begin_last_round();
  void go_on();
  void go_on_later();
  void hear_last_round(const Asked& asked, const StoreAnswer& answer);

  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }
  static constexpr uint64_t kAreas = 2;

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own
  std::vector<User> users_;
  std::map<RequestId, Asked> asked_;
  Revision floor_;  // the newest change of rights that was acknowledged
  uint32_t connections_ = 0;
  uint64_t numbers_ = 0;  // of values, idempotency keys, messages
  bool healed_ = false;
  bool stopped_ = false;
  std::vector<Operation> changes_;  // of the last round; what is left of them, the next one last
  std::vector<Probe> probes_;       // likewise
};

}  // namespace kvd::sim
