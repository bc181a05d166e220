// See zk_auth.hpp.
#include "shell/zookeeper/zk_auth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shell/small_file.hpp"

namespace kvd {
namespace {

constexpr size_t kFileMax = 1024;  // bytes

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
  Result<SmallFile> file = read_small_file(auth.file, kFileMax);
  if (!file) return error(file.error().detail);
  auth.exposed = file->exposed;
  Result<std::string> credentials = parse_zk_credentials(std::move(file->content));
  if (!credentials) return error(credentials.error().detail);
  auth.credentials = std::move(*credentials);
  return std::nullopt;
}

}  // namespace kvd
