// See leader_watch.hpp.
#include "kvload/leader_watch.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>

namespace kvd::load {
namespace {

constexpr Duration kPeriod = milliseconds(100);
constexpr uint64_t kWatchPatience =
    1'000'000'000;  // a server that does not answer for so long is dialed anew

// The address under which the server that sent this GET /v1/cluster is known; empty: it does not tell.
std::string advertised(const std::string& body) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array members;
  std::string_view node, id, http;
  if (parser.parse(body).get(root) || root["node"].get(node) || root["members"].get(members)) return "";
  for (const auto member : members) {
    if (!member["id"].get(id) && id == node && !member["http"].get(http)) return std::string(http);
  }
  return "";
}

}  // namespace

LeaderWatch::LeaderWatch(uv_loop_t* loop, std::vector<Target> targets, OnLeader on_leader)
    : loop_(loop),
      targets_(std::move(targets)),
      on_leader_(std::move(on_leader)),
      ticker_(loop, [this] { on_tick(); }) {
  for (size_t i = 0; i < targets_.size(); ++i)
    seats_.push_back({std::make_unique<Connection>(loop, *this, i, Keep::kAll), "", false, 0});
  ticker_.start(Duration(0));
}

void LeaderWatch::on_tick() {
  ticker_.start(kPeriod);
  const uint64_t now = uv_hrtime();
  for (size_t i = 0; i < seats_.size(); ++i) {
    Seat& seat = seats_[i];
    if (seat.asked && now > seat.asked_at + kWatchPatience) {
      seat.connection->close();
      seat.asked = false;
    }
    if (seat.connection->is_closed()) seat.connection->open(targets_[i].server);
    ask(seat);
  }
}

void LeaderWatch::ask(Seat& seat) {
  if (!seat.connection->is_open() || seat.asked) return;
  seat.connection->output() +=
      fmt::format("GET /v1/cluster{} HTTP/1.1\r\n{}\r\n", seat.http.empty() ? "" : "/leader",
                  targets_[seat.connection->index()].fields);
  seat.asked = true;
  seat.asked_at = uv_hrtime();
  seat.connection->flush();
}

void LeaderWatch::on_response(Connection& connection, const Response& response) {
  Seat& seat = seats_[connection.index()];
  seat.asked = false;
  if (response.status != 200) return;
  if (seat.http.empty()) {
    seat.http = advertised(response.body);
    if (!seat.http.empty()) ask(seat);
    return;
  }
  const std::string_view text = field_of(response, "Kvd-Epoch");
  uint64_t epoch = 0;
  std::from_chars(text.data(), text.data() + text.size(), epoch);
  std::string_view address = response.body;
  address = address.substr(0, address.find_last_not_of("\r\n") + 1);
  take(address, epoch);
}

void LeaderWatch::take(std::string_view address, uint64_t epoch) {
  if (epoch < epoch_) return;
  for (size_t i = 0; i < seats_.size(); ++i) {
    if (seats_[i].http != address) continue;
    epoch_ = epoch;
    if (leader_ == i) return;
    leader_ = i;
    if (on_leader_) on_leader_(i);
    return;
  }
}

std::optional<size_t> LeaderWatch::wait(double seconds) {
  const uint64_t deadline = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  while (!leader_ && uv_hrtime() < deadline) uv_run(loop_, UV_RUN_ONCE);
  return leader_;
}

}  // namespace kvd::load
