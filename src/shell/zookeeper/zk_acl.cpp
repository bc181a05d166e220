// See zk_acl.hpp.
#include "shell/zookeeper/zk_acl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "msg/znodes.hpp"

namespace kvd {
namespace {

std::span<const struct ACL> entries(const struct ACL_vector& acl) {
  return {acl.data, static_cast<size_t>(acl.count)};
}

bool is_world(const struct ACL& entry) { return std::string_view(entry.id.scheme) == "world"; }

std::string letters(int perms) {
  std::string text;
  for (const auto& [bit, letter] :
       {std::pair(ZOO_PERM_CREATE, 'c'), std::pair(ZOO_PERM_DELETE, 'd'), std::pair(ZOO_PERM_READ, 'r'),
        std::pair(ZOO_PERM_WRITE, 'w'), std::pair(ZOO_PERM_ADMIN, 'a')}) {
    if ((perms & bit) != 0) text += letter;
  }
  return text;
}

}  // namespace

const struct ACL_vector* zk_protected_acl() {
  static char auth[] = "auth";
  static char nobody[] = "";
  static char world[] = "world";
  static char anyone[] = "anyone";
  static struct ACL acls[] = {{ZOO_PERM_ALL, {auth, nobody}}, {ZOO_PERM_READ, {world, anyone}}};
  static const struct ACL_vector vector = {2, acls};
  return &vector;
}

bool zk_is_own(std::string_view path) {
  return at_or_below(path, kRootPath) || at_or_below(path, kElectionPath);
}

std::string_view zk_without_prefix(std::string_view path, std::string_view prefix) {
  if (!at_or_below(path, prefix)) return path;
  return path.size() == prefix.size() ? "/" : path.substr(prefix.size());
}

ZkProtection zk_protection(const struct ACL_vector& acl, std::string_view user) {
  const auto changes = [](const struct ACL& entry) {
    return is_world(entry) && (entry.perms & ~ZOO_PERM_READ) != 0;
  };
  const auto ours = [user](const struct ACL& entry) {
    const std::string_view id = entry.id.id;
    return std::string_view(entry.id.scheme) == "digest" && entry.perms == ZOO_PERM_ALL &&
           id.substr(0, id.find(':')) == user && !id.ends_with(":x");
  };
  if (std::ranges::any_of(entries(acl), changes)) return ZkProtection::kOpen;
  return std::ranges::any_of(entries(acl), ours) ? ZkProtection::kProtected : ZkProtection::kForeign;
}

std::string zk_acl_text(const struct ACL_vector& acl) {
  std::string text;
  for (const struct ACL& entry : entries(acl)) {
    const std::string_view id = entry.id.id;
    const bool digest = std::string_view(entry.id.scheme) == "digest";
    text += fmt::format("{}{}:{}:{}", text.empty() ? "" : ", ", entry.id.scheme,
                        digest ? id.substr(0, id.find(':')) : id, letters(entry.perms));
  }
  return text;
}

}  // namespace kvd
