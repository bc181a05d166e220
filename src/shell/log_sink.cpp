// See log_sink.hpp.
#include "shell/log_sink.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace kvd {
namespace {

// How much of it was written. A pipe that takes anything takes PIPE_BUF bytes at once (POSIX, write).
size_t write_what_fits(int descriptor, std::string_view text) {
  size_t written = 0;
  while (written < text.size()) {
    pollfd ready{descriptor, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) break;
    const ssize_t count =
        ::write(descriptor, text.data() + written, std::min<size_t>(text.size() - written, PIPE_BUF));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    written += static_cast<size_t>(count);
  }
  return written;
}

}  // namespace

bool write_without_waiting(int descriptor, std::string_view text) {
  return write_what_fits(descriptor, text) == text.size();
}

void DescriptorSink::write(std::string_view line) {
  if (!tell_of_dropped()) {
    ++dropped_;
    return;
  }
  const size_t written = write_what_fits(descriptor_, line);
  if (written == line.size()) return;
  torn_ = written > 0;
  ++dropped_;
}

bool DescriptorSink::tell_of_dropped() {
  if (dropped_ == 0) return true;
  const std::string text =
      fmt::format("{}kvd: {} lines of the log were dropped: nobody read them\n", torn_ ? "\n" : "", dropped_);
  if (!write_without_waiting(descriptor_, text)) return false;
  dropped_ = 0;
  torn_ = false;
  return true;
}

}  // namespace kvd
