// See http_server.hpp.
#include "shell/http/http_server.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "core/replica/backup_restore.hpp"
#include "net/address.hpp"
#include "shell/http/http_connection.hpp"

namespace kvd {
namespace {

constexpr int kBacklog = 1024;
constexpr size_t kOwnersPlaces = 16;           // of connections: for the Unix socket alone
constexpr uint32_t kNumberMask = 0x7fff'ffff;  // a RequestId of the shell's has its highest bit clear
constexpr Duration kCheckMin = milliseconds(5), kCheckMax = milliseconds(1000);
constexpr size_t kCheckedAtOnce = 1024;  // about: a tenth of a millisecond

// Often enough that no limit is overrun by much.
Duration check_interval(const HttpOptions& options) {
  Duration shortest = std::min({options.idle, options.receive, options.head, options.ended, options.stall,
                                options.linger, options.handshake});
  return std::clamp(shortest / 4, kCheckMin, kCheckMax);
}

}  // namespace

bool reaches_beyond_loopback(uv_loop_t* loop, const Address& address) {
  const auto addresses = net::resolve_now(loop, address.host, address.port);
  return addresses && !addresses->front().is_loopback();
}

HttpServer::HttpServer(uv_loop_t* loop, HttpOptions options, InputSink sink, LogSink log,
                       const TlsKeeper* tls, AuditLog* audit)
    : loop_(loop),
      shared_(new HttpShared{.loop = loop, .resume = net::NextTurn(loop, [this] { resume(); })}),
      timer_(loop, [this] { check_time(); }),
      check_interval_(check_interval(options)),
      tls_(tls),
      handshakes_(loop, options.handshakes_max) {
  // A stored value is never taken for a page of this server's, nor put into pages of others.
  shared_->node_field = fmt::format(
      "Kvd-Node: {}\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n",
      options.identity.node.value);
  shared_->audit = audit;
  shared_->access.mode = options.auth.mode;
  shared_->access.root_token = options.auth.root_token;
  shared_->access.own_uid = geteuid();
  shared_->options = std::move(options);
  shared_->sink = std::move(sink);
  shared_->log = std::move(log);
}

HttpServer::~HttpServer() { CHECK(shared_->open.empty()); }

Result<Address> HttpServer::start() {
  listener_.emplace(
      loop_, [this](int status, net::Stream stream) { on_connection(status, std::move(stream), true); });
  const Address& at = shared_->options.listen;
  const Result<uint16_t> port = listener_->start(at.host, at.port, kBacklog);
  if (!port) return Failure<Error>(port.error());
  timer_.start(check_interval_);
  return Address{at.host, *port};
}

Result<void> HttpServer::start_socket() {
  socket_listener_.emplace(
      loop_, [this](int status, net::Stream stream) { on_connection(status, std::move(stream), false); });
  return socket_listener_->start(shared_->options.socket, kBacklog);
}

uint32_t HttpServer::next_number() {
  do {
    last_number_ = (last_number_ + 1) & kNumberMask;
  } while (shared_->open.contains(last_number_));
  return last_number_;
}

void HttpServer::on_connection(int status, net::Stream stream, bool from_network) {
  if (status != 0) {
    shared_->log({LogLevel::kWarn, "cannot accept a client", {{"error", uv_strerror(status)}}});
    return;
  }
  using Admission = HttpConnection::Admission;
  size_t limit = shared_->options.connections_max;
  const bool secure = from_network && tls_ != nullptr;
  // Who owns the server always gets in.
  if (from_network && socket_listener_) limit -= std::min(limit / 2, kOwnersPlaces);
  // Half of all may be strangers'. The one that has been one for longest makes room.
  if (from_network && !shared_->strangers.empty() &&
      shared_->strangers.size() >= shared_->options.connections_max / 2)
    shared_->strangers.begin()->second->close();
  const size_t open = shared_->open.size();
  Admission admission = open < limit                                  ? Admission::kServe
                        : open < limit + shared_->options.refused_max ? Admission::kRefuse
                                                                      : Admission::kDrop;
  bool refused = admission != Admission::kServe;
  ++(refused ? shared_->counters.connections_refused : shared_->counters.connections);
  if (refused && !refusing_) {
    shared_->log({LogLevel::kWarn, "too many client connections", {{"limit", std::to_string(limit)}}});
  }
  refusing_ = refused;
  const uint32_t number = next_number();
  auto& connection = shared_->open[number];
  connection = std::make_unique<HttpConnection>(*shared_, number, std::move(stream));
  shared_->counters.connections_open = shared_->open.size();
  if (secure && admission != Admission::kDrop) {
    handshakes_.make_room();
    connection->secure(net::TlsSession(tls_->server()), handshakes_);
  }
  connection->start(admission);
}

void HttpServer::reply(const Reply& reply) {
  if (const auto* store = std::get_if<StoreAnswer>(&reply.what)) {
    shared_->epoch = std::max(shared_->epoch, store->epoch);
    shared_->revision = std::max(shared_->revision, store->revision);
  }
  auto found = shared_->open.find(connection_of(reply.id));
  if (found == shared_->open.end()) return;
  found->second->answer(static_cast<uint32_t>(reply.id.value), reply);
}

void HttpServer::stream(const StreamLines& lines) {
  const auto found = shared_->open.find(connection_of(lines.id));
  if (found != shared_->open.end()) found->second->add_lines(static_cast<uint32_t>(lines.id.value), lines);
}

void HttpServer::change_access(AccessTablePointer table, bool whole) {
  shared_->access.whole = whole;
  shared_->access.table = std::move(table);
  if (!whole) return;  // what is missing may come back
  const AccessTablePointer before = std::exchange(whole_access_, shared_->access.table);
  if (shared_->access.mode != AuthMode::kOn || before == whole_access_) return;
  std::vector<HttpConnection*> open;  // some of them close
  for (const auto& [number, connection] : shared_->open) open.push_back(connection.get());
  for (HttpConnection* connection : open) connection->end_without_right(*before);
}

void HttpServer::flush() {
  do {
    flushing_.swap(shared_->dirty);
    for (HttpConnection* connection : flushing_) connection->flush();
    flushing_.clear();
    keep_bounds();
  } while (!shared_->dirty.empty());  // who was told that its bounds are met
  shared_->closed.clear();
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

void HttpServer::resume() {
  for (HttpConnection* connection : std::exchange(shared_->resumable, {})) connection->resume();
}

// Looking at ten thousand idle connections at once would be a pause for the busy ones.
void HttpServer::check_time() {
  auto& open = shared_->open;
  std::vector<HttpConnection*> some;  // one that is closed leaves `open`
  for (; checked_ < open.bucket_count() && some.size() < kCheckedAtOnce; ++checked_) {
    for (auto it = open.begin(checked_); it != open.end(checked_); ++it) some.push_back(it->second.get());
  }
  const bool through = checked_ >= open.bucket_count();
  if (through) checked_ = 0;
  uint64_t now = uv_now(loop_);
  for (HttpConnection* connection : some) connection->check_time(now);
  const Duration pause = shared_->restoring ? BackupRestore::kPause : check_interval_;
  timer_.start(through ? std::min(pause, check_interval_) : milliseconds(1));
}

void HttpServer::stop_accepting() {
  shared_->stopping = true;
  listener_.reset();
  socket_listener_.reset();
}

bool HttpServer::drained() const {
  return std::all_of(shared_->open.begin(), shared_->open.end(),
                     [](const auto& entry) { return entry.second->idle(); });
}

void HttpServer::close() {
  stop_accepting();
  while (!shared_->open.empty()) shared_->open.begin()->second->close();
  timer_.stop();
}

}  // namespace kvd
