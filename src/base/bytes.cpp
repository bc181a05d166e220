// See bytes.hpp.
#include "base/bytes.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/check.hpp"

namespace kvd {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 31;

}  // namespace

SharedBlock* BlockPointer::allocate(size_t size, bool ends_in_bytes) {
  CHECK(size < kBlockBytes);
  // Whole words: the head of whoever uses it may end behind the last byte that it needs.
  auto* block = new (::operator new((size + 7) / 8 * 8)) SharedBlock;
  block->size = static_cast<uint32_t>(size);
  block->ends_in_bytes = ends_in_bytes ? 1 : 0;
  return block;
}

void BlockPointer::free(SharedBlock* block) {
  if (block->ends_in_bytes != 0) {
    auto* end = reinterpret_cast<char*>(block) + block->size;
    reinterpret_cast<Bytes*>(end - sizeof(Bytes))->~Bytes();
  }
  ::operator delete(block);
}

Bytes::Bytes(std::string_view content) {
  if (content.empty()) return;
  SharedBlock* block = BlockPointer::allocate(sizeof(SharedBlock) + content.size(), false);
  std::memcpy(reinterpret_cast<char*>(block) + sizeof(SharedBlock), content.data(), content.size());
  *this = Bytes(BlockPointer(block), sizeof(SharedBlock), content.size());
}

void BytesBuilder::reserve(size_t size) {
  if (size <= capacity_) return;
  BytesBuilder larger;
  larger.block_ = BlockPointer(BlockPointer::allocate(sizeof(SharedBlock) + size, false));
  larger.capacity_ = size;
  larger.append(view());
  *this = std::move(larger);
}

void BytesBuilder::append(std::string_view piece) {
  if (piece.empty()) return;
  if (size_ + piece.size() > capacity_) reserve(std::max(size_ + piece.size(), 2 * capacity_));
  std::memcpy(content() + size_, piece.data(), piece.size());
  size_ += piece.size();
}

Bytes BytesBuilder::take() {
  BytesBuilder all = std::exchange(*this, BytesBuilder());
  // What was never used would be kept for as long as the value.
  const bool roomy = all.capacity_ - all.size_ > all.capacity_ / 8;
  if (roomy) return Bytes(all.view());
  return Bytes(std::move(all.block_), sizeof(SharedBlock), all.size_);
}

}  // namespace kvd
