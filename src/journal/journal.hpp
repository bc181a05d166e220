// The data directory: an append-only log in segments, snapshots, and the facts that must not be forgotten; what a torn,
// damaged or missing piece means, and how a crash leaves no other state than before or after. It performs DiskOrders on
// Files, blocking, in whatever thread its owner gives it, and knows nothing of the protocol.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "journal/files.hpp"
#include "msg/disk.hpp"

namespace kvd {

struct JournalOptions {
  enum class Sync : uint8_t { kAlways, kInterval, kOff };
  Sync sync = Sync::kAlways;           // kOff: --sync never
  std::string boot;                    // identifies this boot of the machine: what a power loss changes
  uint64_t segment_bytes = 16u << 20;  // of one preallocated piece of the log; a larger batch gets its own
  uint64_t reserve_bytes = 64u << 20;  // with less free space DiskSpace says low
  uint64_t read_bytes = 1u << 20;      // about so much in one DiskPart
};

class Journal {
 public:
  // `files` outlives it. Nothing is read or written before the first order.
  Journal(Files& files, JournalOptions options);
  ~Journal();

  // Performs the orders, in order, with one sync for all of them where that suffices, and returns what there is to
  // answer. After a DiskFailed every further order is ignored.
  std::vector<DiskAnswer> perform(std::vector<DiskOrder> orders);

  // To be called now and then while nothing else is done (every 100 ms after a write; with Sync::kInterval at that
  // interval): syncs, marks the end of what is known to be safe, looks for space again.
  std::vector<DiskAnswer> idle();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvd
