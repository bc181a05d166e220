// What clients hold by a connection (`hold=1`), as lines on it: the last one is repeated now and then, so that both
// ends know of each other, and whoever loses what is held hears of it before anybody else can have it.
//
// A part of the actor that owns it, which names what is held by numbers of its own.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

class Streams {
 public:
  explicit Streams(Outbox& out) : out_(out) {}

  void open(uint64_t id, uint64_t token);
  bool has(uint64_t id) const { return streams_.contains(id); }
  // Now, and again every ten seconds until something else is said. Nothing without a stream; as all of these.
  void say(uint64_t id, std::string line);
  void end(uint64_t id, std::string line);
  void end_lost(uint64_t id, const std::string& why);
  // Says that it is lost. True: whoever holds has until `grace` is over, or the connection closed, to let go; on_time()
  // or dropped() names it then. False: there is nothing to wait for, and no stream any more.
  bool part(uint64_t id, const std::string& why, Duration grace);
  // Its connection is closed: what was held there, if it was one of these.
  std::optional<uint64_t> dropped(uint64_t token);
  // Whose grace is over.
  std::vector<uint64_t> on_time();
  Instant deadline() const { return times_.empty() ? kNever : times_.begin()->first; }

 private:
  struct Stream {
    uint64_t token = 0;
    std::string line;
    bool parting = false;
    Instant at = kNever;
  };

  void send(const Stream& stream, std::string line, bool last);
  void wake_at(uint64_t id, Instant at);
  void forget(uint64_t id);

  Outbox& out_;
  std::map<uint64_t, Stream> streams_;
  std::map<uint64_t, uint64_t> by_token_;
  std::set<std::pair<Instant, uint64_t>> times_;
};

}  // namespace kvd
