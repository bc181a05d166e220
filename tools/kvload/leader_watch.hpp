// Who leads, asked of every server again and again through GET /v1/cluster/leader; the answer of the newest epoch
// counts. A server is recognised by the address that it advertises, which GET /v1/cluster of that server tells.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvload/load.hpp"
#include "net/loop.hpp"

namespace kvd::load {

class LeaderWatch : public ConnectionOwner {
 public:
  using OnLeader = std::function<void(size_t server)>;  // an index into `targets`; each time that it changes

  LeaderWatch(uv_loop_t* loop, std::vector<Target> targets, OnLeader on_leader);

  std::optional<size_t> leader() const { return leader_; }
  std::optional<size_t> wait(double seconds);  // turns the loop until there is one

 private:
  struct Seat {
    std::unique_ptr<Connection> connection;
    std::string http;  // as it advertises itself; empty: not known yet
    bool asked = false;
    uint64_t asked_at = 0;
  };
  void on_open(Connection& connection) override { ask(seats_[connection.index()]); }
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection&) override {}
  void on_lost(Connection& connection, int) override { seats_[connection.index()].asked = false; }
  void ask(Seat& seat);
  void on_tick();
  void take(std::string_view address, uint64_t epoch);

  uv_loop_t* loop_;
  std::vector<Target> targets_;
  OnLeader on_leader_;
  std::vector<Seat> seats_;
  net::Timer ticker_;
  std::optional<size_t> leader_;
  uint64_t epoch_ = 0;
};

}  // namespace kvd::load
