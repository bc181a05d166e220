// See http_history.hpp. HTTP's words become the node's, and what HTTP promises about them is checked here: a
// failed write says what became of it, and 503 says when to try again.
#include "judge/http_history.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "judge/committed.hpp"
#include "judge/http_txn.hpp"
#include "judge/prefix_check.hpp"
#include "judge/store_model.hpp"

namespace kvd::testing {
namespace {

constexpr uint64_t kStepsMax = 2'000'000;  // per key; a usual one needs about as many as it has operations

constexpr uint64_t kTogetherStepsMax = 500'000;  // of all keys

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> entity_tag(const HttpAnswer& answer) {
  const std::string tag = answer.header("ETag");
  if (tag.size() < 3 || tag.front() != '"' || tag.back() != '"') return std::nullopt;
  return number(std::string_view(tag).substr(1, tag.size() - 2));
}

std::string tags_text(const EntityTags& tags) {
  if (tags.any) return "*";
  std::string text;
  for (const Revision revision : tags.revisions)
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", revision.value);
  return text;
}

// A member of problem+json; empty: it has none of that name.
std::string member_of(const HttpAnswer& answer, const char* name) {
  simdjson::dom::parser parser;
  std::string_view text;
  if (parser.parse(answer.body)[name].get(text) != simdjson::SUCCESS) return "";
  return std::string(text);
}

std::string name_of(const HttpAnswer& failure) {
  if (failure.status == 0) return failure.never_sent ? "no connection" : "no answer";
  const std::string kind = member_of(failure, "type");
  return fmt::format("{} {}", failure.status, kind.substr(kind.rfind(':') + 1));
}

StoreCall request_of(const HttpOperation& operation) {
  StoreCall request;
  request.idempotency_key = operation.idempotency_key;
  request.read = operation.linear ? ReadMode::kLinear : ReadMode::kLocal;
  request.min_revision = Revision(operation.min_rev);
  switch (operation.kind) {
    case HttpOperation::kPut:
      request.operation = PutKey{operation.key, Bytes(operation.value), operation.condition};
      break;
    case HttpOperation::kDelete:
      request.operation = DeleteKey{operation.key, operation.condition};
      break;
    case HttpOperation::kRead:
      request.operation = ReadKey{operation.key};
      break;
    case HttpOperation::kAdd:
      request.operation = AddNumber{operation.key, operation.by, operation.condition};
      break;
    case HttpOperation::kTxn:
      request.operation = operation.transaction;
      break;
  }
  return request;
}

// Nothing: this status with these fields is no answer to such a request.
std::optional<Answer> success(const StoreCall& request, const HttpAnswer& answer) {
  const auto tag = entity_tag(answer);
  if (std::holds_alternative<PutKey>(request.operation)) {
    if (answer.status != 200 && answer.status != 201) return std::nullopt;
    if (!tag || answer.header("Kvd-Revision") != std::to_string(*tag)) return std::nullopt;
    return KeyWritten{answer.status == 201};
  }
  if (std::holds_alternative<DeleteKey>(request.operation)) {
    if (answer.status == 204) return KeyDeleted{};
    if (answer.status == 404) return KeyAbsent{};
    return std::nullopt;
  }
  if (const auto* transaction = std::get_if<Box<Transaction>>(&request.operation)) {
    const auto told = read_txn_answer(**transaction, answer.body);
    if (answer.status != 200 || !told || answer.header("Kvd-Revision") != std::to_string(told->revision))
      return std::nullopt;
    return told->done;
  }
  if (std::holds_alternative<AddNumber>(request.operation)) {
    simdjson::dom::parser parser;
    int64_t sum = 0;
    const bool is_number = parser.parse(answer.body)["value"].get(sum) == simdjson::SUCCESS;
    if (answer.status != 200 || !is_number || !tag || answer.header("Kvd-Revision") != std::to_string(*tag))
      return std::nullopt;
    return NumberIs{sum};
  }
  const bool complete = answer.header("Kvd-Complete") != "false";
  if (answer.status == 404) return KeyMissing{complete};
  if (answer.status != 200 || !tag) return std::nullopt;
  return KeyFound{Record(key_of(request), answer.body, {{}, Revision(*tag)}), complete};
}

std::optional<Answer> failure(const StoreCall& request, const HttpAnswer& answer) {
  const bool write = is_write(request.operation);
  const std::string outcome = member_of(answer, "outcome");
  if (answer.header("Content-Type") != "application/problem+json") return std::nullopt;
  if (write != (outcome == "not-applied" || outcome == "unknown")) return std::nullopt;
  if (answer.status == 503 && answer.header("Retry-After").empty()) return std::nullopt;
  if (answer.status == 412) {
    if (outcome != "not-applied") return std::nullopt;
    const auto tag = entity_tag(answer);
    return ConditionFailed{tag ? std::optional(Revision(*tag)) : std::nullopt};
  }
  if (answer.status != 503 && answer.status != 504) return std::nullopt;  // no other was asked for
  Failed failed;
  failed.outcome = outcome == "unknown" ? Outcome::kUnknown : Outcome::kNotApplied;
  return failed;
}

}  // namespace

Condition only_if(uint64_t revision) {
  Condition condition;
  if (revision == 0) {
    condition.if_none_match = EntityTags{true, {}};
  } else {
    condition.if_match = EntityTags{false, {Revision(revision)}};
  }
  return condition;
}

HttpCall HttpOperation::call() const {
  HttpCall call;
  constexpr const char* kMethods[] = {"PUT", "DELETE", "GET", "POST", "POST"};
  call.method = kMethods[kind];
  call.target = kind == kTxn ? fmt::format("/v1/txn?timeout={}", timeout_ms)
                             : fmt::format("/v1/kv/{}?timeout={}", key, timeout_ms);
  if (kind == kAdd) call.target += fmt::format("&add={}", by);
  if (linear) call.target += "&read=linear";
  if (min_rev != 0) call.target += fmt::format("&min_rev={}", min_rev);
  call.body = kind == kTxn ? transaction_json(transaction) : value;
  if (!idempotency_key.empty()) call.headers.emplace_back("Idempotency-Key", idempotency_key);
  if (condition.if_match) call.headers.emplace_back("If-Match", tags_text(*condition.if_match));
  if (condition.if_none_match)
    call.headers.emplace_back("If-None-Match", tags_text(*condition.if_none_match));
  return call;
}

size_t HttpHistory::begin(const HttpOperation& operation) {
  sim::ClientOperation record;
  record.request = request_of(operation);
  record.client = operation.client;
  record.server = operation.server;
  const std::lock_guard lock(mutex_);
  if (operation.kind == HttpOperation::kTxn) {
    for (const TxnOp& op : operation.transaction.then_ops) keys_.insert(op.key);
  } else {
    keys_.insert(operation.key);
  }
  together_ |= operation.kind == HttpOperation::kTxn || operation.kind == HttpOperation::kAdd;
  return history_.begin(std::move(record));
}

uint64_t HttpHistory::finish(size_t index, const HttpAnswer& answer) {
  const std::lock_guard lock(mutex_);
  sim::ClientOperation& operation = history_.operation(index);
  const bool write = is_write(operation.request.operation);
  if (answer.status == 0 || answer.status > 500) ++counts_.failures[name_of(answer)];
  if (answer.status == 0) {
    if (answer.never_sent) history_.refuse(index);
    if (write) ++(answer.never_sent ? counts_.certainly_not : counts_.unknown);
    return 0;
  }
  std::optional<Answer> meaning = success(operation.request, answer);
  if (!meaning) meaning = failure(operation.request, answer);
  const auto revision = number(answer.header("Kvd-Revision"));
  if (!meaning || !revision) {
    complain(operation, answer, "is no answer to that");
    return 0;
  }
  if (lineage_of(Revision(*revision)) != lineage_) {
    complain(operation, answer, "is of a new lineage: everything was lost");
    return 0;
  }
  count(operation, *meaning);
  StoreAnswer reply;
  reply.answer = std::move(*meaning);
  reply.revision = Revision(*revision);
  history_.finish(index, std::move(reply));
  const bool untagged =
      answer.status == 204 || (answer.status == 200 && !answer.header("Kvd-Revision").empty() &&
                               std::holds_alternative<Box<Transaction>>(operation.request.operation));
  return untagged ? *revision : entity_tag(answer).value_or(0);
}

void HttpHistory::count(const sim::ClientOperation& operation, const Answer& answer) {
  const auto* failed = std::get_if<Failed>(&answer);
  if (!is_write(operation.request.operation)) {
    const bool linear = operation.request.read == ReadMode::kLinear;
    if (failed == nullptr) ++(linear ? counts_.linear_reads : counts_.local_reads);
    return;
  }
  if (failed != nullptr) {
    ++(failed->outcome == Outcome::kUnknown ? counts_.unknown : counts_.certainly_not);
    return;
  }
  ++counts_.done;
  if (!sim::changes_keys(operation.request.operation, answer)) return;
  const Clock::time_point now = Clock::now();
  if (counts_.acknowledged++ > 0)
    counts_.gap = std::max(counts_.gap, std::chrono::duration_cast<Duration>(now - acknowledged_at_));
  acknowledged_at_ = now;
}

void HttpHistory::complain(const sim::ClientOperation& operation, const HttpAnswer& answer,
                           const std::string& what) {
  if (!complaint_.empty()) return;
  complaint_ = fmt::format("{}: {} {}\n", describe(operation), answer.status, what);
  for (const auto& [name, value] : answer.headers) complaint_ += fmt::format("{}: {}\n", name, value);
  complaint_ += answer.body;
}

HttpHistory::Counts HttpHistory::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::set<std::string> HttpHistory::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

std::string HttpHistory::violation() const {
  const std::lock_guard lock(mutex_);
  if (!complaint_.empty()) return complaint_;
  int undecided = 0;
  if (together_) {
    if (auto why = history_.check_together("", {}, kTogetherStepsMax, undecided)) return *why;
    return undecided > 0 ? "the history was too hard to judge" : "";
  }
  if (auto why = history_.check({keys_.begin(), keys_.end()}, kStepsMax, undecided)) return *why;
  if (undecided > 0) return fmt::format("{} keys were too hard to judge", undecided);
  return prefix_violation(history_.operations());
}

}  // namespace kvd::testing
