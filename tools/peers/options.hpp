// The command line of queue_peers. Every complaint is one line that names the flag and what to do; it reads nothing but
// its arguments.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "peers/session.hpp"

namespace kvd::peers {

struct PeerOptions {
  Peer peer = Peer::kBeanstalkd;
  std::string peer_name;
  std::vector<std::string> servers;  // HOST:PORT; connections take them in turn
  size_t producers = 32;             // connections
  size_t consumers = 32;
  double rate = 0;  // messages per second; 0: closed loop
  size_t batch = 1;
  size_t bytes = 100;  // of each message
  size_t copies = 1;
  bool files = false;
  bool topic = false;
  double seconds = 10;
};

Result<PeerOptions, CommandEnd> parse_peer_options(const std::vector<std::string>& arguments);

}  // namespace kvd::peers
