// See clients.hpp. A client is as simple as can be: one request at a time, to its own server or any other,
// and no repetition of anything that failed.
#include "cluster/clients.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "judge/committed.hpp"

namespace kvd::testing {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kKeys = 5;
constexpr Duration kPace = milliseconds(4);
// A server that did not answer, or that cannot serve, is left alone for so long, as a client would: it may
// cost the whole timeout each time.
constexpr Duration kLeftAlone = milliseconds(300);
constexpr Duration kPatience = milliseconds(500);  // beyond the time that the server was given

}  // namespace

struct Clients::Client {
  Prng random;
  int number = 0;
  uint64_t newest_write = 0;                  // revision of the newest of its own that was acknowledged
  std::map<std::string, uint64_t> revisions;  // of keys, as it knows them
};

Clients::Clients(std::vector<Address> servers, int count, uint64_t seed) : servers_(std::move(servers)) {
  for (int i = 0; i < count; ++i)
    threads_.emplace_back([this, i, seed] { run(i, seed + static_cast<uint64_t>(i)); });
}

void Clients::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

HttpOperation Clients::draw(Client& client) {
  HttpOperation operation;
  operation.client = client.number;
  operation.key = fmt::format("g{}-{}", generation_.load(), client.random.below(kKeys));
  operation.timeout_ms = client.random.one_in(4) ? 300 : 1500;
  const uint64_t kind = client.random.below(100);
  if (kind < 55) {
    operation.kind = HttpOperation::kPut;
    operation.value = sim::make_value(++values_, client.random.one_in(50) ? 20'000 : 10);
    if (kind < 25) operation.condition = only_if(client.revisions[operation.key]);
  } else if (kind < 65) {
    operation.kind = HttpOperation::kDelete;
    if (client.random.one_in(2)) operation.condition = only_if(client.revisions[operation.key]);
    if (operation.condition.if_none_match) operation.condition = {};  // it would only ever be refused
  } else if (kind < 85) {
    operation.linear = true;
  } else {
    operation.min_rev = client.newest_write;
  }
  return operation;
}

void Clients::run(int number, uint64_t seed) {
  Client client{Prng(seed), number, 0, {}};
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (const Address& server : servers_) connections.push_back(std::make_unique<HttpConnection>(server));
  std::vector<Clock::time_point> left_alone_until(servers_.size());
  for (; !stopping_; std::this_thread::sleep_for(kPace)) {
    // Mostly its own one, so that a server that is cut off from the others keeps those who know it.
    const size_t server = client.random.one_in(3) ? client.random.below(servers_.size())
                                                  : static_cast<size_t>(number) % servers_.size();
    if (Clock::now() < left_alone_until[server]) continue;
    HttpOperation operation = draw(client);
    operation.server = static_cast<int>(server);
    const size_t index = history_.begin(operation);
    const HttpAnswer answer =
        connections[server]->call(operation.call(), milliseconds(operation.timeout_ms) + kPatience);
    const uint64_t revision = history_.finish(index, answer);
    if (answer.status == 0 || answer.status > 500) left_alone_until[server] = Clock::now() + kLeftAlone;
    if (operation.kind != HttpOperation::kRead) client.newest_write = std::max(client.newest_write, revision);
    client.revisions[operation.key] = operation.kind == HttpOperation::kDelete ? 0 : revision;
  }
}

std::string Clients::read_back(Duration limit) {
  const auto deadline = Clock::now() + limit;
  for (size_t server = 0; server < servers_.size(); ++server) {
    HttpConnection connection(servers_[server]);
    for (const std::string& key : history_.keys()) {
      HttpOperation read;
      read.key = key;
      read.linear = true;
      read.server = static_cast<int>(server);
      for (HttpAnswer answer; answer.status != 200 && answer.status != 404;) {
        if (Clock::now() >= deadline) return fmt::format("{} at server {}", key, server + 1);
        const size_t index = history_.begin(read);
        answer = connection.call(read.call(), seconds(5));
        history_.finish(index, answer);
        if (answer.status == 0 || answer.status > 500) std::this_thread::sleep_for(kPace);
      }
    }
  }
  return "";
}

}  // namespace kvd::testing
