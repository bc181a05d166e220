// The command lines of the subcommands that are clients of kvd servers: lock, elect, work, hosts-sync, those of the
// store (store_options.hpp), of leases (lease_options.hpp), of configurations (config_options.hpp), of queues and
// topics (message_options.hpp, queue_options.hpp, topic_options.hpp), of users, tokens and policies (auth_options.hpp);
// and of what makes certificates for them (cert_options.hpp). It reads nothing but what it is given, and the files of
// --cacert, --cert, --key and --token-file.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "client/auth_options.hpp"
#include "client/cert_options.hpp"
#include "client/config_options.hpp"
#include "client/lease_options.hpp"
#include "client/message_options.hpp"
#include "client/queue_options.hpp"
#include "client/server.hpp"
#include "client/store_options.hpp"
#include "client/topic_options.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct HoldOptions {  // kvd lock, kvd elect
  bool election = false;
  std::vector<Server> servers;
  std::string path;              // without a slash in front
  std::string name;              // of the holder or candidate
  std::optional<Duration> wait;  // nothing: for ever
  Duration grace;
  bool again = false;  // of an election
  std::vector<std::string> command;
};

struct WorkOptions {
  std::vector<Server> servers;
  std::string name;
  std::string exec;
  unsigned parallel = 1;
  Duration grace;
};

struct HostsSyncOptions {
  std::vector<Server> servers;
  std::string file;
  std::string zone;  // empty: all
  std::string node;
  bool once = false;
};

using ClientCommand = std::variant<HoldOptions, WorkOptions, HostsSyncOptions, StoreCommand, WatchOptions,
                                   LeaseCommand, LeaseHoldOptions, ConfigSyncOptions, ConfigStatusOptions,
                                   MessageCommand, QueueCommand, TopicCommand, MessageWorkOptions,
                                   TopicTailOptions, CertCommand, AuthCommand, RootTokenOptions>;

struct Surroundings {  // what defaults are made of
  Environment variable;
  std::string host;  // this machine's name
  int process = 0;   // this process' number
};

std::vector<CommandSpec> client_specs();

// The first word of one: "config" of kvd config sync.
bool is_client_command(const std::string& name);

// `arguments` behind the subcommand's first word, which is_client_command() knows.
Result<ClientCommand, CommandEnd> parse_client_command(const std::string& name,
                                                       const std::vector<std::string>& arguments,
                                                       const Surroundings& surroundings);

}  // namespace kvd::client
