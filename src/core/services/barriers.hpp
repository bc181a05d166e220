// Barriers: to be written.
#pragma once
#include "core/services/zk_calls.hpp"

namespace kvd {

class Barriers {
 public:
  explicit Barriers(Outbox& out) : out_(out), zk_(out, ServiceActor::kBarriers) {}

  void handle(ServiceMessage&& message);
  void on_time() {}
  Instant deadline() const { return kNever; }

 private:
  Outbox& out_;
  ZkCalls zk_;
};

}  // namespace kvd
