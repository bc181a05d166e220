// See record.hpp.
#include "msg/record.hpp"

#include <cstddef>
#include <cstring>
#include <new>

#include "base/check.hpp"
#include "base/hash.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

// Sharing a smaller value would take more memory, and one more access, than copying it takes time.
constexpr size_t kSharedBytes = 4096;

}  // namespace

BlockPointer Record::make(std::string_view key, Kind kind, size_t value_bytes, const Bytes* shared,
                          const Metadata& metadata) {
  static_assert(offsetof(Head, kind) + sizeof(Kind) == kContent);
  CHECK(key.size() <= limits::kKeyBytes);
  size_t size = kContent + key.size() + value_bytes;
  if (shared != nullptr) size = (size + alignof(Bytes) - 1) / alignof(Bytes) * alignof(Bytes) + kSharedTail;
  SharedBlock* block = BlockPointer::allocate(size, shared != nullptr);
  auto* head = reinterpret_cast<Head*>(block);
  head->created = metadata.created;
  head->modified = metadata.modified;
  head->version = metadata.version;
  head->key_size = static_cast<uint16_t>(key.size());
  head->space = metadata.space;
  head->kind = kind;
  auto* bytes = reinterpret_cast<char*>(block);
  std::memcpy(bytes + kContent, key.data(), key.size());
  if (shared != nullptr) {
    const uint64_t hash = hash_bytes(shared->view());
    std::memcpy(bytes + size - kSharedTail, &hash, sizeof hash);
    new (bytes + size - sizeof(Bytes)) Bytes(*shared);
  }
  return BlockPointer(block);
}

Record::Record(std::string_view key, std::string_view value, const Metadata& metadata)
    : block_(make(key, Kind::kValue, value.size(), nullptr, metadata)) {
  char* end = reinterpret_cast<char*>(block_.get()) + block_.get()->size;
  if (!value.empty()) std::memcpy(end - value.size(), value.data(), value.size());
}

Record::Record(std::string_view key, const Bytes& value, const Metadata& metadata)
    : Record(value.size() < kSharedBytes ? Record(key, value.view(), metadata) : Record()) {
  if (!block_) block_ = make(key, Kind::kValue, 0, &value, metadata);
}

Record Record::deletion(std::string_view key, const Metadata& metadata, bool expired) {
  Record record;
  record.block_ = make(key, expired ? Kind::kExpired : Kind::kDeleted, 0, nullptr, metadata);
  return record;
}

uint64_t Record::value_hash() const {
  if (!shares_value()) return hash_bytes(value());
  uint64_t hash = 0;
  const char* end = reinterpret_cast<const char*>(block_.get()) + block_.get()->size;
  std::memcpy(&hash, end - kSharedTail, sizeof hash);
  return hash;
}

bool Record::operator==(const Record& other) const {
  if (block_.get() == other.block_.get()) return true;
  if (!block_ || !other.block_) return false;
  return metadata() == other.metadata() && head().kind == other.head().kind && key() == other.key() &&
         value() == other.value();
}

}  // namespace kvd
