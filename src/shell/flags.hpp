// The command line and the KVD_* environment, turned into what the node and the shell are told at their
// start. Called once by main; tests call it with their own arguments. It reads nothing but what it is given:
// no files, no clock.
//
// Single dashes (-zookeeper) and underscores (--zookeeper_port) are taken as
// --zookeeper and --zookeeper-port. A flag wins over its variable
// (--peer-port: KVD_PEER_PORT); an empty variable counts as not set.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "core/config.hpp"
#include "core/journal.hpp"
#include "shell/http_options.hpp"
#include "shell/log.hpp"
#include "shell/zk_client.hpp"

namespace kvd {

struct DataSettings {
  std::string directory;  // empty: in memory only
  JournalOptions::Sync sync = JournalOptions::Sync::kAlways;
  Duration interval{0};  // of Sync::kInterval
};

// Of the variables with these names those that begin with KVD_ and mean nothing to kvd: the name, and the nearest that
// does.
struct UnknownVariable {
  std::string name;
  std::string nearest;
};
std::vector<UnknownVariable> unknown_variables(const std::vector<std::string>& names);

struct Flags {
  NodeConfig node;      // without the incarnation, which is drawn at every start
  Address peer_listen;  // not used when standalone
  DataSettings data;
  HttpOptions http;
  ZkOptions zk;  // not used when standalone
  LogSettings log;
  std::vector<UnknownVariable> unknown_variables;  // of the environment; for a warning
};

// Why there is nothing to run. With code 0 `text` is what --help or --version print; otherwise it is one line
// that names the flag or variable and the remedy, and the code is a sysexits one: 64 when the command line is
// to blame, 78 when a variable is.
struct FlagsEnd {
  int code = 0;
  std::string text;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// `arguments` without the program's name.
tl::expected<Flags, FlagsEnd> parse_flags(std::vector<std::string> arguments, const Environment& environment);

}  // namespace kvd
