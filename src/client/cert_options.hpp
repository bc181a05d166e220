// What the command lines of kvd cert say: create-ca, create-server, create-client. Plain data; what reads it is in the
// table of all clients (options_table.hpp).
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "net/certificates.hpp"

namespace kvd::client {

struct CreateCaOptions {
  std::string directory;
  std::string name;  // what the authorities' names begin with
};

struct CreateServerOptions {
  std::string directory;
  std::vector<net::AlternativeName> hosts;  // not empty; the files are named after the first one
  int64_t days = 0;
};

struct CreateClientOptions {
  std::string directory;
  std::string name;                         // of the files, and in the certificate, for people
  std::vector<net::AlternativeName> names;  // not empty: as whom it identifies its holder
  int64_t days = 0;
};

using CertCommand = std::variant<CreateCaOptions, CreateServerOptions, CreateClientOptions>;

}  // namespace kvd::client
