// Records by their keys. A record stands in a place with a number for as long as its key is there; whatever finds it
// holds only these numbers, 4 bytes each, so that an update of a key touches nothing but its place. An Index finds a
// key at the price of a hash; a Table also walks its keys in their order. The hash is never walked: its order depends
// on addresses.
#pragma once
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "msg/record.hpp"

namespace kvd {

class Index {
 public:
  // Never moves a record, so that to grow is no pause.
  class Places {
   public:
    Record& operator[](uint32_t place) const { return chunks_[place / kChunk][place % kChunk]; }
    std::string_view key(uint32_t place) const { return (*this)[place].key(); }
    std::string_view key(std::string_view key) const { return key; }
    uint32_t size() const { return used_; }  // some of them may be empty
    uint32_t take(Record record);
    void give_back(uint32_t place);
    bool free_some();  // the last places and their records; false: there are no more

   private:
    static constexpr uint32_t kChunk = 1024;
    std::vector<std::unique_ptr<Record[]>> chunks_;
    std::deque<uint32_t> free_;  // a vector of millions takes long to grow
    uint32_t used_ = 0;
  };

  Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Null when there is no such key. Another record of the same key may be put in its place.
  Record* find(std::string_view key);
  const Record* find(std::string_view key) const { return const_cast<Index*>(this)->find(key); }
  uint32_t insert(Record record);  // of a key that is not there
  // Of a key which is there. The place is the caller's to give back, after the last use of `key`.
  uint32_t take_out(std::string_view key);
  void erase(std::string_view key) { places_.give_back(take_out(key)); }

  Places& places() { return places_; }
  const Places& places() const { return places_; }
  // Calls fn(record) for every record, in an order that the history of the index alone decides.
  template <class Fn>
  void each(Fn&& fn) const {
    for (uint32_t place = 0; place < places_.size(); ++place) {
      if (const Record& record = places_[place]) fn(record);
    }
  }

 private:
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
  using Shard = absl::flat_hash_set<uint32_t, Hash, Equal>;

  // A hash that grows reads all its keys again. Of so many, each grows by itself, so that none takes long.
  static constexpr size_t kShards = 256;
  size_t hash(std::string_view key) const { return Hash{&places_}.hash(key); }
  Shard& shard(size_t hash) { return shards_[hash >> (64 - 8)]; }

  Places places_;
  std::vector<Shard> shards_;
};

class Table {
  // Takes places and keys alike.
  struct Less {
    using is_transparent = void;
    const Index::Places* places;
    bool operator()(auto a, auto b) const { return places->key(a) < places->key(b); }
  };
  using Tree = absl::btree_set<uint32_t, Less>;

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
    Iterator& operator--() {
      --at_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    friend class Table;
    Iterator(const Index::Places& places, Tree::const_iterator at) : places_(&places), at_(at) {}
    const Index::Places* places_ = nullptr;
    Tree::const_iterator at_;
  };

  Table() : tree_(Less{&index_.places()}) {}

  // As of an Index.
  Record* find(std::string_view key) { return index_.find(key); }
  const Record* find(std::string_view key) const { return index_.find(key); }
  void insert(Record record) { tree_.insert(index_.insert(std::move(record))); }
  void erase(std::string_view key);  // which may be that of the record
  // Frees some thousand records of a table that is good for nothing but this any more. False: it was the rest.
  bool free_some();

  size_t size() const { return tree_.size(); }
  bool empty() const { return tree_.empty(); }
  Iterator begin() const { return {index_.places(), tree_.begin()}; }
  Iterator end() const { return {index_.places(), tree_.end()}; }
  Iterator lower_bound(std::string_view key) const { return {index_.places(), tree_.lower_bound(key)}; }
  Iterator upper_bound(std::string_view key) const { return {index_.places(), tree_.upper_bound(key)}; }

 private:
  Index index_;
  Tree tree_;
};

}  // namespace kvd
