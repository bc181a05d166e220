// Tasks: to be written.
#pragma once
#include "core/services/zk_calls.hpp"

namespace kvd {

class Tasks {
 public:
  explicit Tasks(Outbox& out) : out_(out), zk_(out, ServiceActor::kTasks) {}

  void handle(ServiceMessage&& message);
  void on_time() {}
  Instant deadline() const { return kNever; }

 private:
  Outbox& out_;
  ZkCalls zk_;
};

}  // namespace kvd
