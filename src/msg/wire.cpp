// See wire.hpp. Each type's fields are listed once, in fields(), and both directions follow that list; what a
// decoded value must also satisfy stands in Decoder::check(). A message's type byte is its place in
// PeerMessage, from 1; that of an operation or answer its place in the variant, from 0: reordering a variant
// changes the format.
#include "msg/wire.hpp"

#include <fmt/format.h>

#include <concepts>
#include <limits>
#include <tuple>
#include <type_traits>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr std::string_view kMagic = "kvd1";
constexpr char kNoHello[] = "not a kvd peer of this version: no hello";
constexpr uint8_t kHelloType = 1;
constexpr size_t kLengthBytes = 4;
constexpr size_t kIdBytes = 255;
constexpr size_t kHostBytes = 255;
// Room for adding to an instant without overflow; about 142 years.
constexpr int64_t kDurationMax = int64_t{1} << 52;
// More than any hello takes, so that a stranger cannot make us wait for megabytes.
constexpr size_t kHelloBytes = 4096;
constexpr size_t kClusterBytes = 255;
// A reader keeps at most this much memory while it waits for the next frame.
constexpr size_t kIdleBufferBytes = 1u << 20;

// ---- the fields of each type, in the order of the wire ----

template <class T, class Base>
concept Of = std::same_as<std::remove_const_t<T>, Base>;

auto fields(Of<ServerId> auto& m) { return std::tie(m.value); }
auto fields(Of<Member> auto& m) { return std::tie(m.id, m.incarnation); }
auto fields(Of<Address> auto& m) { return std::tie(m.host, m.port); }
auto fields(Of<ServerInfo> auto& m) { return std::tie(m.member, m.http, m.peer); }
auto fields(Of<LogPosition> auto& m) { return std::tie(m.epoch, m.revision); }
auto fields(Of<Effect> auto& m) { return std::tie(m.key, m.value, m.created, m.version, m.space); }
auto fields(Of<Entry> auto& m) { return std::tie(m.epoch, m.revision, m.effects); }
auto fields(Of<Item> auto& m) { return std::tie(m.key, m.value, m.created, m.modified, m.version, m.space); }

auto fields(Of<EntityTags> auto& m) { return std::tie(m.any, m.revisions); }
auto fields(Of<Condition> auto& m) { return std::tie(m.if_match, m.if_none_match); }
auto fields(Of<ReadKey> auto& m) { return std::tie(m.key); }
auto fields(Of<ListKeys> auto& m) { return std::tie(m.prefix, m.after, m.limit, m.keys_only); }
auto fields(Of<PutKey> auto& m) { return std::tie(m.key, m.value, m.condition); }
auto fields(Of<DeleteKey> auto& m) { return std::tie(m.key, m.condition); }
auto fields(Of<DeletePrefix> auto& m) { return std::tie(m.prefix); }
auto fields(Of<BatchOp> auto& m) { return std::tie(m.key, m.value); }
auto fields(Of<WriteBatch> auto& m) { return std::tie(m.ops); }
auto fields(Of<ChangeSettings> auto& m) { return std::tie(m.min_in_sync); }
auto fields(Of<QueryStatus> auto&) { return std::tie(); }
auto fields(Of<MoveLeader> auto& m) { return std::tie(m.to); }

auto fields(Of<KeyFound> auto& m) { return std::tie(m.item, m.complete); }
auto fields(Of<KeyMissing> auto& m) { return std::tie(m.complete); }
auto fields(Of<Listing> auto& m) { return std::tie(m.items, m.more, m.complete); }
auto fields(Of<KeyWritten> auto& m) { return std::tie(m.created); }
auto fields(Of<KeyDeleted> auto&) { return std::tie(); }
auto fields(Of<KeyAbsent> auto&) { return std::tie(); }
auto fields(Of<PrefixDeleted> auto& m) { return std::tie(m.count); }
auto fields(Of<BatchWritten> auto&) { return std::tie(); }
auto fields(Of<ConditionFailed> auto& m) { return std::tie(m.current); }
auto fields(Of<SettingsChanged> auto& m) { return std::tie(m.min_in_sync); }
auto fields(Of<LeaderMoved> auto& m) { return std::tie(m.leader); }
auto fields(Of<Failed> auto& m) { return std::tie(m.code, m.outcome, m.detail); }

auto fields(Of<Hello> auto& m) { return std::tie(m.cluster, m.lineage, m.from, m.to, m.epoch, m.sparse); }
auto fields(Of<Append> auto& m) { return std::tie(m.epoch, m.previous, m.commit, m.entries); }
auto fields(Of<AppendAck> auto& m) { return std::tie(m.epoch, m.match, m.snapshot); }
auto fields(Of<AppendNack> auto& m) { return std::tie(m.epoch, m.stale, m.hint, m.snapshot, m.sparse); }
auto fields(Of<Heartbeat> auto& m) { return std::tie(m.epoch, m.commit, m.round, m.digest); }
auto fields(Of<HeartbeatAck> auto& m) { return std::tie(m.epoch, m.round, m.whole, m.snapshot); }
auto fields(Of<SnapshotBegin> auto& m) { return std::tie(m.epoch, m.number, m.base, m.sparse, m.keys); }
auto fields(Of<SnapshotChunk> auto& m) { return std::tie(m.epoch, m.items); }
auto fields(Of<SnapshotEnd> auto& m) { return std::tie(m.epoch, m.revision, m.digest); }
auto fields(Of<SnapshotAck> auto& m) { return std::tie(m.epoch, m.number, m.chunks, m.failed); }
auto fields(Of<Forward> auto& m) { return std::tie(m.request, m.operation, m.timeout, m.idempotency_key); }
auto fields(Of<ForwardResult> auto& m) { return std::tie(m.request, m.answer, m.revision); }
auto fields(Of<Suspect> auto& m) { return std::tie(m.epoch, m.leader); }
auto fields(Of<SuspectReply> auto& m) { return std::tie(m.epoch, m.leader, m.agrees); }
auto fields(Of<TakeOver> auto& m) { return std::tie(m.epoch, m.leaves); }

template <class Enum>
constexpr uint8_t kLast = 0;
template <>
constexpr uint8_t kLast<ErrorCode> = static_cast<uint8_t>(ErrorCode::kMemoryFull);
template <>
constexpr uint8_t kLast<Space> = static_cast<uint8_t>(Space::kRequests);
template <>
constexpr uint8_t kLast<Outcome> = static_cast<uint8_t>(Outcome::kUnknown);

// The fewest bytes that an item of a list takes: what a list's count is held against before anything is
// allocated.
template <class T>
constexpr size_t kSmallest = 0;
template <>
constexpr size_t kSmallest<Revision> = 8;
template <>
constexpr size_t kSmallest<Effect> = 4 + 1 + 8 + 8 + 1;
template <>
constexpr size_t kSmallest<EntryPointer> = 8 + 8 + 4;
template <>
constexpr size_t kSmallest<Item> = 4 + 4 + 8 + 8 + 8 + 1;
template <>
constexpr size_t kSmallest<BatchOp> = 4 + 1;

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
  void put(const EntryPointer& entry) { put(*entry); }
  template <class... Ts>
  void put(const std::variant<Ts...>& choice) {
    put(static_cast<uint8_t>(choice.index()));
    std::visit([&](const auto& value) { put(value); }, choice);
  }
  void put(const Status&) { CHECK(false); }  // stays within its node
  template <class T>
  requires requires(const T& value) { fields(value); }
  void put(const T& value) {
    std::apply([&](const auto&... field) { (put(field), ...); }, fields(value));
  }

 private:
  std::string& out_;
};

// ---- reading ----

// The first thing that is wrong stays: what is read after it is zero or empty, and take_error() tells.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  bool failed() const { return !error_.empty(); }
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
  void get(std::string& text) {
    uint32_t size = 0;
    get(size);
    text.assign(take(size));
  }
  void get(Bytes& bytes) {
    std::string content;
    get(content);
    if (!content.empty()) bytes = Bytes(std::move(content));
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (present) get(value.emplace());
  }
  template <class T>
  void get(std::vector<T>& items) {
    static_assert(kSmallest<T> > 0);
    uint32_t count = 0;
    get(count);
    if (count > rest_.size() / kSmallest<T>)
      return fail(fmt::format("a list of {} items beyond the frame", count));
    items.reserve(count);
    for (uint32_t i = 0; i < count && !failed(); ++i) get(items.emplace_back());
  }
  void get(EntryPointer& entry) {
    auto content = std::make_shared<Entry>();
    get(*content);
    entry = std::move(content);
  }
  template <class... Ts>
  void get(std::variant<Ts...>& choice) {
    uint8_t index = 0;
    get(index);
    get_alternative(index, choice);
  }
  void get(Status&) { fail("a status"); }
  template <class T>
  requires requires(T& value) { fields(value); }
  void get(T& value) {
    std::apply([&](auto&... field) { (get(field), ...); }, fields(value));
    if (!failed()) check(value);
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
  // What holds for a value beyond its encoding.
  template <class T>
  void check(const T&) {}
  void check(const Effect& effect) { check_key(effect.key); }
  void check(const Item& item) { check_key(item.key); }
  void check(const ReadKey& read) { check_key(read.key); }
  void check(const PutKey& put) {
    check_key(put.key);
    check_write(put.key.size() + put.value.size());
  }
  void check(const ListKeys& list) {
    if (list.limit > limits::kListItemsMax) fail(fmt::format("a page of {} keys", list.limit));
  }
  void check(const DeleteKey& deletion) { check_key(deletion.key); }
  void check(const BatchOp& op) { check_key(op.key); }
  void check(const DeletePrefix& deletion) {
    if (deletion.prefix.empty()) fail("an empty prefix");
  }
  void check(const WriteBatch& batch) {
    if (batch.ops.size() > limits::kBatchOps) fail(fmt::format("a batch of {}", batch.ops.size()));
    size_t bytes = 0;
    for (const BatchOp& op : batch.ops) bytes += op.key.size() + (op.value ? op.value->size() : 0);
    check_write(bytes);
  }
  void check(const ServerId& id) {
    if (id.value.size() > kIdBytes) fail(fmt::format("a server id of {} bytes", id.value.size()));
  }
  void check(const Address& address) {
    if (address.host.empty() || address.host.size() > kHostBytes) fail("an address without a usable host");
    if (address.port == 0) fail("an address without a port");
  }
  void check(const Hello& hello) {
    if (hello.from.member.id.value.empty() || hello.to.value.empty()) fail("a hello without a server id");
    if (hello.cluster.size() > kClusterBytes) fail("a hello with an endless cluster name");
  }
  void check(const Forward& forward) {
    if (forward.idempotency_key.size() > limits::kIdempotencyKeyBytes) fail("an endless idempotency key");
  }
  void check(const Suspect& suspect) {
    if (suspect.leader.id.value.empty()) fail("a suspicion without a server id");
  }
  void check(const Append& append) {
    Revision last = append.previous.revision;
    for (const EntryPointer& entry : append.entries) {
      if (last.next() < last || entry->revision != last.next()) {
        return fail(fmt::format("revision {} behind {}", entry->revision.value, last.value));
      }
      last = entry->revision;
    }
  }
  void check_key(const std::string& key) {
    if (key.empty() || key.size() > limits::kKeyBytes) fail(fmt::format("a key of {} bytes", key.size()));
  }
  // What becomes of it must fit into a frame again, next to others: an answer, an Append.
  void check_write(size_t bytes) {
    if (bytes > limits::kWriteBytes) fail(fmt::format("a write of {} bytes", bytes));
  }

  std::string_view rest_;
  std::string error_;
};

uint32_t frame_length(std::string_view bytes) {
  uint32_t length = 0;
  Decoder(bytes.substr(0, kLengthBytes)).get(length);
  return length;
}

// What a link's first bytes must be, as far as they are there: a frame of a possible length, Hello's type,
// the magic.
bool begins_like_hello(std::string_view bytes) {
  if (bytes.size() > kLengthBytes && static_cast<uint8_t>(bytes[kLengthBytes]) != kHelloType) return false;
  if (bytes.size() <= kLengthBytes + 1) return true;
  std::string_view magic = bytes.substr(kLengthBytes + 1, kMagic.size());
  return magic == kMagic.substr(0, magic.size());
}

}  // namespace

void encode_frame(const PeerMessage& message, std::string& out) {
  size_t start = out.size();
  Encoder encoder(out);
  encoder.put(uint32_t{0});
  encoder.put(static_cast<uint8_t>(message.index() + 1));
  if (std::holds_alternative<Hello>(message)) out += kMagic;
  std::visit([&encoder](const auto& content) { encoder.put(content); }, message);

  size_t length = out.size() - start - kLengthBytes;
  CHECK(length <= limits::kFrameBytes);
  std::string prefix;
  Encoder(prefix).put(static_cast<uint32_t>(length));
  out.replace(start, kLengthBytes, prefix);
}

std::string encode_answer(const Answer& answer) {
  std::string out;
  Encoder(out).put(answer);
  return out;
}

Result<Answer> decode_answer(std::string_view bytes) {
  Decoder decoder(bytes);
  Answer answer;
  decoder.get(answer);
  decoder.finish();
  if (decoder.failed()) return failure(decoder.take_error());
  return answer;
}

uint64_t operation_digest(const Operation& operation) {
  std::string bytes;
  Encoder(bytes).put(operation);
  return hash_bytes(bytes);
}

Result<PeerMessage> decode_body(std::string_view body) {
  Decoder decoder(body);
  uint8_t type = 0;
  decoder.get(type);
  if (type == kHelloType && decoder.take(kMagic.size()) != kMagic)
    decoder.fail("no kvd peer of this version");
  PeerMessage message;
  if (!decoder.failed()) decoder.get_alternative(size_t{type} - 1, message);
  decoder.finish();
  if (decoder.failed()) return failure(fmt::format("frame of type {}: {}", type, decoder.take_error()));
  return message;
}

void FrameReader::feed(std::string_view bytes) {
  // Moving the rest forward only when it is the smaller half keeps the cost linear in what arrives.
  if (start_ > buffer_.size() / 2 || start_ == buffer_.size()) {
    buffer_.erase(0, start_);
    start_ = 0;
    if (buffer_.empty() && buffer_.capacity() > kIdleBufferBytes) std::string().swap(buffer_);
  }
  buffer_.append(bytes);
}

Result<std::optional<PeerMessage>> FrameReader::next() {
  std::string_view rest = std::string_view(buffer_).substr(start_);
  if (!greeted_ && !begins_like_hello(rest)) return failure(kNoHello);
  if (rest.size() < kLengthBytes) return std::optional<PeerMessage>();
  size_t length = frame_length(rest);
  if (length == 0 || length > (greeted_ ? limits::kFrameBytes : kHelloBytes)) {
    return failure(greeted_ ? fmt::format("a frame of {} bytes", length) : kNoHello);
  }
  if (rest.size() < kLengthBytes + length) return std::optional<PeerMessage>();
  Result<PeerMessage> message = decode_body(rest.substr(kLengthBytes, length));
  if (!message) return failure(message.error().detail);
  start_ += kLengthBytes + length;
  greeted_ = true;
  return std::optional<PeerMessage>(std::move(*message));
}

}  // namespace kvd
