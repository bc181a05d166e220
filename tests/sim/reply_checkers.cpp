// See checkers.hpp: what clients are told, held against the committed history at the revision that the answer
// names.
#include <fmt/format.h>

#include <algorithm>

#include "checkers.hpp"

namespace kvd::sim {

void Checkers::on_reply(int server, const StoreCall& request, const StoreAnswer& reply, Revision floor) {
  if (std::holds_alternative<Failed>(reply.answer)) return;
  if (is_write(request.operation)) {
    check_written(server, request, reply);
  } else if (!std::holds_alternative<Box<Status>>(reply.answer)) {
    check_read(server, request, reply, floor);
  }
}

void Checkers::on_term_answer(int server, const StoreCall& call, const StoreAnswer& answer, Instant asked) {
  const std::string why = terms_.on_answer(call, answer, asked);
  if (!why.empty()) fail(fmt::format("s{} tells a client with terms: {}", server, why));
}

void Checkers::on_certainly_not(const StoreCall& request) { certainly_not_.push_back(request); }

// An acknowledged write is committed and is what the client asked for.
void Checkers::check_written(int server, const StoreCall& request, const StoreAnswer& reply) {
  if (request.fence) check_token(server, request, reply);
  if (const auto* put = std::get_if<PutKey>(&request.operation)) {
    const auto* written = std::get_if<KeyWritten>(&reply.answer);
    if (written == nullptr) return;
    check_effect(reply, put->key, put->value);
    const Entry* entry = committed_.at(reply.revision);
    if (entry == nullptr || data_effects(*entry) != 1) return;
    if (written->created != (entry->effects[0].version() == 1)) {
      fail(fmt::format("s{} says of {} created={}, its version is {}", server, put->key, written->created,
                       entry->effects[0].version()));
    }
  } else if (const auto* remove = std::get_if<DeleteKey>(&request.operation)) {
    if (!std::holds_alternative<KeyDeleted>(reply.answer)) return;
    check_effect(reply, remove->key, std::nullopt);
  } else if (const auto* batch = std::get_if<WriteBatch>(&request.operation)) {
    if (!std::holds_alternative<BatchWritten>(reply.answer)) return;
    for (auto op = batch->ops.begin(); op != batch->ops.end(); ++op) {
      const auto again =
          std::find_if(op + 1, batch->ops.end(), [&](const BatchOp& b) { return b.key == op->key; });
      if (op->value && again == batch->ops.end()) check_effect(reply, op->key, op->value);
    }
  } else if (const auto* transaction = std::get_if<Box<Transaction>>(&request.operation)) {
    const auto* done = std::get_if<Box<TxnDone>>(&reply.answer);
    if (done != nullptr) check_transaction(**transaction, **done, reply);
  } else if (const auto* add = std::get_if<AddNumber>(&request.operation)) {
    const auto* number = std::get_if<NumberIs>(&reply.answer);
    if (number != nullptr) check_effect(reply, add->key, Bytes(std::to_string(number->value)));
  } else if (const auto* prefix = std::get_if<DeletePrefix>(&request.operation)) {
    const auto* deleted = std::get_if<PrefixDeleted>(&reply.answer);
    if (deleted != nullptr && deleted->count > 0)
      check_deleted(server, *prefix, deleted->count, reply.revision);
  }
}

// What it put, and what it added to, is in one entry, unless an operation behind that one changed it again.
void Checkers::check_transaction(const Transaction& transaction, const TxnDone& done,
                                 const StoreAnswer& reply) {
  const std::vector<TxnOp>& ops = done.succeeded ? transaction.then_ops : transaction.else_ops;
  if (done.results.size() != ops.size())
    return fail(
        fmt::format("a transaction of {} operations has {} results", ops.size(), done.results.size()));
  for (size_t i = 0; i < ops.size(); ++i) {
    const TxnOp& op = ops[i];
    const auto again = std::find_if(
        ops.begin() + static_cast<std::ptrdiff_t>(i) + 1, ops.end(),
        [&](const TxnOp& later) { return later.key == op.key && later.kind != TxnOp::Kind::kGet; });
    if (again != ops.end()) continue;
    const auto* sum = std::get_if<OpAdded>(&done.results[i]);
    if (op.kind == TxnOp::Kind::kPut) check_effect(reply, op.key, op.value);
    if (sum != nullptr) check_effect(reply, op.key, Bytes(std::to_string(sum->value)));
  }
}

// The first keys with that prefix, in order, as many as one page may have.
void Checkers::check_deleted(int server, const DeletePrefix& asked, uint64_t count, Revision at) {
  const Entry* entry = committed_.at(at);
  if (entry == nullptr || data_effects(*entry) != count || (asked.limit != 0 && count > asked.limit)) {
    fail(
        fmt::format("s{} says that it deleted {} keys at revision {}, and did not", server, count, at.value));
    return;
  }
  std::string last;
  for (const Record& effect : entry->effects) {
    if (effect.space() != Space::kData) continue;
    last = std::max(last, std::string(effect.key()));
    if (!effect.has_value() && effect.key().starts_with(asked.prefix)) continue;
    fail(fmt::format("deleting {} also wrote {}", asked.prefix, effect.key()));
  }
  for (const auto& of_key : committed_.keys()) {
    const std::string& key = of_key.first;
    if (!key.starts_with(asked.prefix) || (count == asked.limit && key > last)) continue;
    Revision modified;
    const Record* effect = committed_.latest(key, at, &modified);
    if (effect != nullptr && effect->has_value())
      fail(fmt::format("deleting {} keys of {} at revision {} left {}", count, asked.prefix, at.value, key));
  }
}

// A token of an answered write is remembered, and nothing is done below a larger one (core/replica/fences.hpp).
void Checkers::check_token(int server, const StoreCall& request, const StoreAnswer& reply) {
  const auto& [resource, token] = *request.fence;
  const std::vector<uint64_t> seen = committed_.tokens(resource, reply.revision);
  if (const auto* fenced = std::get_if<Box<Fenced>>(&reply.answer)) {
    const uint64_t current = (*fenced)->current;
    if (current <= token || std::find(seen.begin(), seen.end(), current) == seen.end()) {
      fail(fmt::format("s{} refuses the token {} of {} for {}, which nobody has committed", server, token,
                       resource, current));
    }
    return;
  }
  const uint64_t newest = seen.empty() ? 0 : seen.back();
  const bool wrote =
      std::holds_alternative<KeyWritten>(reply.answer) || std::holds_alternative<KeyDeleted>(reply.answer);
  if (newest < token || (wrote && newest > token)) {
    fail(fmt::format("a write with the token {} of {} is acknowledged as revision {}, where that is {}",
                     token, resource, reply.revision.value, newest));
  }
}

void Checkers::check_effect(const StoreAnswer& reply, const std::string& key,
                            const std::optional<Bytes>& value) {
  const Entry* entry = committed_.at(reply.revision);
  if (entry == nullptr) {
    fail(fmt::format("a write of {} is acknowledged as revision {}, which nobody has committed", key,
                     reply.revision.value));
    return;
  }
  for (const Record& effect : entry->effects) {
    const bool same = value ? effect.has_value() && effect.value() == value->view() : !effect.has_value();
    if (effect.space() == Space::kData && effect.key() == key && same) return;
  }
  fail(fmt::format("a write of {} is acknowledged as revision {}, which is another write", key,
                   reply.revision.value));
}

void Checkers::check_read(int server, const StoreCall& request, const StoreAnswer& reply, Revision floor) {
  if (reply.revision < request.min_revision && request.read == ReadMode::kLocal) {
    fail(fmt::format("s{} was asked for revision {} at least and shows {}", server,
                     request.min_revision.value, reply.revision.value));
  }
  const bool exempt = context_.options.twin_us != 0 && lineage_of(reply.revision) != lineage_of(floor);
  if (reply.revision < floor && request.read == ReadMode::kLinear && !exempt) {  // rule 11
    fail(fmt::format("s{}'s linear read shows revision {}; {} had been acknowledged before it was asked",
                     server, reply.revision.value, floor.value));
  }
  if (const auto* read = std::get_if<ReadKey>(&request.operation)) {
    if (const auto* found = std::get_if<KeyFound>(&reply.answer)) {
      if (found->item.key() != read->key)
        fail(fmt::format("s{} answers {} with {}", server, read->key, found->item.key()));
      check_item(server, found->item, reply.revision, true);
    } else if (const auto* missing = std::get_if<KeyMissing>(&reply.answer)) {
      if (missing->complete) check_missing(server, read->key, reply.revision);
    }
  } else if (const auto* list = std::get_if<ListKeys>(&request.operation)) {
    if (const auto* listing = std::get_if<Listing>(&reply.answer)) {
      check_listing(server, *list, *listing, reply.revision);
    }
  }
}

// Also an incomplete copy has only newest versions: what it has not seen updated it does not have at all.
void Checkers::check_item(int server, const Record& item, Revision at, bool with_value) {
  Revision modified;
  const Record* effect = committed_.latest(std::string(item.key()), at, &modified);
  if (effect == nullptr || !effect->has_value()) {
    fail(fmt::format("s{} shows {} at revision {}, where no such key is committed", server, item.key(),
                     at.value));
    return;
  }
  const bool same = item.modified() == modified && item.created() == effect->created() &&
                    item.version() == effect->version();
  if (!same || (with_value && item.value() != effect->value())) {
    fail(fmt::format(
        "s{} shows {} as of revision {} (version {}) at revision {}; committed is {} (version {})", server,
        item.key(), item.modified().value, item.version(), at.value, modified.value, effect->version()));
  }
}

void Checkers::check_missing(int server, const std::string& key, Revision at) {
  Revision modified;
  const Record* effect = committed_.latest(key, at, &modified);
  if (effect != nullptr && effect->has_value()) {
    fail(fmt::format("s{} misses {} at revision {}, which was written at {}", server, key, at.value,
                     modified.value));
  }
}

void Checkers::check_listing(int server, const ListKeys& request, const Listing& listing, Revision at) {
  std::string before = request.after;
  for (const Record& item : listing.items) {
    if (item.key() <= before && !before.empty())
      fail(fmt::format("s{} lists {} behind {}", server, item.key(), before));
    before = item.key();
    check_item(server, item, at, !request.keys_only);
  }
  if (!listing.complete) return;
  size_t next = 0;
  for (const auto& of_key : committed_.keys()) {
    const std::string& key = of_key.first;
    if (key.compare(0, request.prefix.size(), request.prefix) != 0 || key <= request.after) continue;
    if (next < listing.items.size() && listing.items[next].key() == key) {
      ++next;
    } else if (next < listing.items.size() || !listing.more) {
      check_missing(server, key, at);
    }
  }
}

}  // namespace kvd::sim
