// See prefix_check.hpp. Revisions order all writes, so that each read is judged by itself, whatever was
// concurrent with it.
#include "judge/prefix_check.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "judge/committed.hpp"
#include "msg/text.hpp"

namespace kvd::testing {
namespace {

struct KnownWrites {
  std::map<uint64_t, uint64_t> acknowledged;  // revision -> number of the value; 0: deleted
  std::set<uint64_t> possible;                // values whose write was not certainly refused
  bool unknown_delete = false;                // a delete may have been done that nobody knows of
};

void add_write(const sim::ClientOperation& operation, KnownWrites& known) {
  if (!is_write(operation.request.operation) || operation.certainly_not) return;
  const auto* put = std::get_if<PutKey>(&operation.request.operation);
  const uint64_t value = put != nullptr ? sim::value_number(put->value.view()) : 0;
  if (put != nullptr) known.possible.insert(value);
  if (operation.returned == UINT64_MAX) {
    known.unknown_delete |= put == nullptr;
    return;
  }
  const Answer& answer = operation.reply->answer;
  if (std::holds_alternative<KeyWritten>(answer) || std::holds_alternative<KeyDeleted>(answer))
    known.acknowledged[operation.reply->revision.value] = value;
}

std::string judge_found(const Record& item, uint64_t at, const KnownWrites& known) {
  const uint64_t modified = item.modified().value;
  const uint64_t value = sim::value_number(item.value());
  if (modified > at) return fmt::format("shows revision {} as part of revision {}", modified, at);
  if (!known.possible.contains(value)) return fmt::format("shows v{}, which nobody wrote", value);
  const auto written = known.acknowledged.find(modified);
  if (written != known.acknowledged.end() && written->second != value)
    return fmt::format("shows v{} at revision {}, which wrote v{}", value, modified, written->second);
  const auto hidden = known.acknowledged.upper_bound(modified);
  if (hidden != known.acknowledged.end() && hidden->first <= at)
    return fmt::format("shows revision {} at {}, and misses {}", modified, at, hidden->first);
  return "";
}

std::string judge_missing(uint64_t at, const KnownWrites& known) {
  auto newest = known.acknowledged.upper_bound(at);
  if (newest == known.acknowledged.begin() || known.unknown_delete) return "";
  --newest;
  if (newest->second == 0) return "";
  return fmt::format("shows nothing at revision {}, and v{} was written at {}", at, newest->second,
                     newest->first);
}

std::string judge_read(const sim::ClientOperation& read, const KnownWrites& known) {
  const uint64_t at = read.reply->revision.value;
  if (read.request.read == ReadMode::kLocal && read.reply->revision < read.request.min_revision)
    return fmt::format("asked for revision {} at least and got {}", read.request.min_revision.value, at);
  if (const auto* found = std::get_if<KeyFound>(&read.reply->answer)) {
    return found->complete ? judge_found(found->item, at, known) : "is answered from a copy that misses keys";
  }
  const auto* missing = std::get_if<KeyMissing>(&read.reply->answer);
  if (missing == nullptr) return "";
  return missing->complete ? judge_missing(at, known) : "is answered from a copy that misses keys";
}

}  // namespace

const std::string& key_of(const StoreCall& request) {
  if (const auto* put = std::get_if<PutKey>(&request.operation)) return put->key;
  if (const auto* remove = std::get_if<DeleteKey>(&request.operation)) return remove->key;
  if (const auto* add = std::get_if<AddNumber>(&request.operation)) return add->key;
  return std::get<ReadKey>(request.operation).key;
}

std::string describe(const sim::ClientOperation& operation) {
  const Operation& what = operation.request.operation;
  if (std::holds_alternative<Box<Transaction>>(what)) {
    return fmt::format("{} by client {} at server {}", to_text(what), operation.client, operation.server + 1);
  }
  const char* method = std::holds_alternative<PutKey>(what)      ? "PUT"
                       : std::holds_alternative<AddNumber>(what) ? "POST"
                       : is_write(what)                          ? "DELETE"
                                                                 : "GET";
  return fmt::format("{} {} by client {} at server {}", method, key_of(operation.request), operation.client,
                     operation.server + 1);
}

std::string prefix_violation(const std::vector<sim::ClientOperation>& operations) {
  std::map<std::string, KnownWrites> known;
  for (const auto& operation : operations) add_write(operation, known[key_of(operation.request)]);
  for (const auto& operation : operations) {
    if (operation.returned == UINT64_MAX || is_write(operation.request.operation)) continue;
    const std::string why = judge_read(operation, known[key_of(operation.request)]);
    if (!why.empty()) return fmt::format("{} {}", describe(operation), why);
  }
  return "";
}

}  // namespace kvd::testing
