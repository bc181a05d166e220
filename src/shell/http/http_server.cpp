// See http_server.hpp.
#include "shell/http/http_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "core/replica/backup_restore.hpp"
#include "shell/http/http_connection.hpp"

namespace kvd {
namespace {

constexpr int kBacklog = 1024;
constexpr uint32_t kNumberMask = 0x7fff'ffff;  // a RequestId of the shell's has its highest bit clear
constexpr int64_t kCheckMsMin = 5, kCheckMsMax = 1000;
constexpr size_t kCheckedAtOnce = 1024;  // about: a tenth of a millisecond

struct AddressInfo {  // of getaddrinfo
  uv_getaddrinfo_t request{};
  ~AddressInfo() { uv_freeaddrinfo(request.addrinfo); }
};

// The first address of `host`, which may be a name. Blocks: for the start only.
int resolve(uv_loop_t* loop, const Address& address, sockaddr_storage& out) {
  AddressInfo info;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  std::string port = std::to_string(address.port);
  int code = uv_getaddrinfo(loop, &info.request, nullptr, address.host.c_str(), port.c_str(), &hints);
  if (code != 0) return code;
  std::memcpy(&out, info.request.addrinfo->ai_addr, info.request.addrinfo->ai_addrlen);
  return 0;
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

uint16_t local_port(const uv_tcp_t& tcp) {
  sockaddr_storage name{};
  int length = sizeof name;
  if (uv_tcp_getsockname(&tcp, reinterpret_cast<sockaddr*>(&name), &length) != 0) return 0;
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<sockaddr_in*>(&name)->sin_port);
}

// Often enough that no limit is overrun by much.
uint64_t check_interval_ms(const HttpOptions& options) {
  Duration shortest =
      std::min({options.idle, options.receive, options.head, options.ended, options.stall, options.linger});
  return static_cast<uint64_t>(std::clamp(to_ms(shortest) / 4, kCheckMsMin, kCheckMsMax));
}

}  // namespace

bool reaches_beyond_loopback(uv_loop_t* loop, const Address& address) {
  sockaddr_storage resolved{};
  return resolve(loop, address, resolved) == 0 && !is_loopback(resolved);
}

HttpServer::HttpServer(uv_loop_t* loop, HttpOptions options, InputSink sink, LogSink log)
    : loop_(loop), shared_(std::make_unique<HttpShared>()) {
  // A stored value is never taken for a page of this server's, nor put into pages of others.
  shared_->node_field = fmt::format(
      "Kvd-Node: {}\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n",
      options.identity.node.value);
  shared_->options = std::move(options);
  shared_->sink = std::move(sink);
  shared_->log = std::move(log);
  shared_->resume = &resume_;
}

HttpServer::~HttpServer() { CHECK(shared_->open.empty()); }

Result<Address> HttpServer::start() {
  const HttpOptions& options = shared_->options;
  CHECK(uv_tcp_init(loop_, &listener_) == 0);
  CHECK(uv_timer_init(loop_, &timer_) == 0);
  CHECK(uv_idle_init(loop_, &resume_) == 0);
  listener_.data = timer_.data = resume_.data = this;
  started_ = true;
  listening_ = true;

  sockaddr_storage address{};
  int code = resolve(loop_, options.listen, address);
  if (code == 0) code = uv_tcp_bind(&listener_, reinterpret_cast<sockaddr*>(&address), 0);
  if (code == 0) {
    code = uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), kBacklog,
                     [](uv_stream_t* listener, int status) {
                       static_cast<HttpServer*>(listener->data)->on_connection(status);
                     });
  }
  if (code != 0) return failure(uv_strerror(code));
  // Started and stopped at once: so it has its callback, and uv_idle_start() is all that connections need.
  uv_idle_start(&resume_, [](uv_idle_t* idle) {
    uv_idle_stop(idle);
    auto waiting = std::exchange(static_cast<HttpServer*>(idle->data)->shared_->resumable, {});
    for (HttpConnection* connection : waiting) connection->resume();
  });
  uv_idle_stop(&resume_);
  check_interval_ms_ = check_interval_ms(options);
  check_later(check_interval_ms_);
  return Address{options.listen.host, local_port(listener_)};
}

uint32_t HttpServer::next_number() {
  do {
    last_number_ = (last_number_ + 1) & kNumberMask;
  } while (shared_->open.contains(last_number_));
  return last_number_;
}

void HttpServer::on_connection(int status) {
  if (status != 0) {
    shared_->log({LogLevel::kWarn, "cannot accept a client", {{"error", uv_strerror(status)}}});
    return;
  }
  using Admission = HttpConnection::Admission;
  size_t limit = shared_->options.connections_max;
  size_t open = shared_->open.size();
  Admission admission = open < limit                                  ? Admission::kServe
                        : open < limit + shared_->options.refused_max ? Admission::kRefuse
                                                                      : Admission::kDrop;
  bool refused = admission != Admission::kServe;
  ++(refused ? shared_->counters.connections_refused : shared_->counters.connections);
  if (refused && !refusing_) {
    shared_->log({LogLevel::kWarn, "too many client connections", {{"limit", std::to_string(limit)}}});
  }
  refusing_ = refused;
  HttpConnection::accept(*shared_, reinterpret_cast<uv_stream_t*>(&listener_), next_number(), admission);
}

void HttpServer::reply(const ClientReply& reply) {
  shared_->epoch = std::max(shared_->epoch, reply.epoch);
  shared_->revision = std::max(shared_->revision, reply.revision);
  auto found = shared_->open.find(static_cast<uint32_t>(reply.id.value >> 32));
  if (found == shared_->open.end()) return;
  found->second->answer(static_cast<uint32_t>(reply.id.value), reply);
}

void HttpServer::reply(const ServiceReply& reply) {
  auto found = shared_->open.find(static_cast<uint32_t>(reply.id.value >> 32));
  if (found == shared_->open.end()) return;
  found->second->answer(static_cast<uint32_t>(reply.id.value), reply);
}

void HttpServer::flush() {
  do {
    flushing_.swap(shared_->dirty);
    for (HttpConnection* connection : flushing_) connection->flush();
    flushing_.clear();
    keep_bounds();
  } while (!shared_->dirty.empty());  // who was told that its bounds are met
}

void HttpServer::keep_bounds() {
  while (shared_->held_bytes > shared_->options.held_bytes_max) {
    auto most = std::max_element(
        shared_->open.begin(), shared_->open.end(),
        [](const auto& a, const auto& b) { return a.second->held_bytes() < b.second->held_bytes(); });
    CHECK(most != shared_->open.end());
    std::string held = std::to_string(most->second->held_bytes());
    shared_->log({LogLevel::kWarn, "ended the client that held the most memory", {{"bytes", held}}});
    most->second->shed();
  }
}

void HttpServer::check_later(uint64_t wait_ms) {
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<HttpServer*>(timer->data)->check_time(); }, wait_ms, 0);
}

// Looking at ten thousand idle connections at once would be a pause for the busy ones.
void HttpServer::check_time() {
  auto& open = shared_->open;
  std::vector<HttpConnection*> some;  // one that is closed leaves `open`
  for (; checked_ < open.bucket_count() && some.size() < kCheckedAtOnce; ++checked_) {
    for (auto it = open.begin(checked_); it != open.end(checked_); ++it) some.push_back(it->second);
  }
  const bool through = checked_ >= open.bucket_count();
  if (through) checked_ = 0;
  uint64_t now = uv_now(loop_);
  for (HttpConnection* connection : some) connection->check_time(now);
  const uint64_t pause = shared_->restoring ? to_ms(BackupRestore::kPause) : check_interval_ms_;
  check_later(through ? std::min(pause, check_interval_ms_) : 1);
}

void HttpServer::stop_accepting() {
  shared_->stopping = true;
  if (!std::exchange(listening_, false)) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&listener_), nullptr);
}

bool HttpServer::drained() const {
  return std::all_of(shared_->open.begin(), shared_->open.end(),
                     [](const auto& entry) { return entry.second->idle(); });
}

void HttpServer::close() {
  stop_accepting();
  if (!std::exchange(started_, false)) return;
  while (!shared_->open.empty()) shared_->open.begin()->second->close();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&resume_), nullptr);
}

}  // namespace kvd
