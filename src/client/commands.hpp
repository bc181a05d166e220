// The subcommands of kvd that are clients of its servers, as main calls them: kvd lock, elect, work, hosts-sync, get,
// put, del, ls, txn, add, watch, lease, queue, topic and config; and kvd cert, which asks none. Each of them says
// what it does with --help.
#pragma once
#include <string>
#include <vector>

namespace kvd::client {

// `arguments` behind the subcommand's first word, for which is_client_command() (options.hpp) holds. The exit code.
int run_client_command(const std::string& name, const std::vector<std::string>& arguments);

}  // namespace kvd::client
