// What a test puts in a ZooKeeper server's place to decide by hand which sessions it takes: it knows how a session
// begins, goes on and is closed, answers heartbeats and nothing else. One loop, which must run once more after it is
// gone.
#pragma once
#include <uv.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace kvd::testing {

class ZookeeperDoor {
 public:
  // Told the session that is asked for, 0 for a new one: the session that it gets, or 0 to end the connection as a
  // server does that does not want it.
  using Admits = std::function<uint64_t(uint64_t asked)>;

  ZookeeperDoor(uv_loop_t* loop, uint16_t port, Admits admits, int timeout_ms);
  ~ZookeeperDoor();
  ZookeeperDoor(const ZookeeperDoor&) = delete;
  ZookeeperDoor& operator=(const ZookeeperDoor&) = delete;

  void hang_up();                                                // ends all connections
  const std::vector<uint64_t>& asked() const { return asked_; }  // by each that dialed, in order
  const std::set<uint64_t>& closed() const { return closed_; }   // sessions whose clients ended them

 private:
  struct Visitor;
  void let_in();
  void end(Visitor* visitor);
  void read(Visitor* visitor);
  bool take_packet(Visitor* visitor, const std::string& packet);

  uv_tcp_t* listener_;
  Admits admits_;
  int timeout_ms_;
  std::set<Visitor*> visitors_;
  std::vector<uint64_t> asked_;
  std::set<uint64_t> closed_;
};

}  // namespace kvd::testing
