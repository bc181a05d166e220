// Clients of a simulated world whose keys live for a time, or as long as a lease: they write, touch, add to and delete
// a few keys, one at a time and together, and grant, renew and end leases, also such as are over. A write with an
// idempotency key whose answer is lost is asked for again elsewhere. What is committed and what they hear is judged by
// the checkers' referee (term_referee.hpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"
#include "support/store_client.hpp"

namespace kvd::sim {

// No other client writes them: they may vanish.
inline constexpr std::string_view kTermKeys[] = {"e/a", "e/b", "e/c", "e/d", "e/e"};

class TermClients {
 public:
  TermClients(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  // What is asked from here on has to be answered in time.
  void on_healed() { healed_ = true; }
  void stop() { stopped_ = true; }  // no new requests
  // A reply to one of these clients; false: to somebody else.
  bool on_reply(int server, const NumberedAnswer& reply);
  void on_process_died(int server);
  // Empty, or who waits, and what should have ended by its time.
  std::string stuck() const;

 private:
  struct Client {
    uint64_t turn = 0;  // counts what it does: what was planned before is ignored
    int server = 0;
    RequestId id;          // of what is under way; 0: nothing
    bool in_time = false;  // it has to be answered
    StoreCall call;
    Instant asked{};     // first
    int tries_left = 0;  // of a write with an idempotency key
  };

  void think(Client& client);
  void act(Client& client);
  void send(Client& client);
  void give_up(Client& client);
  void ask_again(Client& client);
  Operation any_operation();
  Operation any_read();
  Operation about_leases();
  Operation several_writes();
  TxnOp any_op();
  Term any_term();
  uint64_t any_lease();
  std::string any_key();
  Bytes any_number() { return Bytes(std::to_string(prng_.below(100))); }
  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own
  std::vector<Client> clients_;
  std::vector<uint64_t> leases_;  // that were granted last
  uint32_t connections_ = 0;
  uint64_t keyed_ = 0;
  bool healed_ = false;
  bool stopped_ = false;
};

}  // namespace kvd::sim
