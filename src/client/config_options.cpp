// See config_options.hpp and options_table.hpp.
#include "client/config_options.hpp"

#include <fmt/format.h>

#include <utility>

#include "client/config_set.hpp"
#include "client/help.hpp"
#include "client/hosts_file.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

std::string read_prefix(CommandLine& line) {
  std::string prefix = read_needed(line, "prefix", "give what the keys begin with, as in --prefix app/");
  if (!prefix.ends_with('/')) line.complain("prefix", "end it with a slash, as in app/");
  if (prefix.size() >= limits::kKeyBytes)
    line.complain("prefix", fmt::format("give fewer than {} bytes", limits::kKeyBytes));
  return prefix;
}

ClientCommand read_config_sync(CommandLine& line, const Surroundings& surroundings) {
  ConfigSyncOptions sync;
  sync.servers = read_servers(line);
  sync.prefix = read_prefix(line);
  sync.to = read_needed(line, "to", "give the directory, as in --to /etc/app");
  sync.node = line.text("node", surroundings.host);
  if (!is_hosts_node(sync.node))
    line.complain("node", "give 1 to 255 printable ASCII characters without spaces");
  if (sync.prefix.size() + kConfigRecords.size() + sync.node.size() > limits::kKeyBytes)
    line.complain("node",
                  fmt::format("give a shorter one: its key has more than {} bytes", limits::kKeyBytes));
  sync.exec = line.text("exec", "");
  return sync;
}

ClientCommand read_config_status(CommandLine& line, const Surroundings&) {
  return ConfigStatusOptions{read_access(line), read_prefix(line), line.is_on("json")};
}

}  // namespace

std::vector<ClientEntry> config_entries() {
  const FlagSpec prefix{"prefix", "P", "what the keys begin with; it ends with a slash, as in app/"};
  return {
      {client_spec_of("config sync", "--prefix P --to DIR [OPTIONS]",
                      "Keeps a directory as the keys below a prefix are.", help::kConfigSync,
                      {prefix,
                       {"to", "DIR", "the directory: a link to the present version, which stands in DIR.kvd"},
                       {"node", "NAME", "as which this node tells what it runs (this machine's name)"},
                       {"exec", "CMD", "what to run after each change, as a line for /bin/sh (nothing)"}}),
       read_config_sync},
      {store_spec_of("config status", "--prefix P [OPTIONS]", 0, "Tells which node runs which configuration.",
                     help::kConfigStatus, {prefix, {"json", nullptr, "one JSON object"}}),
       read_config_status},
  };
}

}  // namespace kvd::client
