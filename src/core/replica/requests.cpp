// See requests.hpp.
#include "core/replica/requests.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/big_endian.hpp"
#include "base/hash.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/tail.hpp"
#include "core/replica/terms.hpp"
#include "msg/limits.hpp"
#include "msg/wire.hpp"

namespace kvd {
namespace {

struct RememberedAnswer {
  uint64_t digest = 0;  // of the operation, operation_digest()
  Answer answer;
  Revision revision;  // of the write
};

uint64_t number_at(std::string_view bytes, size_t index) {
  return big_endian(bytes.substr(index * kBigEndianBytes));
}

bool is_batch(std::string_view key) { return key.starts_with('\0'); }

Record kept(std::string_view key, std::string_view value, Revision revision) {
  return Record(key, value, {revision, revision, 1, Space::kRequests});
}

Record dropped(std::string_view key, Revision revision) {
  return Record::deletion(key, {revision, revision, 0, Space::kRequests});
}

// What an effect of this space, or an item, holds; nothing for a deletion, a batch of forgotten keys, and null.
std::optional<RememberedAnswer> read_remembered(const Record* request) {
  if (request == nullptr || is_batch(request->key()) || request->value().size() < kBigEndianBytes)
    return std::nullopt;
  Result<Answer> answer = decode_answer(request->value().substr(kBigEndianBytes));
  if (!answer) return std::nullopt;
  return RememberedAnswer{number_at(request->value(), 0), std::move(*answer), request->modified()};
}

// The effect that remembers `answer`; it belongs into the entry of the write itself, which is at `revision`.
Record remember(std::string_view key, uint64_t digest, const Answer& answer, Revision revision) {
  std::string bytes;
  append_big_endian(bytes, digest);
  bytes += encode_answer(answer);
  return kept(key, bytes, revision);
}

// The effects that make room once more than limits::kRememberedAnswers are held; none before that, nor while the tail
// forgets the oldest already.
void forget_oldest(const WriteView& view, std::vector<Record>& effects) {
  const auto& by_age = view.store.requests_by_age();
  if (by_age.size() < limits::kRememberedAnswers + limits::kForgottenBatch) return;
  if (view.tail.find(by_age.begin()->second.key(), Space::kRequests) != nullptr) return;
  std::vector<uint64_t> hashes;
  Revision newest;
  for (auto it = by_age.begin(); hashes.size() < limits::kForgottenBatch; ++it) {
    newest = it->first;
    hashes.push_back(hash_bytes(it->second.key()));
    effects.push_back(dropped(it->second.key(), view.next));
  }
  std::sort(hashes.begin(), hashes.end());
  std::string name(1, '\0');
  append_big_endian(name, newest.value);
  std::string content;
  for (uint64_t hash : hashes) append_big_endian(content, hash);
  effects.push_back(kept(name, content, view.next));
  const Table& requests = view.store.items(Space::kRequests);
  if (requests.size() - by_age.size() >= limits::kForgottenBatches)  // the oldest batch has the smallest name
    effects.push_back(dropped(requests.begin()->key(), view.next));
}

// What is left of the key's term at the log's end; a retry of what gave it that is told so.
uint64_t left_of(std::string_view key, const WriteView& view) {
  const std::optional<StoredTerm> term = term_of(view.latest(key, Space::kTerms));
  return term ? left_until(term->deadline, view.clock) : 0;
}

// None: nothing is known of the call's key.
std::optional<Evaluation> long_forgotten(const WriteCall& call, const WriteView& view) {
  // (Or, with a probability of 2^-64, its key looks like one.)
  if (view.store.has_forgotten(hash_bytes(call.idempotency_key))) {
    return Unchanged{Failed{ErrorCode::kKeyEvicted, Outcome::kUnknown,
                            "a write with this idempotency key was done long ago and its answer is "
                            "forgotten: not done again"},
                     Revision(0)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Evaluation> RequestsSpace::recall(const WriteCall& call, const WriteView& view) {
  const std::string& key = call.idempotency_key;
  if (key.empty()) return std::nullopt;
  // One that the tail forgets is remembered until that is committed.
  std::optional<RememberedAnswer> known = read_remembered(view.tail.find(key, kSpace));
  if (!known) known = read_remembered(view.store.find(key, kSpace));
  if (known && known->digest != call.digest) {
    return Unchanged{Failed{ErrorCode::kKeyReused, Outcome::kNotApplied,
                            "another request has been made with this idempotency key"},
                     Revision(0)};
  }
  if (!known) return long_forgotten(call, view);
  if (auto* touched = std::get_if<KeyTouched>(&known->answer))
    touched->left_ms = left_of(std::get<TouchKey>(call.operation).key, view);
  return Unchanged{std::move(known->answer), known->revision};
}

size_t RequestsSpace::results_bytes(const Answer& answer) {
  const bool long_one = std::holds_alternative<Box<TxnDone>>(answer) ||
                        std::holds_alternative<Settled>(answer) || std::holds_alternative<Sent>(answer);
  return long_one ? encode_answer(answer).size() : 0;
}

Failed RequestsSpace::too_long(size_t bytes) {
  return Failed{ErrorCode::kTooLarge, Outcome::kNotApplied,
                "with an Idempotency-Key the results are remembered, and may take " +
                    std::to_string(limits::kRememberedBytes) + " bytes at most; these take " +
                    std::to_string(bytes)};
}

void RequestsSpace::add_effects(const WriteCall& call, const WriteView& view, Change& change) {
  if (call.idempotency_key.empty()) return;
  change.effects.push_back(remember(call.idempotency_key, call.digest, change.answer, view.next));
  forget_oldest(view, change.effects);
}

void RequestsSpace::count(const Record& item, bool add) {
  if (is_batch(item.key())) {
    for (size_t i = 0; i < item.value().size() / kBigEndianBytes; ++i) {
      const uint64_t hash = number_at(item.value(), i);
      if (add) {
        ++forgotten[hash];
      } else if (--forgotten[hash] == 0) {
        forgotten.erase(hash);
      }
    }
  } else if (add) {
    by_age[item.modified()] = item;
  } else {
    by_age.erase(item.modified());
  }
}

bool RequestsSpace::free_some() {
  constexpr size_t kAtOnce = 1024;
  for (size_t i = 0; i < kAtOnce && !by_age.empty(); ++i) by_age.erase(by_age.begin());
  for (size_t i = 0; i < kAtOnce && !forgotten.empty(); ++i) forgotten.erase(forgotten.begin());
  return !by_age.empty() || !forgotten.empty();
}

}  // namespace kvd
