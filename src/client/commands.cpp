// See commands.hpp.
#include "client/commands.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "client/auth_commands.hpp"
#include "client/cert_command.hpp"
#include "client/config_status.hpp"
#include "client/config_sync.hpp"
#include "client/held_command.hpp"
#include "client/held_lease.hpp"
#include "client/hosts_sync.hpp"
#include "client/lease_commands.hpp"
#include "client/message_commands.hpp"
#include "client/message_worker.hpp"
#include "client/options.hpp"
#include "client/queue_commands.hpp"
#include "client/stop_signals.hpp"
#include "client/store_commands.hpp"
#include "client/topic_commands.hpp"
#include "client/topic_tail.hpp"
#include "client/watch_command.hpp"
#include "client/worker.hpp"
#include "net/loop.hpp"

namespace kvd::client {
namespace {

uint64_t draw_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// All workers of one process. The first signal that asks to end lets them finish, the second one or the end of the
// grace time stops them.
class Workers {
 public:
  Workers(net::Loop& loop, const WorkOptions& options)
      : loop_(loop),
        grace_(options.grace),
        client_(loop.get(), options.servers, draw_seed()),
        hurry_(loop.get(), [this] { stop(); }) {
    for (unsigned i = 1; i <= options.parallel; ++i) {
      WorkerOptions worker;
      worker.name = options.parallel == 1 ? options.name : fmt::format("{}.{}", options.name, i);
      worker.exec = options.exec;
      worker.grace = options.grace;
      workers_.push_back(std::make_unique<Worker>(loop.get(), client_, std::move(worker),
                                                  [this](bool refused) { on_over(refused); }));
    }
  }

  int run() {
    loop_.run();
    return code_;
  }
  void on_signal(int number) {
    if (asks_to_end(number)) return draining_ ? stop() : drain();
    for (auto& worker : workers_) worker->pass_on(number);
    if (asks_to_pause(number)) ::raise(SIGSTOP);
  }

 private:
  void drain() {
    draining_ = true;
    hurry_.start(grace_);
    for (auto& worker : workers_) worker->drain();
  }
  void stop() {
    for (auto& worker : workers_) worker->stop();
  }
  void on_over(bool refused) {
    if (refused) code_ = EX_UNAVAILABLE;
    if (++over_ == workers_.size()) return loop_.stop();
    if (refused && !draining_) drain();
  }

  net::Loop& loop_;
  Duration grace_;
  HttpClient client_;
  net::Timer hurry_;
  std::vector<std::unique_ptr<Worker>> workers_;
  size_t over_ = 0;
  bool draining_ = false;
  int code_ = EX_OK;
};

struct Run {
  net::Loop& loop;

  int operator()(HoldOptions& options) const {
    HeldCommand held(loop, std::move(options), draw_seed());
    StopSignals signals(loop.get(), signals_for_a_command(), [&](int number) { held.on_signal(number); });
    return held.run();
  }
  int operator()(WorkOptions& options) const {
    Workers workers(loop, options);
    StopSignals signals(loop.get(), signals_for_a_command(), [&](int number) { workers.on_signal(number); });
    return workers.run();
  }
  int operator()(HostsSyncOptions& options) const {
    HostsSync sync(loop, std::move(options), draw_seed());
    StopSignals signals(loop.get(), {SIGHUP, SIGINT, SIGTERM}, [&](int) { sync.on_signal(); });
    return sync.run();
  }
  int operator()(WatchOptions& options) const {
    WatchCommand watch(loop, std::move(options), draw_seed());
    return stream(watch);
  }
  int operator()(TopicTailOptions& options) const {
    TopicTail tail(loop, std::move(options), draw_seed());
    return stream(tail);
  }
  int operator()(ConfigSyncOptions& options) const {
    ConfigSync sync(loop, std::move(options), draw_seed());
    StopSignals signals(loop.get(), {SIGHUP, SIGINT, SIGTERM}, [&](int) { sync.on_signal(); });
    return sync.run();
  }
  int operator()(ConfigStatusOptions& options) const { return run_config_status(loop, options, draw_seed()); }
  int operator()(CertCommand& command) const { return run_cert_command(command); }
  int operator()(AuthCommand& command) const { return run_auth_command(loop, command, draw_seed()); }
  int operator()(RootTokenOptions& options) const { return make_root_token(options); }
  int operator()(StoreCommand& command) const { return run_store_command(loop, command, draw_seed()); }
  int operator()(LeaseCommand& command) const { return run_lease_command(loop, command, draw_seed()); }
  int operator()(MessageCommand& command) const { return run_message_command(loop, command, draw_seed()); }
  int operator()(QueueCommand& command) const { return run_queue_command(loop, command, draw_seed()); }
  int operator()(TopicCommand& command) const { return run_topic_command(loop, command, draw_seed()); }
  int operator()(MessageWorkOptions& options) const {
    MessageWorker worker(loop, std::move(options), draw_seed());
    StopSignals signals(loop.get(), signals_for_a_command(), [&](int number) { worker.on_signal(number); });
    return worker.run();
  }
  int operator()(LeaseHoldOptions& options) const {
    HeldLease held(loop, std::move(options), draw_seed());
    StopSignals signals(loop.get(), signals_for_a_command(), [&](int number) { held.on_signal(number); });
    return held.run();
  }

 private:
  int stream(StreamCommand& command) const {
    StopSignals signals(loop.get(), {SIGHUP, SIGINT, SIGTERM}, [&](int) { command.on_signal(); });
    return command.run();
  }
};

Surroundings surroundings() {
  Surroundings all;
  all.variable = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  all.host = host;
  all.process = static_cast<int>(::getpid());
  return all;
}

}  // namespace

int run_client_command(const std::string& name, const std::vector<std::string>& arguments) {
  auto command = parse_client_command(name, arguments, surroundings());
  if (!command) return tell(command.error());
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  net::Loop loop;
  const int code = std::visit(Run{loop}, *command);
  uv_run(loop.get(), UV_RUN_NOWAIT);  // what is being closed
  if (uv_loop_alive(loop.get()) != 0) {
    // A name is being looked up, and that may take half a minute where its servers are dead.
    std::fflush(nullptr);
    ::_exit(code);
  }
  return code;
}

}  // namespace kvd::client
