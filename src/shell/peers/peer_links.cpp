// See peer_links.hpp.
#include "shell/peers/peer_links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "msg/limits.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr int kBacklog = 128;
constexpr int kWarningsPerSecond = 10;
// Whose handshake is not over may be anybody: they get none of the places that servers have.
constexpr size_t kStrangersMax = 64;

}  // namespace

PeerLinks::PeerLinks(uv_loop_t* loop, Address listen, InputSink sink, LogSink log, size_t accepted_max,
                     const TlsKeeper* tls)
    : loop_(loop),
      listen_(std::move(listen)),
      sink_(std::move(sink)),
      log_(std::move(log)),
      accepted_max_(accepted_max),
      tls_(tls),
      handshakes_(loop),
      next_turn_(loop, [this] { proceed(); }) {}

void PeerLinks::close() {
  links_.clear();
  listener_.reset();
}

Result<Address> PeerLinks::start() {
  listener_.emplace(loop_,
                    [this](int status, net::Stream stream) { on_connection(status, std::move(stream)); });
  const Result<uint16_t> port = listener_->start(listen_.host, listen_.port, kBacklog);
  if (!port) return Failure<Error>(port.error());
  return Address{listen_.host, *port};
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

// Links that somebody else dialed, those of strangers or those of all others.
size_t PeerLinks::count(bool strangers) const {
  return static_cast<size_t>(std::count_if(links_.begin(), links_.end(), [strangers](const auto& entry) {
    return entry.first.value % 2 == 0 && entry.second->is_stranger() == strangers;
  }));
}

void PeerLinks::drop_oldest_stranger() {
  const auto oldest = std::find_if(links_.begin(), links_.end(), [](const auto& entry) {
    return entry.first.value % 2 == 0 && entry.second->is_stranger();
  });
  links_.erase(oldest);
}

void PeerLinks::on_connection(int status, net::Stream stream) {
  if (status != 0) return warn("cannot accept a peer", "", uv_strerror(status));
  const net::SocketAddress there = stream.remote();
  std::string from = format_address({there.host(), there.port()});
  if (tls_ == nullptr && count(false) >= accepted_max_) {
    return warn("refused a peer link", from, fmt::format("{} are open", accepted_max_));
  }
  if (count(true) >= kStrangersMax) drop_oldest_stranger();
  last_accepted_ += 2;
  LinkId id(last_accepted_);
  auto link = std::make_unique<PeerLink>(this, loop_, id, from);
  link->adopt(std::move(stream));
  const bool stranger = link->is_stranger();
  links_.emplace(id, std::move(link));
  if (!stranger) sink_(LinkAccepted{id, std::move(from)});
}

void PeerLinks::opened(LinkId link, std::vector<std::string> names) {
  sink_(LinkOpened{link, std::move(names)});
}

bool PeerLinks::accepted(LinkId id, std::vector<std::string> names) {
  const auto found = links_.find(id);
  const std::string from = found->second->name();
  if (count(false) > accepted_max_) {
    links_.erase(found);
    warn("refused a peer link", from, fmt::format("{} are open", accepted_max_));
    return false;
  }
  sink_(LinkAccepted{id, from, std::move(names)});
  return true;
}

void PeerLinks::received(LinkId link, PeerMessage message) { sink_(LinkReceived{link, std::move(message)}); }

void PeerLinks::ended(LinkId link, LinkEnd why, std::string detail) {
  auto found = links_.find(link);
  CHECK(found != links_.end());
  if (why == LinkEnd::kProtocol || why == LinkEnd::kOverflow || why == LinkEnd::kUntrusted) {
    warn("closed a peer link", found->second->name(), detail);
  }
  const bool stranger = found->second->is_stranger();  // of whom the node has not heard
  links_.erase(found);
  if (!stranger) sink_(LinkEnded{link, why, std::move(detail)});
}

void PeerLinks::forget(LinkId link) { links_.erase(link); }

void PeerLinks::proceed() {
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
