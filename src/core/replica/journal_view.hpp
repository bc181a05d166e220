// A data directory as a start would find it, while nothing in it is changed: what is in it, and whether a server could
// go on with it. For inspection and export.
#pragma once
#include <functional>
#include <string>

#include "core/replica/replay.hpp"
#include "journal/journal_recovery.hpp"

namespace kvd {

class JournalView {
 public:
  // `files` outlives it. `boot` as in JournalOptions: of the machine now.
  JournalView(Files& files, std::string boot);
  JournalView(const JournalView&) = delete;
  JournalView& operator=(const JournalView&) = delete;

  // Reads all of it, once. `reached` hears how far it is, in bytes, and may end it there by saying false.
  FileResult read(const std::function<bool(uint64_t done, uint64_t total)>& reached);

  // Then:
  const JournalRecovery& journal() const { return journal_; }
  const DiskFound& found() const { return found_; }
  const DiskOpened& opened() const { return opened_; }
  const std::string& wrong() const { return replay_.wrong(); }
  Replayed& data() { return data_; }

 private:
  JournalRecovery journal_;
  DiskFound found_;
  DiskOpened opened_;
  Replayed data_;
  Replay replay_{data_};
};

}  // namespace kvd
