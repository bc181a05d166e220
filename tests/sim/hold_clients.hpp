// Clients of a simulated world that hold a lease each by a connection (`hold=1`): they let go of it, and take it up at
// another server, when theirs dies, or just so, while the former connection still stands. They judge what they hear by
// what they have done: a lease that was said to live is not over before that, and not another's unless it was taken up.
// How long leases live is also judged by the checkers' referee.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"

namespace kvd::sim {

class HoldClients {
 public:
  HoldClients(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  void on_healed() { healed_ = true; }
  void stop() { stopped_ = true; }  // who holds a lease lets go of it, once it has heard that it does
  // False: it concerns somebody else.
  bool on_effect(int server, const NodeEffect& effect);
  void on_process_died(int server);
  // Empty, or who cannot let go, and what has not ended although nobody holds it.
  std::string stuck() const;

 private:
  struct Connection {
    RequestId id;  // 0: there is none
    int server = 0;
  };
  struct Client {
    uint64_t turn = 0;  // counts what it does: what was planned before is ignored
    uint64_t lease = 0;
    Instant until{};     // it was said to live until then
    Instant known{};     // the newest line on what it is held by said so until then
    Connection holding;  // by which it is held
    Connection opening;  // by which it, or a new one, will be
    Connection former;   // by which it was, before it was taken up elsewhere
    bool doubt = false;  // it may be taken up by a call that was given up:
    RequestId given_up;  // the last one
    bool rests = false;  // stopped, and there is nothing to let go of
  };

  void plan(Client& client, Duration most);
  void act(Client& client);
  void open(Client& client);
  void opened(Client& client, const Document& line);
  void refused(Client& client, const StoreAnswer& answer);
  void hear(Client& client, const Document& line);
  void lost(Client& client, const std::string& reason);
  void close(Connection& connection);
  void let_go(Client& client);
  void forget_lease(Client& client);
  void promise(Client& client, int64_t left_ms, int server);
  void wrong(const Client& client, const std::string& what);
  bool same_lineage(uint64_t lease) const;
  Duration up_to(Duration most);

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own
  std::vector<Client> clients_;
  uint32_t connections_ = 0;
  bool healed_ = false;
  bool stopped_ = false;
};

}  // namespace kvd::sim
