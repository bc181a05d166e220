// See history.hpp.
#include "judge/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "judge/committed.hpp"
#include "judge/serializable.hpp"
#include "judge/store_model.hpp"
#include "msg/text.hpp"

namespace kvd::sim {
namespace {

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

void add_condition(const Condition& condition, KeyOperation& out) {
  if (condition.if_none_match) {
    out.if_absent = condition.if_none_match->any;
    for (Revision revision : condition.if_none_match->revisions)
      out.unless_revision.push_back(revision.value);
  }
  if (!condition.if_match) return;
  if (condition.if_match->any) {
    out.if_present = true;
  } else {
    out.if_revision.emplace();
    for (Revision revision : condition.if_match->revisions) out.if_revision->push_back(revision.value);
  }
}

// What a returned write was told.
void add_answer(const Answer& answer, KeyOperation& out) {
  if (const auto* written = std::get_if<KeyWritten>(&answer)) out.created = written->created;
  if (std::holds_alternative<KeyDeleted>(answer)) out.created = false;
  if (std::holds_alternative<KeyAbsent>(answer)) out.outcome = KeyOperation::kNothingThere;
  if (const auto* failed = std::get_if<ConditionFailed>(&answer)) {
    out.outcome = KeyOperation::kConditionFailed;
    out.current = failed->current ? failed->current->value : 0;
  }
}

std::optional<KeyOperation> project_write(const ClientOperation& operation, const std::string& key) {
  KeyOperation out;
  out.kind = KeyOperation::kWrite;
  if (const auto* put = std::get_if<PutKey>(&operation.request.operation)) {
    if (put->key != key) return std::nullopt;
    out.value = value_number(put->value.view());
    add_condition(put->condition, out);
  } else if (const auto* remove = std::get_if<DeleteKey>(&operation.request.operation)) {
    if (remove->key != key) return std::nullopt;
    add_condition(remove->condition, out);
  } else if (const auto* prefix = std::get_if<DeletePrefix>(&operation.request.operation)) {
    if (!starts_with(key, prefix->prefix)) return std::nullopt;
  } else if (const auto* batch = std::get_if<WriteBatch>(&operation.request.operation)) {
    auto last = std::find_if(batch->ops.rbegin(), batch->ops.rend(),
                             [&](const BatchOp& op) { return op.key == key; });
    if (last == batch->ops.rend()) return std::nullopt;
    out.value = last->value ? value_number(last->value->view()) : 0;
  } else {
    return std::nullopt;
  }
  if (operation.returned != UINT64_MAX) add_answer(operation.reply->answer, out);
  return out;
}

std::optional<KeyOperation> project_read(const ClientOperation& operation, const std::string& key) {
  if (operation.request.read != ReadMode::kLinear || operation.returned == UINT64_MAX) return std::nullopt;
  KeyOperation out;
  if (const auto* read = std::get_if<ReadKey>(&operation.request.operation)) {
    if (read->key != key) return std::nullopt;
    const auto* found = std::get_if<KeyFound>(&operation.reply->answer);
    out.value = found != nullptr ? value_number(found->item.value()) : 0;
    return out;
  }
  const auto* list = std::get_if<ListKeys>(&operation.request.operation);
  const auto* listing = std::get_if<Listing>(&operation.reply->answer);
  if (list == nullptr || listing == nullptr) return std::nullopt;
  if (!starts_with(key, list->prefix) || key <= list->after || list->keys_only) return std::nullopt;
  if (listing->more && (listing->items.empty() || key > listing->items.back().key())) return std::nullopt;
  for (const Record& item : listing->items) {
    if (item.key() == key) out.value = value_number(item.value());
  }
  return out;
}

// A page of a deletion that deleted as many keys as it may: nobody was told whether this key was one of them.
bool is_full_page(const ClientOperation& operation) {
  const auto* prefix = std::get_if<DeletePrefix>(&operation.request.operation);
  if (prefix == nullptr || prefix->limit == 0 || operation.returned == UINT64_MAX) return false;
  const auto* deleted = std::get_if<PrefixDeleted>(&operation.reply->answer);
  return deleted != nullptr && deleted->count == prefix->limit;
}

ClientOperation unanswered(ClientOperation operation) {
  operation.returned = UINT64_MAX;
  return operation;
}

}  // namespace

std::optional<KeyOperation> project(const ClientOperation& operation, const std::string& key) {
  if (operation.certainly_not) return std::nullopt;
  if (is_full_page(operation)) return project(unanswered(operation), key);
  std::optional<KeyOperation> out =
      is_write(operation.request.operation) ? project_write(operation, key) : project_read(operation, key);
  if (!out) return std::nullopt;
  out->called = operation.called;
  out->returned = operation.returned;
  return out;
}

size_t History::begin(ClientOperation operation) {
  operation.called = ++place_;
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

void History::finish(size_t index, StoreAnswer reply) {
  ClientOperation& operation = operations_[index];
  const auto* failed = std::get_if<Failed>(&reply.answer);
  const bool fenced = std::holds_alternative<Box<Fenced>>(reply.answer);
  if (failed == nullptr && !fenced) {
    operation.returned = ++place_;
  } else {
    // Of a repeated write a refusal speaks of the last attempt only.
    operation.certainly_not = (fenced || failed->outcome == Outcome::kNotApplied) && !operation.repeated;
  }
  operation.reply = std::move(reply);
}

void History::refuse(size_t index) { operations_[index].certainly_not = !operations_[index].repeated; }

std::optional<std::string> History::check(const std::vector<std::string>& keys, uint64_t steps_max,
                                          int& undecided) const {
  if (std::optional<std::string> why = check_fences()) return why;
  std::map<Lineage, RevisionOfValue> lineages;  // a write that is repeated may be done once in each
  for (const ClientOperation& operation : operations_) {
    if (operation.returned == UINT64_MAX) continue;
    RevisionOfValue& revisions = lineages[lineage_of(operation.reply->revision)];
    if (const auto* put = std::get_if<PutKey>(&operation.request.operation)) {
      if (std::holds_alternative<KeyWritten>(operation.reply->answer)) {
        revisions[value_number(put->value.view())] = operation.reply->revision.value;
      }
    } else if (const auto* found = std::get_if<KeyFound>(&operation.reply->answer)) {
      revisions[value_number(found->item.value())] = found->item.modified().value;
    }
  }
  for (const auto& [lineage, revisions] : lineages) {
    for (const std::string& key : keys) {
      std::vector<KeyOperation> projected;
      for (const ClientOperation& operation : operations_) {
        std::optional<KeyOperation> part = project(operation, key);
        if (!part) continue;
        if (operation.returned != UINT64_MAX && lineage_of(operation.reply->revision) != lineage) {
          // What was lost with a lineage may have been done in it before it was done again; and an attempt that was
          // given up may reach a later lineage, which does not remember the one that was answered. What has a key is
          // repeated by the servers as well.
          if (!operation.repeated && operation.request.idempotency_key.empty()) continue;
          part = project(unanswered(operation), key);
        }
        projected.push_back(*part);
      }
      const Linearizable verdict = check_key(projected, revisions, steps_max);
      if (verdict == Linearizable::kTooHard) ++undecided;
      if (verdict == Linearizable::kNo) {
        return fmt::format("the history of key {} in lineage {} is not linearizable ({} operations)", key,
                           lineage.value, projected.size());
      }
    }
  }
  return std::nullopt;
}

namespace {

// A key of it; empty: none of one, or of transactions'.
std::string a_key_of(const Operation& operation) {
  if (const auto* put = std::get_if<PutKey>(&operation)) return put->key;
  if (const auto* remove = std::get_if<DeleteKey>(&operation)) return remove->key;
  if (const auto* add = std::get_if<AddNumber>(&operation)) return add->key;
  if (const auto* append = std::get_if<AppendBytes>(&operation)) return append->key;
  if (const auto* read = std::get_if<ReadKey>(&operation)) return read->key;
  const auto* transaction = std::get_if<Box<Transaction>>(&operation);
  if (transaction == nullptr) return "";
  const auto& ops = (*transaction)->then_ops.empty() ? (*transaction)->else_ops : (*transaction)->then_ops;
  return ops.front().key;
}

// Nothing was changed, and the revision that was told is only the latest at which that may have been.
bool is_without_place(const Answer& answer) {
  return std::holds_alternative<ConditionFailed>(answer) || std::holds_alternative<KeyAbsent>(answer);
}

bool may_be_of_another_lineage(const ClientOperation& operation) {
  return operation.repeated || !operation.request.idempotency_key.empty();
}

// What a write adds to the number at `key`; all of its operations, whichever were done.
std::vector<int64_t> additions(const Operation& operation, const std::string& key, const Answer* answer) {
  std::vector<int64_t> all;
  if (const auto* add = std::get_if<AddNumber>(&operation)) {
    const bool done = answer == nullptr || std::holds_alternative<NumberIs>(*answer);
    if (add->key == key && done) all.push_back(add->by);
  }
  const auto* transaction = std::get_if<Box<Transaction>>(&operation);
  if (transaction == nullptr) return all;
  const auto take = [&](const std::vector<TxnOp>& ops) {
    for (const TxnOp& op : ops) {
      if (op.kind == TxnOp::Kind::kAdd && op.key == key) all.push_back(op.by);
    }
  };
  const auto* done = answer != nullptr ? std::get_if<Box<TxnDone>>(answer) : nullptr;
  if (answer == nullptr || (done != nullptr && (*done)->succeeded)) take((*transaction)->then_ops);
  if (answer == nullptr || (done != nullptr && !(*done)->succeeded)) take((*transaction)->else_ops);
  return all;
}

}  // namespace

std::optional<std::string> History::check_together(const std::string& prefix, std::set<uint64_t> taken,
                                                   uint64_t steps_max, int& undecided) const {
  std::vector<const ClientOperation*> concerned;
  std::set<Lineage> lineages;
  for (const ClientOperation& operation : operations_) {
    const bool write = is_write(operation.request.operation);
    const bool answered = operation.returned != UINT64_MAX;
    const bool counts =
        write ? !operation.certainly_not : answered && operation.request.read == ReadMode::kLinear;
    const std::string key = a_key_of(operation.request.operation);
    if (!counts || key.empty() || !starts_with(key, prefix)) {
      if (write && answered && changes_keys(operation.request.operation, operation.reply->answer))
        taken.insert(operation.reply->revision.value);
      continue;
    }
    if (answered && is_without_place(operation.reply->answer)) continue;
    concerned.push_back(&operation);
    if (answered) lineages.insert(lineage_of(operation.reply->revision));
  }
  for (const Lineage lineage : lineages) {
    std::vector<StoreOperation> judged;
    for (const ClientOperation* operation : concerned) {
      const bool answered = operation->returned != UINT64_MAX;
      const bool elsewhere = answered && lineage_of(operation->reply->revision) != lineage;
      if (elsewhere && !may_be_of_another_lineage(*operation)) continue;
      StoreOperation one{&operation->request.operation, nullptr, operation->called};
      one.text = to_text(operation->request.operation);
      if (answered && !elsewhere) {
        one.answer = &operation->reply->answer;
        one.returned = operation->returned;
        one.revision = operation->reply->revision.value;
      }
      judged.push_back(std::move(one));
    }
    const Serializable verdict = check_serializable(judged, lineage_base(lineage).value, taken, steps_max);
    if (verdict.violation)
      return fmt::format("the history of {}* in lineage {} is not serializable: {}", prefix, lineage.value,
                         *verdict.violation);
    if (verdict.too_hard) ++undecided;
  }
  return std::nullopt;
}

std::optional<std::string> History::check_sum(const std::string& key, Lineage lineage, int64_t value) const {
  int64_t least = 0;
  int64_t most = 0;
  for (const ClientOperation& operation : operations_) {
    if (operation.certainly_not) continue;
    const bool answered = operation.returned != UINT64_MAX;
    const bool here = answered && lineage_of(operation.reply->revision) == lineage;
    if (answered && !here && !may_be_of_another_lineage(operation)) continue;
    for (const int64_t by :
         additions(operation.request.operation, key, here ? &operation.reply->answer : nullptr)) {
      if (here || by < 0) least += by;
      if (here || by > 0) most += by;
    }
  }
  if (least <= value && value <= most) return std::nullopt;
  return fmt::format("{} is {}, and what was added makes {} to {}", key, value, least, most);
}

std::optional<std::string> History::check_fences() const {
  // Of each resource the largest token that had been acknowledged when that place of the history was reached.
  std::map<std::pair<Lineage, std::string>, std::map<uint64_t, uint64_t>> largest;
  const auto fenced = [](const ClientOperation& operation) {
    return operation.request.fence && operation.returned != UINT64_MAX;
  };
  const auto place = [](const ClientOperation& operation) {
    return std::pair(lineage_of(operation.reply->revision), operation.request.fence->resource);
  };
  for (const ClientOperation& operation : operations_) {
    if (fenced(operation)) largest[place(operation)][operation.returned] = operation.request.fence->token;
  }
  for (auto& [resource, tokens] : largest) {
    uint64_t so_far = 0;
    for (auto& [returned, token] : tokens) token = so_far = std::max(so_far, token);
  }
  for (const ClientOperation& operation : operations_) {
    if (!fenced(operation)) continue;
    const auto& tokens = largest[place(operation)];
    const auto behind = tokens.lower_bound(operation.called);
    if (behind == tokens.begin() || std::prev(behind)->second <= operation.request.fence->token) continue;
    return fmt::format(
        "{} is acknowledged at revision {} with the token {} of {}; {} had been acknowledged before it was "
        "asked",
        to_text(operation.request.operation), operation.reply->revision.value, operation.request.fence->token,
        operation.request.fence->resource, std::prev(behind)->second);
  }
  return std::nullopt;
}

}  // namespace kvd::sim
