// See verify.hpp. Keys are used for a while and then left for new ones, each set with a record of its own, since the
// work of judging a key grows faster than the number of its operations.
#include "kvload/verify.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>

#include "client/stop_signals.hpp"
#include "judge/committed.hpp"
#include "judge/http_history.hpp"
#include "kvload/leader_watch.hpp"
#include "kvload/load.hpp"
#include "kvload/run_command.hpp"
#include "kvload/verify_draw.hpp"
#include "net/loop.hpp"

namespace kvd::load {
namespace {

using testing::HttpAnswer;
using testing::HttpHistory;
using testing::HttpOperation;

constexpr uint64_t kOperationsPerKey = 300;
constexpr uint64_t kLeftAlone = 200 * kMillisecond;  // a server that failed, by that client
constexpr uint64_t kPatience = 500 * kMillisecond;   // beyond the time that the server was given
constexpr double kReach = 10;                        // seconds for the first answer
constexpr double kReadBack = 30;                     // seconds for reading everything back
constexpr uint64_t kReadBackTimeoutMs = 2000;

// The keys in use for a while, and what was asked and told about them.
struct Generation {
  explicit Generation(Lineage lineage) : history(lineage) {}
  HttpHistory history;
  std::string prefix;
  uint64_t operations = 0;
};

std::string key_prefix(uint64_t seed) { return fmt::format("kvload-verify-{:x}-", seed); }

struct Seat {  // of one client at one server
  std::unique_ptr<Connection> connection;
  uint64_t left_alone_until = 0;
};

struct Client {
  std::vector<Seat> seats;                    // by server
  uint64_t newest_write = 0;                  // revision of the newest of its own that was acknowledged
  std::map<std::string, uint64_t> revisions;  // of keys of its generation, as it knows them
  Generation* revisions_of = nullptr;
  // What it waits for.
  bool asked = false;
  uint64_t deadline = 0;
  size_t server = 0;
  Generation* generation = nullptr;
  size_t number = 0;
  HttpOperation operation;
};

std::string bytes_of(const testing::HttpCall& call, const std::string& fields) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\n{}Content-Length: {}\r\n", call.method, call.target,
                                 fields, call.body.size());
  for (const auto& [name, content] : call.headers) text += fmt::format("{}: {}\r\n", name, content);
  return text + "\r\n" + call.body;
}

struct ReadBack {  // one read that has to succeed in the end
  Generation* generation = nullptr;
  HttpOperation operation;
};

class Verifier : public ConnectionOwner {
 public:
  Verifier(uv_loop_t* loop, const VerifyOptions& options, std::vector<Target> targets, uint64_t seed);

  Verdict run(const StopSignals& signals);

 private:
  void on_open(Connection&) override {}
  void on_turn(Connection&) override {}
  void on_response(Connection& connection, const Response& response) override;
  void on_lost(Connection& connection, int why) override;

  bool reach(const StopSignals& signals);
  void work(const StopSignals& signals);
  void read_back(const StopSignals& signals);
  void plan_reads();
  Verdict judge();

  Client& client_of(const Connection& connection) { return clients_[connection.index() / targets_.size()]; }
  void on_tick();
  void ask_lineage(uint64_t now);
  void give_work(Client& client, uint64_t now);
  void give_read(Client& client, uint64_t now);
  HttpOperation draw(Client& client);
  bool send(Client& client, size_t server, Generation& generation, HttpOperation operation, uint64_t now);
  void finish(Client& client, const HttpAnswer& answer);
  void begin_generation();

  uv_loop_t* loop_;
  const VerifyOptions& options_;
  std::vector<Target> targets_;
  uint64_t seed_;
  Prng random_;
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Generation>> generations_;
  net::Timer ticker_;
  enum class State : uint8_t { kReaching, kWorking, kDraining, kReadingBack } state_ = State::kReaching;
  std::optional<Lineage> lineage_;
  uint64_t began_ = 0;
  uint64_t ended_ = 0;
  uint64_t sent_ = 0;
  uint64_t values_ = 0;
  uint64_t newest_ = 0;  // revision that any client had acknowledged
  uint64_t acknowledged_at_ = 0;
  uint64_t gap_ns_ = 0;
  std::vector<std::deque<ReadBack>> reads_;  // per server
  std::vector<bool> answers_;                // per server: it has, while read back
  size_t unread_ = 0;
  std::string unreachable_;
};

Verifier::Verifier(uv_loop_t* loop, const VerifyOptions& options, std::vector<Target> targets, uint64_t seed)
    : loop_(loop),
      options_(options),
      targets_(std::move(targets)),
      seed_(seed),
      random_(seed),
      clients_(options.clients),
      ticker_(loop, [this] { on_tick(); }) {
  for (size_t i = 0; i < clients_.size(); ++i) {
    for (size_t server = 0; server < targets_.size(); ++server)
      clients_[i].seats.push_back(
          {std::make_unique<Connection>(loop, *this, i * targets_.size() + server, Keep::kAll), 0});
  }
  ticker_.start(Duration(0));
}

void Verifier::begin_generation() {
  auto& generation = generations_.emplace_back(std::make_unique<Generation>(*lineage_));
  generation->prefix = fmt::format("{}{}-", key_prefix(seed_), generations_.size());
}

HttpOperation Verifier::draw(Client& client) {
  Generation& generation = *generations_.back();
  if (client.revisions_of != &generation) {
    client.revisions.clear();
    client.revisions_of = &generation;
  }
  HttpOperation operation;
  if (options_.txn) operation = draw_transfer(random_, options_, generation.prefix, ++values_);
  operation.client = static_cast<int>(&client - clients_.data());
  if (options_.txn) return operation;
  operation.key = fmt::format("{}{}", generation.prefix, random_.below(options_.keys));
  operation.timeout_ms = random_.one_in(4) ? 300 : 1500;
  const uint64_t kind = random_.below(100);
  if (kind < 50) {
    operation.kind = HttpOperation::kPut;
    operation.value = sim::make_value(++values_, random_.one_in(50) ? 20'000 : 10);
    if (kind < 15) operation.condition = testing::only_if(client.revisions[operation.key]);
  } else if (kind < 60) {
    operation.kind = HttpOperation::kDelete;
  } else if (kind < 80) {
    operation.linear = true;
  } else {
    operation.min_rev = client.newest_write;
  }
  return operation;
}

// False: there is no connection to that server now.
bool Verifier::send(Client& client, size_t server, Generation& generation, HttpOperation operation,
                    uint64_t now) {
  Seat& seat = client.seats[server];
  if (!seat.connection->is_open()) {
    if (seat.connection->is_closed() && now >= seat.left_alone_until)
      seat.connection->open(targets_[server].server);
    return false;
  }
  if (now < seat.left_alone_until) return false;
  operation.server = static_cast<int>(server);
  client.asked = true;
  client.deadline = now + operation.timeout_ms * kMillisecond + kPatience;
  client.server = server;
  client.generation = &generation;
  client.number = generation.history.begin(operation);
  ++generation.operations;
  seat.connection->output() += bytes_of(operation.call(), targets_[server].fields);
  client.operation = std::move(operation);
  seat.connection->flush();
  return true;
}

void Verifier::give_work(Client& client, uint64_t now) {
  // Mostly its own server, so that one that is cut off from the others keeps those who know it.
  const auto number = static_cast<size_t>(&client - clients_.data());
  const size_t server = random_.one_in(3) ? random_.below(targets_.size()) : number % targets_.size();
  if (generations_.back()->operations >= options_.keys * kOperationsPerKey) begin_generation();
  const Seat& seat = client.seats[server];
  const bool ready = seat.connection->is_open() && now >= seat.left_alone_until;
  HttpOperation operation;  // drawn only to be sent: the numbers of values have no holes then
  if (ready) operation = draw(client);
  if (send(client, server, *generations_.back(), std::move(operation), now)) ++sent_;
}

void Verifier::give_read(Client& client, uint64_t now) {
  const auto number = static_cast<size_t>(&client - clients_.data());
  for (size_t i = 0; i < targets_.size(); ++i) {
    const size_t server = (number + i) % targets_.size();
    if (reads_[server].empty()) continue;
    const ReadBack next = reads_[server].front();
    if (!send(client, server, *next.generation, next.operation, now)) continue;
    reads_[server].pop_front();
    return;
  }
}

void Verifier::ask_lineage(uint64_t now) {
  Client& client = clients_[0];
  for (size_t server = 0; server < targets_.size() && !client.asked; ++server) {
    Connection& connection = *client.seats[server].connection;
    if (connection.is_closed()) connection.open(targets_[server].server);
    if (!connection.is_open()) continue;
    client.asked = true;
    client.deadline = now + kPatience;
    client.server = server;
    connection.output() += fmt::format("GET /v1/cluster HTTP/1.1\r\n{}\r\n", targets_[server].fields);
    connection.flush();
  }
}

void Verifier::on_tick() {
  ticker_.start(milliseconds(1));
  const uint64_t now = uv_hrtime();
  const double due = static_cast<double>(now - began_) / 1e9 * options_.rate;
  for (Client& client : clients_) {
    if (client.asked && now > client.deadline) {
      client.seats[client.server].connection->close();
      finish(client, {});
    }
  }
  if (state_ == State::kReaching) {
    if (!lineage_) ask_lineage(now);
    return;
  }
  // What could not be sent in time is left out: here it is the order that matters, not the rate.
  if (state_ == State::kWorking && due > static_cast<double>(sent_ + clients_.size()))
    sent_ = static_cast<uint64_t>(due) - clients_.size();
  const size_t first = random_.below(clients_.size());
  for (size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[(first + i) % clients_.size()];
    if (client.asked) continue;
    if (state_ == State::kWorking && static_cast<double>(sent_) < due) give_work(client, now);
    if (state_ == State::kReadingBack) give_read(client, now);
  }
}

void Verifier::on_response(Connection& connection, const Response& response) {
  Client& client = client_of(connection);
  if (!client.asked || client.seats[client.server].connection.get() != &connection) return connection.close();
  if (state_ == State::kReaching) {
    client.asked = false;
    const std::string_view revision = field_of(response, "Kvd-Revision");
    if (!revision.empty()) lineage_ = lineage_of(Revision(std::stoull(std::string(revision))));
    return;
  }
  HttpAnswer answer;
  answer.status = response.status;
  answer.headers = response.fields;
  answer.body = response.body;
  finish(client, answer);
}

void Verifier::on_lost(Connection& connection, int) {
  Client& client = client_of(connection);
  Seat& seat = client.seats[connection.index() % targets_.size()];
  seat.left_alone_until = uv_hrtime() + kLeftAlone;
  if (client.asked && client.seats[client.server].connection.get() == &connection) finish(client, {});
}

void Verifier::finish(Client& client, const HttpAnswer& answer) {
  client.asked = false;
  if (state_ == State::kReaching) return;
  const uint64_t now = uv_hrtime();
  const bool failed = answer.status == 0 || answer.status > 500;
  if (failed) client.seats[client.server].left_alone_until = now + kLeftAlone;
  const uint64_t revision = client.generation->history.finish(client.number, answer);
  const HttpOperation& operation = client.operation;
  if (state_ == State::kReadingBack) {
    if (!failed) answers_[client.server] = true;
    if (!failed) --unread_;
    if (failed) reads_[client.server].push_back({client.generation, operation});
    return;
  }
  if (operation.kind != HttpOperation::kRead && revision != 0) {
    client.newest_write = std::max(client.newest_write, revision);
    newest_ = std::max(newest_, revision);
    gap_ns_ = std::max(gap_ns_, now - acknowledged_at_);
    acknowledged_at_ = now;
  }
  if (!failed && client.revisions_of == client.generation)
    client.revisions[operation.key] = operation.kind == HttpOperation::kDelete ? 0 : revision;
}

bool Verifier::reach(const StopSignals& signals) {
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(kReach * 1e9);
  while (!lineage_ && uv_hrtime() < end && !signals.stopped()) uv_run(loop_, UV_RUN_ONCE);
  if (!lineage_) unreachable_ = "none of --servers answers";
  return lineage_.has_value();
}

void Verifier::work(const StopSignals& signals) {
  begin_generation();
  began_ = acknowledged_at_ = uv_hrtime();
  const uint64_t end = began_ + static_cast<uint64_t>(options_.seconds * 1e9);
  state_ = State::kWorking;
  while (uv_hrtime() < end && !signals.stopped()) uv_run(loop_, UV_RUN_ONCE);
  ended_ = uv_hrtime();
  gap_ns_ = std::max(gap_ns_, ended_ - acknowledged_at_);
  state_ = State::kDraining;
  const auto busy = [](const Client& client) { return client.asked; };
  while (std::any_of(clients_.begin(), clients_.end(), busy)) uv_run(loop_, UV_RUN_ONCE);
}

// Every key from every server: by the leader's word, and from that server's own copy once it has all that was
// acknowledged.
void Verifier::plan_reads() {
  reads_.resize(targets_.size());
  answers_.resize(targets_.size());
  for (const auto& generation : generations_) {
    for (const std::string& key : generation->history.keys()) {
      HttpOperation read;
      read.key = key;
      read.timeout_ms = kReadBackTimeoutMs;
      for (auto& queue : reads_) {
        read.linear = true;
        read.min_rev = 0;
        queue.push_back({generation.get(), read});
        ++unread_;
        if (options_.txn) continue;
        read.linear = false;
        read.min_rev = newest_;
        queue.push_back({generation.get(), read});
        ++unread_;
      }
    }
  }
}

void Verifier::read_back(const StopSignals& signals) {
  plan_reads();
  state_ = State::kReadingBack;
  const uint64_t end = uv_hrtime() + static_cast<uint64_t>(kReadBack * 1e9);
  // A server that nobody has started again is not waited for, as long as another one answers.
  const uint64_t alone = uv_hrtime() + static_cast<uint64_t>(kReadBack * 1e9 / 6);
  const auto done = [&] {
    if (unread_ == 0) return true;
    if (uv_hrtime() < alone) return false;
    bool any = false;
    for (size_t server = 0; server < targets_.size(); ++server) {
      if (answers_[server] && !reads_[server].empty()) return false;
      any |= answers_[server];
    }
    return any && std::none_of(clients_.begin(), clients_.end(), [this](const Client& client) {
             return client.asked && answers_[client.server];
           });
  };
  while (!done() && uv_hrtime() < end && signals.count() < 2) uv_run(loop_, UV_RUN_ONCE);
  for (size_t server = 0; server < targets_.size(); ++server) {
    if (answers_[server] && !reads_[server].empty())
      unreachable_ =
          fmt::format("{} keys could not be read back from {}", reads_[server].size(), targets_[server].name);
  }
  if (std::none_of(answers_.begin(), answers_.end(), [](bool answer) { return answer; }))
    unreachable_ = "no server answers any more";
}

Verdict Verifier::judge() {
  Verdict verdict;
  verdict.seed = seed_;
  verdict.together = options_.txn;
  verdict.seconds = static_cast<double>(ended_ - began_) / 1e9;
  verdict.gap_ms = static_cast<double>(gap_ns_) / 1e6;
  verdict.unreachable = unreachable_;
  for (const auto& generation : generations_) {
    const HttpHistory::Counts counts = generation->history.counts();
    verdict.acknowledged += counts.acknowledged;
    verdict.unchanged += counts.done - counts.acknowledged;
    verdict.not_applied += counts.certainly_not;
    verdict.unknown += counts.unknown;
    verdict.linear_reads += counts.linear_reads;
    verdict.local_reads += counts.local_reads;
    verdict.keys += generation->history.keys().size();
    for (const auto& [what, count] : counts.failures) verdict.failures[what] += count;
    if (verdict.violation.empty()) verdict.violation = generation->history.violation();
  }
  if (verdict.violation.empty() && verdict.unreachable.empty() && verdict.acknowledged == 0)
    verdict.unreachable = "no write was acknowledged";
  return verdict;
}

Verdict Verifier::run(const StopSignals& signals) {
  if (reach(signals)) {
    work(signals);
    read_back(signals);
  }
  return judge();
}

}  // namespace

int verify_command(const VerifyOptions& options) {
  auto targets = resolve(options.servers, options.credentials);
  if (!targets) {
    fmt::print(stderr, "kvload: {}\n", targets.error().detail);
    return EX_UNAVAILABLE;
  }
  const uint64_t seed = options.seed != 0 ? options.seed : std::random_device()();
  Verdict verdict;
  {
    net::Loop loop;
    StopSignals signals(loop.get(), {SIGINT, SIGTERM}, [](int) {});
    Verifier verifier(loop.get(), options, std::move(*targets), seed);
    verdict = verifier.run(signals);
  }
  if (verdict.acknowledged == 0 && !verdict.unreachable.empty() && !options.json) {
    fmt::print(stderr, "kvload: {}\n", verdict.unreachable);
    return verdict.exit_code();
  }
  fmt::print("{}", options.json ? verdict_json(verdict) : verdict_text(verdict));
  if (verdict.acknowledged + verdict.unknown > 0)
    name_what_is_left(options.servers.front(), key_prefix(seed));
  return verdict.exit_code();
}

}  // namespace kvd::load
