// See bytes.hpp.
#include "base/bytes.hpp"

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

}  // namespace kvd
