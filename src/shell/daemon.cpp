// See daemon.hpp. Callbacks of libuv only enqueue; everything else happens once per loop turn, in a
// uv_prepare: it runs after the turn's timers and before libuv computes how long to wait, so that a turn's
// writes leave in one batch and the deadline that the node asks for bounds the wait.
#include "shell/daemon.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.hpp"
#include "core/node.hpp"
#include "core/services/service_router.hpp"
#include "journal/journal_format.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"
#include "net/loop.hpp"
#include "shell/data/directory.hpp"
#include "shell/data/disk.hpp"
#include "shell/http/http_audit.hpp"
#include "shell/http/http_server.hpp"
#include "shell/log_sink.hpp"
#include "shell/peers/peer_links.hpp"
#include "shell/small_file.hpp"
#include "shell/tls_keeper.hpp"
#include "shell/wall_clock.hpp"
#include "shell/zookeeper/zk_local.hpp"

namespace kvd {
namespace {

constexpr size_t kTraceTailLines = 200;
constexpr Duration kDrainMax = seconds(2);          // replies that clients do not read in time are lost
constexpr Duration kMarkAfter = milliseconds(100);  // without a write
// Descriptors: clients and strangers at the peer port must not take those that the log, the other servers and ZooKeeper
// need. What is neither a client nor a link takes about 20.
constexpr rlim_t kDescriptorsMin = 128;
constexpr rlim_t kOwnDescriptors = 32;
constexpr rlim_t kLinksMin = 8;
// A time limit of the process (XCPU) is an end, too. SIGHUP has the TLS files read again; logs go to standard error.
constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGQUIT, SIGXCPU};
constexpr std::array kOtherSignals = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGIO, SIGPWR};
constexpr size_t kFactsMax = 1u << 20;  // bytes of a data directory's facts
constexpr Duration kZkClosePatience = kZkCloseMax + milliseconds(1500);

// Past the log, for whoever starts this program by hand; as little waited for (log_sink.hpp).
template <class... Args>
void last_words(fmt::format_string<Args...> form, Args&&... args) {
  write_without_waiting(STDERR_FILENO, fmt::format(form, std::forward<Args>(args)...) + "\n");
}

const Trace* checked_trace = nullptr;  // for the CHECK hook; empty unless --log-level is trace

void print_trace_tail() {
  for (const std::string& line : checked_trace->tail()) write_without_waiting(STDERR_FILENO, line + "\n");
}

uint64_t random_number() {
  uint64_t number = 0;
  CHECK(getrandom(&number, sizeof number, 0) == static_cast<ssize_t>(sizeof number));
  return number;
}

NodeConfig completed(NodeConfig config) {
  config.wall_at_zero_ms = wall_ms() - uv_hrtime() / 1'000'000;
  while (config.self.member.incarnation.value == 0)
    config.self.member.incarnation = Incarnation(random_number());
  return config;
}

// Recovery will refuse it to a standalone server: nothing of it may be changed before.
bool is_of_cluster(Directory& directory) {
  std::string bytes;
  if (directory.read(kFactsName, 0, kFactsMax, bytes)) return false;
  bool newer = false;
  const Result<JournalRoot> root = decode_root(bytes, newer);
  return root && !root->facts.cluster.empty() && !root->facts.standalone;
}

Instant now() { return Instant(Duration(static_cast<int64_t>(uv_hrtime() / 1000))); }

struct DescriptorShares {
  size_t clients = 0;
  size_t refused = 0;  // clients that are being told that there are too many
  size_t accepted_links = 0;
};

// Many clients need many descriptors; the usual soft limit of 1024 is meant for programs that use select(). Nothing:
// even the hard one is too low.
std::optional<DescriptorShares> share_descriptors(rlim_t& all) {
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = all = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (all < kDescriptorsMin) return std::nullopt;
  const rlim_t links = std::clamp<rlim_t>(all / 16, kLinksMin, limits::kLinks);
  const rlim_t refused = std::min<rlim_t>(all / 16, HttpOptions().refused_max);
  return DescriptorShares{all - refused - kOwnDescriptors - 2 * links, refused, links};
}

HttpOptions within(HttpOptions options, const DescriptorShares& shares) {
  options.connections_max = std::min(options.connections_max, shares.clients);
  options.refused_max = shares.refused;
  return options;
}

// At --log-level debug: what links and the connection to ZooKeeper go through.
struct DebugLine {
  using Line = std::optional<LogLine>;
  static Line line(const char* message, std::vector<std::pair<std::string, std::string>> fields) {
    return LogLine{LogLevel::kDebug, message, std::move(fields)};
  }
  Line operator()(const LinkDial& m) const {
    return line("dials a peer", {{"link", std::to_string(m.link.value)}, {"to", format_address(m.to)}});
  }
  Line operator()(const LinkOpened& m) const {
    return line("a dialed link stands", {{"link", std::to_string(m.link.value)}});
  }
  Line operator()(const LinkAccepted& m) const {
    return line("a peer dialed", {{"link", std::to_string(m.link.value)}, {"from", m.from}});
  }
  Line operator()(const LinkEnded& m) const {
    return line(
        "a link ended",
        {{"link", std::to_string(m.link.value)}, {"why", link_end_name(m.why)}, {"detail", m.detail}});
  }
  Line operator()(const ZkSessionChanged& m) const {
    return line("ZooKeeper session", {{"state", zk_state_name(m.state)},
                                      {"session", fmt::format("{:x}", m.session)},
                                      {"timeout_ms", std::to_string(to_ms(m.timeout))}});
  }
  Line operator()(const auto&) const { return std::nullopt; }
};

class Daemon {
 public:
  Daemon(const Flags& flags, const DescriptorShares& shares)
      : log_(flags.log), node_(completed(flags.node), random_number(), &trace_) {
    if (log_.tracing()) trace_.enable(kTraceTailLines, [this](std::string_view line) { log_.trace(line); });
    checked_trace = &trace_;
    set_check_hook(print_trace_tail);
    CHECK(uv_prepare_init(loop_.get(), &prepare_) == 0);
    for (uv_signal_t& handle : signals_) CHECK(uv_signal_init(loop_.get(), &handle) == 0);
    for (uv_signal_t& handle : signals_) handle.data = this;
    prepare_.data = this;

    InputSink inputs = [this](NodeInput&& input) { take(std::move(input)); };
    LogSink logs = [this](LogLine line) { log_.write(line); };
    if (flags.http.identity.https)
      http_tls_.emplace(loop_.get(), "http", flags.http_tls, TlsKeeper::Sides::kServer, inputs, logs);
    if (!flags.audit_log.empty()) audit_.emplace(loop_.get(), flags.audit_log, logs);
    http_.emplace(loop_.get(), within(flags.http, shares), inputs, logs, http_tls_ ? &*http_tls_ : nullptr,
                  audit_ ? &*audit_ : nullptr);
    if (flags.node.standalone) {
      zk_local_.emplace(loop_.get(), random_number(), flags.node.session_timeout, inputs);
    } else {
      if (flags.node.peer_tls)
        peer_tls_.emplace(loop_.get(), "peer", flags.peer_tls, TlsKeeper::Sides::kBoth, inputs, logs);
      links_.emplace(loop_.get(), flags.peer_listen, inputs, logs, shares.accepted_links,
                     peer_tls_ ? &*peer_tls_ : nullptr);
      zk_.emplace(loop_.get(), flags.zk, inputs, logs);
    }
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  int run(const Flags& flags) {
    if (!start(flags)) close_everything();
    loop_.run();
    set_check_hook(nullptr);
    return exit_.code;
  }

 private:
  // Sockets first: a server that cannot be reached must not register itself in ZooKeeper.
  bool start(const Flags& flags) {
    const bool open = reaches_beyond_loopback(loop_.get(), flags.http.listen);
    const std::string missing = open ? missing_guards(flags) : "";
    if (!missing.empty() && !flags.http.identity.insecure)
      return refuse_open(flags.http.listen.host, missing);
    if (!read_tls()) return false;
    if (audit_) {
      if (const Result<void> opened = audit_->start(); !opened)
        return refuse_start(EX_CANTCREAT,
                            fmt::format("--audit-log {}: {}", flags.audit_log, opened.error().detail));
    }
    if (flags.node.self.durable && !open_directory(flags.data)) return false;
    if (links_) {
      Result<Address> peer = links_->start();
      if (!peer) return refuse("--peer-port", flags.peer_listen, peer.error().detail);
    }
    Result<Address> http = http_->start();
    if (!http) return refuse("--port", flags.http.listen, http.error().detail);
    if (!flags.http.socket.empty()) {
      if (const Result<void> socket = http_->start_socket(); !socket)
        return refuse_start(EX_UNAVAILABLE,
                            fmt::format("--socket {}: {}", flags.http.socket, socket.error().detail));
    }
    if (zk_) zk_->start();
    if (zk_local_) zk_local_->start();
    uv_prepare_start(&prepare_, [](uv_prepare_t* handle) { static_cast<Daemon*>(handle->data)->turn(); });
    listen_for_signals();
    log_started(flags, *http);
    if (!missing.empty())
      log_.write(LogLine{LogLevel::kWarn,
                         "whoever reaches this server may read and change everything",
                         {{"missing", missing}}});
    return true;
  }

  bool read_tls() {
    for (auto* keeper : {&http_tls_, &peer_tls_}) {
      if (!keeper->has_value()) continue;
      if (const Result<void> read = (*keeper)->start(); !read)
        return refuse_start(EX_CONFIG,
                            fmt::format("TLS of {}: {}", keeper == &http_tls_ ? "--port" : "--peer-port",
                                        read.error().detail));
    }
    return true;
  }

  void listen_for_signals() {
    const auto stop = [](uv_signal_t* handle, int number) {
      static_cast<Daemon*>(handle->data)->on_stop_signal(number);
    };
    const auto other = [](uv_signal_t* handle, int number) {
      static_cast<Daemon*>(handle->data)->on_other_signal(number);
    };
    auto handle = signals_.begin();
    for (const int number : kStopSignals) uv_signal_start(&*handle++, stop, number);
    for (const int number : kOtherSignals) uv_signal_start(&*handle++, other, number);
  }

  bool open_directory(const DataSettings& data) {
    Result<std::unique_ptr<Directory>> directory = Directory::open(data.directory);
    if (!directory) return refuse_directory(directory.error().detail);
    directory_ = std::move(*directory);
    if (zk_local_ && !is_of_cluster(*directory_) && !open_znodes(data.directory + "/zookeeper")) return false;
    JournalOptions options;
    options.sync = data.sync;
    options.boot = boot_id();
    Duration idle = data.sync == JournalOptions::Sync::kInterval ? data.interval : kMarkAfter;
    disk_.emplace(loop_.get(), *directory_, options, idle,
                  [this](NodeInput&& input) { take(std::move(input)); });
    return true;
  }

  // In a directory of its own: another thread writes there than that of the store's.
  bool open_znodes(const std::string& path) {
    Result<std::unique_ptr<Directory>> directory = Directory::open(path);
    if (!directory) return refuse_directory(directory.error().detail);
    znodes_directory_ = std::move(*directory);
    const std::optional<Error> error = zk_local_->keep_in(*znodes_directory_);
    return !error || refuse_directory(path + ": " + error->detail);
  }

  bool refuse_directory(const std::string& detail) {
    return refuse_start(EX_UNAVAILABLE, fmt::format("--data-dir {}", detail));
  }

  bool refuse(const char* flag, const Address& listen, const std::string& detail) {
    return refuse_start(EX_UNAVAILABLE, fmt::format("cannot listen on {}: {}; give another {} or --host",
                                                    format_address(listen), detail, flag));
  }

  // Of what is needed where other machines may reach this one.
  static std::string missing_guards(const Flags& flags) {
    std::string missing;
    const auto add = [&](bool there, const char* flag) {
      if (!there) missing += (missing.empty() ? "" : ", ") + std::string(flag);
    };
    add(flags.node.auth == AuthMode::kOn, "--auth on");
    add(!flags.http_tls.certificate.empty(), "--tls-cert");
    add(flags.node.standalone || flags.node.peer_tls, "--peer-ca");
    return missing;
  }

  bool refuse_open(const std::string& host, const std::string& missing) {
    return refuse_start(
        EX_USAGE,
        fmt::format("--host {}: other machines reach this address, and without {} whoever does may read and "
                    "change everything; give these, or a loopback address, or --insecure if that is meant",
                    host, missing));
  }

  bool refuse_start(int code, std::string why) {
    exit_ = Exit{code, std::move(why)};
    last_words("kvd: {}", exit_.reason);
    return false;
  }

  void log_started(const Flags& flags, const Address& http) {
    LogLine line{LogLevel::kInfo, "started", {}};
    line.fields.emplace_back("version", KVD_VERSION);
    line.fields.emplace_back("id", flags.node.self.member.id.value);
    line.fields.emplace_back(http_tls_ ? "https" : "http", format_address(http));
    if (!flags.http.socket.empty()) line.fields.emplace_back("socket", flags.http.socket);
    if (links_) line.fields.emplace_back("peer", format_address(flags.peer_listen));
    line.fields.emplace_back("data_dir", disk_ ? flags.data.directory : "none (in memory)");
    std::string servers;
    for (const Address& server : flags.zk.servers)
      servers += (servers.empty() ? "" : ",") + format_address(server);
    line.fields.emplace_back("zookeeper", zk_ ? servers + flags.zk.prefix : "none (standalone)");
    log_.write(line);
    if (flags.zk.auth.exposed) {
      log_.write(LogLine{LogLevel::kWarn,
                         "every user of this machine may read the password in this file",
                         {{"zookeeper_auth_file", flags.zk.auth.file}}});
    }
    for (const UnknownVariable& unknown : flags.unknown_variables) {
      log_.write(LogLine{LogLevel::kWarn,
                         "there is no such variable",
                         {{"variable", unknown.name}, {"nearest", unknown.nearest}}});
    }
  }

  void on_other_signal(int number) {
    if (number == SIGHUP && (http_tls_ || peer_tls_ || audit_)) {
      if (http_tls_) http_tls_->reload();
      if (peer_tls_) peer_tls_->reload();
      if (!audit_) return;
      audit_->reopen();
      return audit_->add(audit_event("reload", node_.view().self.id.value, wall_ms()));
    }
    log_.write(LogLine{
        LogLevel::kInfo, "this signal has no effect; SIGTERM stops", {{"signal", std::to_string(number)}}});
  }

  void on_stop_signal(int number) {
    if (stop_requested_) {  // the operator does not want to wait
      last_words("kvd: signal {} again: exiting at once", number);
      _exit(128 + number);
    }
    stop_requested_ = true;
    log_.write(LogLine{LogLevel::kInfo, "stop requested", {{"signal", std::to_string(number)}}});
    take(StopRequested{});
  }

  void take(NodeInput&& input) {
    input_waits_ = true;
    if (log_.debugging()) log_debug(input);
    if (!exiting_since_) return node_.push(std::move(input));
    if (const auto* call = std::get_if<Call>(&input))
      late_.push_back(refusal(*call, ErrorCode::kShuttingDown, "the server is stopping"));
  }

  void log_debug(const auto& variant) {
    if (std::optional<LogLine> line = std::visit(DebugLine{}, variant)) log_.write(*line);
  }

  void turn() {
    if (exiting_since_) return exit_turn();
    input_waits_ = false;
    Instant deadline = node_.pump(now());
    for (NodeEffect& effect : node_.take_effects()) {
      if (log_.debugging()) log_debug(effect);
      std::visit([this](auto& content) { perform(std::move(content)); }, effect);
    }
    flush();
    // What was performed may have been answered already; the wait must not begin before the node has seen it.
    wake_at(input_waits_ || exiting_since_ ? now() : deadline);
  }

  void flush() {
    if (disk_) disk_->flush();  // first: it takes longest
    if (zk_local_) zk_local_->flush();
    if (links_) links_->flush();
    http_->flush();
  }

  void wake_at(Instant deadline) {
    if (deadline == kNever) return timer_.stop();
    timer_.start(std::max(deadline - now(), Duration(0)));
  }

  void perform(const Reply& reply) { http_->reply(reply); }
  void perform(const StreamLines& lines) { http_->stream(lines); }
  void perform(LinkDial&& order) { links_.value().perform(std::move(order)); }
  void perform(LinkSend&& order) { links_.value().perform(std::move(order)); }
  void perform(LinkClose&& order) { links_.value().perform(std::move(order)); }
  void perform(ZkCall&& call) {
    if (zk_local_) return zk_local_->perform(std::move(call));
    zk_.value().perform(std::move(call));
  }
  void perform(const ZkReopen&) { zk_.value().reopen(); }
  void perform(DiskOrder&& order) { disk_.value().perform(std::move(order)); }
  void perform(AccessChanged&& changed) { http_->change_access(std::move(changed.table), changed.whole); }
  void perform(const LogLine& line) { log_.write(line); }
  void perform(Exit&& exit) {
    if (exiting_since_) return;
    exit_ = std::move(exit);
    if (!exit_.reason.empty()) last_words("kvd: {}", exit_.reason);
    exiting_since_ = now();
    http_->stop_accepting();
    zk_closed_ = false;
    // The session ends with its close, and with it everything that says that this server is there.
    if (zk_) zk_->close([this] { zk_closed_ = true; });
    if (zk_local_) zk_local_->close([this] { zk_closed_ = true; });
    disk_closed_ = !disk_.has_value();
    if (disk_) {
      disk_->perform(DiskClose{});
      disk_->close([this] { disk_closed_ = true; });
    }
  }

  // The node has said its last word: clients get theirs, then everything is closed and the loop runs dry.
  void exit_turn() {
    for (const Reply& reply : std::exchange(late_, {})) http_->reply(reply);
    flush();
    Duration passed = now() - *exiting_since_;
    bool drained = http_->drained() || passed >= kDrainMax;
    if (drained && zk_closed_ && disk_closed_) return close_everything();
    if (passed >= kZkClosePatience) {  // their threads cannot be waited for any longer
      if (!zk_closed_) last_words("kvd: the ZooKeeper session could not be closed in time; it will expire");
      if (!disk_closed_) last_words("kvd: the disk did not answer in time; nothing acknowledged is lost");
      _exit(exit_.code);
    }
    wake_at(now() + milliseconds(10));
  }

  void close_everything() {
    http_->close();
    if (http_tls_) http_tls_->close();
    if (peer_tls_) peer_tls_->close();
    if (audit_) audit_->close();
    if (links_) links_->close();
    if (zk_ && !exiting_since_) zk_->close([] {});
    if (disk_ && !exiting_since_) disk_->close([] {});
    uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), nullptr);
    timer_.stop();
    for (uv_signal_t& handle : signals_) uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr);
  }

  Logger log_;
  Trace trace_;
  Node node_;
  net::Loop loop_;  // before all that lives on it
  uv_prepare_t prepare_{};
  net::Timer timer_{loop_.get(), [] {}};  // it only ends the wait: every turn pumps
  std::array<uv_signal_t, kStopSignals.size() + kOtherSignals.size()> signals_{};
  std::optional<TlsKeeper> http_tls_;  // none without --tls-cert
  std::optional<AuditLog> audit_;      // before http_
  std::optional<HttpServer> http_;
  std::optional<TlsKeeper> peer_tls_;            // none without --peer-ca
  std::optional<PeerLinks> links_;               // none when standalone
  std::optional<ZkClient> zk_;                   // none when standalone
  std::unique_ptr<Directory> directory_;         // none without --data-dir
  std::unique_ptr<Directory> znodes_directory_;  // when standalone with --data-dir
  std::optional<ZkLocal> zk_local_;              // when standalone
  std::optional<Disk> disk_;                     // likewise
  bool input_waits_ = false;                     // since the last pump
  bool stop_requested_ = false;
  std::optional<Instant> exiting_since_;
  Exit exit_;
  bool zk_closed_ = false;
  bool disk_closed_ = false;
  std::vector<Reply> late_;  // to calls that the node did not get any more
};

std::optional<Error> read_root_token(const std::string& path, std::optional<RootToken>& token) {
  constexpr size_t kLineMax = 200;
  const Result<SmallFile> file = read_small_file(path, kLineMax);
  if (file) token = parse_root_token(file->content);
  if (token) return std::nullopt;
  return Error{fmt::format("--root-token-file {}: {}", path,
                           file ? "this is no line as kvd auth root-token writes it" : file.error().detail)};
}

std::optional<Error> read_secrets(Flags& flags) {
  std::optional<Error> error;
  if (!flags.node.standalone && !flags.zk.auth.file.empty()) error = read_zk_auth(flags.zk.auth);
  if (!error && !flags.root_token_file.empty())
    error = read_root_token(flags.root_token_file, flags.http.auth.root_token);
  return error;
}

}  // namespace

int run_daemon(Flags flags) {
  signal(SIGPIPE, SIG_IGN);
  // A write to the log or the disk fails then, which says what failed.
  signal(SIGXFSZ, SIG_IGN);
  for (const int number : kOtherSignals) signal(number, SIG_IGN);  // until the loop hears them
  if (const std::optional<Error> error = read_secrets(flags)) {
    last_words("kvd: {}", error->detail);
    return EX_CONFIG;
  }
  rlim_t descriptors = 0;
  const auto shares = share_descriptors(descriptors);
  if (shares) return Daemon(flags, *shares).run(flags);
  last_words("kvd: {} open descriptors are allowed; allow {} or more (ulimit -n)", descriptors,
             kDescriptorsMin);
  return EX_OSERR;
}

}  // namespace kvd
