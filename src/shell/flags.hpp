// The command line and the KVD_* environment, turned into what the node and the shell are told at their
// start. Called once by main; tests call it with their own arguments. It reads nothing but what it is given:
// no files, no clock.
// A flag wins over its variable (--peer-port: KVD_PEER_PORT).
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "core/config.hpp"
#include "journal/journal.hpp"
#include "net/tls.hpp"
#include "shell/http/http_options.hpp"
#include "shell/log.hpp"
#include "shell/zookeeper/zk_client.hpp"

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
  net::TlsFiles http_tls;       // no certificate: nothing is encrypted
  net::TlsFiles peer_tls;       // likewise, between servers
  std::string audit_log;        // a file, or "-"; empty: none
  std::string root_token_file;  // empty: none; the daemon reads it
  ZkOptions zk;                 // not used when standalone
  LogSettings log;
  std::vector<UnknownVariable> unknown_variables;  // of the environment; for a warning
};

const CommandSpec& server_spec();

// --zookeeper, --zookeeper-port and --zookeeper-auth-file, which `kvd zookeeper-acl` has, too, with their variables;
// and what reads them. The file is not looked at.
std::vector<FlagSpec> zookeeper_flags();
void read_zookeeper(CommandLine& line, ZkOptions& zk);

// `arguments` without the program's name.
Result<Flags, CommandEnd> parse_flags(const std::vector<std::string>& arguments,
                                      const Environment& environment);

}  // namespace kvd
