// `kvd zookeeper-acl apply` and `kvd zookeeper-acl show`: who may change the cluster's own znodes in ZooKeeper. It asks
// ZooKeeper alone, no server. Called by main.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"

namespace kvd {

std::vector<CommandSpec> zk_acl_specs();

// `arguments` behind the word zookeeper-acl. It prints, and returns the exit code, as --help tells them.
int run_zk_acl(const std::vector<std::string>& arguments, const Environment& environment);

}  // namespace kvd
