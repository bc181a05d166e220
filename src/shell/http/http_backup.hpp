// GET /v1/snapshot, one answer of it: the parts of the store, as the node gives them one after another, become a backup
// (backup.hpp) in pieces of an HTTP body. No sockets: the connection asks for the next part when the former one is
// in the kernel's hands, so that nothing gathers here.
#pragma once
#include <string>

#include "core/replica/backup.hpp"
#include "msg/actors.hpp"
#include "msg/client.hpp"

namespace kvd {

class HttpBackup {
 public:
  explicit HttpBackup(bool chunked) : chunked_(chunked) {}

  // Appends the part as it goes onto the connection. False: it does not follow the parts before, so that the answer has
  // to be cut off.
  [[nodiscard]] bool add(const SnapshotPart& part, std::string& out);
  ReadSnapshot next() const { return next_; }  // what to ask for
  bool done() const { return done_; }
  // How far it is: a line each second, and one at the end.
  std::optional<LogLine> progress(uint64_t now_ms);

 private:
  bool chunked_;  // otherwise the end of the connection is the end of the body
  BackupWriter writer_;
  ReadSnapshot next_;
  bool complete_ = true;  // the first part was
  bool done_ = false;
  uint64_t bytes_ = 0;
  uint64_t logged_ms_ = 0;
};

// kvd-CLUSTER-REVISION.snapshot
std::string backup_name(const SnapshotPart& first);

}  // namespace kvd
