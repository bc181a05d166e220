// Long work shows how far it is: one log line a second with done, total and rate, and the same for the status page. A
// plain object of whoever does the work.
#pragma once
#include <string>

#include "core/outbox.hpp"

namespace kvd {

class Progress {
 public:
  // "WHAT" is the log line's message; `unit` what is counted.
  Progress(Outbox& out, std::string what, std::string unit);

  void begin(uint64_t total);  // 0: not known
  void reach(uint64_t done);   // logs when it is time
  void end() { running_ = false; }

  std::optional<WorkStatus> status() const;  // none: nothing is being done

 private:
  uint64_t rate() const;  // a second

  Outbox& out_;
  std::string what_;
  std::string unit_;
  bool running_ = false;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
  Instant began_{};
  Instant logged_{};
};

}  // namespace kvd
