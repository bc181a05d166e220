// What the command lines of kvd queue say: make, rm, send, receive, work, peek, kick, purge, ls, stats. Plain data;
// what reads it is in the table of all clients (options_table.hpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "client/store_options.hpp"
#include "msg/queues.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct QueueMakeOptions {
  StoreAccess access;
  std::string queue;
  QueueConfig config;
};

struct QueueRemoveOptions {
  StoreAccess access;
  std::string queue;
  bool if_empty = false;
};

struct QueueSendOptions {
  StoreAccess access;
  std::string queue;
  InputSource body;
  bool lines = false;  // each line of the standard input is a body
  NewMessage message;  // all but its body
};

struct QueueReceiveOptions {
  StoreAccess access;
  std::string queue;
  uint32_t max = 1;
  Duration wait{0};
  bool ack = false;
  bool json = false;  // also for more than one
};

struct QueuePeekOptions {
  StoreAccess access;
  std::string queue;
  MessageState state = MessageState::kReady;
  ReadTerms terms;
};

struct QueueKickOptions {
  StoreAccess access;
  KickMessages kick;
};

struct QueuePurgeOptions {
  StoreAccess access;
  std::string queue;
  std::string state;  // as the server calls it
};

struct QueueListOptions {
  StoreAccess access;
  std::string prefix;
  ReadTerms terms;
  bool json = false;
};

struct QueueStatsOptions {
  StoreAccess access;
  std::string queue;
  ReadTerms terms;
  bool json = false;
};

using QueueCommand =
    std::variant<QueueMakeOptions, QueueRemoveOptions, QueueSendOptions, QueueReceiveOptions,
                 QueuePeekOptions, QueueKickOptions, QueuePurgeOptions, QueueListOptions, QueueStatsOptions>;

struct QueueWorkOptions {
  std::vector<Address> servers;  // not empty
  std::string queue;
  std::string exec;               // for /bin/sh -c
  std::optional<Duration> delay;  // of what was not done; nothing: as the queue has it
  Duration grace{0};
};

}  // namespace kvd::client
