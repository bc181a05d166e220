// Writes to servers as fast as they answer, over several connections each, and notes which of the writes were
// acknowledged when and in which epoch: how an election looks from outside. Loop thread only.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "client/connection.hpp"
#include "kvload/load.hpp"
#include "net/loop.hpp"

namespace kvd::load {

class ElectionProbe : public ConnectionOwner {
 public:
  ElectionProbe(uv_loop_t* loop, std::vector<Target> servers);

  void run_for(double seconds);
  // The end of the leader begins now: what is acknowledged in the newest epoch so far no longer counts as accepted.
  void mark(uint64_t now);
  // Turns the loop until a write is accepted in a newer epoch, the time is over, or `stop` says so.
  bool wait(double seconds, bool (*stop)());

  uint64_t epoch() const { return epoch_; }  // the newest that a write was acknowledged in
  std::optional<uint64_t> accepted_at() const {
    return accepted_at_;
  }                                                      // first in a newer epoch, since mark()
  uint64_t last_before() const { return last_before_; }  // the last one before that

 private:
  struct Seat {
    std::unique_ptr<Connection> connection;
    size_t server = 0;
    bool asked = false;
    uint64_t asked_at = 0;
    uint64_t not_before = 0;
  };
  void on_open(Connection& connection) override { ask(seats_[connection.index()]); }
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override;
  void on_lost(Connection& connection, int why) override;
  void ask(Seat& seat);
  void on_tick();

  uv_loop_t* loop_;
  std::vector<Target> servers_;
  std::vector<Seat> seats_;
  net::Timer ticker_;
  uint64_t writes_ = 0;
  uint64_t epoch_ = 0;
  uint64_t marked_epoch_ = UINT64_MAX;
  uint64_t last_before_ = 0;
  std::optional<uint64_t> accepted_at_;
};

}  // namespace kvd::load
