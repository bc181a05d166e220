// See standard_descriptors.hpp.
#include "client/standard_descriptors.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

namespace kvd::client {

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // The smaller ones are open: the kernel gives this number.
    const bool closed = ::fcntl(fd, F_GETFD) < 0 && errno == EBADF;
    if (closed && ::open("/dev/null", O_RDWR) != fd) ::_exit(EX_OSERR);
  }
}

}  // namespace kvd::client
