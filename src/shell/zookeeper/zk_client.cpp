// The loop's side of the ZooKeeper client: one handle of the C library at a time, the table of calls that are
// out, and what keeps that library from harm. See the header; what runs on other threads is in zk_bridge.cpp.
//
// A ZooKeeper that has lost data refuses whoever has seen newer data: it ends each connection after the request to
// connect, the C client tries again, and so for ever. From outside that looks like a ZooKeeper that is not there. So a
// handle whose connection has been away for as long as a session lasts gets company: a scout, a second handle that has
// seen nothing. When the scout is connected ZooKeeper is there and lets the session's time run, if it still knows the
// session: it begins anew when ZooKeeper does. What has not come back when that time is over never will, or has expired
// anyway; giving the session up is then no loss. One that comes back first costs nothing but the scout.
//
// Who has a wrong password, or none where ACLs ask for one, learns that by refused calls alone. So what kvd has to be
// able to do is tried at the start of each connection, and every refusal at a znode of kvd's own is told: to the log,
// and to the status. The server goes on: what it may still do, as read the register, it had better do.
#include "shell/zookeeper/zk_client.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "core/config.hpp"
#include "msg/limits.hpp"
#include "msg/zk_checks.hpp"
#include "msg/znodes.hpp"
#include "net/loop.hpp"
#include "shell/log_limit.hpp"
#include "shell/zookeeper/zk_bridge.hpp"
#include "shell/zookeeper/zk_multi.hpp"

namespace kvd {
namespace {

constexpr Duration kProbeEvery = milliseconds(30);
constexpr size_t kProbesMax = 32;  // out at a time; a server that leaves so many unanswered needs no more
constexpr Duration kRetry = milliseconds(1000);
// A refusal is over when none has come for so long. The core asks again what it was refused within kZkRefusedRetry.
constexpr Duration kRefusalLasts = kZkRefusedRetry + seconds(1);
// That no znode has until it has been written 2^32 - 2 times. (-1 is any version.)
constexpr int32_t kImpossibleVersion = -2;

struct DecidedAt {
  std::string operator()(const ZkMulti&) const { return {}; }  // in several places
  std::string operator()(const auto& op) const { return zk_decided_at(op); }
};

}  // namespace

class ZkClient::Impl {
 public:
  Impl(uv_loop_t* loop, ZkOptions options, InputSink inputs, LogSink logs)
      : loop_(loop),
        servers_(std::move(options.servers)),
        prefix_(std::move(options.prefix)),
        timeout_ms_(static_cast<int>(to_ms(options.session_timeout))),
        auth_(std::move(options.auth)),
        acls_{prefix_, !auth_.credentials.empty(), options.all_protected},
        inputs_(std::move(inputs)),
        logs_(std::move(logs)),
        mailbox_(loop, [this](std::vector<ZkEvent> events) { take(std::move(events)); }),
        probe_timer_(loop, [this] { probe(); }),
        retry_timer_(loop, [this] { retry(); }),
        absence_timer_(loop, [this] { absent_for_long(); }),
        access_timer_(loop, [this] { check_access(); }) {
    CHECK(!servers_.empty());
    CHECK(prefix_.empty() || (prefix_ != "/" && zk_path_valid(prefix_)));
  }
  ~Impl() {
    if (worker_.joinable()) worker_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void reopen() {
    if (closing_ || handle_ != nullptr) return;
    open_wanted_ = true;
    work();
  }
  void perform(ZkCall call);
  void close(std::function<void()> done);

 private:
  enum class Purpose : uint8_t {
    kCall,      // of the node's
    kPrefix,    // creates a part of the prefix
    kPrefixIs,  // asks whether it is there
    kAccess,    // tries whether this server may do what it has to
  };
  struct Pending {
    ZkCallId id;
    Purpose purpose = Purpose::kCall;
    std::string decided_at;  // whose ACL decides, unless it is a multi
    std::unique_ptr<MultiArena> multi;
  };

  // ---- calls ----
  void refuse(ZkCallId id, ZkCode code);
  bool connected_right_now() const { return handle_ != nullptr && zoo_state(handle_) == ZOO_CONNECTED_STATE; }
  void* context(uint32_t number) const { return ZkContext{mailbox_.slot(), generation_, number}.pack(); }
  watcher_fn watcher(bool wanted) const { return wanted ? zk_on_watch : nullptr; }
  uint32_t next_number();
  void forget(uint32_t number);
  void keep_probing();
  void probe();
  int issue(void* with, MultiArena*, const ZkCreate& op);
  int issue(void* with, MultiArena*, const ZkDelete& op);
  int issue(void* with, MultiArena*, const ZkSet& op);
  int issue(void* with, MultiArena* arena, const ZkMulti&);
  int issue(void* with, MultiArena*, const ZkGet& op);
  int issue(void* with, MultiArena*, const ZkExists& op);
  int issue(void* with, MultiArena*, const ZkChildren& op);
  int issue(void* with, MultiArena*, const ZkSync& op);

  // ---- the session that is refused ----
  void await_connection();
  void absent_for_long();
  void scout_heard(int state);
  void scout_failed();
  void dismiss_scout();

  // ---- events, in the order in which they were pushed ----
  void take(std::vector<ZkEvent> events);
  void on(ZkHandleReady event);
  void opened_poorly(const ZkHandleReady& event);
  void on(ZkSessionEvent event);
  void on(ZkNodeEvent event);
  void on(ZkCompletion event);
  void on(ZkRefusal event) { deliver(std::move(event.result)); }
  void on(ZkLibraryLog event);

  void lost();
  void expired(int state);
  void end_session();
  void create_prefix();
  void prefix_created(int code);
  void prefix_settled();
  void prefix_found(int code);
  void announce();

  // ---- what this server may do ----
  void check_access();
  void access_checked(int code);
  void look_for_refusal(const Pending& pending, const ZkResult& result);
  void refused(const std::string& path);
  void tell_access(std::string refusal);

  // ---- paths ----
  std::string server_list() const;
  std::string with_prefix(const std::string& path) const {
    return path == "/" && !prefix_.empty() ? prefix_ : prefix_ + path;
  }
  std::string without_prefix(const std::string& path) const;
  void add_prefix(ZkRequest& request) const;

  // ---- the handle's life ----
  void work();
  void doom();
  uint32_t next_generation();

  void deliver(NodeInput input) {
    if (!closing_) inputs_(std::move(input));
  }
  void log(LogLevel level, std::string message, std::vector<std::pair<std::string, std::string>> fields);
  void retry();

  uv_loop_t* loop_;
  std::vector<Address> servers_;
  std::string prefix_;
  int timeout_ms_;
  ZkAuth auth_;
  ZkAcls acls_;
  InputSink inputs_;
  LogSink logs_;
  ZkMailbox mailbox_;
  net::Timer probe_timer_;
  net::Timer retry_timer_;
  net::Timer absence_timer_;
  net::Timer access_timer_;

  zhandle_t* handle_ = nullptr;  // the one in use
  uint32_t generation_ = 0;      // its number; events of another one are void. 0: there is none
  uint32_t last_generation_ = 0;
  bool had_session_ = false;           // it was connected once
  bool announced_ = false;             // the node was told that we are connected
  std::vector<ZkSessionEvent> early_;  // the handle's, from before we had it
  std::map<uint32_t, Pending> pending_;
  uint32_t last_number_ = 0;
  size_t probes_out_ = 0;
  size_t prefix_creates_out_ = 0;
  int prefix_error_ = ZOK;
  bool access_asked_ = false;  // whether that call is out
  std::string refusal_;        // as the node was told; empty: none
  uint64_t refused_ms_ = 0;
  // Given up by us, perhaps not yet by a handle that is not closed.
  std::vector<std::unique_ptr<MultiArena>> retired_;

  struct Scout {              // see above
    uint32_t generation = 0;  // 0: there is none
    zhandle_t* handle = nullptr;
    bool connected = false;
  };
  Scout scout_;

  std::thread worker_;
  bool working_ = false;
  bool open_wanted_ = false;
  bool scout_wanted_ = false;
  std::vector<zhandle_t*> doomed_;  // to be closed by the worker
  bool closing_ = false;
  std::function<void()> done_;

  LogLimit log_limit_;
};

// ---- calls ----

void ZkClient::Impl::perform(ZkCall call) {
  if (closing_) return;
  // Before anything else looks at it: a multi with one invalid path makes the C client free a pointer that
  // was never set, and too much data makes the server drop the connection, again with every repeat. And
  // before the prefix, which would make an absolute path of a relative one.
  if (!zk_request_valid(call.request)) return refuse(call.id, ZkCode::kInvalid);
  add_prefix(call.request);
  if (!announced_) return refuse(call.id, ZkCode::kNotConnected);
  if (pending_.size() - (access_asked_ ? 1 : 0) >= limits::kZkCalls) {
    log(LogLevel::kWarn, "ZooKeeper call refused: too many are outstanding", {});
    return refuse(call.id, ZkCode::kNotConnected);
  }

  const uint32_t number = next_number();
  Pending& pending = pending_[number];
  pending.id = call.id;
  if (auto* multi = std::get_if<ZkMulti>(&call.request))
    pending.multi = std::make_unique<MultiArena>(std::move(*multi), acls_);
  else
    pending.decided_at = std::visit(DecidedAt{}, call.request);
  MultiArena* arena = pending.multi.get();
  // A multi of two operations or more on an expired handle aborts the process (double free in the C
  // client 3.8 and in its successors), so the state is asked in the very statement before. To expire in
  // between, the library's thread would have to lose the connection, find another server and be refused, all
  // within this line.
  if (!connected_right_now()) {
    forget(number);
    return refuse(call.id, ZkCode::kNotConnected);
  }
  const int code =
      std::visit([&](const auto& op) { return issue(context(number), arena, op); }, call.request);
  if (code == ZOK) return keep_probing();

  forget(number);
  const bool never_sent = code == ZINVALIDSTATE;  // expired just now: the library takes no calls
  refuse(call.id, never_sent ? ZkCode::kNotConnected : zk_code_of(code));
}

// The answer comes from the loop like all others:
// whoever called is still at it, and nothing else might wake the loop.
void ZkClient::Impl::refuse(ZkCallId id, ZkCode code) {
  ZkResult result;
  result.id = id;
  result.code = code;
  ZkMailbox::post(mailbox_.slot(), ZkRefusal{std::move(result)});
}

uint32_t ZkClient::Impl::next_number() {
  do {
    ++last_number_;
  } while (last_number_ == 0 || pending_.contains(last_number_));
  return last_number_;
}

void ZkClient::Impl::forget(uint32_t number) {
  const auto it = pending_.find(number);
  if (it->second.multi) retired_.push_back(std::move(it->second.multi));
  pending_.erase(it);
}

// A server of 3.8.0 can hold the only request that it has, until something
// else arrives (ZOOKEEPER-4537: a wake-up is lost in its CommitProcessor). So
// while a request is out a cheap read follows it every now and then.
void ZkClient::Impl::keep_probing() {
  if (!probe_timer_.running()) probe_timer_.start(kProbeEvery);
}

void ZkClient::Impl::probe() {
  if (pending_.empty()) return;
  probe_timer_.start(kProbeEvery);
  if (probes_out_ < kProbesMax && connected_right_now()) {
    if (zoo_aexists(handle_, "/", 0, zk_on_stat, context(0)) == ZOK) ++probes_out_;
  }
}

// The second form answers with a stat, from which a new znode's created_zxid is known at once. Servers know it
// since 3.5. (In the library a case falls through when its completion is registered, ZOOKEEPER-4604: it stores
// the same pointer twice in the same place.)
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkCreate& op) {
  return zoo_acreate2(handle_, op.path.c_str(), op.data.data(), static_cast<int>(op.data.size()),
                      acls_.of(op.path), zk_create_flags(op.mode), zk_on_path, with);
}
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkDelete& op) {
  return zoo_adelete(handle_, op.path.c_str(), op.version, zk_on_void, with);
}
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkSet& op) {
  return zoo_aset(handle_, op.path.c_str(), op.data.data(), static_cast<int>(op.data.size()), op.version,
                  zk_on_stat, with);
}
// Its operations have moved to the arena.
int ZkClient::Impl::issue(void* with, MultiArena* arena, const ZkMulti&) {
  return arena->send(handle_, zk_on_void, with);
}
// All watches of one handle have one context, so that the C client takes two on one path for one.
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkGet& op) {
  return zoo_awget(handle_, op.path.c_str(), watcher(op.watch), context(0), zk_on_data, with);
}
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkExists& op) {
  return zoo_awexists(handle_, op.path.c_str(), watcher(op.watch), context(0), zk_on_stat, with);
}
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkChildren& op) {
  return zoo_awget_children2(handle_, op.path.c_str(), watcher(op.watch), context(0), zk_on_names, with);
}
int ZkClient::Impl::issue(void* with, MultiArena*, const ZkSync& op) {
  return zoo_async(handle_, op.path.c_str(), zk_on_sync, with);
}

// ---- events ----

void ZkClient::Impl::take(std::vector<ZkEvent> events) {
  for (ZkEvent& event : events) {
    std::visit([this](auto& one) { on(std::move(one)); }, event);
  }
}

void ZkClient::Impl::on(ZkHandleReady event) {
  worker_.join();
  working_ = false;
  // The handles that knew them are closed, and the next one has had no call yet.
  if (handle_ == nullptr && doomed_.empty()) retired_.clear();
  const bool wanted = event.generation != 0 && event.generation == generation_;
  const bool of_scout = event.generation != 0 && event.generation == scout_.generation;
  if (wanted && !event.error.empty()) opened_poorly(event);
  if (event.handle == nullptr) {
    if (of_scout) scout_failed();
  } else if (wanted) {
    handle_ = event.handle;
    for (const ZkSessionEvent& early : std::exchange(early_, {})) on(early);
  } else if (of_scout) {
    scout_.handle = event.handle;
  } else {
    doomed_.push_back(event.handle);
  }
  work();
}

void ZkClient::Impl::opened_poorly(const ZkHandleReady& event) {
  if (event.handle != nullptr)
    return log(LogLevel::kWarn, "a ZooKeeper server's name does not resolve", {{"error", event.error}});
  log(LogLevel::kError, "cannot use the ZooKeeper servers' addresses, trying again",
      {{"error", event.error}});
  retry_timer_.start(kRetry);
}

void ZkClient::Impl::on(ZkSessionEvent event) {
  if (closing_) return;
  if (event.generation == scout_.generation) return scout_heard(event.state);
  if (event.generation != generation_) return;
  if (handle_ == nullptr) {
    early_.push_back(event);
  } else if (event.state == ZOO_CONNECTED_STATE) {
    had_session_ = true;
    absence_timer_.stop();
    dismiss_scout();
    work();
    create_prefix();
  } else if (event.state == ZOO_EXPIRED_SESSION_STATE || event.state == ZOO_AUTH_FAILED_STATE) {
    expired(event.state);
  } else {
    lost();
  }
}

void ZkClient::Impl::on(ZkNodeEvent event) {
  if (event.generation == generation_) deliver(ZkWatchFired{without_prefix(event.path)});
}

void ZkClient::Impl::on(ZkCompletion event) {
  if (event.generation != generation_) return;
  if (event.number == 0) {
    --probes_out_;
    return;
  }
  const auto it = pending_.find(event.number);
  if (it == pending_.end()) return;
  Pending pending = std::move(it->second);
  pending_.erase(it);
  if (pending.purpose == Purpose::kPrefix) return prefix_created(event.code);
  if (pending.purpose == Purpose::kPrefixIs) return prefix_found(event.code);
  if (pending.purpose == Purpose::kAccess) return access_checked(event.code);

  event.result.id = pending.id;
  event.result.code = zk_code_of(event.code);
  if (!event.result.path.empty()) event.result.path = without_prefix(event.result.path);
  if (pending.multi) pending.multi->read(event.result.code, event.result);
  if (event.code == ZNOAUTH) look_for_refusal(pending, event.result);
  for (std::string& path : event.result.paths) {
    if (!path.empty()) path = without_prefix(path);
  }
  deliver(std::move(event.result));
}

// Asked to connect while there is no leader the library retries without a pause and says so: hundreds of
// lines a second. The header of each ("...:ZOO_ERROR@function@line: ") is of no use to an operator, nor is that
// the library takes a rest.
void ZkClient::Impl::on(ZkLibraryLog event) {
  const size_t header = event.text.find("ZOO_");
  const size_t end = header == std::string::npos ? std::string::npos : event.text.find(": ", header);
  if (end != std::string::npos) event.text.erase(0, end + 2);
  while (event.text.ends_with('\n')) event.text.pop_back();
  if (event.text.starts_with("Delaying connection")) return;
  if (had_session_) return log(LogLevel::kWarn, "ZooKeeper client", {{"text", event.text}});
  log(LogLevel::kWarn, "no connection to ZooKeeper yet, trying on",
      {{"servers", server_list()}, {"cause", event.text}});
}

// The C client ends the calls that were out itself, with results that follow in the queue.
void ZkClient::Impl::lost() {
  await_connection();
  if (!std::exchange(announced_, false)) return;
  deliver(ZkSessionChanged{ZkState::kConnecting, 0, Duration(0)});
}

void ZkClient::Impl::expired(int state) {
  if (state == ZOO_AUTH_FAILED_STATE)
    log(LogLevel::kError, "ZooKeeper refused to authenticate this server", {});
  end_session();
}

void ZkClient::Impl::end_session() {
  for (const auto& [number, pending] : pending_) {
    if (pending.purpose != Purpose::kCall) continue;
    ZkResult result;
    result.id = pending.id;
    deliver(std::move(result));  // kUnknown
  }
  doom();
  deliver(ZkSessionChanged{ZkState::kExpired, 0, Duration(0)});
  work();
}

// The prefix's znodes, from the outside in, all at once: ZooKeeper performs
// a session's calls in order. Existing ones are fine. With each connection,
// as somebody may have removed them and that costs one round trip.
void ZkClient::Impl::create_prefix() {
  if (prefix_.empty()) return announce();
  prefix_creates_out_ = 0;
  prefix_error_ = ZOK;
  for (size_t end = 0; end != std::string::npos;) {
    end = prefix_.find('/', end + 1);
    const uint32_t number = next_number();
    pending_[number].purpose = Purpose::kPrefix;
    const int code =
        issue(context(number), nullptr, ZkCreate{prefix_.substr(0, end), "", ZkMode::kPersistent});
    if (code == ZOK) {
      ++prefix_creates_out_;
    } else {
      forget(number);
      prefix_error_ = code;
    }
  }
  keep_probing();
  if (prefix_creates_out_ == 0) prefix_settled();
}

void ZkClient::Impl::prefix_created(int code) {
  if (code != ZOK && code != ZNODEEXISTS) prefix_error_ = code;
  if (prefix_creates_out_ > 0 && --prefix_creates_out_ == 0) prefix_settled();
}

void ZkClient::Impl::prefix_settled() {
  if (!connected_right_now()) return;  // the next connection tries anew
  if (prefix_error_ == ZOK) return announce();
  if (prefix_error_ != ZNOAUTH) return prefix_found(prefix_error_);
  // ZooKeeper asks who may create before it asks what is there: an operator may have made the prefix, and closed
  // what is above.
  const uint32_t number = next_number();
  pending_[number].purpose = Purpose::kPrefixIs;
  if (zoo_aexists(handle_, prefix_.c_str(), 0, zk_on_stat, context(number)) != ZOK) forget(number);
  keep_probing();
}

void ZkClient::Impl::prefix_found(int code) {
  if (!connected_right_now()) return;
  if (code == ZOK) return announce();
  log(LogLevel::kError, "cannot create the ZooKeeper prefix, trying again",
      {{"prefix", prefix_}, {"error", zerror(prefix_error_)}});
  if (prefix_error_ == ZNOAUTH) refused(prefix_);
  retry_timer_.start(kRetry);
}

void ZkClient::Impl::announce() {
  announced_ = true;
  const auto session = static_cast<uint64_t>(zoo_client_id(handle_)->client_id);
  deliver(ZkSessionChanged{ZkState::kConnected, session, milliseconds(zoo_recv_timeout(handle_))});
  check_access();
}

// ---- what this server may do ----

// A write of the register that cannot be done: ZooKeeper asks for the right to it first, and then for the version.
void ZkClient::Impl::check_access() {
  if (access_asked_ || !announced_ || !connected_right_now()) return;  // the next connection asks
  const uint32_t number = next_number();
  pending_[number].purpose = Purpose::kAccess;
  if (issue(context(number), nullptr, ZkSet{with_prefix(kConfigPath), "", kImpossibleVersion}) != ZOK)
    return forget(number);
  access_asked_ = true;
  keep_probing();
}

// What is not there yet may be written, for all that is known.
void ZkClient::Impl::access_checked(int code) {
  access_asked_ = false;
  if (code == ZNOAUTH) return refused(with_prefix(kConfigPath));
  if (refusal_.empty() || (code != ZBADVERSION && code != ZNONODE)) return;
  const Duration passed = milliseconds(static_cast<int64_t>(uv_now(loop_) - refused_ms_));
  if (passed < kRefusalLasts) return access_timer_.start(kRetry);
  log(LogLevel::kInfo, "ZooKeeper refuses this server nothing any more", {});
  tell_access("");
}

void ZkClient::Impl::look_for_refusal(const Pending& pending, const ZkResult& result) {
  if (!pending.multi) {
    if (zk_is_own(zk_without_prefix(pending.decided_at, prefix_))) refused(pending.decided_at);
    return;
  }
  for (size_t i = 0; i < result.codes.size(); ++i) {
    if (result.codes[i] != ZkCode::kNoAuth) continue;
    const std::string path = pending.multi->decided_at(i);
    if (zk_is_own(zk_without_prefix(path, prefix_))) refused(path);
  }
}

void ZkClient::Impl::refused(const std::string& path) {
  refused_ms_ = uv_now(loop_);
  access_timer_.start(kRetry);
  const std::string why =
      auth_.file.empty()
          ? "an ACL asks for a user and a password there, which --zookeeper-auth-file would give"
          : "the ACL there does not allow this to the user and password in " + auth_.file +
                " (--zookeeper-auth-file)";
  log(LogLevel::kError, "ZooKeeper refuses this server what it has to do", {{"znode", path}, {"why", why}});
  if (refusal_.empty()) tell_access(fmt::format("ZooKeeper refuses this server at {}: {}", path, why));
}

void ZkClient::Impl::tell_access(std::string refusal) {
  refusal_ = std::move(refusal);
  deliver(ZkAccessJudged{refusal_});
}

// ---- the session that is refused ----

// For as long as the session lasts.
void ZkClient::Impl::await_connection() { absence_timer_.start(milliseconds(zoo_recv_timeout(handle_))); }

void ZkClient::Impl::absent_for_long() {
  if (connected_right_now()) return;  // the event that says so is under way
  if (scout_.connected) {
    // Not limited: it comes once in two lengths of a session at the most.
    logs_(LogLine{
        LogLevel::kWarn,
        "ZooKeeper refuses this server's session though it answers others: it seems to have lost data; "
        "begins a new session",
        {{"servers", server_list()}}});
    end_session();
  } else if (scout_.generation == 0) {
    scout_wanted_ = true;
    work();
  }
}

void ZkClient::Impl::scout_heard(int state) {
  if (state != ZOO_CONNECTED_STATE) return scout_failed();
  scout_.connected = true;
  await_connection();
}

// A scout that was connected has seen something itself: the next one has not.
void ZkClient::Impl::scout_failed() {
  dismiss_scout();
  await_connection();
  work();
}

void ZkClient::Impl::dismiss_scout() {
  scout_wanted_ = false;
  const Scout former = std::exchange(scout_, {});
  if (former.handle != nullptr)
    doomed_.push_back(former.handle);  // one that is still being opened is void when it comes
}

// ---- paths ----

std::string ZkClient::Impl::server_list() const {
  std::string list;
  for (const Address& server : servers_) list += (list.empty() ? "" : ",") + format_address(server);
  return list;
}

std::string ZkClient::Impl::without_prefix(const std::string& path) const {
  return std::string(zk_without_prefix(path, prefix_));
}

void ZkClient::Impl::add_prefix(ZkRequest& request) const {
  const auto add = [this](auto& op) { op.path = with_prefix(op.path); };
  if (auto* multi = std::get_if<ZkMulti>(&request)) {
    for (auto& op : multi->ops) std::visit(add, op);
  } else {
    std::visit(
        [&add](auto& op) {
          if constexpr (requires { op.path; }) add(op);
        },
        request);
  }
}

// ---- the handle's life ----

// Opening resolves names and closing joins threads and waits for the server, up to kZkCloseMax: neither may
// happen on the loop, nor on one of the library's threads, where a close would detach itself and use what it
// has freed. It is a thread of our own and not uv_queue_work: that pool is small, the peers' addresses are
// resolved in it, and the process would wait for it at its exit. One at a time, so that the former session is
// closed before the next one opens.
void ZkClient::Impl::work() {
  if (working_) return;
  uint32_t opened = 0;
  bool heard = false;
  if (!closing_ && std::exchange(open_wanted_, false) && handle_ == nullptr) {
    opened = generation_ = next_generation();
    had_session_ = false;
    heard = true;
  } else if (!closing_ && std::exchange(scout_wanted_, false)) {
    opened = scout_.generation = next_generation();
  }
  if (doomed_.empty() && opened == 0) {
    if (closing_) mailbox_.close([this] { std::exchange(done_, nullptr)(); });  // may destroy us
    return;
  }
  working_ = true;
  const ZkContext context{mailbox_.slot(), opened, 0};
  worker_ = std::thread([doomed = std::exchange(doomed_, {}), heard, context, servers = servers_,
                         timeout_ms = timeout_ms_, credentials = auth_.credentials] {
    zk_close(doomed);
    ZkMailbox::post(context.slot, context.generation != 0
                                      ? zk_open(servers, timeout_ms, credentials, context, heard)
                                      : ZkHandleReady{0, nullptr, {}});
  });
}

uint32_t ZkClient::Impl::next_generation() {
  do {
    last_generation_ = (last_generation_ + 1) & 0xff'ffff;
  } while (last_generation_ == 0);
  return last_generation_;
}

// Everything of the current handle becomes void. Its outstanding calls are forgotten, whoever asked for them
// has been told; the library may or may not still run their completions.
void ZkClient::Impl::doom() {
  while (!pending_.empty()) forget(pending_.begin()->first);
  announced_ = access_asked_ = false;
  probes_out_ = 0;
  early_.clear();
  for (net::Timer* timer : {&probe_timer_, &retry_timer_, &absence_timer_, &access_timer_}) timer->stop();
  generation_ = 0;
  if (handle_ != nullptr) doomed_.push_back(std::exchange(handle_, nullptr));
  dismiss_scout();
}

void ZkClient::Impl::retry() {
  if (handle_ == nullptr) return reopen();
  if (!announced_ && connected_right_now()) create_prefix();
}

void ZkClient::Impl::close(std::function<void()> done) {
  CHECK(!closing_);
  closing_ = true;
  done_ = std::move(done);
  doom();
  work();
}

void ZkClient::Impl::log(LogLevel level, std::string message,
                         std::vector<std::pair<std::string, std::string>> fields) {
  if (closing_) return;
  std::string line = message;
  for (const auto& [name, value] : fields) line += " " + value;
  const std::optional<uint64_t> left_out = log_limit_.heard(line, uv_now(loop_));
  if (!left_out) return;
  if (*left_out > 0) fields.emplace_back("left_out", std::to_string(*left_out));
  logs_(LogLine{level, std::move(message), std::move(fields)});
}

// ---- the public face ----

ZkClient::ZkClient(uv_loop_t* loop, ZkOptions options, InputSink inputs, LogSink logs)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(inputs), std::move(logs))) {}
ZkClient::~ZkClient() = default;
void ZkClient::start() { impl_->reopen(); }
void ZkClient::perform(ZkCall call) { impl_->perform(std::move(call)); }
void ZkClient::reopen() { impl_->reopen(); }
void ZkClient::close(std::function<void()> done) { impl_->close(std::move(done)); }

}  // namespace kvd
