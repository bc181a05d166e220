// See small_file.hpp.
#include "shell/small_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace kvd {
namespace {

Result<std::string> read_start(int fd, size_t bytes_max) {
  std::string content(bytes_max + 1, '\0');
  size_t have = 0;
  while (have < content.size()) {
    const ssize_t size = ::read(fd, content.data() + have, content.size() - have);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure(std::strerror(errno));
    if (size == 0) break;
    have += static_cast<size_t>(size);
  }
  content.resize(have);
  return content;
}

Result<SmallFile> read_open(int fd, size_t bytes_max) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failure(std::strerror(errno));
  Result<std::string> content = read_start(fd, bytes_max);
  if (!content) return failure(std::move(content.error().detail));
  return SmallFile{std::move(*content), (about.st_mode & S_IROTH) != 0};
}

}  // namespace

Result<SmallFile> read_small_file(const std::string& path, size_t bytes_max) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure(std::strerror(errno));
  Result<SmallFile> file = read_open(fd, bytes_max);
  ::close(fd);
  return file;
}

}  // namespace kvd
