// See election_probe.hpp.
#include "kvload/election_probe.hpp"

#include <fmt/format.h>

#include <charconv>

#include "kvload/leader_watch.hpp"

namespace kvd::load {
namespace {

constexpr size_t kConnections = 4;                  // to each server, since a write may hang
constexpr uint64_t kProbeRespite = 1'000'000;       // after a refusal
constexpr uint64_t kProbePatience = 2'000'000'000;  // for one answer
constexpr uint64_t kServerPatienceMs = 1500;

}  // namespace

ElectionProbe::ElectionProbe(uv_loop_t* loop, std::vector<Target> servers)
    : loop_(loop), servers_(std::move(servers)), ticker_(loop, [this] { on_tick(); }) {
  for (size_t i = 0; i < servers_.size() * kConnections; ++i) {
    Seat& seat = seats_.emplace_back();
    seat.connection = std::make_unique<Connection>(loop, *this, i, Keep::kAll);
    seat.server = i % servers_.size();
  }
  ticker_.start(Duration(0));
}

void ElectionProbe::on_tick() {
  ticker_.start(milliseconds(1));
  const uint64_t now = uv_hrtime();
  for (Seat& seat : seats_) {
    if (seat.asked && now > seat.asked_at + kProbePatience) {
      seat.connection->close();
      seat.asked = false;
    }
    if (now < seat.not_before) continue;
    if (seat.connection->is_closed()) seat.connection->open(servers_[seat.server].server);
    ask(seat);
  }
}

void ElectionProbe::ask(Seat& seat) {
  if (!seat.connection->is_open() || seat.asked) return;
  seat.asked = true;
  seat.asked_at = uv_hrtime();
  seat.connection->output() +=
      fmt::format("PUT /v1/kv/kvload-probe-{}?timeout={} HTTP/1.1\r\n{}Content-Length: 1\r\n\r\nx",
                  ++writes_ % 100, kServerPatienceMs, servers_[seat.server].fields);
  seat.connection->flush();
}

void ElectionProbe::on_response(Connection& connection, const Response& response) {
  Seat& seat = seats_[connection.index()];
  seat.asked = false;
  const uint64_t now = uv_hrtime();
  seat.not_before = now + kProbeRespite;  // each connection writes once a millisecond at the most
  if (response.status != 200 && response.status != 201) return;
  const std::string_view text = field_of(response, "Kvd-Epoch");
  uint64_t epoch = 0;
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  if (epoch > marked_epoch_) {
    if (!accepted_at_) accepted_at_ = now;
  } else {
    last_before_ = now;
  }
  epoch_ = std::max(epoch_, epoch);
}

void ElectionProbe::on_turn(Connection&) {}

void ElectionProbe::on_lost(Connection& connection, int) {
  seats_[connection.index()].asked = false;
  seats_[connection.index()].not_before = uv_hrtime() + kProbeRespite;
}

void ElectionProbe::run_for(double seconds) {
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  while (uv_hrtime() < end) uv_run(loop_, UV_RUN_ONCE);
}

void ElectionProbe::mark(uint64_t now) {
  marked_epoch_ = epoch_;
  accepted_at_.reset();
  if (last_before_ == 0) last_before_ = now;
}

bool ElectionProbe::wait(double seconds, bool (*stop)()) {
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  while (!accepted_at_ && uv_hrtime() < end && !stop()) uv_run(loop_, UV_RUN_ONCE);
  return accepted_at_.has_value();
}

}  // namespace kvd::load
