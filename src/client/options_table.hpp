// The table of the subcommands that are clients: each with its flags and with what reads them. options.cpp puts it
// together.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "client/options.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct ClientEntry {
  CommandSpec spec;
  ClientCommand (*read)(CommandLine&, const Surroundings&);
};

// With the flag --servers in front of `flags`.
CommandSpec client_spec_of(const char* name, const char* usage, const char* does, std::string notes,
                           std::vector<FlagSpec> flags);
std::vector<Address> read_servers(CommandLine& line);
FlagSpec timeout_flag();
StoreAccess read_access(CommandLine& line);  // of a command with that flag
// The value of a flag that may not be missing; `remedy` says what to give.
std::string read_needed(CommandLine& line, const std::string& flag, const char* remedy);

std::vector<ClientEntry> store_entries();   // get, put, del, ls, txn, add, watch
std::vector<ClientEntry> config_entries();  // config sync, config status

}  // namespace kvd::client
