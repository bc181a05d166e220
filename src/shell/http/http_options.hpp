// How the HTTP server is set up, and its bounds with what happens at each of them. Plain data: flags fill it,
// tests shrink it, nobody changes it once the server has started.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "msg/access.hpp"
#include "msg/types.hpp"

namespace kvd {

inline constexpr uint64_t kTimeoutMsMax = 600'000;  // the query parameter `timeout`; more: 400
inline constexpr size_t kSmallBodyBytes = 4096;     // bodies but values and batches; longer: 413

// Names with dots that this server may be called by: --host, --advertise, --allow-host.
struct AllowedHosts {
  std::vector<std::string> names;
  bool all = false;  // --allow-host '*'
};

// What answers depend on and no request changes.
struct HttpIdentity {
  ServerId node;
  std::string version;
  std::vector<std::string> zookeeper_servers;  // host:port each, for /v1/cluster
  size_t value_bytes_max = 1u << 20;           // --max-value; a longer value: 413
  AllowedHosts hosts;                          // any other: 421
  bool insecure = false;                       // --insecure
  bool https = false;                          // --tls-cert
};

// Who may ask what: see HttpAccess.
struct HttpAuth {
  AuthMode mode = AuthMode::kOff;       // --auth
  size_t connections_each = 0;          // --max-per-user, and then 429; 0: as many as there may be
  std::optional<RootToken> root_token;  // of --root-token-file
};

struct HttpOptions {
  Address listen;      // a name or address; port 0: any free one
  std::string socket;  // of Unix, beside it; empty: none
  HttpIdentity identity;
  HttpAuth auth;
  bool audit_writes = false;  // --audit-writes: beside what is always in the audit log

  size_t connections_max = 16'384;            // or what descriptors allow; more: 503 and close
  size_t refused_max = 64;                    // connections that are being told 503; more are dropped
  size_t pipelined_max = 128;                 // requests of one connection in flight: no more are read
  size_t unsent_bytes_max = 1u << 20;         // answers of one connection: no more requests are read
  size_t held_bytes_max = size_t{256} << 20;  // of all connections: the one that holds the most is closed
  uint64_t restore_bytes_max = UINT64_MAX;    // of a store in PUT /v1/snapshot, as --max-memory: 413
  size_t handshakes_max = 1024;               // of TLS under way: a further connection is dropped
  Duration handshake = seconds(10);           // of TLS, from the connection: closed
  Duration idle = seconds(60);                // between requests: closed
  Duration receive = seconds(30);             // without a byte in the middle of a request: 408
  Duration head = seconds(10);                // for all of a request's head, from its first byte: 408
  // ... and from then on a body comes at this rate at least, on average; but for a snapshot, which the server slows.
  uint64_t body_bytes_a_second = 1024;
  Duration stall = seconds(30);  // a client that takes nothing of its answer: closed
  // A client that has ended its side may still want its answer, but mostly it is gone: closed, if none is found.
  Duration ended = seconds(10);
  // After the last answer what still comes is thrown away; then closed. A client that reads only once it has sent all
  // of a refused body would else meet a reset in place of the answer.
  Duration linger = seconds(2);        // without a byte
  Duration linger_max = seconds(300);  // in all
};

}  // namespace kvd
