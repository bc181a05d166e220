// See peer_links.hpp.
#include "shell/peers/peer_links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"
#include "shell/peers/peer_socket.hpp"

namespace kvd {
namespace {

constexpr int kBacklog = 128;
constexpr int kWarningsPerSecond = 10;

// The first address of `host`, which may be a name. Blocks.
int resolve_and_bind(uv_loop_t* loop, const Address& address, uv_tcp_t* listener) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  uv_getaddrinfo_t request{};
  std::string port = std::to_string(address.port);
  int code = uv_getaddrinfo(loop, &request, nullptr, address.host.c_str(), port.c_str(), &hints);
  if (code == 0) code = uv_tcp_bind(listener, request.addrinfo->ai_addr, 0);
  uv_freeaddrinfo(request.addrinfo);
  return code;
}

}  // namespace

PeerLinks::PeerLinks(uv_loop_t* loop, Address listen, InputSink sink, LogSink log, size_t accepted_max)
    : loop_(loop),
      listen_(std::move(listen)),
      sink_(std::move(sink)),
      log_(std::move(log)),
      accepted_max_(accepted_max),
      idle_(new uv_idle_t) {
  CHECK(uv_idle_init(loop_, idle_) == 0);
  idle_->data = this;
}

PeerLinks::~PeerLinks() { close(); }

void PeerLinks::close() {
  links_.clear();
  if (listener_ != nullptr) close_and_delete(std::exchange(listener_, nullptr));
  if (idle_ != nullptr) close_and_delete(std::exchange(idle_, nullptr));
}

Result<Address> PeerLinks::start() {
  listener_ = new uv_tcp_t;
  CHECK(uv_tcp_init(loop_, listener_) == 0);
  listener_->data = this;
  int code = resolve_and_bind(loop_, listen_, listener_);
  if (code == 0) {
    auto knocked = [](uv_stream_t* stream, int status) {
      static_cast<PeerLinks*>(stream->data)->on_connection(status);
    };
    code = uv_listen(reinterpret_cast<uv_stream_t*>(listener_), kBacklog, knocked);
  }
  if (code != 0) {
    close_and_delete(std::exchange(listener_, nullptr));
    return failure(uv_strerror(code));
  }
  return Address{listen_.host, local_port(listener_)};
}

// ---- the node's orders ----

void PeerLinks::perform(LinkDial order) {
  auto link = std::make_unique<PeerLink>(this, loop_, order.link, format_address(order.to));
  PeerLink* dialing = link.get();
  CHECK(links_.emplace(order.link, std::move(link)).second);
  dialing->dial(order.to);
}

void PeerLinks::perform(LinkSend order) {
  auto found = links_.find(order.link);
  if (found != links_.end()) found->second->send(order.message);
}

void PeerLinks::perform(LinkClose order) {
  auto found = links_.find(order.link);
  if (found != links_.end()) found->second->close();
}

void PeerLinks::flush() {
  for (auto& [id, link] : links_) link->flush();
}

// ---- what happens on the network ----

size_t PeerLinks::accepted() const {
  return static_cast<size_t>(std::count_if(links_.begin(), links_.end(),
                                           [](const auto& entry) { return entry.first.value % 2 == 0; }));
}

void PeerLinks::on_connection(int status) {
  if (status != 0) return warn("cannot accept a peer", "", uv_strerror(status));
  auto* tcp = new uv_tcp_t;
  CHECK(uv_tcp_init(loop_, tcp) == 0);
  int code = uv_accept(reinterpret_cast<uv_stream_t*>(listener_), reinterpret_cast<uv_stream_t*>(tcp));
  if (code != 0) {
    close_and_delete(tcp);
    return warn("cannot accept a peer", "", uv_strerror(code));
  }
  std::string from = remote_name(tcp);
  if (accepted() >= accepted_max_) {
    close_and_delete(tcp);
    return warn("refused a peer link", from, fmt::format("{} are open", accepted_max_));
  }
  last_accepted_ += 2;
  LinkId id(last_accepted_);
  auto link = std::make_unique<PeerLink>(this, loop_, id, from);
  link->adopt(tcp);
  links_.emplace(id, std::move(link));
  sink_(LinkAccepted{id, std::move(from)});
}

void PeerLinks::opened(LinkId link) { sink_(LinkOpened{link}); }

void PeerLinks::received(LinkId link, PeerMessage message) { sink_(LinkReceived{link, std::move(message)}); }

void PeerLinks::ended(LinkId link, LinkEnd why, std::string detail) {
  auto found = links_.find(link);
  CHECK(found != links_.end());
  if (why == LinkEnd::kProtocol || why == LinkEnd::kOverflow) {
    warn("closed a peer link", found->second->name(), detail);
  }
  links_.erase(found);
  sink_(LinkEnded{link, why, std::move(detail)});
}

void PeerLinks::forget(LinkId link) { links_.erase(link); }

void PeerLinks::wake() {
  auto turned = [](uv_idle_t* idle) { static_cast<PeerLinks*>(idle->data)->proceed(); };
  CHECK(uv_idle_start(idle_, turned) == 0);
}

void PeerLinks::proceed() {
  uv_idle_stop(idle_);  // whoever still has to wait wakes it again
  for (auto it = links_.begin(); it != links_.end();) {
    PeerLink& link = *it->second;
    ++it;  // the link may destroy itself
    link.proceed();
  }
}

// Whoever can reach the port can make us warn: hence the bound.
void PeerLinks::warn(const char* message, std::string peer, std::string reason) {
  uint64_t second = uv_now(loop_) / 1000;
  if (second != warning_second_) {
    warning_second_ = second;
    warnings_ = 0;
  }
  if (warnings_++ >= kWarningsPerSecond) return;
  LogLine line{LogLevel::kWarn, message, {}};
  if (!peer.empty()) line.fields.emplace_back("peer", std::move(peer));
  line.fields.emplace_back("reason", std::move(reason));
  log_(std::move(line));
}

}  // namespace kvd
