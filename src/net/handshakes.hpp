// How many TLS handshakes are under way on a loop, and how much of its turns they take: each computes for up to a
// millisecond, and a thousand clients that come back at once must not keep the loop from everything else.
// Loop thread only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "net/loop.hpp"

namespace kvd::net {

class TlsLayer;

class Handshakes {
 public:
  // `most`: see make_room(). It is there before the streams, and after them.
  explicit Handshakes(uv_loop_t* loop, size_t most = SIZE_MAX);
  ~Handshakes() { *alive_ = false; }
  Handshakes(const Handshakes&) = delete;
  Handshakes& operator=(const Handshakes&) = delete;

  size_t under_way() const { return under_way_.size(); }
  // Before another one: when there are as many as may be, the oldest one is given up (its owner hears UV_ETIMEDOUT).
  void make_room();

 private:
  friend class TlsLayer;
  void begin(TlsLayer& layer) { under_way_.push_back(&layer); }
  void end(TlsLayer& layer);  // in whichever way
  bool has_time() const;      // in this turn, and nobody waits for the next
  void took(uint64_t ns);
  void wait(TlsLayer& layer);    // for its turn: proceed() follows
  void forget(TlsLayer& layer);  // it waits no more
  void on_turn();

  size_t most_;
  std::deque<TlsLayer*> under_way_;  // the oldest first
  uint64_t taken_ns_ = 0;            // of this turn
  std::deque<TlsLayer*> waiting_;
  NextTurn turn_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kvd::net
