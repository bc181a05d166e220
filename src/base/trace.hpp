// The trace: one line for every input pushed into the node and every effect that it emits, in order; messages
// between its actors are not in it. Two runs of a simulator's seed must agree on its hash, and a broken
// invariant prints its tail. One thread only.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

namespace kvd {

class Trace {
 public:
  using Sink = std::function<void(std::string_view line)>;

  // Lines are only made when somebody wants them: callers test this before they format.
  bool wanted() const { return wanted_; }
  // Starts keeping a running hash and the last `tail_lines` lines; `sink`, when set, sees every line.
  void enable(size_t tail_lines, Sink sink = nullptr);

  void add(std::string line);
  uint64_t hash() const { return hash_; }
  const std::deque<std::string>& tail() const { return tail_; }

 private:
  bool wanted_ = false;
  size_t tail_lines_ = 0;
  Sink sink_;
  uint64_t hash_ = 0;
  std::deque<std::string> tail_;
};

}  // namespace kvd
