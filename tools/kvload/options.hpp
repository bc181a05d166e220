// The command line of kvload, turned into what its commands are told. Reads nothing but its arguments and the
// file of --token-file; every complaint is one line that names the flag and what to do.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "client/server.hpp"
#include "kvload/load.hpp"

namespace kvd::load {

enum class Role : uint8_t { kAll, kLeader, kFollowers };

struct Outputs {
  bool json = false;
  bool csv = false;
  std::string plot;  // path of an SVG; empty: none
};

struct Access {
  std::vector<std::string> servers{"127.0.0.1:8001"};  // HOST:PORT, https://HOST:PORT or unix:PATH
  client::Credentials credentials;
};

struct RunOptions : Access {
  Role to = Role::kAll;
  LoadOptions load;
  double rate = 0;
  double warm_up_s = 1;
  double seconds = 10;
  uint64_t count = 0;
  bool prefill = true;
  bool yardstick = false;
  size_t rounds = 5;
  std::vector<int> server_pids;
  Outputs outputs;
};

struct VerifyOptions : Access {
  size_t clients = 16;
  double rate = 2000;  // operations per second, of all clients together
  double seconds = 30;
  size_t keys = 16;   // in use at a time
  bool txn = false;   // keys are accounts, and clients transfer amounts between them
  uint64_t seed = 0;  // 0: drawn
  bool json = false;
};

struct WatchOptions : Access {
  size_t streams = 1000;
  double rate = 1000;  // writes per second; 0: none
  double seconds = 10;
  bool json = false;
};

struct TermsOptions : Access {
  size_t leases = 1000;
  uint64_t ttl_ms = 10'000;  // of each
  bool bulk = false;
  double seconds = 10;  // of renewing; of writing before anything ends
  size_t keys = 0;      // that end at once; 0: leases are measured
  uint64_t expire_after_ms = 10'000;
  bool json = false;
};

// What is sent, and to whom, by queue and topic.
struct MessageOptions : Access {
  size_t producers = 32;  // connections
  size_t consumers = 32;  // of each subscription of a topic, or of all queues together
  double rate = 0;        // messages per second; 0: closed loop
  size_t batch = 1;       // messages in a request
  size_t bytes = 100;     // of each
  size_t groups = 0;      // of each queue, or topic; 0: messages have none
  uint64_t ttr_ms = 30'000;
  double seconds = 10;
  Outputs outputs;
};
struct QueueOptions : MessageOptions {
  size_t queues = 1;
  size_t backlog = 0;  // messages that wait all the time
};
struct TopicOptions : MessageOptions {
  size_t subscriptions = 1;
  size_t readers = 1;  // connections that only read
};

enum class Stop : uint8_t { kKill, kFreeze, kTerm };

struct ElectionOptions {
  size_t runs = 10;
  Stop how = Stop::kKill;
  std::vector<uint32_t> delays_ms{0};
  std::string kvd;  // path of the program; empty: beside this one, or in PATH
  std::vector<std::string> kvd_flags;
  double limit_s = 30;  // for each step of a run
  Outputs outputs;
};

// A server of kvload's own, run as a child process.
struct BareServerOptions {
  uint16_t port = 0;
  size_t answer_bytes = 200;
  net::TlsFiles tls;  // without a certificate: plain HTTP
};
struct DelayProxyOptions {
  uint16_t port = 0;
  uint16_t to_port = 0;
  uint32_t delay_ms = 0;
};

using Command = std::variant<RunOptions, VerifyOptions, WatchOptions, TermsOptions, QueueOptions,
                             TopicOptions, ElectionOptions, BareServerOptions, DelayProxyOptions>;

// `arguments` without the program's name.
Result<Command, CommandEnd> parse_options(const std::vector<std::string>& arguments);

}  // namespace kvd::load
