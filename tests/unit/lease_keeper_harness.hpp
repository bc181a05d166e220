// A lease keeper alone, with a clock of the test's. The test answers what it asks, and reads what it says to whom as
// lines of text.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "msg/actors.hpp"

namespace kvd::lease_keeper_test {

inline constexpr RequestId kClient = request_id(1, 0);
inline constexpr RequestId kOther = request_id(2, 0);

std::string refusal_of(ErrorCode code);

class Keeper {
 public:
  Keeper();
  ~Keeper();

  void call(RequestId id, HoldLease what);
  void close(RequestId id);
  void stop();
  void answer(const Ask& ask, Answer answer);
  void fail(const Ask& ask);

  Instant now() const;
  void sleep(Duration time);  // nothing is done meanwhile ...
  void wake();                // ... nor at its end, but by this
  // With everything that is due meanwhile; no further than to when something is asked.
  void pass(Duration time);

  // What was asked since the last time.
  std::vector<Ask> asked();
  // What was said since the last time: "CLIENT LINE", a last line with a full stop behind it; and refusals.
  std::vector<std::string> said();

  Instant deadline() const;
  uint64_t held() const;
  bool drained() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvd::lease_keeper_test
