// See zk_auth.hpp.
#include "shell/zookeeper/zk_auth.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kvd {
namespace {

constexpr size_t kFileMax = 1024;  // bytes

// At most one byte more than a file may have, which tells that it is too long.
Result<std::string> read_start(int fd) {
  std::string content(kFileMax + 1, '\0');
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

Result<std::string> read_open(int fd, bool& exposed) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failure(std::strerror(errno));
  exposed = (about.st_mode & S_IROTH) != 0;
  Result<std::string> content = read_start(fd);
  if (!content) return content;
  return parse_zk_credentials(std::move(*content));
}

}  // namespace

Result<std::string> parse_zk_credentials(std::string content) {
  if (content.empty()) return failure("the file is empty; give one line user:password");
  if (content.size() > kFileMax)
    return failure(fmt::format("the file has more than {} bytes; give one line user:password", kFileMax));
  if (content.back() == '\n') content.pop_back();
  if (content.find('\n') != std::string::npos)
    return failure("the file has more than one line; give one line user:password");
  const auto plain = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  if (!std::all_of(content.begin(), content.end(), plain))
    return failure("give one line user:password of printable ASCII characters without spaces");
  const size_t colon = content.find(':');
  if (colon == std::string::npos) return failure("there is no colon; give one line user:password");
  if (colon == 0) return failure("there is no user before the colon; give one line user:password");
  if (colon + 1 == content.size())
    return failure("there is no password behind the colon; give one line user:password");
  return content;
}

std::optional<Error> read_zk_auth(ZkAuth& auth) {
  const auto error = [&auth](const std::string& why) {
    return Error{fmt::format("--zookeeper-auth-file {}: {}", auth.file, why)};
  };
  const int fd = ::open(auth.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error(std::strerror(errno));
  Result<std::string> credentials = read_open(fd, auth.exposed);
  ::close(fd);
  if (!credentials) return error(credentials.error().detail);
  auth.credentials = std::move(*credentials);
  return std::nullopt;
}

}  // namespace kvd
