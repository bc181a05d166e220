// See workload.hpp.
#include "workload.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/decimal.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

template <class... Kinds>
bool is_any(const Answer& answer) {
  return (std::holds_alternative<Kinds>(answer) || ...);
}

// Each attempt comes by a connection of its own.
RequestId id_of(uint64_t number) { return request_id(static_cast<uint32_t>(number), 0); }

}  // namespace

bool answers(const StoreCall& request, const Answer& answer) {
  const Operation& operation = request.operation;
  if (std::holds_alternative<Box<Fenced>>(answer)) return static_cast<bool>(request.fence);
  if (const auto* failed = std::get_if<Failed>(&answer)) {
    // What a transaction finds may be too long to be remembered.
    const bool remembered =
        std::holds_alternative<Box<Transaction>>(operation) && !request.idempotency_key.empty();
    return failed->code != ErrorCode::kInvalid && (failed->code != ErrorCode::kTooLarge || remembered) &&
           failed->code != ErrorCode::kKeyReused && failed->code != ErrorCode::kKeyEvicted;
  }
  if (std::holds_alternative<ReadKey>(operation)) return is_any<KeyFound, KeyMissing>(answer);
  if (std::holds_alternative<ListKeys>(operation)) return is_any<Listing>(answer);
  if (std::holds_alternative<PutKey>(operation)) return is_any<KeyWritten, ConditionFailed>(answer);
  if (std::holds_alternative<DeleteKey>(operation))
    return is_any<KeyDeleted, KeyAbsent, ConditionFailed>(answer);
  if (std::holds_alternative<DeletePrefix>(operation)) return is_any<PrefixDeleted>(answer);
  if (std::holds_alternative<WriteBatch>(operation)) return is_any<BatchWritten>(answer);
  if (std::holds_alternative<Box<Transaction>>(operation)) return is_any<Box<TxnDone>>(answer);
  if (std::holds_alternative<AddNumber>(operation)) return is_any<NumberIs, ConditionFailed>(answer);
  if (std::holds_alternative<AppendBytes>(operation)) return is_any<KeyWritten, ConditionFailed>(answer);
  if (std::holds_alternative<ChangeSettings>(operation)) return is_any<SettingsChanged>(answer);
  if (std::holds_alternative<MoveLeader>(operation)) return is_any<LeaderMoved>(answer);
  return true;
}

Workload::Workload(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context), hosts_(hosts), checkers_(checkers) {
  for (int64_t i = 0; i < context.options.keys; ++i)
    keys_.push_back(fmt::format("{}/{}", i % 2 == 0 ? 'a' : 'b', i));
  clients_.resize(static_cast<size_t>(context.options.clients) + 1);
}

void Workload::start() {
  for (size_t i = 0; i + 1 < clients_.size(); ++i) go_on(static_cast<int>(i), true);
}

void Workload::stop() { stopped_ = true; }

void Workload::start_round(const std::vector<int>& servers) {
  ++rounds_;
  tasks_.clear();
  task_request_ = RequestId(0);
  for (int server : servers) tasks_.push_back({server, PutKey{keys_[0], new_value(), {}}});
  for (const std::string& key : keys_) {
    tasks_.push_back({servers[context_.prng.below(servers.size())], ReadKey{key}});
  }
  const auto read_too = [&](std::string_view key) {
    tasks_.push_back({servers[context_.prng.below(servers.size())], ReadKey{std::string(key)}});
  };
  if (context_.options.txn != 0) {
    std::for_each(std::begin(kTxnKeys), std::end(kTxnKeys), read_too);
    std::for_each(std::begin(kNumbers), std::end(kNumbers), read_too);
  }
  go_on(static_cast<int>(clients_.size()) - 1, false);
}

std::string Workload::round_left() const {
  if (round_done()) return {};
  return fmt::format("{} by s{}", to_text(tasks_.front().operation), tasks_.front().server);
}

void Workload::next(int index) {
  Client& client = clients_[index];
  const bool closing_client = index + 1 == static_cast<int>(clients_.size());
  if (closing_client) {
    if (tasks_.empty()) return;
    StoreCall request;
    request.operation = tasks_.front().operation;
    // Each try is a write of its own: the former one may still be on its way.
    if (auto* put = std::get_if<PutKey>(&request.operation)) put->value = new_value();
    request.read = ReadMode::kLinear;
    send(index, tasks_.front().server, std::move(request), milliseconds(1000));
    task_request_ = id_of(requests_);
    return;
  }
  if (stopped_ || history_.operations().size() >= static_cast<size_t>(context_.options.operations_max))
    return;
  send(index, static_cast<int>(context_.prng.below(context_.options.servers)), make_request(client),
       Duration(context_.options.timeout_us));
}

StoreCall Workload::make_request(Client& client) {
  // Without transactions nothing is drawn for them, as without fences.
  const bool txn =
      context_.options.txn != 0 && context_.prng.below(100) < static_cast<uint64_t>(context_.options.txn);
  if (txn) return make_txn_request(client);
  StoreCall request;
  const std::string key = any_key();
  const uint64_t kind = context_.prng.below(100);
  if (kind < 50) {
    request.operation = make_write(client);
    const bool keyed = context_.prng.below(100) < static_cast<uint64_t>(context_.options.keyed);
    const bool data = !std::holds_alternative<ChangeSettings>(request.operation) &&
                      !std::holds_alternative<MoveLeader>(request.operation);
    if (keyed && data) request.idempotency_key = fmt::format("once-{}", requests_);
    // Without fences nothing is drawn for them, so that such runs keep their course.
    const bool fenced = context_.options.fenced != 0 &&
                        context_.prng.below(100) < static_cast<uint64_t>(context_.options.fenced);
    if (fenced && data) request.fence = make_fence(client);
  } else if (kind < 85) {
    request.operation = ReadKey{key};
  } else {
    request.operation = make_list(key);
  }
  request.read = context_.prng.one_in(2) ? ReadMode::kLinear : ReadMode::kLocal;
  if (request.read == ReadMode::kLocal && context_.prng.one_in(2)) request.min_revision = client.token;
  return request;
}

Operation Workload::make_write(Client& client) {
  const uint64_t kind = context_.prng.below(100);
  if (context_.prng.below(100) < static_cast<uint64_t>(context_.options.settings)) return make_settings();
  if (context_.prng.below(100) < static_cast<uint64_t>(context_.options.moves)) return make_move();
  if (kind < 70) return make_put(client);
  const std::string& key = any_key();
  if (kind < 85) return DeleteKey{key, make_condition(client, key)};
  if (kind < 95) return make_batch();
  return DeletePrefix{prefix_of(key), kind < 98 ? 0 : static_cast<uint32_t>(kind - 97)};
}

Operation Workload::make_put(Client& client) {
  const std::string& key = any_key();
  return PutKey{key, new_value(), make_condition(client, key)};
}

Operation Workload::make_batch() {
  WriteBatch batch;
  const uint64_t count = 1 + context_.prng.below(4);
  for (uint64_t i = 0; i < count; ++i) {
    BatchOp op;
    op.key = any_key();
    if (!context_.prng.one_in(3)) op.value = new_value();
    batch.ops.push_back(std::move(op));
  }
  return batch;
}

StoreCall Workload::make_txn_request(Client& client) {
  StoreCall request;
  request.read = ReadMode::kLinear;
  if (context_.prng.one_in(6)) {
    request.operation = ReadKey{context_.prng.one_in(2) ? txn_key() : number_key()};
    return request;
  }
  request.operation = make_txn_write(client);
  if (context_.prng.below(100) < static_cast<uint64_t>(context_.options.keyed))
    request.idempotency_key = fmt::format("once-{}", requests_);
  if (context_.options.fenced != 0 && context_.prng.one_in(4)) request.fence = make_fence(client);
  return request;
}

Operation Workload::make_txn_write(Client& client) {
  switch (context_.prng.below(10)) {
    case 0:
    case 1:
      return AddNumber{number_key(), amount(), {}};
    case 2:
      return AppendBytes{std::string(kTxnLog), Bytes(fmt::format("{};", ++values_)), {}};
    case 3: {
      const std::string key = txn_key();
      return PutKey{key, new_value(), make_condition(client, key)};
    }
    case 4: {
      const std::string key = context_.prng.one_in(2) ? txn_key() : std::string(kTxnLog);
      return DeleteKey{key, make_condition(client, key)};
    }
    default:
      return make_transaction(client);
  }
}

// Every other one moves an amount between the two numbers, if there is as much.
Transaction Workload::make_transaction(const Client& client) {
  Transaction transaction;
  if (context_.prng.one_in(2)) {
    const int64_t by = context_.prng.between(1, 5);
    const size_t from = context_.prng.below(2);
    transaction.conditions.push_back({std::string(kNumbers[from]), TxnCondition::Of::kValue,
                                      TxnCondition::Is::kGreater, 0, Bytes(std::to_string(by))});
    transaction.then_ops = {{TxnOp::Kind::kAdd, std::string(kNumbers[from]), {}, -by},
                            {TxnOp::Kind::kAdd, std::string(kNumbers[1 - from]), {}, by}};
    transaction.else_ops = {{TxnOp::Kind::kAdd, std::string(kNumbers[from]), {}, 2 * by}};
    return transaction;
  }
  for (uint64_t i = context_.prng.below(3); i > 0; --i)
    transaction.conditions.push_back(make_txn_condition(client));
  for (auto* branch : {&transaction.then_ops, &transaction.else_ops}) {
    for (uint64_t i = 1 + context_.prng.below(4); i > 0; --i) branch->push_back(make_txn_op());
  }
  return transaction;
}

TxnCondition Workload::make_txn_condition(const Client& client) {
  TxnCondition condition;
  condition.key = txn_key();
  condition.of = static_cast<TxnCondition::Of>(context_.prng.below(3));
  if (condition.of == TxnCondition::Of::kExists) {
    condition.number = context_.prng.below(2);
    return condition;
  }
  condition.is = static_cast<TxnCondition::Is>(context_.prng.below(4));
  const auto seen = client.seen.find(condition.key);
  const uint64_t revision = seen != client.seen.end() ? seen->second.value : client.token.value;
  condition.number = condition.of == TxnCondition::Of::kRevision ? revision : context_.prng.below(4);
  return condition;
}

TxnOp Workload::make_txn_op() {
  switch (context_.prng.below(6)) {
    case 0:
    case 1:
      return {TxnOp::Kind::kPut, txn_key(), new_value(), 0};
    case 2:
      return {TxnOp::Kind::kDelete, txn_key(), {}, 0};
    case 3:
      return {TxnOp::Kind::kAdd, number_key(), {}, amount()};
    case 4:
      return {TxnOp::Kind::kAppend, std::string(kTxnLog), Bytes(fmt::format("{};", ++values_)), 0};
    default:
      return {TxnOp::Kind::kGet, context_.prng.one_in(2) ? number_key() : txn_key(), {}, 0};
  }
}

std::optional<std::string> Workload::check_together(uint64_t steps_max, int& undecided) const {
  if (context_.options.txn == 0) return std::nullopt;
  std::set<uint64_t> others;  // revisions: what else was done is no question here
  std::set<uint64_t> ours;
  for (const auto& [key, effects] : checkers_.committed().keys()) {
    for (const auto& [revision, effect] : effects)
      (key.starts_with(kTxnPrefix) ? ours : others).insert(revision.value);
  }
  std::erase_if(others, [&](uint64_t revision) { return ours.contains(revision); });
  if (auto why = history_.check_together(std::string(kTxnPrefix), std::move(others), steps_max, undecided))
    return why;
  const Revision newest = checkers_.committed().newest();
  for (const std::string_view key : kNumbers) {
    Revision modified;
    const Record* now = checkers_.committed().latest(std::string(key), newest, &modified);
    const int64_t value = now != nullptr ? parse_decimal(now->value()).value_or(INT64_MIN) : 0;
    if (auto why = history_.check_sum(std::string(key), lineage_of(newest), value)) return why;
  }
  return std::nullopt;
}

// No more than could be in sync at the end.
Operation Workload::make_settings() {
  const int64_t whole = std::max<int64_t>(1, context_.options.servers - context_.options.sparse);
  return ChangeSettings{static_cast<uint32_t>(context_.prng.between(1, whole))};
}

Operation Workload::make_move() {
  MoveLeader move;
  if (context_.prng.one_in(2)) {
    move.to =
        ServerId{fmt::format("s{}", context_.prng.below(static_cast<uint64_t>(context_.options.servers)))};
  }
  return move;
}

Operation Workload::make_list(const std::string& key) {
  ListKeys list;
  if (!context_.prng.one_in(3)) list.prefix = prefix_of(key);
  if (context_.prng.one_in(4)) list.after = any_key();
  list.limit = context_.prng.one_in(3) ? 2 : 100;
  list.keys_only = context_.prng.one_in(5);
  return list;
}

Condition Workload::make_condition(Client& client, const std::string& key) {
  Condition condition;
  switch (context_.prng.below(12)) {
    case 0:
    case 1:
      condition.if_none_match = EntityTags{true, {}};
      break;
    case 2:
      condition.if_none_match = some_tags(client, key);
      break;
    case 3:
    case 4:
      if (client.seen.contains(key)) condition.if_match = some_tags(client, key);
      break;
    case 5:
      condition.if_match = EntityTags{true, {}};
      break;
    default:
      break;
  }
  return condition;
}

// As a holder of a lock writes who now and then is another one, and does not notice at once that it has lost it.
Fence Workload::make_fence(Client& client) {
  const std::string resource = context_.prng.one_in(2) ? "lock/a" : "lock:b";
  uint64_t& own = client.tokens[resource];
  if (own == 0 || context_.prng.one_in(10)) own = ++tokens_[resource];
  return Fence{resource, own};
}

// What the client has seen of the key, and perhaps tags that are none of it any more, or never were.
EntityTags Workload::some_tags(const Client& client, const std::string& key) {
  EntityTags tags;
  for (const auto& [seen, revision] : client.seen) {
    if (seen == key || context_.prng.one_in(4)) tags.revisions.push_back(revision);
  }
  if (context_.prng.one_in(2)) tags.revisions.push_back(client.token.next());
  return tags;
}

Bytes Workload::new_value() {
  const uint64_t number = ++values_;
  return Bytes(
      make_value(number, context_.prng.below(static_cast<uint64_t>(context_.options.value_bytes_max) + 1)));
}

void Workload::send(int client, int server, StoreCall request, Duration timeout) {
  ClientOperation operation;
  operation.request = std::move(request);
  operation.id = id_of(requests_ + 1);
  operation.timeout = timeout;
  operation.client = client;
  operation.server = server;
  operation.floor = floor_;
  const bool keyed = !operation.request.idempotency_key.empty();
  const size_t index = history_.begin(std::move(operation));
  if (keyed) repeats_left_[index] = static_cast<int>(context_.prng.below(6));
  attempt(index, server);
}

// Each attempt is a request of its own with the same content.
void Workload::attempt(size_t index, int server) {
  const ClientOperation& operation = history_.operation(index);
  const RequestId id = id_of(++requests_);
  const Duration patience = operation.timeout + kReplyGrace;
  ++clients_[operation.client].turn;
  outstanding_.emplace(id, Outstanding{index, server});
  context_.queue.after(delay(), [this, id] { arrive(id); });
  context_.queue.after(patience, [this, id] { give_up(id); });
  if (healed_at_ == SIZE_MAX && context_.prng.one_in(40)) {
    context_.queue.after(context_.up_to(200'000), [this, id] { cancel(id); });
  }
}

// What became of the last attempt is unknown, or it was refused. True: the client, at some server, tries once more.
bool Workload::try_again(size_t index) {
  auto found = repeats_left_.find(index);
  if (found == repeats_left_.end() || found->second == 0 || stopped_) return false;
  --found->second;
  const int client = history_.operation(index).client;
  const int server = static_cast<int>(context_.prng.below(context_.options.servers));
  context_.queue.after(context_.up_to(context_.options.think_us_max),
                       [this, index, server, client, turn = clients_[client].turn] {
                         if (clients_[client].turn == turn) attempt(index, server);
                       });
  return true;
}

void Workload::arrive(RequestId id) {
  auto found = outstanding_.find(id);
  if (found == outstanding_.end()) return;
  const Outstanding outstanding = found->second;
  if (hosts_.host_state(outstanding.server) != HostState::kRunning) {
    outstanding_.erase(found);
    refused(outstanding.index);
    return;
  }
  delivered_.insert(id);
  const ClientOperation& operation = history_.operation(outstanding.index);
  hosts_.deliver(outstanding.server, Call{id, operation.request, operation.timeout});
}

void Workload::give_up(RequestId id) {
  auto found = outstanding_.find(id);
  if (found == outstanding_.end()) return;
  const ClientOperation& operation = history_.operation(found->second.index);
  if (found->second.index >= healed_at_ && delivered_.count(id) != 0) {
    context_.fail(Verdict::kLiveness,
                  fmt::format("s{} did not answer within its timeout: {}", found->second.server,
                              to_text(operation.request.operation)));
  }
  cancel(id);
}

void Workload::cancel(RequestId id) {
  auto found = outstanding_.find(id);
  if (found == outstanding_.end()) return;
  const Outstanding outstanding = found->second;
  outstanding_.erase(found);
  left_.insert(id);
  const bool delivered = delivered_.count(id) != 0;
  if (delivered) {
    hosts_.deliver(outstanding.server, CallCancelled{id});
    history_.operation(outstanding.index).repeated = true;
  }
  if (try_again(outstanding.index)) return;
  if (!delivered) history_.refuse(outstanding.index);
  go_on(history_.operation(outstanding.index).client, false);
}

void Workload::on_reply(int server, NumberedAnswer reply) {
  if (answered_.count(reply.id) != 0) {
    context_.fail(Verdict::kCorrectness, fmt::format("s{} answers request {} twice", server, reply.id.value));
    return;
  }
  auto found = outstanding_.find(reply.id);
  if (found == outstanding_.end()) {
    if (left_.erase(reply.id) == 0) {
      context_.fail(Verdict::kCorrectness,
                    fmt::format("s{} answers request {}, which nobody asked", server, reply.id.value));
    }
    return;
  }
  const Outstanding outstanding = found->second;
  outstanding_.erase(found);
  answered_.insert(reply.id);
  const ClientOperation& operation = history_.operation(outstanding.index);
  if (outstanding.server != server || !answers(operation.request, reply.answer)) {
    context_.fail(Verdict::kCorrectness,
                  fmt::format("s{} answers {} with {}", server, to_text(operation.request.operation),
                              to_text(reply.answer)));
    return;
  }
  checkers_.on_reply(server, operation.request, reply, operation.floor);
  const size_t index = outstanding.index;
  context_.queue.after(delay(), [this, index, reply = std::move(reply)] { hear(index, reply); });
}

void Workload::on_process_died(int server) {
  for (auto it = outstanding_.begin(); it != outstanding_.end();) {
    if (it->second.server != server || delivered_.count(it->first) == 0) {
      ++it;
      continue;
    }
    // The client's connection is reset: it does not know what became of its request.
    const size_t index = it->second.index;
    it = outstanding_.erase(it);
    history_.operation(index).repeated = true;
    context_.queue.after(delay(), [this, index] {
      if (!try_again(index)) go_on(history_.operation(index).client, false);
    });
  }
}

void Workload::hear(size_t index, StoreAnswer reply) {
  const ClientOperation& before = history_.operation(index);
  const bool write = is_write(before.request.operation);
  const auto* failed = std::get_if<Failed>(&reply.answer);
  const bool fenced = std::holds_alternative<Box<Fenced>>(reply.answer);
  if (failed != nullptr || fenced) {
    const bool not_applied = fenced || failed->outcome == Outcome::kNotApplied;
    // Half of the deposed holders notice, and get another token before they write again.
    if (fenced && context_.prng.one_in(2))
      clients_[before.client].tokens.erase(before.request.fence->resource);
    if (write && not_applied && !before.repeated) checkers_.on_certainly_not(before.request);
    history_.finish(index, std::move(reply));
    if (!not_applied) history_.operation(index).repeated = true;
    if (not_applied || !try_again(index)) go_on(history_.operation(index).client, false);
    return;
  }
  if (write) ++acknowledged_writes_;
  if (write || before.request.read == ReadMode::kLinear) floor_ = std::max(floor_, reply.revision);
  remember(clients_[before.client], before, reply);
  history_.finish(index, std::move(reply));
  const ClientOperation& done = history_.operation(index);
  const bool task = done.client + 1 == static_cast<int>(clients_.size());
  go_on(done.client, !task || done.id == task_request_);
}

void Workload::refused(size_t index) {
  history_.refuse(index);
  go_on(history_.operation(index).client, false);
}

void Workload::remember(Client& client, const ClientOperation& operation, const StoreAnswer& reply) {
  client.token = std::max(client.token, reply.revision);
  if (const auto* put = std::get_if<PutKey>(&operation.request.operation)) {
    if (std::holds_alternative<KeyWritten>(reply.answer)) client.seen[put->key] = reply.revision;
  }
  if (const auto* found = std::get_if<KeyFound>(&reply.answer))
    client.seen[std::string(found->item.key())] = found->item.modified();
}

// A client thinks, then asks again. The closing client repeats what failed.
void Workload::go_on(int index, bool succeeded) {
  const bool closing_client = index + 1 == static_cast<int>(clients_.size());
  if (closing_client && succeeded && !tasks_.empty()) tasks_.erase(tasks_.begin());
  Duration think = context_.up_to(context_.options.think_us_max);
  if (context_.options.bursts != 0 && !context_.prng.one_in(4)) think /= 50;
  if (closing_client) think = milliseconds(succeeded ? 1 : 100);
  context_.queue.after(think, [this, index, turn = clients_[index].turn] {
    if (clients_[index].turn == turn) next(index);
  });
}

}  // namespace kvd::sim
