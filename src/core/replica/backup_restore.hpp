// Writes the store of a backup (backup.hpp) into a cluster, as a client of it: requests out, replies in, some batches
// under way at a time. To replace what is there, all keys are listed before, page by page, and those that the backup
// does not have are deleted: a key that both have is there all the time, and there are never more than before or after.
// Whatever becomes of it midway, the same once more leads to the end. A key with a term gets what was left of it in the
// backup. Leases are not restored, since nobody would know their ids, and so the keys that live by one are left out, as
// if they were not in the backup. Behind the keys come the queues (queue_restore.hpp); to be replaced, they are cleared
// before. Who may do what is left as it is, unless that is to be restored, too: in place of what is there, at last, and
// by one entry. Used by PUT /v1/snapshot.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "core/replica/queue_restore.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/replica/topic_restore.hpp"
#include "msg/client.hpp"

namespace kvd {

class BackupRestore {
 public:
  // What is refused since too many wait is sent again after this pause ...
  static constexpr Duration kPause = milliseconds(50);
  // ... until nothing at all was taken for as long as `patience`.
  BackupRestore(Store store, bool replace, Duration patience, OptionalBox<ReplaceAccess> rights = {});
  BackupRestore(const BackupRestore&) = delete;
  BackupRestore& operator=(const BackupRestore&) = delete;

  // The next request to be sent; nothing: a reply has to come first, or a pause, or there is none. The first batch is
  // refused when there is any key or queue, unless what is there is to be replaced, and the others wait for it. Each is
  // known by its number.
  struct Request {
    uint32_t number = 0;
    Operation operation;
    ReadMode read = ReadMode::kLocal;
  };
  std::optional<Request> next(Instant now);
  void on_reply(uint32_t number, const StoreAnswer& reply, Instant now);

  // The numbers of those that nobody waits for any more when it is given up.
  std::vector<uint32_t> under_way() const;
  // Nothing is under way, and nothing follows.
  bool ended() const {
    return under_way_.empty() && (failed_ || (all_sent() && queues_.ended() && topics_.ended() && !rights_));
  }
  const std::optional<StoreAnswer>& failed() const { return failed_; }  // the first reply that is no success
  bool may_have_changed() const;                                        // anything
  uint64_t keys() const { return store_.size() - left_out_; }           // that are restored
  uint64_t left_out() const { return left_out_; }                       // since they live by a lease
  const QueueRestore& queues() const { return queues_; }
  const TopicRestore& topics() const { return topics_; }
  uint64_t deleted() const { return deleted_; }     // keys, for certain
  uint64_t written() const { return written_; }     // likewise
  Revision revision() const { return revision_; }   // of the newest of these; 0: none is done
  Store take_store() { return std::move(store_); }  // nothing else is called behind it

 private:
  enum class Stage : uint8_t { kListing, kDeleting, kClearing, kWriting, kQueues, kTopics, kRights };

  struct Sent {
    Request request;
    size_t keys = 0;
    Instant again = kNever;  // not on its way, but due then
  };

  Request sent(Operation operation, size_t keys, ReadMode read = ReadMode::kLocal);
  std::optional<Request> once_more(Instant now);
  void on_failure(const StoreAnswer& reply);
  Request next_deletion();
  std::optional<Request> next_batch();
  std::optional<Request> next_behind_keys();
  Term term_of_key(const Record& item) const;
  bool is_left_out(std::string_view key) const;
  void take_listing(const Listing& listing);
  bool all_sent() const;

  Store store_;
  QueueRestore queues_;
  TopicRestore topics_;
  OptionalBox<ReplaceAccess> rights_;  // still to be sent
  uint64_t left_out_ = 0;
  bool replace_;
  Duration patience_;
  Stage stage_;
  ListKeys page_;                       // of the keys that are there; the next one
  bool more_pages_ = false;             // behind it
  std::vector<std::string> strangers_;  // of the last page, what the backup does not have
  size_t strangers_sent_ = 0;           // ... of which so many
  Table::Iterator cursor_;              // the next key to be sent
  Table::Iterator fence_;               // the next fence
  bool batch_sent_ = false;             // the first one, at least
  bool goes_on_ = false;                // it was taken
  bool unknown_ = false;                // what became of one of them
  Instant stuck_ = kNever;              // the first refusal since one was taken
  uint32_t requests_ = 0;               // sent
  std::map<uint32_t, Sent> under_way_;  // by number
  uint64_t deleted_ = 0;
  uint64_t written_ = 0;
  Revision revision_;
  std::optional<StoreAnswer> failed_;
};

}  // namespace kvd
