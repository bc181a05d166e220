// See txn.hpp.
#include "core/replica/txn.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/decimal.hpp"
#include "core/mutation.hpp"
#include "core/queues/message_draft.hpp"
#include "core/replica/key_effects.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/store.hpp"
#include "core/replica/tail.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

Failed op_refused(ErrorCode code, std::string detail) {
  return Failed{code, Outcome::kNotApplied, std::move(detail)};
}

std::optional<Failed> too_large(size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max) return std::nullopt;
  return op_refused(ErrorCode::kTooLarge, "the value would have " + std::to_string(bytes) +
                                              " bytes; the leader's --max-value is " +
                                              std::to_string(bytes_max));
}

// The sum, or why there is none.
std::optional<Failed> add(bool present, std::string_view value, int64_t by, int64_t& sum) {
  const std::optional<int64_t> number = present ? parse_decimal(value) : 0;
  if (!number) {
    return op_refused(
        ErrorCode::kNotANumber,
        "the value is no decimal number from -9223372036854775808 to 9223372036854775807 without "
        "leading zeros");
  }
  if (!__builtin_add_overflow(*number, by, &sum)) return std::nullopt;
  return op_refused(ErrorCode::kOverflow,
                    std::to_string(*number) + " and " + std::to_string(by) + " is more than 64 bits hold");
}

template <class T>
bool compares(const T& left, TxnCondition::Is is, const T& right) {
  switch (is) {
    case TxnCondition::Is::kEqual:
      return left == right;
    case TxnCondition::Is::kNotEqual:
      return left != right;
    case TxnCondition::Is::kLess:
      return left < right;
    case TxnCondition::Is::kGreater:
      return left > right;
  }
  return false;
}

// `!=` is the opposite of `=`: what is not there has no such value. What is no number is neither less nor more.
bool value_compares(const Record* now, const TxnCondition& condition) {
  const bool equal = now != nullptr && now->value() == condition.value.view();
  if (condition.is == TxnCondition::Is::kEqual) return equal;
  if (condition.is == TxnCondition::Is::kNotEqual) return !equal;
  const std::optional<int64_t> left = now != nullptr ? parse_decimal(now->value()) : std::nullopt;
  const std::optional<int64_t> right = parse_decimal(condition.value.view());
  return left && right && compares(*left, condition.is, *right);
}

bool receipt_counts(const TxnCondition& condition, const WriteView& view) {
  const QueueView* queue = view.store.queues().find(condition.key, condition.subscription);
  return queue != nullptr && is_granted(view, *queue, condition.message, condition.number);
}

const Record* subject_of(const TxnCondition& condition, const WriteView& view) {
  if (condition.of == TxnCondition::Of::kLease)
    return view.latest(lease_key(condition.number), Space::kLeases);
  return view.latest(condition.key, Space::kData);
}

bool is_true(const TxnCondition& condition, const WriteView& view) {
  if (condition.of == TxnCondition::Of::kReceipt) return receipt_counts(condition, view);
  const Record* now = subject_of(condition, view);
  switch (condition.of) {
    case TxnCondition::Of::kExists:
      return (now != nullptr) == (condition.number != 0);
    case TxnCondition::Of::kRevision:
      return compares(now != nullptr ? now->modified().value : 0, condition.is, condition.number);
    case TxnCondition::Of::kVersion:
      return compares(now != nullptr ? now->version() : 0, condition.is, condition.number);
    case TxnCondition::Of::kValue:
      return value_compares(now, condition);
    case TxnCondition::Of::kLease:
      return now != nullptr;
    case TxnCondition::Of::kReceipt:
      break;  // see above
  }
  return false;
}

// One branch of a transaction while it is done.
class Branch {
 public:
  explicit Branch(const WriteView& view) : view_(view), draft_(view), messages_(view) {}

  // What the operation leads to is the next result; a Failed says why it cannot be done.
  std::optional<Failed> perform(TxnOp& op) {
    std::optional<Failed> failed = perform_one(op);
    if (!failed && std::max(draft_.bytes(), draft_.copied()) + messages_.bytes() > limits::kWriteBytes) {
      failed = op_refused(ErrorCode::kTooLarge, "one transaction writes, and appends to, at most " +
                                                    std::to_string(limits::kWriteBytes) +
                                                    " bytes of keys, values and messages");
    }
    return failed;
  }
  std::vector<Record> take_effects() {
    std::vector<Record> effects = draft_.effects();
    std::ranges::move(messages_.take_effects(), std::back_inserter(effects));
    return effects;
  }
  std::vector<OpResult> take_results() { return std::move(results_); }

 private:
  std::optional<Failed> perform_one(TxnOp& op) {
    switch (op.kind) {
      case TxnOp::Kind::kPut:
        return put(op);
      case TxnOp::Kind::kDelete:
        results_.emplace_back(OpDeleted{draft_.present(op.key)});
        draft_.remove(op.key);
        return std::nullopt;
      case TxnOp::Kind::kAdd:
        return add_to(op);
      case TxnOp::Kind::kAppend:
        return append(op);
      case TxnOp::Kind::kGet:
        return get(op);
      case TxnOp::Kind::kTouch:
        return touch(op);
      case TxnOp::Kind::kAck:
        return ack(op);
      case TxnOp::Kind::kSend:
        return add_message(op, &send);
      case TxnOp::Kind::kPublish:
        return add_message(op, &publish);
    }
    return std::nullopt;
  }
  std::optional<Failed> put(TxnOp& op) {
    if (auto failed = refused_term(op.key, op.term, view_)) return failed;
    results_.emplace_back(OpPut{!draft_.present(op.key)});
    draft_.put(op.key, std::move(op.value), op.term);
    return std::nullopt;
  }
  std::optional<Failed> touch(const TxnOp& op) {
    const bool present = draft_.present(op.key);
    if (present) {
      if (auto failed = refused_term(op.key, op.term, view_)) return failed;
      draft_.touch(op.key, op.term);
    }
    results_.emplace_back(OpTouched{present});
    return std::nullopt;
  }
  std::optional<Failed> add_to(const TxnOp& op) {
    int64_t sum = 0;
    if (auto failed = add(draft_.present(op.key), draft_.value(op.key), op.by, sum)) return failed;
    const std::string text = std::to_string(sum);
    if (auto failed = too_large(text.size(), view_.value_bytes_max)) return failed;
    draft_.put(op.key, Bytes(text), {Term::Kind::kKeep, 0});
    results_.emplace_back(OpAdded{sum});
    return std::nullopt;
  }
  std::optional<Failed> append(const TxnOp& op) {
    const size_t bytes = draft_.value(op.key).size() + op.value.size();
    if (auto failed = too_large(bytes, view_.value_bytes_max)) return failed;
    results_.emplace_back(OpAppended{!draft_.present(op.key)});
    draft_.append(op.key, op.value.view());
    return std::nullopt;
  }
  std::optional<Failed> get(const TxnOp& op) {
    if (!draft_.present(op.key)) {
      results_.emplace_back(OpMissing{});
      return std::nullopt;
    }
    const size_t bytes = draft_.value(op.key).size();
    if (found_bytes_ > 0 && found_bytes_ + bytes > limits::kTxnFoundBytes) {
      return op_refused(ErrorCode::kTooLarge, "one transaction finds at most " +
                                                  std::to_string(limits::kTxnFoundBytes) +
                                                  " bytes, or a single value");
    }
    found_bytes_ += bytes;
    results_.emplace_back(draft_.found(op.key));
    return std::nullopt;
  }

  std::optional<Failed> ack(const TxnOp& op) {
    const QueueView* queue = messages_.queues().find(op.key, op.subscription);
    if (queue == nullptr) return no_source(op.key, op.subscription);
    const Settled::One one = settle(messages_, *queue, *op.settling);
    if (one.result == SettleResult::kGone)
      return op_refused(ErrorCode::kNoMessage, "there is no such message, or no more");
    if (one.result == SettleResult::kStale) {
      return op_refused(ErrorCode::kStale, one.receipt == 0 ? "the message is not granted by this receipt"
                                                            : "the message was granted again, by receipt " +
                                                                  std::to_string(one.receipt));
    }
    results_.emplace_back(OpAcked{});
    return std::nullopt;
  }
  std::optional<Failed> add_message(const TxnOp& op, auto* send_or_publish) {
    Result<OpSent, Failed> sent = send_or_publish(messages_, op.key, *op.message);
    if (!sent) return std::move(sent.error());
    results_.emplace_back(*sent);
    return std::nullopt;
  }

  const WriteView& view_;
  KeyDraft draft_;
  MessageDraft messages_;
  std::vector<OpResult> results_;
  size_t found_bytes_ = 0;
};

Evaluation perform_transaction(Transaction& transaction, const WriteView& view) {
  TxnDone done;
  done.succeeded = std::all_of(transaction.conditions.begin(), transaction.conditions.end(),
                               [&](const TxnCondition& condition) { return is_true(condition, view); });
  Branch branch(view);
  uint32_t place = 0;
  for (TxnOp& op : done.succeeded ? transaction.then_ops : transaction.else_ops) {
    if (std::optional<Failed> failed = branch.perform(op)) {
      failed->op = place;
      return std::move(*failed);
    }
    ++place;
  }
  done.results = branch.take_results();
  return Change{branch.take_effects(), Box(std::move(done))};
}

}  // namespace

Evaluation sum_of(const AddNumber& operation, const WriteView& view) {
  const Record* now = mutated(Mutation::kAddOfCommitted) ? view.store.find(operation.key)
                                                         : view.latest(operation.key, Space::kData);
  if (!holds(operation.condition, now)) return no_effect(condition_failed(now));
  int64_t sum = 0;
  const bool present = now != nullptr;
  if (auto failed = add(present, present ? now->value() : "", operation.by, sum)) return std::move(*failed);
  const std::string text = std::to_string(sum);
  if (auto failed = too_large(text.size(), view.value_bytes_max)) return std::move(*failed);
  return one_effect(written(operation.key, text, now, view.next), NumberIs{sum});
}

Evaluation appended(const AppendBytes& operation, const WriteView& view) {
  const Record* now = view.latest(operation.key, Space::kData);
  if (!holds(operation.condition, now)) return no_effect(condition_failed(now));
  const std::string_view before = now != nullptr ? now->value() : std::string_view();
  if (auto failed = too_large(before.size() + operation.value.size(), view.value_bytes_max))
    return std::move(*failed);
  std::string value(before);
  value += operation.value.view();
  return one_effect(written(operation.key, value, now, view.next), KeyWritten{now == nullptr});
}

Evaluation done_or_refused(Transaction& transaction, const WriteView& view) {
  if (!mutated(Mutation::kTxnOfCommitted)) return perform_transaction(transaction, view);
  const Tail nothing;
  return perform_transaction(transaction, {view.store, nothing, view.next, view.value_bytes_max, view.clock});
}

}  // namespace kvd
