// The consumers alone, with a clock of the test's. The test answers what they ask, and reads what they say to whom as
// lines of text.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "msg/actors.hpp"

namespace kvd::consumers_test {

inline constexpr RequestId kClient = request_id(1, 0);

class Harness {
 public:
  Harness();
  ~Harness();

  void call(RequestId id, ConsumeQueue what);
  void close(RequestId id);
  void taken(RequestId id, size_t bytes);  // by the client
  void stop();
  void answer(const Ask& ask, Answer answer);
  void pass(Duration time);  // and then what is due is done

  std::vector<Ask> asked();           // since the last time
  std::vector<uint64_t> withdrawn();  // tokens, likewise: asked() comes before it
  // What was said since the last time: "LINE", a last one with a full stop behind it, "messages N", "refused CODE".
  std::vector<std::string> said();
  uint64_t open() const;
  bool drained() const;

 private:
  void read_mailbox();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kvd::consumers_test
