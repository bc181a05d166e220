// The replicated state and its digest, a table per space: a plain object owned by the replica. It holds what one
// prefix of the log leads to (or, in a sparse server, the part of it that this server has seen), in the very records
// that the log is made of. It never decides anything about the protocol.
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/replica/spaces.hpp"
#include "msg/client.hpp"
#include "msg/record.hpp"
#include "msg/types.hpp"

namespace kvd {

class QueueViews;  // core/queues/queue_views.hpp
class Table;  // core/replica/table.hpp, for who walks it: with the containers under it, it is much to compile

class Store {
 public:
  Store();
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  // Applies one committed entry. Effects on keys that are already as new as the entry are skipped: a snapshot
  // that was read while writes went on may be ahead of the log that follows it.
  void apply(const Entry& entry);
  void put(Record item);                                            // from a snapshot; replaces
  void reach_clock(uint64_t ms) { clock_ = std::max(clock_, ms); }  // of a snapshot
  void clear();
  // To free millions of items is a pause. This frees some thousand of a store that is good for nothing else any more.
  // False: nothing is left that takes long.
  bool free_some();

  // Null when there is no such key. Valid until the key is written again.
  const Record* find(std::string_view key, Space space = Space::kData) const;
  size_t size(Space space = Space::kData) const;  // keys
  const Table& items(Space space = Space::kData) const { return *tables_[static_cast<size_t>(space)]; }
  // Remembered requests (not the batches of forgotten ones) by the revision of their write, oldest first.
  const std::map<Revision, Record>& requests_by_age() const {
    return std::get<RequestsSpace>(spaces_).by_age;
  }
  // That an answer was remembered whose key has that hash, and is no more.
  bool has_forgotten(uint64_t hash) const {
    return std::get<RequestsSpace>(spaces_).forgotten.contains(hash);
  }
  // The items behind `last`, space by space and in key order, up to about `bytes`; at least one while there are any.
  std::vector<Record> items_behind(Space space, std::string_view last, size_t bytes) const;
  // Keys with `prefix` behind `after`, in order, until `limit` items or limits::kListBytes are reached.
  Listing list(const ListKeys& query) const;
  const TermsSpace& terms() const { return std::get<TermsSpace>(spaces_); }
  const LeasesSpace& leases() const { return std::get<LeasesSpace>(spaces_); }
  const MessagesSpace& messages() const { return std::get<MessagesSpace>(spaces_); }
  const DeliveriesSpace& deliveries() const { return std::get<DeliveriesSpace>(spaces_); }
  const AccessSpace& access() const { return std::get<AccessSpace>(spaces_); }
  const DedupSpace& dedup() const { return std::get<DedupSpace>(spaces_); }
  const std::set<uint64_t>& emptied_queues() const { return std::get<QueuesSpace>(spaces_).emptied; }
  // What follows from the records of queues. They are of this store; while `foresees()`, of what a leader's log will
  // make of it, and its evaluator keeps them.
  const QueueViews& queues() const { return *queues_; }
  QueueViews& queues() { return *queues_; }
  void foresee(bool foresee);
  // Makes them once more of all that is here: a copy that came as a snapshot, which is read while writes go on, or that
  // has missed something, may have seen messages before their queue.
  void view_anew();
  // Something will end by its time.
  bool has_due() const;
  // Sum over all items of a hash of each: the same for the same content, whatever the way to it.
  uint64_t digest() const { return digest_; }
  // Of the newest entry that is in here, ms (log_clock.hpp).
  uint64_t clock() const { return clock_; }
  uint64_t value_bytes() const { return std::get<DataSpace>(spaces_).value_bytes; }
  // About what it all takes in memory: records, and what each costs beside itself.
  uint64_t bytes() const { return bytes_; }

 private:
  Table& table(const Record& item) { return *tables_[static_cast<size_t>(item.space())]; }
  void set(Record* now, const Record& item);
  void count(const Record& item, bool add);
  void view(const Record* now, const Record& effect);  // before it is done

  std::array<std::unique_ptr<Table>, kSpaces> tables_;
  Spaces spaces_;
  std::unique_ptr<QueueViews> queues_;
  bool foresees_ = false;
  uint64_t digest_ = 0;
  uint64_t bytes_ = 0;
  uint64_t clock_ = 0;
};

// What one item counts in Store::bytes().
size_t item_bytes(const Record& item);

}  // namespace kvd
