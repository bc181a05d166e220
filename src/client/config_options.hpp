// What the command lines of kvd config sync and kvd config status say. Plain data; what reads it is in the table of all
// clients (options_table.hpp).
#pragma once
#include <string>
#include <vector>

#include "client/server.hpp"
#include "client/store_options.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct ConfigSyncOptions {
  std::vector<Server> servers;  // not empty
  std::string prefix;           // ends with a slash
  std::string to;
  std::string node;
  std::string exec;  // a line for /bin/sh; empty: none
};

struct ConfigStatusOptions {
  StoreAccess access;
  std::string prefix;  // ends with a slash
  bool json = false;
};

}  // namespace kvd::client
