// ACLs in ZooKeeper: which one znodes are made with, which znodes are kvd's own, and what an ACL means for kvd. Pure;
// used by what calls the C client.
#pragma once
#include <zookeeper/zookeeper.h>

#include <string>
#include <string_view>

namespace kvd {

// world:anyone may do everything.
inline const struct ACL_vector* zk_open_acl() { return &ZOO_OPEN_ACL_UNSAFE; }
// Who makes the znode may do everything, world:anyone may read. ZooKeeper puts digest:USER:HASH in the place of the
// creator, as whom the connection has authenticated itself; of one that has not it takes no such ACL.
const struct ACL_vector* zk_protected_acl();

// Is `path`, without the prefix, one of those that kvd keeps for itself?
bool zk_is_own(std::string_view path);
// The same path without the prefix, which stays as it is where it is not below it.
std::string_view zk_without_prefix(std::string_view path, std::string_view prefix);

// What new znodes get. Paths are with the prefix.
struct ZkAcls {
  std::string prefix;
  bool authenticated = false;  // kvd's own are protected
  bool all_protected = false;  // and so are all others

  const struct ACL_vector* of(std::string_view path) const {
    const bool covered = all_protected || zk_is_own(zk_without_prefix(path, prefix));
    return authenticated && covered ? zk_protected_acl() : zk_open_acl();
  }
};

// What an ACL means for kvd.
enum class ZkProtection {
  kOpen,       // world:anyone may change something
  kProtected,  // it may not, and `user` may do everything
  kForeign,    // it may not, and this server's user may not do everything, or has another password
};
// `acl` as a server of 3.5.5 or later shows it to who has authenticated itself as `user`: to who may not administer
// the znode it shows "x" in place of the hashes.
ZkProtection zk_protection(const struct ACL_vector& acl, std::string_view user);
// As zkCli.sh writes it, without hashes: "digest:kvd:cdrwa, world:anyone:r".
std::string zk_acl_text(const struct ACL_vector& acl);

}  // namespace kvd
