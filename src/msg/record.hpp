// One key as one write left it: the unit that the log, the store, answers, snapshots and the disk share. Whoever hands
// a record on hands on a pointer of 8 bytes; the content is written once, when a write is taken or read from the wire,
// and freed by the last owner, in whatever thread. Entries of the log, which are made of records, are here, too.
#pragma once
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "msg/types.hpp"

namespace kvd {

// The replicated state has parts with keys of their own.
enum class Space : uint8_t {
  kData,      // what clients write
  kRequests,  // what came of writes that carried an idempotency key (core/replica/requests.hpp)
  kFences,    // the largest token that writes brought, by resource (core/replica/fences.hpp)
  kTerms,     // how long keys may live, by key (core/replica/terms.hpp)
  kLeases,    // what many of them live by (core/replica/leases.hpp)
  // Queues, and what else is written of messages (core/queues/stored.hpp).
  kQueues,      // by name; and what is being emptied
  kMessages,    // what was sent
  kDeliveries,  // what became of it, once it was granted
  kDedup,       // names that sends bore
  kAccess,      // policies, users and tokens (access.hpp)
};
inline constexpr size_t kSpaces = 10;

// As the effect of a write it is the outcome, not the operation, so that a copy which misses history still ends with
// the same bytes: a value, or that the key is deleted. As an item of the store it has a value.
class Record {
 public:
  struct Metadata {
    Revision created;      // revision at which the key came into being
    Revision modified;     // of the write that this is the outcome of
    uint64_t version = 0;  // 1 when created, one more with each update; 0: deleted
    Space space = Space::kData;
    bool operator==(const Metadata&) const = default;
  };

  // None: only to be assigned to.
  Record() = default;
  // Keys have at most limits::kKeyBytes. A value is copied; of Bytes only when it is small, otherwise it is shared.
  Record(std::string_view key, std::string_view value, const Metadata& metadata);
  Record(std::string_view key, const Bytes& value, const Metadata& metadata);
  // `expired`: nobody asked for it; its time had come.
  static Record deletion(std::string_view key, const Metadata& metadata, bool expired = false);

  explicit operator bool() const { return static_cast<bool>(block_); }

  std::string_view key() const { return {content(), head().key_size}; }
  bool has_value() const { return head().kind == Kind::kValue; }
  bool expired() const { return head().kind == Kind::kExpired; }
  std::string_view value() const {  // empty when there is none
    if (shares_value()) return shared_value().view();
    return {content() + head().key_size, inline_bytes()};
  }
  // The same, to be kept: it owns a share of what holds it.
  Bytes bytes() const {
    if (shares_value()) return shared_value();
    return Bytes(block_, kContent + head().key_size, inline_bytes());
  }
  // Of the value. A shared one is long, and is read for it once.
  uint64_t value_hash() const;
  Metadata metadata() const { return {head().created, head().modified, head().version, head().space}; }
  Revision created() const { return head().created; }
  Revision modified() const { return head().modified; }
  uint64_t version() const { return head().version; }
  Space space() const { return head().space; }

  bool operator==(const Record& other) const;  // of the content

 private:
  enum class Kind : uint8_t { kDeleted, kValue, kExpired };
  // Ordered so that the key and the value begin right behind it.
  struct Head {
    SharedBlock block;
    Revision created;
    Revision modified;
    uint64_t version;
    uint16_t key_size;
    Space space;
    Kind kind;
  };
  static constexpr size_t kContent = 36;  // where the key begins, and behind it the value

  // A block with a shared value ends in its hash and the Bytes.
  static constexpr size_t kSharedTail = sizeof(uint64_t) + sizeof(Bytes);

  static BlockPointer make(std::string_view key, Kind kind, size_t value_bytes, const Bytes* shared,
                           const Metadata& metadata);
  const Head& head() const { return *reinterpret_cast<const Head*>(block_.get()); }
  const char* content() const { return reinterpret_cast<const char*>(block_.get()) + kContent; }
  bool shares_value() const { return block_.get()->ends_in_bytes != 0; }
  const Bytes& shared_value() const {
    return *reinterpret_cast<const Bytes*>(reinterpret_cast<const char*>(block_.get()) + block_.get()->size -
                                           sizeof(Bytes));
  }
  size_t inline_bytes() const { return block_.get()->size - kContent - head().key_size; }

  BlockPointer block_;
};

struct Entry {
  Epoch epoch;  // of the leader that appended it
  Revision revision;
  std::vector<Record> effects;  // all of this revision
  uint64_t clock = 0;  // ms, of the log's own time (core/replica/log_clock.hpp), when it was appended
  bool operator==(const Entry&) const = default;
};
using EntryPointer = std::shared_ptr<const Entry>;  // never null in a message

}  // namespace kvd
