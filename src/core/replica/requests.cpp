// See requests.hpp.
#include "core/replica/requests.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "core/replica/table.hpp"
#include "msg/limits.hpp"
#include "msg/wire.hpp"

namespace kvd {
namespace {

constexpr size_t kNumberBytes = 8;

void append_number(std::string& out, uint64_t number) {  // big-endian: sorted as text, sorted as numbers
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

uint64_t number_at(std::string_view bytes, size_t index) {
  uint64_t number = 0;
  for (char c : bytes.substr(index * kNumberBytes, kNumberBytes))
    number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

bool is_batch(std::string_view key) { return key.starts_with('\0'); }

bool holds(std::string_view hashes, uint64_t wanted) {
  size_t low = 0;
  size_t high = hashes.size() / kNumberBytes;
  while (low < high) {
    size_t middle = (low + high) / 2;
    uint64_t found = number_at(hashes, middle);
    if (found == wanted) return true;
    if (found < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return false;
}

Record kept(std::string_view key, std::string_view value, Revision revision) {
  return Record(key, value, {revision, revision, 1, Space::kRequests});
}

Record dropped(std::string_view key, Revision revision) {
  return Record::deletion(key, {revision, revision, 0, Space::kRequests});
}

}  // namespace

std::optional<RememberedAnswer> read_remembered(const Record* request) {
  if (request == nullptr || is_batch(request->key()) || request->value().size() < kNumberBytes)
    return std::nullopt;
  Result<Answer> answer = decode_answer(request->value().substr(kNumberBytes));
  if (!answer) return std::nullopt;
  return RememberedAnswer{number_at(request->value(), 0), std::move(*answer), request->modified()};
}

bool is_forgotten(const Store& store, const std::string& key) {
  uint64_t wanted = hash_bytes(key);
  const Table& requests = store.items(Space::kRequests);
  for (auto batch = requests.begin(); batch != requests.end() && is_batch(batch->key()); ++batch) {
    if (holds(batch->value(), wanted)) return true;
  }
  return false;
}

Record remember(std::string_view key, uint64_t digest, const Answer& answer, Revision revision) {
  std::string bytes;
  append_number(bytes, digest);
  bytes += encode_answer(answer);
  return kept(key, bytes, revision);
}

std::vector<Record> forget_oldest(const Store& store, const Tail& tail, Revision revision) {
  const auto& by_age = store.requests_by_age();
  if (by_age.size() < limits::kRememberedAnswers + limits::kForgottenBatch) return {};
  if (tail.find(by_age.begin()->second.key(), Space::kRequests) != nullptr) return {};
  std::vector<Record> effects;
  std::vector<uint64_t> hashes;
  Revision newest;
  for (auto it = by_age.begin(); hashes.size() < limits::kForgottenBatch; ++it) {
    newest = it->first;
    hashes.push_back(hash_bytes(it->second.key()));
    effects.push_back(dropped(it->second.key(), revision));
  }
  std::sort(hashes.begin(), hashes.end());
  std::string name(1, '\0');
  append_number(name, newest.value);
  std::string content;
  for (uint64_t hash : hashes) append_number(content, hash);
  effects.push_back(kept(name, content, revision));
  const Table& requests = store.items(Space::kRequests);
  if (requests.size() - by_age.size() >= limits::kForgottenBatches)  // the oldest batch has the smallest name
    effects.push_back(dropped(requests.begin()->key(), revision));
  return effects;
}

}  // namespace kvd
