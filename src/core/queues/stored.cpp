// See stored.hpp.
#include "core/queues/stored.hpp"

#include <utility>

#include "base/big_endian.hpp"
#include "msg/codec.hpp"
#include "msg/queue_fields.hpp"
#include "msg/topic_fields.hpp"

namespace kvd {
namespace {

// What a message has beside its body, priority and time.
enum MessageFlags : uint8_t { kAges = 1, kGrouped = 2, kTyped = 4, kWasDead = 8, kNumbered = 16 };

template <class T>
std::optional<T> whole(Decoder& decoder, T read) {
  decoder.finish();
  return decoder.failed() ? std::nullopt : std::optional(std::move(read));
}

Record new_record(std::string_view key, std::string_view value, Space space, Revision next) {
  return Record(key, value, {next, next, 1, space});
}

// Of kQueues.
Record made_or_changed(std::string_view key, std::string_view value, const Record* now, Revision next) {
  if (now == nullptr) return new_record(key, value, Space::kQueues, next);
  return Record(key, value, {now->created(), next, now->version() + 1, Space::kQueues});
}

// What a delivery has beside what all have: added to its state.
constexpr uint8_t kGroupedDelivery = 0x80;

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
  return made_or_changed(queue_key(name), bytes, now, next);
}

std::string topic_key(std::string_view name) { return "t" + std::string(name); }

Record topic_record(std::string_view name, const StoredTopic& topic, const Record* now, Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(topic.number);
  encoder.put(topic.config);
  return made_or_changed(topic_key(name), bytes, now, next);
}

std::optional<StoredTopic> topic_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredTopic topic;
  decoder.get(topic.number);
  decoder.get(topic.config);
  return whole(decoder, std::move(topic));
}

std::string subscription_key(std::string_view topic, std::string_view name) {
  std::string key = "s";
  key += static_cast<char>(topic.size());
  key += topic;
  key += name;
  return key;
}

std::pair<std::string_view, std::string_view> subscription_names(std::string_view key) {
  const size_t size = key.size() < 2 ? 0 : static_cast<unsigned char>(key[1]);
  if (key.size() < 2 + size) return {};  // damaged
  return {key.substr(2, size), key.substr(2 + size)};
}

Record subscription_record(std::string_view key, const StoredSubscription& subscription, const Record* now,
                           Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(subscription.number);
  encoder.put(subscription.topic);
  encoder.put(subscription.config);
  return made_or_changed(key, bytes, now, next);
}

std::optional<StoredSubscription> subscription_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredSubscription subscription;
  decoder.get(subscription.number);
  decoder.get(subscription.topic);
  decoder.get(subscription.config);
  return whole(decoder, std::move(subscription));
}

std::string place_key(uint64_t number) {
  std::string key = "u";
  append_big_endian(key, number);
  return key;
}

uint64_t place_number(std::string_view key) { return big_endian(key.substr(1)); }

Record place_record(uint64_t number, const StoredPlace& place, const Record* now, Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(place.id);
  encoder.put(place.gaps);
  encoder.put(place.used_ms);
  return made_or_changed(place_key(number), bytes, now, next);
}

StoredPlace place_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return {};
  Decoder decoder(record->value());
  StoredPlace place;
  decoder.get(place.id);
  decoder.get(place.gaps);
  decoder.get(place.used_ms);
  return whole(decoder, place).value_or(StoredPlace());
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
  flags |= message.ordinal == 0 ? 0 : kNumbered;
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
  if ((flags & kNumbered) != 0) encoder.put(message.ordinal);
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
  if ((flags & kNumbered) != 0) decoder.get(message.ordinal);
  message.body = decoder.take_rest();
  return decoder.failed() ? StoredMessage() : message;
}

Record delivery_record(std::string_view key, const StoredDelivery& delivery, const Record* now,
                       Revision next) {
  std::string bytes;
  Encoder encoder(bytes);
  encoder.put(static_cast<uint8_t>(static_cast<uint8_t>(delivery.state) |
                                   (delivery.group.empty() ? 0 : kGroupedDelivery)));
  encoder.put(delivery.attempts);
  encoder.put(delivery.due);
  encoder.put(delivery.receipt);
  encoder.put(delivery.ticket);
  encoder.put(delivery.turn);
  if (!delivery.group.empty()) encoder.put(delivery.group);
  bytes += delivery.reason;
  if (now == nullptr) return new_record(key, bytes, Space::kDeliveries, next);
  return Record(key, bytes, {now->created(), next, now->version() + 1, Space::kDeliveries});
}

std::optional<StoredDelivery> delivery_of(const Record* record) {
  if (record == nullptr || !record->has_value()) return std::nullopt;
  Decoder decoder(record->value());
  StoredDelivery delivery;
  uint8_t state = 0;
  decoder.get(state);
  const bool grouped = (state & kGroupedDelivery) != 0;
  state &= static_cast<uint8_t>(~kGroupedDelivery);
  if (state > static_cast<uint8_t>(MessageState::kSettled)) return std::nullopt;
  delivery.state = static_cast<MessageState>(state);
  decoder.get(delivery.attempts);
  decoder.get(delivery.due);
  decoder.get(delivery.receipt);
  decoder.get(delivery.ticket);
  decoder.get(delivery.turn);
  if (grouped) delivery.group = decoder.text();
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
