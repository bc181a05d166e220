// The services' calls to ZooKeeper: so many are under way at most, and the others wait in line, so that the register
// keeper and the election always find room (limits::kZkCalls) and an answer soon.
#pragma once
#include <deque>

#include "msg/limits.hpp"
#include "msg/zk.hpp"

namespace kvd {

class ZkCallWindow {
 public:
  void add(ZkCall&& call);
  bool ready() const { return !waiting_.empty() && under_way_ < limits::kZkServiceCalls; }
  ZkCall next();                  // while ready()
  void ended() { --under_way_; }  // one that next() gave has its result

 private:
  std::deque<ZkCall> waiting_;
  size_t under_way_ = 0;
};

}  // namespace kvd
