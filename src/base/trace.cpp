// See trace.hpp.
#include "base/trace.hpp"

#include "base/hash.hpp"

namespace kvd {

void Trace::enable(size_t tail_lines, Sink sink) {
  wanted_ = true;
  tail_lines_ = tail_lines;
  sink_ = std::move(sink);
}

void Trace::add(std::string line) {
  hash_ = hash_bytes(line, hash_);
  if (sink_) sink_(line);
  tail_.push_back(std::move(line));
  if (tail_.size() > tail_lines_) tail_.pop_front();
}

}  // namespace kvd
