// A server as a client's command line names it: HOST:PORT, http://HOST:PORT, https://HOST:PORT, or unix:PATH; and the
// flags that say how those with TLS are known, and what shows them who asks. Any thread.
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
  std::string token;                           // that is shown to it; empty: none

  bool operator==(const Server&) const = default;
};

struct Credentials {
  net::TlsFiles tls;
  std::string token;  // as msg/access.hpp has it; empty: none
};

Result<Server> parse_server(const std::string& text);  // without its `tls` and `token`
// Reads the files of TLS, if there is a server that needs them. An Error names a file.
Result<void> give_credentials(std::vector<Server>& servers, const Credentials& credentials);

// How they are said: --cacert, --cert, --key, --token-file, whose file is read. No complaint shows what is in it.
std::vector<FlagSpec> credential_flags();
Credentials read_credentials(CommandLine& line);

std::string name_of(const Server& server);  // as it is given, without http://
// What the header of every request to it holds, each with its CRLF: Host and, with a token, Authorization.
std::string fields_of(const Server& server);

}  // namespace kvd::client
