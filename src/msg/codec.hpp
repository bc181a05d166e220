// How values become bytes and back: little-endian numbers, strings and lists behind their length. For those who own a
// format (the peer wire, the journal): they list the fields of their types in fields() as is done here for those that
// all share, and both directions follow that list. Nothing is allocated on the word of a length that the bytes at hand
// cannot hold, nothing nests deeper than the stack may bear, and whatever is wrong is an error of the Decoder, never a
// CHECK.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/limits.hpp"
#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

// Room for adding to an instant without overflow; about 142 years.
constexpr int64_t kDurationMax = int64_t{1} << 52;

// The log's clock, in ms: room for adding to it, too.
constexpr uint64_t kClockMax = static_cast<uint64_t>(kDurationMax) / 1000;

// ---- the fields of the types that all formats share, in the order of the bytes ----

template <class T, class Base>
concept Of = std::same_as<std::remove_const_t<T>, Base>;

auto fields(Of<ServerId> auto& m) { return std::tie(m.value); }
auto fields(Of<Member> auto& m) { return std::tie(m.id, m.incarnation); }
auto fields(Of<LogPosition> auto& m) { return std::tie(m.epoch, m.revision); }
auto fields(Of<PastEpoch> auto& m) { return std::tie(m.epoch, m.id, m.serial); }
auto fields(Of<Register> auto& m) {
  return std::tie(m.cluster, m.lineage, m.epoch, m.leader, m.cause, m.leader_znode, m.in_sync, m.min_in_sync,
                  m.disks, m.change_id, m.serial, m.epoch_id, m.history);
}

// The last value of an enumeration.
template <class Enum>
constexpr uint8_t kLast = 0;
template <>
inline constexpr uint8_t kLast<Space> = static_cast<uint8_t>(kSpaces - 1);
template <>
inline constexpr uint8_t kLast<ElectionCause> = static_cast<uint8_t>(kLastElectionCause);

// The fewest bytes that an item of a list takes: what a list's count is held against before anything is
// allocated.
template <class T>
constexpr size_t kSmallest = 0;
template <>
inline constexpr size_t kSmallest<Revision> = 8;
template <>
inline constexpr size_t kSmallest<uint64_t> = 8;
template <>
inline constexpr size_t kSmallest<std::string> = 4;
template <>
inline constexpr size_t kSmallest<Member> = 4 + 8;
template <>
inline constexpr size_t kSmallest<PastEpoch> = 8 + 8 + 8;
template <>
inline constexpr size_t kSmallest<EntryPointer> = 8 + 8 + 4;  // of any format
template <>
inline constexpr size_t kSmallest<Record> = 4 + 4 + 8 + 8 + 8 + 1;
constexpr size_t kSmallestEffect = 4 + 1 + 8 + 8 + 1;

// What an effect is.
inline constexpr uint8_t kDeleted = 0, kValueFollows = 1, kExpired = 2;

// ---- writing ----

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  template <std::unsigned_integral T>
  void put(const T& number) {
    char bytes[sizeof(T)];
    for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(number >> (8 * i));
    out_.append(bytes, sizeof(T));
  }
  void put(const int64_t& number) { put(static_cast<uint64_t>(number)); }
  void put(const bool& flag) { put(static_cast<uint8_t>(flag ? 1 : 0)); }
  template <class T>
  requires std::is_enum_v<T>
  void put(const T& value) { put(static_cast<uint8_t>(value)); }
  template <class Tag>
  void put(const StrongId<Tag>& id) {
    put(id.value);
  }
  void put(const Duration& span) { put(static_cast<uint64_t>(span.count())); }
  void put(std::string_view text) {
    CHECK(text.size() <= limits::kFrameBytes);
    put(static_cast<uint32_t>(text.size()));
    out_.append(text);
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const Bytes& bytes) { put(bytes.view()); }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class T>
  void put(const std::vector<T>& items) {
    CHECK(items.size() <= limits::kFrameBytes);
    put(static_cast<uint32_t>(items.size()));
    for (const T& item : items) put(item);
  }
  // A record as an item of the store; deletions are none.
  void put(const Record& item) {
    put(item.key());
    put(item.value());
    put(item.created());
    put(item.modified());
    put(item.version());
    put(item.space());
    put(kNoFlags);
  }
  // Its effects are of its own revision, so that is not repeated.
  void put(const Entry& entry) {
    put(entry.epoch);
    put(entry.revision);
    put(kNoFlags);
    put(entry.clock);
    CHECK(entry.effects.size() <= limits::kFrameBytes);
    put(static_cast<uint32_t>(entry.effects.size()));
    for (const Record& effect : entry.effects) {
      CHECK(effect.modified() == entry.revision);
      put(effect.key());
      put(effect.has_value() ? kValueFollows : effect.expired() ? kExpired : kDeleted);
      if (effect.has_value()) put(effect.value());
      put(effect.created());
      put(effect.version());
      put(effect.space());
    }
  }
  template <class T>
  void put(const std::shared_ptr<const T>& shared) {
    put(*shared);
  }
  template <class... Ts>
  void put(const std::variant<Ts...>& choice) {
    put(static_cast<uint8_t>(choice.index()));
    std::visit([&](const auto& value) { put(value); }, choice);
  }
  // These stay within their node.
  void put(const Status&) { CHECK(false); }
  void put(const SnapshotPart&) { CHECK(false); }
  template <class T>
  void put(const OptionalBox<T>& value) {
    put(static_cast<bool>(value));
    if (value) put(*value);
  }
  template <class T>
  void put(const Box<T>& box) {
    put(*box);
  }
  template <class T>
  requires requires(const T& value) { fields(value); }
  void put(const T& value) {
    std::apply([&](const auto&... field) { (put(field), ...); }, fields(value));
  }

 private:
  // Of entries and items: what later formats will have to say of some of them. An effect has room for that beside its
  // has_value().
  static constexpr uint8_t kNoFlags = 0;

  std::string& out_;
};

// ---- reading ----

class Decoder;
// What holds for a value beyond its encoding: overloads stand beside fields() and report with Decoder::fail().
template <class T>
void check_value(Decoder&, const T&) {}

// The first thing that is wrong stays: what is read after it is zero or empty, and take_error() tells.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes, CodecFormat format = kNewestCodecFormat)
      : rest_(bytes), format_(format) {}

  bool failed() const { return !error_.empty(); }
  bool at_end() const { return rest_.empty(); }
  std::string take_error() { return std::move(error_); }
  void fail(std::string detail) {
    if (error_.empty()) error_ = std::move(detail);
    rest_ = {};
  }
  std::string_view take(size_t size) {
    if (size > rest_.size()) {
      fail("a length beyond the frame");
      return {};
    }
    std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view take_rest() { return take(rest_.size()); }
  void finish() {
    if (!failed() && !rest_.empty()) fail(fmt::format("{} bytes too many", rest_.size()));
  }

  template <std::unsigned_integral T>
  void get(T& number) {
    std::string_view bytes = take(sizeof(T));
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    number = static_cast<T>(value);
  }
  void get(int64_t& number) {
    uint64_t bits = 0;
    get(bits);
    number = static_cast<int64_t>(bits);
  }
  void get(bool& flag) {
    uint8_t byte = 0;
    get(byte);
    if (byte > 1) fail(fmt::format("a flag of {}", byte));
    flag = byte == 1;
  }
  template <class T>
  requires std::is_enum_v<T>
  void get(T& value) {
    uint8_t byte = 0;
    get(byte);
    if (byte > kLast<T>) {
      fail(fmt::format("an enumeration's value of {}", byte));
      byte = 0;
    }
    value = static_cast<T>(byte);
  }
  template <class Tag>
  void get(StrongId<Tag>& id) {
    get(id.value);
  }
  void get(Epoch& epoch) {
    get(epoch.value);
    if (epoch.value > kEpochMax) fail("an epoch out of range");
  }
  void get(Lineage& lineage) {
    get(lineage.value);
    if (lineage.value > kLineageMax) fail("a lineage out of range");
  }
  void get(Duration& span) {
    uint64_t count = 0;
    get(count);
    if (count > static_cast<uint64_t>(kDurationMax)) fail("a duration out of range");
    span = Duration(failed() ? 0 : static_cast<int64_t>(count));
  }
  // A string where it lies; none that could not be written again.
  std::string_view text() {
    uint32_t size = 0;
    get(size);
    if (size > limits::kFrameBytes) fail(fmt::format("a text of {} bytes", size));
    return take(size);
  }
  void get(std::string& content) { content.assign(text()); }
  void get(Bytes& bytes) { bytes = Bytes(text()); }
  template <class T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (present) get(value.emplace());
  }
  // How many items follow, each of `smallest` bytes at least.
  uint32_t list_size(size_t smallest) {
    uint32_t count = 0;
    get(count);
    if (count <= rest_.size() / smallest) return count;
    fail(fmt::format("a list of {} items beyond the frame", count));
    return 0;
  }
  template <class T>
  void get(std::vector<T>& items) {
    static_assert(kSmallest<T> > 0);
    const uint32_t count = list_size(kSmallest<T>);
    items.reserve(std::min(count, kReservedMax));
    for (uint32_t i = 0; i < count && !failed(); ++i) get(items.emplace_back());
  }
  std::string_view key();
  void get(Record& item) {
    const std::string_view name = key();
    const std::string_view value = text();
    Record::Metadata metadata;
    get(metadata.created);
    get(metadata.modified);
    get(metadata.version);
    get(metadata.space);
    if (format_ >= CodecFormat::kSecond) get_no_flags();
    if (!failed()) item = Record(name, value, metadata);
  }
  void get(Entry& entry) {
    get(entry.epoch);
    get(entry.revision);
    if (format_ >= CodecFormat::kSecond) {
      get_no_flags();
      get(entry.clock);
      if (entry.clock > kClockMax) fail("a clock out of range");
    }
    const uint32_t count = list_size(kSmallestEffect);
    entry.effects.reserve(count);
    for (uint32_t i = 0; i < count && !failed(); ++i)
      get_effect(entry.effects.emplace_back(), entry.revision);
  }
  void get_effect(Record& effect, Revision revision) {
    const std::string_view name = key();
    uint8_t kind = 0;
    get(kind);
    if (kind > kExpired) fail(fmt::format("an effect of kind {}", kind));
    const bool has_value = kind == kValueFollows;
    const std::string_view value = has_value ? text() : std::string_view();
    Record::Metadata metadata;
    metadata.modified = revision;
    get(metadata.created);
    get(metadata.version);
    get(metadata.space);
    if (failed()) return;
    effect = has_value ? Record(name, value, metadata) : Record::deletion(name, metadata, kind == kExpired);
  }
  // What holds its own kind does so by such pointers: these count how deep.
  template <class T>
  void get(std::shared_ptr<const T>& shared) {
    if (depth_ == kDepthMax) return fail("values nested too deep");
    ++depth_;
    auto content = std::make_shared<T>();
    get(*content);
    --depth_;
    shared = std::move(content);
  }
  template <class... Ts>
  void get(std::variant<Ts...>& choice) {
    uint8_t index = 0;
    get(index);
    get_alternative(index, choice);
  }
  void get(Status&) { fail("a status"); }
  void get(SnapshotPart&) { fail("a part of a snapshot"); }
  template <class T>
  void get(OptionalBox<T>& value) {
    bool present = false;
    get(present);
    if (present && !failed()) get(value.emplace());
  }
  template <class T>
  void get(Box<T>& box) {
    get(*box);
  }
  template <class T>
  requires requires(T& value) { fields(value); }
  void get(T& value) {
    std::apply([&](auto&... field) { (get(field), ...); }, fields(value));
    if (!failed()) check_value(*this, value);
  }

  template <size_t I = 0, class Variant>
  void get_alternative(size_t index, Variant& choice) {
    if constexpr (I == std::variant_size_v<Variant>) {
      fail("an unknown kind");
    } else if (index == I) {
      get(choice.template emplace<I>());
    } else {
      get_alternative<I + 1>(index, choice);
    }
  }

 private:
  static constexpr size_t kDepthMax = 16;
  static constexpr uint32_t kReservedMax = 4096;  // items of a list, on the word of its count

  void get_no_flags() {
    uint8_t flags = 0;
    get(flags);
    if (flags != 0) fail(fmt::format("flags of {}", flags));
  }

  std::string_view rest_;
  CodecFormat format_;
  std::string error_;
  size_t depth_ = 0;
};

// ---- what a decoded value must also satisfy ----

inline void check_key(Decoder& decoder, std::string_view key) {
  if (key.empty() || key.size() > limits::kKeyBytes)
    decoder.fail(fmt::format("a key of {} bytes", key.size()));
}
inline std::string_view Decoder::key() {
  const std::string_view name = text();
  check_key(*this, name);
  return name;
}
inline void check_value(Decoder& decoder, const ServerId& id) {
  if (id.value.size() > limits::kServerIdBytes)
    decoder.fail(fmt::format("a server id of {} bytes", id.value.size()));
}

}  // namespace kvd
