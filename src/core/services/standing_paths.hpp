// Persistent znodes that are to be there: made when a session begins, and anew when somebody has deleted one, a moment
// later, since who deletes by hand does it step by step. They are watched, not asked for. What ZooKeeper forbids to
// make is told once, and tried again now and then.
//
// A part of the actor that owns it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/outbox.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class StandingPaths {
 public:
  StandingPaths(Outbox& out, ZkCalls& zk, const std::vector<std::string>& paths);

  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on_time();
  Instant deadline() const;

 private:
  struct Path {
    Instant look_at = kNever;
    ZkCode refused = ZkCode::kOk;  // as told last
  };

  void look(const std::string& path, bool make_at_once);
  void make(const std::string& path);
  void look_later(const std::string& path, Duration wait);

  Outbox& out_;
  ZkCalls& zk_;
  bool connected_ = false;
  std::map<std::string, Path> paths_;
};

}  // namespace kvd
