// See output.hpp.
#include "client/output.hpp"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/command_line.hpp"

namespace kvd::client {

int print(std::string_view bytes, int code) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0)
    return code;
  if (errno == EPIPE) return EX_IOERR;
  return tell(CommandEnd{EX_IOERR, fmt::format("standard output: {}", std::strerror(errno))});
}

bool nobody_reads() {
  pollfd output{STDOUT_FILENO, 0, 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace kvd::client
