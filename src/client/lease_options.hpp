// What the command lines of kvd lease say: grant, renew, show, ls, end, hold. Plain data; what reads it is in the table
// of all clients (options_table.hpp).
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "client/server.hpp"
#include "client/store_options.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct LeaseGrantOptions {
  StoreAccess access;
  Duration ttl{0};
  std::string name;  // empty: none
  bool json = false;
};

struct LeaseRenewOptions {
  StoreAccess access;
  std::vector<uint64_t> ids;  // not empty
  bool json = false;
};

struct LeaseShowOptions {
  StoreAccess access;
  uint64_t id = 0;
  ReadTerms terms;
  bool keys = false;
  bool json = false;
};

struct LeaseListOptions {
  StoreAccess access;
  ReadTerms terms;
  bool json = false;
};

struct LeaseEndOptions {
  StoreAccess access;
  uint64_t id = 0;
};

using LeaseCommand =
    std::variant<LeaseGrantOptions, LeaseRenewOptions, LeaseShowOptions, LeaseListOptions, LeaseEndOptions>;

struct LeaseHoldOptions {
  std::vector<Server> servers;  // not empty
  uint64_t id = 0;              // that is taken up; 0: one is granted
  Duration ttl{0};              // of that which is granted
  std::string name;             // likewise
  Duration grace{0};
  std::vector<std::string> command;  // empty: it is only held
};

}  // namespace kvd::client
