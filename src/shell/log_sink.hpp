// Where log lines go: a descriptor whose reader may stop reading. The loop never waits for it: lines that it does not
// take are dropped, and counted in a line of their own once it takes some again.
#pragma once
#include <cstdint>
#include <string_view>

namespace kvd {

// False: not, or not as a whole. Pipes, sockets and terminals that are full, and ends that are closed, are not waited
// for.
bool write_without_waiting(int descriptor, std::string_view text);

class DescriptorSink {
 public:
  explicit DescriptorSink(int descriptor) : descriptor_(descriptor) {}  // which stays the caller's
  void write(std::string_view line);                                    // with its end

 private:
  bool tell_of_dropped();

  int descriptor_;
  uint64_t dropped_ = 0;  // lines, since the last that was written
  bool torn_ = false;     // the last line that was begun has no end
};

}  // namespace kvd
