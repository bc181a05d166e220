// The queues of a backup and their messages: what BackupRestore (backup_restore.hpp) writes of them into a cluster, in
// which order. A queue is made without bounds, ages and dead letters, gets its messages batch by batch in their order,
// and its configuration once all queues have their messages: so nothing of them is refused for want of room, or moved
// meanwhile. (What gets too old by then is dead, or goes where the queue says that the old go.) What was delayed or
// ages gets the time that was left. A dead message is dead again; what was in flight is ready, as if it had never been
// granted. Names of sends are not restored. Operations out, answers in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/queues/stored.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "msg/client.hpp"

namespace kvd {

class QueueRestore {
 public:
  explicit QueueRestore(const Store& backup);  // which outlives this

  // To replace what is there, before anything is written: queues that the backup does not have are deleted, and no
  // other one has dead letters from then on, since they would come to queues that are empty already. Nothing: an answer
  // has to come first, or it is cleared.
  std::optional<Operation> next_clearing();
  bool cleared() const { return pending_.empty() && waiting_ == 0 && !more_pages_; }
  // What is written, and emptied before if it was there. Of a queue one operation is under way at a time, since one
  // that is sent again must not be overtaken. Nothing: an answer has to come first, or there is none.
  std::optional<Operation> next();
  bool ended() const {
    return opened_ == queues_.size() && open_.empty() && configured_ == queues_.size() && waiting_ == 0;
  }
  // One of these is done.
  void done(const Operation& operation, const Answer& answer);

  uint64_t queues() const { return queues_.size(); }  // of the backup
  uint64_t messages() const { return messages_; }     // in them
  uint64_t written() const { return written_; }       // messages, for certain

 private:
  using Named = std::pair<std::string, StoredQueue>;
  enum class Step : uint8_t { kEmpty, kMake, kSend };

  struct Open {
    const StoredQueue& queue;
    std::string number;  // as its messages' keys begin
    Table::Iterator next;
    Step step = Step::kMake;
    bool busy = false;  // an operation is under way
  };

  const StoredQueue* find(std::string_view name) const;
  void take_listing(const QueueList& list);
  Operation next_of(const std::string& name, Open& open) const;
  SendMessages next_messages(const std::string& name, Open& open) const;
  NewMessage again(const Record& item, bool fifo) const;
  bool has_more(const Open& open) const;
  std::optional<Operation> next_configuration();

  const Store& backup_;
  std::vector<Named> queues_;  // by name
  uint64_t messages_ = 0;
  ListQueues page_;                 // of the queues that are there; the next one
  bool more_pages_ = true;          // that, or it was asked for
  std::vector<Operation> pending_;  // what the last page leads to
  std::set<std::string, std::less<>> there_;
  std::map<std::string, Open, std::less<>> open_;  // which get their messages
  size_t opened_ = 0;                              // of queues_, the first ones
  size_t configured_ = 0;                          // likewise
  size_t waiting_ = 0;                             // under way, and not of an open queue
  uint64_t written_ = 0;
};

}  // namespace kvd
