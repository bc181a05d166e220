// Immutable bytes with shared ownership: a value travels from socket to log to store to socket, and is copied once when
// it is large, a few times while it is small. Thread-safe to share, since nobody can change them and owners are counted
// atomically: the disk's thread frees what it has written.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace kvd {

// What every shared piece of the heap begins with. Whoever makes one writes what follows before anybody else sees it.
struct SharedBlock {
  std::atomic<uint32_t> owners{1};
  uint32_t size : 31;          // bytes, this head included
  uint32_t ends_in_bytes : 1;  // the last of them are a Bytes object, which goes with the block
};

// One of the owners of a block; null: of none.
class BlockPointer {
 public:
  BlockPointer() = default;
  explicit BlockPointer(SharedBlock* adopted) : block_(adopted) {}  // its first owner
  BlockPointer(const BlockPointer& other) : block_(other.block_) {
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  BlockPointer(BlockPointer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockPointer& operator=(BlockPointer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockPointer() {
    if (block_ != nullptr) release(block_);
  }

  // Memory for a block of `size` bytes, its head filled in. What comes behind is the caller's to fill.
  static SharedBlock* allocate(size_t size, bool ends_in_bytes);

  SharedBlock* get() const { return block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  static void release(SharedBlock* block) {
    // The only owner need not write to find that out.
    if (block->owners.load(std::memory_order_acquire) == 1 ||
        block->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      free(block);
    }
  }
  static void free(SharedBlock* block);

  SharedBlock* block_ = nullptr;
};

class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::string_view content);  // copied
  // A part of what another owner has filled: `size` bytes from `offset` in the block on.
  Bytes(BlockPointer block, size_t offset, size_t size)
      : block_(std::move(block)),
        offset_(static_cast<uint32_t>(offset)),
        size_(static_cast<uint32_t>(size)) {}

  std::string_view view() const {
    if (!block_) return {};
    return {reinterpret_cast<const char*>(block_.get()) + offset_, size_};
  }
  size_t size() const { return block_ ? size_ : 0; }
  // The last `size` of them, which share what holds them.
  Bytes last(size_t size) const { return Bytes(block_, offset_ + size_ - size, size); }
  bool operator==(const Bytes& other) const { return view() == other.view(); }

 private:
  BlockPointer block_;  // null: empty
  uint32_t offset_ = 0;
  uint32_t size_ = 0;
};

// Bytes in the making. They are filled where they stay, so that a large value whose size was announced is not copied
// again once it is whole.
class BytesBuilder {
 public:
  BytesBuilder() = default;
  BytesBuilder(BytesBuilder&&) = default;
  BytesBuilder& operator=(BytesBuilder&&) = default;

  void reserve(size_t size);  // in all
  void append(std::string_view piece);
  void clear() { *this = BytesBuilder(); }
  std::string_view view() const {
    if (!block_) return {};
    return {content(), size_};
  }
  size_t size() const { return size_; }
  Bytes take();  // leaves nothing

 private:
  char* content() const { return reinterpret_cast<char*>(block_.get()) + sizeof(SharedBlock); }

  BlockPointer block_;  // its head, and room for `capacity_` bytes
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace kvd
