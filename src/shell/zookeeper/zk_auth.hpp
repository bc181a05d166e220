// --zookeeper-auth-file: who kvd is to ZooKeeper, which knows users and passwords by its scheme "digest". A file, since
// flags and variables are shown to others by ps and /proc. Read once, at the start.
#pragma once
#include <optional>
#include <string>

#include "base/result.hpp"

namespace kvd {

struct ZkAuth {
  std::string file;         // empty: nobody, as ZooKeeper's world:anyone
  std::string credentials;  // user:password, what is in the file
  bool exposed = false;     // every user of this machine may read the file

  std::string user() const { return credentials.substr(0, credentials.find(':')); }
};

// What stands in a file: one line user:password of printable ASCII characters without spaces, the password perhaps
// with colons. (Of other characters ZooKeeper's servers make what their own locale says.) The Error says what is wrong,
// without a character of it.
Result<std::string> parse_zk_credentials(std::string content);

// Reads `auth.file`, which is not empty. The Error names flag and file. Blocking.
std::optional<Error> read_zk_auth(ZkAuth& auth);

}  // namespace kvd
