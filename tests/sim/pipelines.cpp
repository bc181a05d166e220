// See pipelines.hpp.
#include "pipelines.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr uint64_t kSeed = 11;
constexpr uint32_t kFirstConnection = 1u << 29;  // apart from those of the workload and of status requests
constexpr uint32_t kPlaces = 1u << 31;
constexpr uint32_t kFirstPlace = kPlaces - 20;  // so that places begin again now and then
constexpr size_t kDepth = 12;
constexpr uint64_t kBurst = 8;  // writes, on average
constexpr Duration kWithinBurst = milliseconds(6);

}  // namespace

Pipelines::Pipelines(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(kSeed),
      writes_left_(static_cast<uint64_t>(context.options.operations_max)) {
  clients_.resize(static_cast<size_t>(context.options.pipelined));
}

void Pipelines::start() {
  for (Connection& client : clients_) act(client);
}

void Pipelines::act(Connection& client) {
  if (stopped_ || writes_left_ == 0) return;
  if (client.number == 0 || prng_.one_in(100)) {
    close(client);
    open(client);
  }
  if (client.number != 0 && client.waiting.size() < kDepth) send(client);
  context_.queue.after(pause(), [this, &client] { act(client); });
}

// Writes come in bursts, and last as long as the faults do.
Duration Pipelines::pause() {
  if (!prng_.one_in(kBurst))
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(kWithinBurst.count()))));
  const Options& options = context_.options;
  const int64_t mean =
      options.fault_phase_us * options.pipelined * static_cast<int64_t>(kBurst) / options.operations_max;
  return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(2 * mean) + 1)));
}

void Pipelines::open(Connection& client) {
  client = {};
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(client.server) == HostState::kRunning)
    client.number = kFirstConnection + ++connections_;
}

void Pipelines::close(Connection& client) {
  if (client.number == 0) return;
  for (const auto& [place, call] : client.waiting) hosts_.deliver(client.server, CallCancelled{call.id});
  client = {};
}

void Pipelines::send(Connection& client) {
  Call call;
  call.id = request_id(client.number, static_cast<uint32_t>((kFirstPlace + client.sent) % kPlaces));
  call.timeout = Duration(context_.options.timeout_us);
  StoreCall& request = std::get<StoreCall>(call.what);
  request.operation = make_write(client);
  if (prng_.one_in(3)) request.idempotency_key = fmt::format("pipeline-{}", call.id.value);
  --writes_left_;
  client.last_sent = context_.queue.now();
  client.waiting[client.sent++] = call;
  hosts_.deliver(client.server, std::move(call));
}

Operation Pipelines::make_write(const Connection& client) {
  const std::string key = fmt::format("pipeline/{}", prng_.below(3));
  if (prng_.one_in(6)) return DeleteKey{key, {}};
  Bytes value(fmt::format("{} of {}", ++values_, client.number));
  if (prng_.one_in(6)) return WriteBatch{{{key, std::move(value)}, {"pipeline/batch", std::nullopt}}};
  return PutKey{key, std::move(value), {}};
}

bool Pipelines::on_reply(int server, const NumberedAnswer& reply) {
  const uint32_t number = connection_of(reply.id);
  if (number <= kFirstConnection || number > kFirstConnection + connections_) return false;
  auto client = std::find_if(clients_.begin(), clients_.end(),
                             [number](const Connection& other) { return other.number == number; });
  if (client == clients_.end()) return true;  // it has closed that connection
  auto found = std::find_if(client->waiting.begin(), client->waiting.end(),
                            [&](const auto& waiting) { return waiting.second.id == reply.id; });
  if (found == client->waiting.end()) {
    context_.fail(Verdict::kCorrectness,
                  fmt::format("s{} answers pipelined request {} twice", server, reply.id.value));
    return true;
  }
  const auto [place, call] = std::move(*found);
  client->waiting.erase(found);
  const StoreCall& request = std::get<StoreCall>(call.what);
  checkers_.on_reply(server, request, reply, Revision(0));
  if (const auto* failed = std::get_if<Failed>(&reply.answer)) {
    if (failed->outcome == Outcome::kNotApplied) checkers_.on_certainly_not(request);
  } else if (!std::holds_alternative<KeyAbsent>(reply.answer)) {
    client->acknowledged[place] = reply.revision;
    check_order(*client, place);
  }
  return true;
}

void Pipelines::check_order(const Connection& client, uint64_t place) {
  auto later = client.acknowledged.find(place);
  if (later != client.acknowledged.begin()) --later;
  for (auto earlier = later++; later != client.acknowledged.end() && earlier->first <= place;
       earlier = later++) {
    if (earlier->second < later->second) continue;
    context_.fail(
        Verdict::kCorrectness,
        fmt::format("write {} of connection {} to s{} is revision {}, and write {} is {}", earlier->first,
                    client.number, client.server, earlier->second.value, later->first, later->second.value));
  }
}

void Pipelines::on_process_died(int server) {
  for (Connection& client : clients_) {
    if (client.server == server) client = {};
  }
}

std::string Pipelines::stuck() const {
  const Duration patience = Duration(context_.options.timeout_us) + kReplyGrace;
  for (const Connection& client : clients_) {
    if (!client.waiting.empty() && context_.queue.now() - client.last_sent > patience)
      return fmt::format("a pipelined write is not answered by s{}; ", client.server);
  }
  return {};
}

}  // namespace kvd::sim
