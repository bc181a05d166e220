// What of a server's log and facts is safe on its disk, and what has to wait for that (rule 13). A plain object owned
// by the replica, which tells it everything that changes; it gathers a turn's changes into one order, holds back the
// answers that claim what is not safe yet, and writes a snapshot when the log has grown long.
//
// Without a disk everything counts as safe at once, and nothing here does anything.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/outbox.hpp"
#include "core/replica/log.hpp"
#include "core/replica/recovery.hpp"
#include "core/replica/store.hpp"

namespace kvd {

class Durability {
 public:
  explicit Durability(Outbox& out) : out_(out) {}

  // After recovery, with what it found.
  void begin(const Recovery::Found& found);

  // ---- what changed; the order of the calls is the order on disk ----
  void keep(Epoch epoch);
  void keep(const Register& remembers, const std::optional<Register>& proposed, Lineage lineage, Epoch epoch);
  void append(EntryPointer entry);
  void truncate(Revision last);
  // Everything was replaced: the store is what it is at `base`, where `log` begins, and what is told from here on
  // follows `log`.
  void begin_generation(LogPosition base, uint64_t clock, const Log& log);
  // This copy is not to be believed after a restart: it contradicts the leader's. Until another generation replaces it.
  void distrust();
  void trust();

  // Once per turn, with the log, the store and what is committed as they are then.
  void flush(const Log& log, const Store& store, Revision commit);

  // ---- what is safe ----
  bool kept(Epoch epoch) const;             // this epoch, and the cluster: may be acted on
  bool all_kept() const;                    // every fact that was ordered
  Revision safe_end(const Log& log) const;  // the log up to here
  bool generation_safe() const;             // a replaced copy is there as a whole
  // Sends now, or once the log as it is now and the epoch are safe. Held messages of an older epoch are dropped.
  void send_when_safe(Epoch epoch, LinkId link, PeerMessage message);
  // ... once the epoch is: for what says nothing of the log.
  void send_when_kept(Epoch epoch, LinkId link, PeerMessage message);

  void on(DiskAnswer answer);

  bool low() const { return low_; }  // little space is left
  Duration unsafe_for() const;       // how long the oldest write has been waiting to be safe

 private:
  struct Held {
    uint64_t number = 0;  // of the write that it waits for; 0: none
    Epoch epoch;
    LinkId link;
    PeerMessage message;
  };
  struct Snapshot {
    Revision base;
    Space space = Space::kData;  // of the last item sent
    std::string cursor;          // ... its key
    uint64_t sent = 0;           // parts
    uint64_t taken = 0;
    bool ended = false;
    bool fresh = false;
    uint64_t log_bytes = 0;  // when it began
  };
  struct Unsafe {
    uint64_t number = 0;
    Revision end;  // of the log behind it
    Instant since{};
  };

  bool on_disk() const { return out_.config.self.durable; }
  uint64_t barrier() const { return gathered_.empty() ? written_ : written_ + 1; }
  void order(DiskOrder what) { out_.emit(std::move(what)); }
  void keep(DiskFacts facts);
  void hold(Held held);
  bool may_go(const Held& held) const;
  void release();
  bool snapshot_due(const Store& store) const;
  void write_log(const Log& log, Revision commit);
  void write_snapshot(const Log& log, const Store& store, Revision commit);
  void begin_snapshot(LogPosition base, uint64_t clock, bool fresh);
  void on_done(const DiskSnapshotDone& done);

  Outbox& out_;
  DiskFacts facts_;  // as ordered last
  DiskFacts kept_;   // as safe
  bool distrusted_ = false;
  std::vector<DiskRecord> gathered_;  // since the last order
  Revision commit_;                   // as written last
  uint64_t written_ = 0;              // number of the last order
  uint64_t safe_ = 0;                 // ... that was answered
  Revision safe_end_;
  std::deque<Unsafe> unsafe_;
  std::vector<Held> held_;
  bool generation_open_ = false;      // its first snapshot is not done
  uint64_t generation_barrier_ = 0;   // the write that holds the log it began with
  std::optional<Snapshot> snapshot_;  // under way
  uint64_t snapshots_ = 0;            // number of the last one begun
  // Percent of the usual log until the next one: servers that write the same should not make theirs at one moment.
  uint64_t stretch_ = 100;
  uint64_t log_bytes_ = 0;    // written since the last snapshot's base
  Instant snapshot_after_{};  // the last one met no space
  bool low_ = false;
};

}  // namespace kvd
