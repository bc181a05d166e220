// See stored.hpp.
#include "core/queues/stored.hpp"

#include <utility>

#include "base/big_endian.hpp"
#include "msg/codec.hpp"
#include "msg/queue_fields.hpp"

namespace kvd {
namespace {

// What a message has beside its body, priority and time.
enum MessageFlags : uint8_t { kAges = 1, kGrouped = 2, kTyped = 4, kWasDead = 8 };

template <class T>
std::optional<T> whole(Decoder& decoder, T read) {
  decoder.finish();
  return decoder.failed() ? std::nullopt : std::optional(std::move(read));
}

Record new_record(std::string_view key, std::string_view value, Space space, Revision next) {
  return Record(key, value, {next, next, 1, space});
}

}  // namespace

std::string queue_key(std::string_view name) { return "q" + std::string(name); }

std::string emptied_key(uint64_t number) {
  std::string key = "x";
  append_big_endian(key, number);
  return key;
}

uint64_t emptied_number(std::string_view key) { return big_endian(key.substr(1)); }

Record queue_record(std::string_view name, const StoredQueue& queue, const Record* now, Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(queue.number);
  encoder.put(queue.config);
  const std::string key = queue_key(name);
  if (now == nullptr) return new_record(key, bytes, Space::kQueues, next);
  return Record(key, bytes, {now->created(), next, now->version() + 1, Space::kQueues});
}

std::optional<StoredQueue> queue_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredQueue queue;
  decoder.get(queue.number);
  decoder.get(queue.config);
  return whole(decoder, std::move(queue));
}

Record emptied_record(uint64_t number, bool names, Revision next) {
  return new_record(emptied_key(number), names ? "n" : "", Space::kQueues, next);
}

bool empties_names(const Record& emptied) { return !emptied.value().empty(); }

std::string message_key(uint64_t number, const MessageId& id) {
  std::string key;
  append_big_endian(key, number);
  append_big_endian(key, id.revision.value);
  key += static_cast<char>(id.index >> 8);
  key += static_cast<char>(id.index);
  return key;
}

MessageKey message_key_of(std::string_view key) {
  MessageKey of{big_endian(key), {}};
  if (key.size() < 2 * kBigEndianBytes) return of;
  of.id.revision = Revision(big_endian(key.substr(kBigEndianBytes)));
  of.id.index = static_cast<uint16_t>(big_endian(key.substr(2 * kBigEndianBytes)));
  return of;
}

Record message_record(std::string_view key, const StoredMessage& message, Revision next) {
  uint8_t flags = message.deadline != 0 ? kAges : 0;
  flags |= message.group.empty() ? 0 : kGrouped;
  flags |= message.type.empty() ? 0 : kTyped;
  flags |= message.dead_from.empty() ? 0 : kWasDead;
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(flags);
  encoder.put(message.priority);
  encoder.put(message.sent_ms);
  if ((flags & kAges) != 0) encoder.put(message.deadline);
  if ((flags & kGrouped) != 0) encoder.put(message.group);
  if ((flags & kTyped) != 0) encoder.put(message.type);
  if ((flags & kWasDead) != 0) {
    encoder.put(message.dead_from);
    encoder.put(message.reason);
    encoder.put(message.attempts);
  }
  bytes += message.body;
  return new_record(key, bytes, Space::kMessages, next);
}

StoredMessage message_of(const Record& record) {
  Decoder decoder(record.value());
  StoredMessage message;
  uint8_t flags = 0;
  decoder.get(flags);
  decoder.get(message.priority);
  decoder.get(message.sent_ms);
  if ((flags & kAges) != 0) decoder.get(message.deadline);
  if ((flags & kGrouped) != 0) message.group = decoder.text();
  if ((flags & kTyped) != 0) message.type = decoder.text();
  if ((flags & kWasDead) != 0) {
    message.dead_from = decoder.text();
    message.reason = decoder.text();
    decoder.get(message.attempts);
  }
  message.body = decoder.take_rest();
  return decoder.failed() ? StoredMessage() : message;
}

Record delivery_record(std::string_view key, const StoredDelivery& delivery, const Record* now,
                       Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(delivery.state);
  encoder.put(delivery.attempts);
  encoder.put(delivery.due);
  encoder.put(delivery.receipt);
  encoder.put(delivery.ticket);
  encoder.put(delivery.turn);
  bytes += delivery.reason;
  if (now == nullptr) return new_record(key, bytes, Space::kDeliveries, next);
  return Record(key, bytes, {now->created(), next, now->version() + 1, Space::kDeliveries});
}

std::optional<StoredDelivery> delivery_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredDelivery delivery;
  decoder.get(delivery.state);
  decoder.get(delivery.attempts);
  decoder.get(delivery.due);
  decoder.get(delivery.receipt);
  decoder.get(delivery.ticket);
  decoder.get(delivery.turn);
  delivery.reason = decoder.take_rest();
  return whole(decoder, std::move(delivery));
}

MessageState state_by_clock(const StoredDelivery& delivery, uint64_t clock) {
  const bool timed = delivery.state == MessageState::kInFlight || delivery.state == MessageState::kDelayed;
  return timed && delivery.due <= clock ? MessageState::kReady : delivery.state;
}

std::string dedup_key(uint64_t made, std::string_view name) {
  std::string key;
  append_big_endian(key, made);
  key += name;
  return key;
}

Record dedup_record(std::string_view key, const StoredName& name, Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(name.id);
  encoder.put(name.deadline);
  return new_record(key, bytes, Space::kDedup, next);
}

std::optional<StoredName> dedup_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredName name;
  decoder.get(name.id);
  decoder.get(name.deadline);
  return whole(decoder, name);
}

Record gone(const Record& record, Revision next) {
  return Record::deletion(record.key(), {record.created(), next, 0, record.space()});
}

}  // namespace kvd
