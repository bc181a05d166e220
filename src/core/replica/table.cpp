// See table.hpp.
#include "core/replica/table.hpp"

#include <cstdint>
#include <utility>

#include "base/check.hpp"
#include "base/hash.hpp"

namespace kvd {

uint32_t Index::Places::take(Record record) {
  uint32_t place = used_;
  if (!free_.empty()) {
    place = free_.back();
    free_.pop_back();
  } else {
    CHECK(used_ < UINT32_MAX);
    if (used_ % kChunk == 0) chunks_.push_back(std::make_unique<Record[]>(kChunk));
    ++used_;
  }
  (*this)[place] = std::move(record);
  return place;
}

void Index::Places::give_back(uint32_t place) {
  (*this)[place] = Record();
  free_.push_back(place);
}

bool Index::Places::free_some() {
  constexpr size_t kChunksAtOnce = 4;
  for (size_t i = 0; i < kChunksAtOnce && !chunks_.empty(); ++i) chunks_.pop_back();
  return !chunks_.empty();
}

// Clients choose the keys. Without a seed that they do not know they could choose any number of keys with one and the
// same hash, and each access, and each restart, would compare with all of them. Where a table lies in memory is such a
// seed, and decides nothing that anybody sees.
size_t Index::Hash::hash(std::string_view key) const {
  return hash_bytes(key, reinterpret_cast<uintptr_t>(places));
}

Index::Index() {
  static_assert(kShards == 1 << 8);
  shards_.reserve(kShards);
  for (size_t i = 0; i < kShards; ++i) shards_.emplace_back(0, Hash{&places_}, Equal{&places_});
}

Record* Index::find(std::string_view key) {
  if (places_.size() == 0) return nullptr;
  const size_t hash = this->hash(key);
  Shard& shard = this->shard(hash);
  auto it = shard.find(key, hash);
  return it == shard.end() ? nullptr : &places_[*it];
}

uint32_t Index::insert(Record record) {
  const uint32_t place = places_.take(std::move(record));
  const bool fresh = shard(hash(places_.key(place))).insert(place).second;
  CHECK(fresh);
  return place;
}

uint32_t Index::take_out(std::string_view key) {
  const size_t hash = this->hash(key);
  Shard& shard = this->shard(hash);
  auto it = shard.find(key, hash);
  CHECK(it != shard.end());
  const uint32_t place = *it;
  shard.erase(it);
  return place;
}

void Table::erase(std::string_view key) {
  const uint32_t place = index_.take_out(key);
  tree_.erase(tree_.find(place));
  index_.places().give_back(place);
}

// The tree frees its nodes without a look at the keys.
bool Table::free_some() {
  constexpr size_t kPlacesAtOnce = 4096;
  auto end = tree_.begin();
  for (size_t i = 0; i < kPlacesAtOnce && end != tree_.end(); ++i) ++end;
  tree_.erase(tree_.begin(), end);
  return index_.places().free_some();
}

}  // namespace kvd
