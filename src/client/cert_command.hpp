// `kvd cert`: certificates for development and small clusters. Three authorities, each for one purpose, so that what
// one of them signs is of no use for the others': servers' HTTPS certificates, servers among each other, clients.
// Asks no server. Blocking.
#pragma once
#include "client/cert_options.hpp"

namespace kvd::client {

// The exit code: see `kvd cert create-ca --help`.
int run_cert_command(const CertCommand& command);

}  // namespace kvd::client
