// The table of the subcommands that are clients: each with its flags and with what reads them. options.cpp puts it
// together.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/time.hpp"
#include "client/options.hpp"
#include "client/store_options.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct ClientEntry {
  CommandSpec spec;
  ClientCommand (*read)(CommandLine&, const Surroundings&);
};

// With --servers and credential_flags() in front of `flags`.
CommandSpec client_spec_of(const char* name, const char* usage, const char* does, std::string notes,
                           std::vector<FlagSpec> flags);
std::vector<Server> read_servers(CommandLine& line);
// The value of a flag that may not be missing; `remedy` says what to give.
std::string read_needed(CommandLine& line, const std::string& flag, const char* remedy);
std::string read_name(CommandLine& line, const std::string& flag, const std::string& otherwise);
std::string own_name(const Surroundings& surroundings);  // which others see, unless another one is given
FlagSpec grace_flag();
Duration read_grace(CommandLine& line);

// Of one that sends requests: with --timeout behind `flags`.
CommandSpec store_spec_of(const char* name, const char* usage, size_t operands, const char* does,
                          std::string notes, std::vector<FlagSpec> flags);
StoreAccess read_access(CommandLine& line);
InputSource read_value(
    CommandLine& line);  // the second operand: VALUE, -, or @FILE; none: the standard input
InputSource read_input_file(CommandLine& line,
                            size_t place);  // the operand there: FILE, or -; none: likewise
std::vector<FlagSpec> with_read_flags(std::vector<FlagSpec> flags);  // --linear and --min-rev behind them
ReadTerms read_read_terms(CommandLine& line);

std::vector<ClientEntry> store_entries();   // get, put, del, ls, txn, add, watch
std::vector<ClientEntry> lease_entries();   // lease grant, renew, show, ls, end, hold
std::vector<ClientEntry> config_entries();  // config sync, config status
std::vector<ClientEntry> cert_entries();    // cert create-ca, create-server, create-client
// auth policy put, get, ls, rm; auth user likewise; auth token create, ls, rm; auth whoami, test, root-token
std::vector<ClientEntry> auth_entries();
std::vector<ClientEntry>
queue_entries();  // queue make, rm, send, receive, work, peek, kick, purge, ls, stats
// topic make, rm, ls, stats, publish, read, tail, and subscribe, unsubscribe, subscriptions, seek, receive, peek, kick,
// work
std::vector<ClientEntry> topic_entries();

}  // namespace kvd::client
