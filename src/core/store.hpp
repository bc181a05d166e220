// The replicated state and its digest, a map per space: a plain object owned by the replica. It holds what one
// prefix of the log leads to (or, in a sparse server, the part of it that this server has seen). It never
// decides anything about the protocol.
#pragma once
#include <array>
#include <map>
#include <string>
#include <string_view>

#include "msg/client.hpp"
#include "msg/types.hpp"

namespace kvd {

class Store {
 public:
  struct Value {
    Bytes bytes;
    Revision created;
    Revision modified;
    uint64_t version = 0;
  };
  using Map = std::map<std::string, Value, std::less<>>;

  // Applies one committed entry. Effects on keys that are already as new as the entry are skipped: a snapshot
  // that was read while writes went on may be ahead of the log that follows it.
  void apply(const Entry& entry);
  void put(Item item);  // from a snapshot; replaces
  void clear();

  const Value* find(std::string_view key, Space space = Space::kData) const;
  const Map& values(Space space = Space::kData) const { return maps_[static_cast<size_t>(space)]; }
  // Remembered requests (not the batches of forgotten ones) by the revision of their write, oldest first.
  const std::map<Revision, std::string>& requests_by_age() const { return requests_by_age_; }
  // The items behind `last`, space by space and in key order, up to about `bytes`; at least one while there are any.
  std::vector<Item> items_behind(Space space, const std::string& last, size_t bytes) const;
  // Keys with `prefix` behind `after`, in order, until `limit` items or limits::kListBytes are reached.
  Listing list(const ListKeys& query) const;
  // Calls fn(key) for every key with the prefix.
  template <class Fn>
  void each_key(std::string_view prefix, Fn&& fn) const {
    const Map& all = values();
    for (auto it = all.lower_bound(prefix); it != all.end() && it->first.starts_with(prefix); ++it) {
      fn(it->first);
    }
  }

  // Sum over all items of a hash of each: the same for the same content, whatever the way to it.
  uint64_t digest() const { return digest_; }
  uint64_t value_bytes() const { return value_bytes_; }  // of Space::kData
  // About what it all takes in memory: keys, values, and what every item costs beside them.
  uint64_t bytes() const { return bytes_; }

 private:
  void insert(Space space, const std::string& key, Value value);
  void erase(Space space, Map::iterator it);
  void index(Space space, const std::string& key, const Value& value, bool add);

  std::array<Map, 2> maps_;
  std::map<Revision, std::string> requests_by_age_;
  uint64_t digest_ = 0;
  uint64_t value_bytes_ = 0;
  uint64_t bytes_ = 0;
};

// What one item counts in Store::bytes().
size_t item_bytes(std::string_view key, size_t value_bytes);

Item to_item(const std::string& key, const Store::Value& value, Space space = Space::kData);

}  // namespace kvd
