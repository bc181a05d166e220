// See network.hpp.
#include "network.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "msg/text.hpp"

namespace kvd::sim {

struct Network::Packet {
  enum Kind { kSyn, kSynAck, kAck, kRefused, kData, kFin, kReset } kind = kData;
  Instant due{};
  std::optional<PeerMessage> message = std::nullopt;  // of kData: either this ...
  std::string bytes = {};                             // ... or its frame
};

struct Network::Direction {
  std::deque<Packet> packets;
  bool armed = false;
  bool stalled = false;
  uint64_t stalls = 0;    // counts them, so that an old timeout knows that it is old
  bool finished = false;  // a kFin or kReset is on its way: nothing may follow
  Instant last_due{};
  FrameReader reader;
};

struct Network::Link {
  struct End {
    int server = -1;
    LinkId id;
    bool open = false;
  };
  End ends[2];      // 0: the dialer's, 1: the acceptor's
  Direction to[2];  // to[e] carries what travels towards ends[e]
  bool opened = false;
  std::vector<Packet> early;  // sent by the dialer before the link stood
};

Duration Network::delay(int from, int to) {
  const Options& options = context_.options;
  Duration span(
      context_.prng.between(options.delay_us_min, std::max(options.delay_us_min, options.delay_us_max)));
  auto extra = extra_delay_.find({from, to});
  if (extra != extra_delay_.end()) span += context_.up_to(extra->second.count());
  return span;
}

bool Network::passable(int from, int to) const {
  return blocked_.count({from, to}) == 0 && hosts_.host_state(to) != HostState::kHostDown;
}

void Network::perform(int server, LinkDial order) {
  auto link = std::make_shared<Link>();
  link->ends[0] = {server, order.link, true};
  CHECK(ends_.emplace(std::pair(server, order.link), EndRef{link, 0}).second);
  links_.push_back(link);
  std::optional<int> target = hosts_.server_at(order.to);
  if (!target) {
    context_.queue.after(delay(server, server),
                         [this, link] { end(link, 0, LinkEnd::kUnreachable, "no such host"); });
    return;
  }
  link->ends[1].server = *target;
  put(link, 1, Packet{Packet::kSyn});
  context_.queue.after(Duration(context_.options.dial_timeout_us), [this, link] {
    if (!link->opened) end(link, 0, LinkEnd::kUnreachable, "no answer");
  });
}

void Network::perform(int server, LinkSend order) {
  auto found = ends_.find({server, order.link});
  if (found == ends_.end()) return;  // it ended, and the node does not know yet
  const EndRef ref = found->second;
  Packet packet{Packet::kData};
  if (context_.options.wire != 0) {
    encode_frame(order.message, packet.bytes);
  } else {
    packet.message = std::move(order.message);
  }
  if (ref.end == 0 && !ref.link->opened) {
    ref.link->early.push_back(std::move(packet));
    return;
  }
  const int peer = 1 - ref.end;
  if (ref.link->to[peer].packets.size() >= static_cast<size_t>(context_.options.link_packets_max)) {
    reset_towards(ref.link, peer, true);
    const LinkPointer link = ref.link;
    const int own = ref.end;
    context_.queue.after(Duration(1),
                         [this, link, own] { end(link, own, LinkEnd::kOverflow, "too much unsent"); });
    return;
  }
  put(ref.link, peer, std::move(packet));
}

void Network::perform(int server, LinkClose order) {
  auto found = ends_.find({server, order.link});
  if (found == ends_.end()) return;
  const EndRef ref = found->second;
  forget(ref.link, ref.end);
  ref.link->early.clear();
  if (ref.link->ends[1].server >= 0) put(ref.link, 1 - ref.end, Packet{Packet::kFin});
}

void Network::process_died(int server, bool silently) {
  std::vector<EndRef> own;
  for (auto it = ends_.lower_bound({server, LinkId(0)}); it != ends_.end() && it->first.first == server;
       ++it) {
    own.push_back(it->second);
  }
  for (const EndRef& ref : own) {
    forget(ref.link, ref.end);
    Direction& outgoing = ref.link->to[1 - ref.end];
    // What the kernel had not sent yet is lost, from some point on.
    const size_t kept = context_.prng.below(outgoing.packets.size() + 1);
    while (outgoing.packets.size() > kept && outgoing.packets.back().kind == Packet::kData) {
      outgoing.packets.pop_back();
    }
    if (!silently) reset_towards(ref.link, 1 - ref.end, false);
  }
}

void Network::host_came_up(int server) {
  for (const std::weak_ptr<Link>& weak : links_) {
    const LinkPointer link = weak.lock();
    if (!link) continue;
    for (int e : {0, 1}) {
      if (link->ends[e].server == server) arm(link, e);
    }
  }
}

void Network::block(int from, int to) { blocked_.insert({from, to}); }

void Network::unblock(int from, int to) {
  if (blocked_.erase({from, to}) != 0) kick(from, to);
}

void Network::heal_all() {
  extra_delay_.clear();
  std::set<std::pair<int, int>> pairs = std::exchange(blocked_, {});
  for (const auto& [from, to, dialer] : std::exchange(clogged_, {})) pairs.insert({from, to});
  for (const auto& pair : pairs) kick(pair.first, pair.second);
}

void Network::heal_among(const std::set<int>& servers) {
  for (int from : servers) {
    for (int to : servers) {
      extra_delay_.erase({from, to});
      unblock(from, to);
      unclog(from, to, from);
      unclog(from, to, to);
    }
  }
}

void Network::slow_down(int from, int to, Duration extra) {
  if (extra == Duration(0)) {
    extra_delay_.erase({from, to});
  } else {
    extra_delay_[{from, to}] = extra;
  }
}

void Network::break_some_link(bool tell_both) {
  if (ends_.empty()) return;
  auto chosen = ends_.begin();
  std::advance(chosen, context_.prng.below(ends_.size()));
  const EndRef ref = chosen->second;
  if (context_.trace.wanted()) {
    context_.trace.add(fmt::format("{} network: breaks link {} of s{}{}", to_us(context_.queue.now()),
                                   ref.link->ends[ref.end].id.value, ref.link->ends[ref.end].server,
                                   tell_both ? "" : " (half open)"));
  }
  if (tell_both) reset_towards(ref.link, 1 - ref.end, true);
  end(ref.link, ref.end, LinkEnd::kReset, "broken");
}

// What stalled goes on after a retransmission timeout of its own.
void Network::kick(int from, int to) {
  for (const std::weak_ptr<Link>& weak : links_) {
    const LinkPointer link = weak.lock();
    if (!link) continue;
    for (int e : {0, 1}) {
      if (link->ends[e].server == to && link->ends[1 - e].server == from && link->to[e].stalled) {
        context_.queue.after(context_.up_to(200'000), [this, link, e] { arm(link, e); });
      }
    }
  }
}

void Network::put(const LinkPointer& link, int to_end, Packet packet) {
  Direction& direction = link->to[to_end];
  if (direction.finished) return;
  direction.finished = packet.kind == Packet::kFin || packet.kind == Packet::kReset;
  const int from = link->ends[1 - to_end].server;
  packet.due = std::max(direction.last_due, context_.queue.now() + delay(from, link->ends[to_end].server));
  direction.last_due = packet.due;
  direction.packets.push_back(std::move(packet));
  arm(link, to_end);
}

void Network::arm(const LinkPointer& link, int to_end) {
  Direction& direction = link->to[to_end];
  if (direction.armed || direction.packets.empty()) return;
  direction.armed = true;
  context_.queue.at(direction.packets.front().due, [this, link, to_end] { on_due(link, to_end); });
}

void Network::on_due(const LinkPointer& link, int to_end) {
  Direction& direction = link->to[to_end];
  direction.armed = false;
  if (!passable(link->ends[1 - to_end].server, link->ends[to_end].server)) {
    if (!direction.stalled) on_stalled(link, to_end);
    return;
  }
  const bool clogged =
      clogged_.contains({link->ends[1 - to_end].server, link->ends[to_end].server, link->ends[0].server});
  if (clogged && direction.packets.front().kind == Packet::kData) {
    direction.stalled = true;
    ++direction.stalls;
    return;
  }
  direction.stalled = false;
  while (!direction.packets.empty() && direction.packets.front().due <= context_.queue.now()) {
    Packet packet = std::move(direction.packets.front());
    direction.packets.pop_front();
    take(link, to_end, std::move(packet));
  }
  arm(link, to_end);
}

// Nothing gets through: some time later the sender's kernel gives up, unless it went on meanwhile.
void Network::on_stalled(const LinkPointer& link, int to_end) {
  Direction& direction = link->to[to_end];
  direction.stalled = true;
  const uint64_t stall = ++direction.stalls;
  context_.queue.after(Duration(context_.options.tcp_timeout_us), [this, link, to_end, stall] {
    Direction& late = link->to[to_end];
    if (!late.stalled || late.stalls != stall) return;
    late.packets.clear();
    late.stalled = false;
    late.finished = false;  // an end that was told to nobody is told to who sends next
    end(link, 1 - to_end, LinkEnd::kUnreachable, "timed out");
  });
}

void Network::take(const LinkPointer& link, int to_end, Packet packet) {
  const int server = link->ends[to_end].server;
  switch (packet.kind) {
    case Packet::kSyn:
      put(link, 0,
          Packet{hosts_.host_state(server) == HostState::kRunning ? Packet::kSynAck : Packet::kRefused});
      return;
    case Packet::kSynAck:
      if (!link->ends[0].open) return;
      link->opened = true;
      put(link, 1, Packet{Packet::kAck});
      for (Packet& early : std::exchange(link->early, {})) put(link, 1, std::move(early));
      hosts_.deliver(server, LinkOpened{link->ends[0].id, {hosts_.certified(link->ends[1].server)}});
      return;
    case Packet::kAck:
      accept(link);
      return;
    case Packet::kRefused:
      if (!link->opened) end(link, to_end, LinkEnd::kRefused, "connection refused");
      return;
    case Packet::kFin:
    case Packet::kReset:
      end(link, to_end, LinkEnd::kReset, packet.kind == Packet::kFin ? "closed by peer" : "connection reset");
      return;
    case Packet::kData:
      take_message(link, to_end, std::move(packet));
      return;
  }
}

void Network::accept(const LinkPointer& link) {
  Link::End& own = link->ends[1];
  if (hosts_.host_state(own.server) != HostState::kRunning) {
    reset_towards(link, 0, true);
    return;
  }
  own.id = LinkId(++accepted_ * 2);
  own.open = true;
  ends_.emplace(std::pair(own.server, own.id), EndRef{link, 1});
  const int from = link->ends[0].server;
  hosts_.deliver(own.server, LinkAccepted{own.id, fmt::format("s{}", from), {hosts_.certified(from)}});
}

void Network::break_in(int server, const std::string& certified, std::vector<PeerMessage> messages) {
  const LinkId link(++accepted_ * 2);
  hosts_.deliver(server, LinkAccepted{link, "a stranger", {certified}});
  for (PeerMessage& message : messages) hosts_.deliver(server, LinkReceived{link, std::move(message)});
  hosts_.deliver(server, LinkEnded{link, LinkEnd::kReset, "closed by the stranger"});
}

void Network::take_message(const LinkPointer& link, int to_end, Packet packet) {
  const Link::End own = link->ends[to_end];
  if (!own.open) {
    reset_towards(link, 1 - to_end, true);
    return;
  }
  if (packet.message) {
    hosts_.deliver(own.server, LinkReceived{own.id, std::move(*packet.message)});
    return;
  }
  FrameReader& reader = link->to[to_end].reader;
  const size_t cut = context_.prng.below(packet.bytes.size() + 1);
  for (std::string_view piece :
       {std::string_view(packet.bytes).substr(0, cut), std::string_view(packet.bytes).substr(cut)}) {
    reader.feed(piece);
    for (;;) {
      Result<std::optional<PeerMessage>> next = reader.next();
      if (!next) {
        context_.fail(Verdict::kCorrectness,
                      "wire: what one server encoded another cannot read: " + next.error().detail);
        return;
      }
      if (!next->has_value()) break;
      hosts_.deliver(own.server, LinkReceived{own.id, std::move(**next)});
    }
  }
}

void Network::end(const LinkPointer& link, int end, LinkEnd why, std::string detail) {
  if (!link->ends[end].open) return;
  const Link::End own = link->ends[end];
  forget(link, end);
  hosts_.deliver(own.server, LinkEnded{own.id, why, std::move(detail)});
}

void Network::reset_towards(const LinkPointer& link, int to_end, bool drop_pending) {
  if (link->ends[to_end].server < 0) return;
  Direction& direction = link->to[to_end];
  if (direction.finished) return;
  // A hand-shake on its way must not open what is gone, nor be forgotten by its dialer's timeout.
  if (drop_pending) direction.packets.clear();
  put(link, to_end, Packet{Packet::kReset});
}

void Network::forget(const LinkPointer& link, int end) {
  Link::End& own = link->ends[end];
  if (!own.open) return;
  own.open = false;
  ends_.erase({own.server, own.id});
  if (links_.size() > 64 && links_.size() > 4 * ends_.size()) {
    std::erase_if(links_, [](const std::weak_ptr<Link>& weak) { return weak.expired(); });
  }
}

}  // namespace kvd::sim
