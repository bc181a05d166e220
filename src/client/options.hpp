// The command lines of the subcommands that are clients of kvd servers: lock, elect, work, hosts-sync. Pure: it reads
// nothing but what it is given.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "msg/types.hpp"

namespace kvd {

struct HoldOptions {  // kvd lock, kvd elect
  bool election = false;
  std::vector<Address> servers;
  std::string path;              // without a slash in front
  std::string name;              // of the holder or candidate
  std::optional<Duration> wait;  // nothing: for ever
  Duration grace;
  bool again = false;  // of an election
  std::vector<std::string> command;
};

struct WorkOptions {
  std::vector<Address> servers;
  std::string name;
  std::string exec;
  unsigned parallel = 1;
  Duration grace;
};

struct HostsSyncOptions {
  std::vector<Address> servers;
  std::string file;
  std::string zone;  // empty: all
  std::string node;
  bool once = false;
};

using ClientCommand = std::variant<HoldOptions, WorkOptions, HostsSyncOptions>;

// Why there is nothing to run. With code 0 `text` is what --help prints; otherwise it is one line that names the flag
// or variable and the remedy, and the code is 64 when the command line is to blame, 78 when a variable is.
struct ClientOptionsEnd {
  int code = 0;
  std::string text;
};

struct Surroundings {  // what defaults are made of
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::string host;  // this machine's name
  int process = 0;   // this process' number
};

bool is_client_command(const std::string& name);

// `arguments` behind the subcommand's name, which is_client_command() knows.
tl::expected<ClientCommand, ClientOptionsEnd> parse_client_command(const std::string& name,
                                                                   std::vector<std::string> arguments,
                                                                   const Surroundings& surroundings);

}  // namespace kvd
