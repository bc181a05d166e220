// A server as a client's command line names it: HOST:PORT, http://HOST:PORT, https://HOST:PORT, or unix:PATH; and the
// flags that say how those with TLS are known. Any thread.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "msg/types.hpp"
#include "net/tls.hpp"

namespace kvd::client {

struct Server {
  Server() = default;
  Server(Address of) : address(std::move(of)), certified(address.host) {}  // without TLS

  Address address;
  std::string socket;  // of Unix: its path, in place of the address
  bool https = false;
  std::shared_ptr<const net::TlsContext> tls;  // of https
  std::string certified;                       // whom its certificate has to name: a host

  bool operator==(const Server&) const = default;
};

Result<Server> parse_server(const std::string& text);  // without its `tls`
// Reads the files, if there is a server that needs them. An Error names a file.
Result<void> give_tls(std::vector<Server>& servers, const net::TlsFiles& files);

// How that is said: --cacert, --cert, --key.
std::vector<FlagSpec> tls_flags();
net::TlsFiles read_tls_files(CommandLine& line);

std::string name_of(const Server& server);  // as it is given, without http://
std::string host_of(const Server& server);  // for the field Host

}  // namespace kvd::client
