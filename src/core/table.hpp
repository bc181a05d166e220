// The records of one space: found by key at the price of a hash, and walked in the order of their keys. A record stands
// in a place with a number for as long as its key exists; the hash and the tree hold only these numbers, 4 bytes each,
// so that an update of a key touches neither. The hash is never walked: its order depends on addresses.
#pragma once
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "msg/record.hpp"

namespace kvd {

class Table {
  // Never moves a record, so that to grow is no pause.
  class Places {
   public:
    Record& operator[](uint32_t place) const { return chunks_[place / kChunk][place % kChunk]; }
    std::string_view key(uint32_t place) const { return (*this)[place].key(); }
    std::string_view key(std::string_view key) const { return key; }
    uint32_t take(Record record);
    void give_back(uint32_t place);

   private:
    static constexpr uint32_t kChunk = 1024;
    std::vector<std::unique_ptr<Record[]>> chunks_;
    std::deque<uint32_t> free_;  // a vector of millions takes long to grow
    uint32_t used_ = 0;
  };
  // Each takes places and keys alike.
  struct Hash {
    using is_transparent = void;
    const Places* places;
    size_t operator()(auto of) const { return hash(places->key(of)); }
    size_t hash(std::string_view key) const;
  };
  struct Equal {
    using is_transparent = void;
    const Places* places;
    bool operator()(auto a, auto b) const { return places->key(a) == places->key(b); }
  };
  struct Less {
    using is_transparent = void;
    const Places* places;
    bool operator()(auto a, auto b) const { return places->key(a) < places->key(b); }
  };
  using Tree = absl::btree_set<uint32_t, Less>;
  using Shard = absl::flat_hash_set<uint32_t, Hash, Equal>;

 public:
  // Valid until the next insertion or removal.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Record;
    using difference_type = std::ptrdiff_t;
    using pointer = const Record*;
    using reference = const Record&;

    Iterator() = default;
    const Record& operator*() const { return (*places_)[*at_]; }
    const Record* operator->() const { return &**this; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Table;
    Iterator(const Places& places, Tree::const_iterator at) : places_(&places), at_(at) {}
    const Places* places_ = nullptr;
    Tree::const_iterator at_;
  };

  Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // Null when there is no such key. Another record of the same key may be put in its place.
  Record* find(std::string_view key);
  const Record* find(std::string_view key) const { return const_cast<Table*>(this)->find(key); }
  void insert(Record record);        // of a key that is not there
  void erase(std::string_view key);  // which is there, and may be that of the record

  size_t size() const { return tree_.size(); }
  bool empty() const { return tree_.empty(); }
  Iterator begin() const { return {places_, tree_.begin()}; }
  Iterator end() const { return {places_, tree_.end()}; }
  Iterator lower_bound(std::string_view key) const { return {places_, tree_.lower_bound(key)}; }
  Iterator upper_bound(std::string_view key) const { return {places_, tree_.upper_bound(key)}; }

 private:
  // A hash that grows reads all its keys again. Of so many, each grows by itself, so that none takes long.
  static constexpr size_t kShards = 256;
  size_t hash(std::string_view key) const { return Hash{&places_}.hash(key); }
  Shard& shard(size_t hash) { return shards_[hash >> (64 - 8)]; }

  Places places_;
  std::vector<Shard> shards_;
  Tree tree_;
};

}  // namespace kvd
