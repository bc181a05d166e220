// What the command lines of kvd auth say: policies, users and tokens, who one is, what a user may do, and a root token.
// Plain data; what reads it is in the table of all clients (options_table.hpp).
#pragma once
#include <string>
#include <variant>

#include "base/time.hpp"
#include "client/store_options.hpp"
#include "msg/access.hpp"

namespace kvd::client {

struct PolicyPutOptions {
  StoreAccess access;
  std::string name;
  InputSource document;
};

struct UserPutOptions {
  StoreAccess access;
  std::string name;
  UserAccount user;
};

struct PolicyGetOptions {
  StoreAccess access;
  std::string name;
};

struct UserGetOptions {
  StoreAccess access;
  std::string name;
  bool json = false;
};

struct AccessListOptions {
  StoreAccess access;
  AccessKind kind = AccessKind::kPolicy;
  bool json = false;
};

struct AccessRemoveOptions {
  StoreAccess access;
  AccessKind kind = AccessKind::kPolicy;
  std::string name;  // of a token: its id
};

struct TokenCreateOptions {
  StoreAccess access;
  std::string user;
  Duration ttl{0};  // 0: for ever
  std::string note;
};

struct WhoAmIOptions {
  StoreAccess access;
  bool json = false;
};

struct AccessTestOptions {
  StoreAccess access;
  std::string user;
  Right right = Right::kRead;
  Resource resource = Resource::kKv;
  std::string path;  // of a resource without paths: empty
};

using AuthCommand =
    std::variant<PolicyPutOptions, UserPutOptions, PolicyGetOptions, UserGetOptions, AccessListOptions,
                 AccessRemoveOptions, TokenCreateOptions, WhoAmIOptions, AccessTestOptions>;

struct RootTokenOptions {  // kvd auth root-token, which asks no server
  std::string file;
};

}  // namespace kvd::client
