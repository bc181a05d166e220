// What the command lines of kvd queue say that those of kvd topic do not (message_options.hpp has the others): make and
// purge. Plain data; what reads it is in the table of all clients (options_table.hpp).
#pragma once
#include <string>
#include <variant>

#include "client/store_options.hpp"
#include "msg/queues.hpp"

namespace kvd::client {

struct QueueMakeOptions {
  StoreAccess access;
  std::string queue;
  QueueConfig config;
};

struct QueuePurgeOptions {
  StoreAccess access;
  std::string queue;
  std::string state;  // as the server calls it
};

using QueueCommand = std::variant<QueueMakeOptions, QueuePurgeOptions>;

}  // namespace kvd::client
