// See input.hpp.
#include "client/input.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstring>

#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr char kStandardInput[] = "standard input";

Result<bool, CommandEnd> read_part(int fd, const std::string& name, std::string& content) {
  char part[65'536];
  ssize_t size = -1;
  do size = ::read(fd, part, sizeof part);
  while (size < 0 && errno == EINTR);
  if (size < 0)
    return Failure<CommandEnd>(CommandEnd{EX_IOERR, fmt::format("{}: {}", name, std::strerror(errno))});
  content.append(part, static_cast<size_t>(size));
  return size > 0;
}

Result<std::string, CommandEnd> read_to_the_end(int fd, const std::string& name) {
  std::string content;
  for (;;) {
    const auto more = read_part(fd, name, content);
    if (!more) return Failure<CommandEnd>(more.error());
    if (!*more) return content;
    if (content.size() > limits::kWriteBytes)
      return Failure<CommandEnd>(CommandEnd{
          EX_DATAERR,
          fmt::format("{}: more than {} bytes, which no server takes", name, limits::kWriteBytes)});
  }
}

}  // namespace

Result<std::string, CommandEnd> read_input(const InputSource& source) {
  if (source.kind == InputSource::Kind::kText) return source.text;
  if (source.kind == InputSource::Kind::kStandardInput) return read_to_the_end(STDIN_FILENO, kStandardInput);
  const int fd = ::open(source.text.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return Failure<CommandEnd>(
        CommandEnd{EX_IOERR, fmt::format("{}: {}", source.text, std::strerror(errno))});
  auto content = read_to_the_end(fd, source.text);
  ::close(fd);
  return content;
}

Result<bool, CommandEnd> read_more(std::string& content) {
  return read_part(STDIN_FILENO, kStandardInput, content);
}

}  // namespace kvd::client
