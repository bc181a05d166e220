// See load.hpp. A tick every 10 ms dials, times out and keeps the time series.
#include "kvload/load.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>

#include "base/check.hpp"
#include "msg/znodes.hpp"

namespace kvd::load {
namespace {

constexpr Duration kTick = milliseconds(10);
constexpr uint64_t kRedial = 20 * kMillisecond;  // after a connection was lost or refused
constexpr uint64_t kRespite = 5 * kMillisecond;  // after a 503, on that connection
constexpr uint64_t kFillPatience = 15'000 * kMillisecond;

}  // namespace

const char* name_of_loss(int why) {
  switch (why) {
    case UV_ECONNREFUSED:
      return "connection refused";
    case UV_EPROTO:
      return "no HTTP answer";
    default:
      return "connection lost";
  }
}

std::string name_of_refusal(const Response& response) {
  std::string_view type = client::problem_member(response.body, "type");
  type.remove_prefix(std::min(type.rfind(':') + 1, type.size()));
  return fmt::format("{}{}{}", response.status, type.empty() ? "" : " ", type);
}

namespace {

// The name of its host becomes an address, which is looked up once for all connections.
Result<void> look_up(client::Server& server) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  Address& address = server.address;
  const int error = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return failure(gai_strerror(error));
  char host[NI_MAXHOST];
  CHECK(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0);
  freeaddrinfo(found);
  address.host = host;
  return {};
}

}  // namespace

Result<std::vector<Target>, Error> resolve(const std::vector<std::string>& names,
                                           const client::Credentials& credentials) {
  std::vector<client::Server> servers;
  for (const std::string& name : names) {
    auto server = client::parse_server(name);
    if (!server) return failure(fmt::format("{}: {}", name, server.error().detail));
    servers.push_back(std::move(*server));
  }
  if (const auto given = client::give_credentials(servers, credentials); !given)
    return Failure<Error>(given.error());
  std::vector<Target> targets;
  for (client::Server& server : servers) {
    Target target{client::name_of(server), client::fields_of(server), std::move(server)};
    if (target.server.socket.empty()) {
      if (const auto resolved = look_up(target.server); !resolved)
        return failure(fmt::format("{}: {}", target.name, resolved.error().detail));
    }
    targets.push_back(std::move(target));
  }
  return targets;
}

Load::Load(uv_loop_t* loop, std::vector<Target> targets, LoadOptions options)
    : loop_(loop),
      targets_(std::move(targets)),
      options_(std::move(options)),
      values_(value_bytes(options_.value_sizes.max())),
      chooser_(options_.order, options_.keys, options_.theta, options_.seed),
      random_(options_.seed),
      ticker_(loop, [this] { on_tick(); }),
      pacer_(loop, [this] { send_due(); }) {
  for (const Target& target : targets_) texts_.emplace_back(options_.key_shape, target.fields, values_);
  for (size_t kind = 0; kind < kKinds; ++kind)
    kinds_.insert(kinds_.end(), options_.mix[kind], static_cast<Kind>(kind));
  for (size_t i = 0; i < targets_.size(); ++i) allowed_.push_back(i);
  for (size_t i = 0; i < options_.connections; ++i) {
    Line& line = lines_.emplace_back(std::make_unique<Connection>(loop, *this, i));
    line.server = i % targets_.size();
    line.ring.resize(options_.pipeline);
  }
  ticker_.start(kTick);
}

bool Load::is_allowed(size_t server) const {
  return std::find(allowed_.begin(), allowed_.end(), server) != allowed_.end();
}

void Load::allow(std::vector<size_t> servers) {
  if (servers.empty() || servers == allowed_) return;
  allowed_ = std::move(servers);
  const uint64_t now = uv_hrtime();
  result_.set_targets(allowed_, now);
  for (Line& line : lines_) look_after(line, now);
}

void Load::dial(Line& line) {
  if (!is_allowed(line.server)) line.server = allowed_[line.connection->index() % allowed_.size()];
  line.connection->open(targets_[line.server].server);
}

std::string Load::connect(double seconds) {
  const uint64_t deadline = uv_hrtime() + static_cast<uint64_t>(seconds * 1e9);
  const auto unreached = [this]() -> std::string {
    for (const size_t server : allowed_) {
      const bool wanted =
          std::any_of(lines_.begin(), lines_.end(), [&](Line& l) { return l.server == server; });
      const bool open = std::any_of(lines_.begin(), lines_.end(),
                                    [&](Line& l) { return l.server == server && l.connection->is_open(); });
      if (wanted && !open)
        return targets_[server].name + (tls_failure_.empty() ? "" : " (" + tls_failure_ + ")");
    }
    return "";
  };
  for (Line& line : lines_) look_after(line, uv_hrtime());
  while (!unreached().empty() && uv_hrtime() < deadline && !interrupted_) uv_run(loop_, UV_RUN_ONCE);
  return unreached();
}

bool Load::any_open() const {
  return std::any_of(lines_.begin(), lines_.end(),
                     [](const Line& line) { return line.connection->is_open(); });
}

void Load::begin(const Phase& phase) {
  phase_ = phase;
  const uint64_t now = uv_hrtime();
  std::vector<std::string> names;
  for (const Target& target : targets_) names.push_back(target.name);
  result_ = RunResult(names, now, static_cast<uint64_t>(phase.interval_s * 1e9));
  end_ = phase.seconds > 0 ? now + static_cast<uint64_t>(phase.seconds * 1e9) : UINT64_MAX;
  result_.set_targets(allowed_, now);
  sent_ = 0;
  progress_at_ = now + 1'000 * kMillisecond;
  fill_next_ = 0;
  fill_left_ = phase.fill ? options_.keys : 0;
  fill_again_.clear();
  schedule_.reset();
  if (phase.rate > 0) {
    // A count bounds the schedule, too.
    uint64_t end = end_;
    if (phase.count > 0) {
      const double last = static_cast<double>(phase.count) * 1e9 / phase.rate;
      end = std::min(end, now + static_cast<uint64_t>(last));
    }
    schedule_.emplace(phase.rate, now, end);
    end_ = end;
  }
  idle_.clear();
  for (Line& line : lines_) line.queued = false;
  sending_ = true;
}

RunResult Load::run(const Phase& phase) {
  begin(phase);
  uint64_t bytes_before = 0;
  for (Line& line : lines_) bytes_before += line.connection->bytes_in();
  for (Line& line : lines_) {
    if (line.connection->is_open()) on_turn(*line.connection);
  }
  arm_pacer();
  while (!is_over()) uv_run(loop_, UV_RUN_ONCE);
  sending_ = false;
  const uint64_t now = uv_hrtime();
  if (schedule_) schedule_->give_up(std::min(now, end_), result_.unsent);
  result_.finish(now);
  while (unanswered_ > 0) uv_run(loop_, UV_RUN_ONCE);
  for (Line& line : lines_) result_.bytes_in += line.connection->bytes_in();
  result_.bytes_in -= bytes_before;
  schedule_.reset();
  return std::move(result_);
}

void Load::interrupt() { interrupted_ = true; }

bool Load::is_over() const {
  if (interrupted_) return true;
  if (phase_.fill) return fill_left_ == 0 || uv_hrtime() >= result_.last_ok() + kFillPatience;
  if (schedule_ && schedule_->exhausted()) return true;
  if (!schedule_ && phase_.count > 0 && sent_ >= phase_.count) return true;
  return uv_hrtime() >= end_;
}

bool Load::may_send(uint64_t now) const {
  if (!sending_ || interrupted_) return false;
  if (schedule_) return schedule_->is_due(now);
  if (phase_.fill) return fill_next_ < options_.keys || !fill_again_.empty();
  return now < end_ && (phase_.count == 0 || sent_ < phase_.count);
}

std::optional<Load::Request> Load::draw() {
  if (!phase_.fill) {
    const Kind kind = kinds_.size() == 1 ? kinds_[0] : kinds_[random_.below(kinds_.size())];
    return Request{kind, chooser_.next()};
  }
  if (!fill_again_.empty()) {
    const uint64_t key = fill_again_.back();
    fill_again_.pop_back();
    return Request{Kind::kPut, key};
  }
  if (fill_next_ < options_.keys) return Request{Kind::kPut, fill_next_++};
  return std::nullopt;
}

bool Load::send_one(Line& line, uint64_t now) {
  if (!may_send(now)) return false;
  const std::optional<Request> request = draw();
  if (!request) return false;
  CHECK(line.unanswered < line.ring.size());
  Pending& pending = line.ring[(line.head + line.unanswered) % line.ring.size()];
  pending = {schedule_ ? std::min(now, schedule_->take()) : now, now, request->key, request->kind};
  ++line.unanswered;
  ++unanswered_;
  ++sent_;
  const size_t bytes = request->kind == Kind::kPut ? options_.value_sizes.next(random_) : 0;
  texts_[line.server].append(request->kind, request->key, bytes, line.connection->output());
  return true;
}

void Load::send_all(Line& line, uint64_t now) {
  if (!line.connection->is_open() || now < line.not_before || !is_allowed(line.server)) return;
  while (line.unanswered < line.ring.size() && send_one(line, now)) continue;
  line.connection->flush();
  if (schedule_ && line.unanswered < line.ring.size() && !line.queued) {
    line.queued = true;
    idle_.push_back(&line);
  }
}

// Due requests go one by one to the connections that have been free the longest.
void Load::send_due() {
  const uint64_t now = uv_hrtime();
  size_t next = 0;
  touched_.clear();
  for (; next < idle_.size() && may_send(now); ++next) {
    Line* line = idle_[next];
    line->queued = false;
    const bool full = line->unanswered == line->ring.size();  // it may have been used since it was queued
    if (full || !line->connection->is_open() || now < line->not_before || !is_allowed(line->server)) continue;
    if (!send_one(*line, now)) break;
    touched_.push_back(line);
    if (line->unanswered < line->ring.size()) {
      line->queued = true;
      idle_.push_back(line);
    }
  }
  idle_.erase(idle_.begin(), idle_.begin() + static_cast<ptrdiff_t>(next));
  for (Line* line : touched_) line->connection->flush();
  arm_pacer();
}

void Load::arm_pacer() {
  if (schedule_ && sending_ && !schedule_->exhausted()) {
    pacer_.start(schedule_->next());
  } else {
    pacer_.stop();
  }
}

void Load::on_open(Connection& connection) { on_turn(connection); }

void Load::on_turn(Connection& connection) {
  Line& line = lines_[connection.index()];
  now_ = 0;
  const uint64_t now = uv_hrtime();
  send_all(line, now);
  if (!is_allowed(line.server)) look_after(line, now);
}

void Load::on_response(Connection& connection, const Response& response) {
  Line& line = lines_[connection.index()];
  if (line.unanswered == 0) {  // what nobody asked for: as useless as no HTTP
    connection.close();
    return on_lost(connection, UV_EPROTO);
  }
  if (now_ == 0) now_ = uv_hrtime();
  const Pending pending = line.ring[line.head];
  line.head = (line.head + 1) % line.ring.size();
  --line.unanswered;
  --unanswered_;
  judge(line, pending, response);
}

void Load::judge(Line& line, const Pending& pending, const Response& response) {
  const bool missing = response.status == 404 && pending.kind != Kind::kPut && response.body.empty();
  if (response.status / 100 == 2 || missing) {
    result_.record_ok(pending.kind, line.server, now_ - pending.intended, now_, !missing);
    if (phase_.fill && fill_left_ > 0) --fill_left_;
    return;
  }
  if (response.status == 503) line.not_before = now_ + kRespite;
  fail(line, pending, name_of_refusal(response), client::problem_member(response.body, "outcome"));
}

void Load::fail(Line& line, const Pending& pending, std::string_view what, std::string_view outcome) {
  result_.record_failure(line.server, what, outcome);
  if (phase_.fill) fill_again_.push_back(pending.key);
}

void Load::fail_unanswered(Line& line, std::string_view what) {
  for (; line.unanswered > 0; --line.unanswered, --unanswered_) {
    const Pending pending = line.ring[line.head];
    line.head = (line.head + 1) % line.ring.size();
    fail(line, pending, what, is_write(pending.kind) ? "unknown" : "");
  }
}

void Load::on_lost(Connection& connection, int why) {
  Line& line = lines_[connection.index()];
  now_ = 0;
  if (!connection.tls_failure().empty()) tls_failure_ = connection.tls_failure();
  fail_unanswered(line, name_of_loss(why));
  if (why != UV_ECONNREFUSED && !result_.servers.empty()) ++result_.servers[line.server].connections_lost;
  line.not_before = uv_hrtime() + kRedial;
}

void Load::look_after(Line& line, uint64_t now) {
  Connection& connection = *line.connection;
  if (line.unanswered > 0 && now > line.ring[line.head].sent + options_.timeout_ns) {
    connection.close();
    fail_unanswered(line, "timed out");
  }
  if (!connection.is_closed() && line.unanswered == 0 && !is_allowed(line.server)) connection.close();
  if (connection.is_closed()) {
    if (now >= line.not_before || !is_allowed(line.server)) dial(line);
  } else if (sending_ && line.unanswered < line.ring.size()) {
    send_all(line, now);
  }
}

void Load::on_tick() {
  ticker_.start(kTick);
  const uint64_t now = uv_hrtime();
  for (Line& line : lines_) look_after(line, now);
  if (!sending_) return;
  result_.tick(now);
  if (now >= progress_at_ && phase_.on_progress) {
    progress_at_ += 1'000 * kMillisecond;
    phase_.on_progress(result_);
  }
}

}  // namespace kvd::load
