// See services_harness.hpp.
#include "services_harness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "sim/call_text.hpp"

namespace kvd::sim {
namespace {

constexpr Duration kStep = milliseconds(5);
constexpr int kTurnsMax = 100'000;  // at one moment: the nodes spin

}  // namespace

struct ServicesHarness::Server {
  int number = 0;
  ServerInfo info;
  std::unique_ptr<Node> node;
  std::vector<NodeInput> inputs;
  uint64_t session = 0;
  bool connected = false;
  bool reachable = true;  // ZooKeeper is
  bool paused = false;
  bool lags = false;
  std::optional<Kind> lose;
  std::optional<std::pair<Kind, ZkRequest>> overtaken;
  // Of links that stand: the other end, by our own number of it.
  std::map<LinkId, std::pair<Server*, LinkId>> links;
  uint64_t accepted = 0;
  Instant wants = {};
};

ServicesHarness::ServicesHarness(int servers, NodeConfig config) : config_(std::move(config)) {
  others_ = zookeeper_.open_session(seconds(1'000'000), now_);
  for (int i = 0; i < servers; ++i) {
    auto server = std::make_unique<Server>();
    server->number = i;
    server->info.member =
        Member{ServerId{fmt::format("s{}", i)}, Incarnation(0x1000 + static_cast<uint64_t>(i))};
    server->info.http = Address{fmt::format("h{}", i), 8001};
    server->info.peer = Address{fmt::format("h{}", i), 18001};
    make_node(*server);
    servers_.push_back(std::move(server));
  }
  for (auto& server : servers_) connect(*server);
  settle();
  pass(seconds(1));
}

ServicesHarness::~ServicesHarness() = default;

void ServicesHarness::make_node(Server& server) {
  NodeConfig config = config_;
  config.self = server.info;
  config.session_timeout = kSession;
  server.node = std::make_unique<Node>(config, 7 + server.info.member.incarnation.value, &trace_);
}

// ---- clients ----

uint64_t ServicesHarness::send(int server, std::string_view request, std::string body) {
  const uint64_t id = ++requests_;
  heard_[id];
  asked_of_[id] = server;
  servers_[server]->inputs.push_back(Call{RequestId(id), call_of(request, std::move(body)), seconds(5)});
  settle();
  return id;
}

uint64_t ServicesHarness::send_and_pause(int server, std::string_view request, int turns) {
  pause(server);
  const uint64_t id = send(server, request);
  for (int i = 0; i < turns; ++i) turn(server);
  return id;
}

void ServicesHarness::hang_up(uint64_t request) {
  servers_[asked_of_.at(request)]->inputs.push_back(CallCancelled{RequestId(request)});
  settle();
}

ServiceAnswer ServicesHarness::ask(int server, std::string_view request, std::string body) {
  const Heard& heard = heard_.at(send(server, request, std::move(body)));
  CHECK(heard.answer.has_value());
  return *heard.answer;
}

std::string ServicesHarness::member(const std::string& line, std::string_view member) {
  return json_member(line, member);
}

std::string ServicesHarness::member(const ServiceAnswer& answer, std::string_view name) {
  return member(words_of(answer), name);
}

std::string ServicesHarness::open_session(int server, int ttl_s) {
  const ServiceAnswer answer = ask(server, fmt::format("POST sessions?ttl={}", ttl_s));
  CHECK(answer.status == ServiceStatus::kCreated);
  return member(answer, "id");
}

// ---- time and faults ----

void ServicesHarness::pass(Duration span) {
  for (const Instant until = now_ + span; now_ < until;) {
    now_ += std::min(kStep, until - now_);
    zookeeper_.set_clock(now_);
    zookeeper_.touch(others_, now_);
    for (auto& server : servers_) {
      if (server->node && server->connected && !server->paused) zookeeper_.touch(server->session, now_);
    }
    zookeeper_.expire(now_);
    settle();
  }
}

void ServicesHarness::lose_connection(Server& server) {
  if (!std::exchange(server.connected, false)) return;
  // Whatever was not heard of is not known.
  for (NodeInput& input : server.inputs) {
    if (auto* result = std::get_if<ZkResult>(&input)) *result = ZkResult{.id = result->id};
  }
  std::stable_partition(server.inputs.begin(), server.inputs.end(),
                        [](const NodeInput& input) { return !std::holds_alternative<ZkWatchFired>(input); });
  std::erase_if(server.inputs,
                [](const NodeInput& input) { return std::holds_alternative<ZkWatchFired>(input); });
  server.inputs.insert(server.inputs.begin(), ZkSessionChanged{ZkState::kConnecting, 0, Duration(0)});
}

void ServicesHarness::connect(Server& server) {
  if (server.connected || !server.reachable || !server.node) return;
  if (server.session != 0 && !zookeeper_.alive(server.session)) {
    server.session = 0;
    server.inputs.push_back(ZkSessionChanged{ZkState::kExpired, 0, Duration(0)});
    return;  // it orders to open another one
  }
  server.connected = true;
  if (server.session == 0) {
    server.session = zookeeper_.open_session(kSession, now_);
    server.inputs.push_back(ZkSessionChanged{ZkState::kConnected, server.session, kSession});
    return;
  }
  zookeeper_.touch(server.session, now_);
  server.inputs.push_back(ZkSessionChanged{ZkState::kConnected, server.session, kSession});
  for (const ZkFired& fired : zookeeper_.reconnect(server.session, zookeeper_.zxid())) {
    if (zookeeper_.watch_delivered(server.session, fired)) server.inputs.push_back(ZkWatchFired{fired.path});
  }
}

void ServicesHarness::cut(int server) {
  servers_[server]->reachable = false;
  lose_connection(*servers_[server]);
  settle();
}

void ServicesHarness::mend(int server) {
  servers_[server]->reachable = true;
  connect(*servers_[server]);
  settle();
}

void ServicesHarness::pause(int server) { servers_[server]->paused = true; }

void ServicesHarness::lag(int server) { servers_[server]->lags = true; }

// As after SIGCONT: at first nothing tells that the connection is long gone.
void ServicesHarness::resume(int server, bool sees_all) {
  Server& resumed = *servers_[server];
  resumed.paused = false;
  std::vector<NodeInput> arrived;
  if (!sees_all) arrived = std::exchange(resumed.inputs, {});
  turn(server);
  resumed.inputs.insert(resumed.inputs.begin(), std::make_move_iterator(arrived.begin()),
                        std::make_move_iterator(arrived.end()));
  if (!zookeeper_.alive(resumed.session)) {
    lose_connection(resumed);
    connect(resumed);
  }
  settle();
}

void ServicesHarness::kill(int server) {
  Server& killed = *servers_[server];
  killed.node.reset();
  killed.connected = false;
  for (auto& [link, other] : std::exchange(killed.links, {})) {
    if (other.first->links.erase(other.second) > 0)
      other.first->inputs.push_back(LinkEnded{other.second, LinkEnd::kReset, "killed"});
  }
  settle();
}

void ServicesHarness::start(int server) {
  Server& started = *servers_[server];
  started.info.member.incarnation.value += 0x1000;
  started.inputs.clear();
  started.session = 0;
  started.wants = {};
  make_node(started);
  connect(started);
  settle();
}

void ServicesHarness::stop(int server) {
  servers_[server]->inputs.push_back(StopRequested{});
  settle();
}

bool ServicesHarness::exited(int server) const { return servers_[server]->node == nullptr; }

int ServicesHarness::logged(const std::string& message) const {
  return static_cast<int>(std::count(lines_.begin(), lines_.end(), message));
}

void ServicesHarness::lose_answer_of(int server, Kind kind) { servers_[server]->lose = kind; }

void ServicesHarness::overtake(int server, Kind kind, ZkRequest request) {
  servers_[server]->overtaken.emplace(kind, std::move(request));
}

// ---- ZooKeeper as others use it ----

ZkResult ServicesHarness::zk(ZkRequest request) { return zk_as(others_, std::move(request)); }

uint64_t ServicesHarness::begin_client() { return zookeeper_.open_session(seconds(1'000'000), now_); }

ZkResult ServicesHarness::zk_as(uint64_t client, ZkRequest request) {
  const ZkOutcome outcome = zookeeper_.apply(client, ZkCall{ZkCallId(1), std::move(request)});
  zookeeper_.reply_delivered(client, outcome);
  settle();
  return outcome.result;
}

void ServicesHarness::zk_between_turns(std::vector<ZkRequest> requests) {
  between_turns_.assign(std::make_move_iterator(requests.begin()), std::make_move_iterator(requests.end()));
  settle();
}

void ServicesHarness::end_client(uint64_t client) {
  zookeeper_.close_session(client);
  settle();
}

std::vector<std::string> ServicesHarness::children(const std::string& path) const {
  std::vector<std::string> names;
  const std::string below = path == "/" ? path : path + "/";
  for (const auto& [name, node] : zookeeper_.tree()) {
    if (name.starts_with(below) && name.size() > below.size() &&
        name.find('/', below.size()) == std::string::npos)
      names.push_back(name.substr(below.size()));
  }
  return names;
}

// ---- turns ----

void ServicesHarness::advance() {
  for (auto& server : servers_) {
    if (!server->node || !server->connected || server->lags) continue;
    for (const ZkFired& fired : zookeeper_.advance(server->session, zookeeper_.zxid())) {
      if (zookeeper_.watch_delivered(server->session, fired))
        server->inputs.push_back(ZkWatchFired{fired.path});
    }
  }
}

// Until nothing more comes of what was said.
void ServicesHarness::settle() {
  int turns = 0;
  for (bool any = true; any;) {
    CHECK(++turns < kTurnsMax);
    any = !between_turns_.empty();
    if (any) {
      zookeeper_.apply(others_, ZkCall{ZkCallId(1), std::move(between_turns_.front())});
      between_turns_.pop_front();
    }
    advance();
    for (auto& server : servers_) {
      if (!server->node || server->paused) continue;
      if (server->inputs.empty() && server->wants > now_) continue;
      any |= turn(server->number);
    }
  }
}

bool ServicesHarness::turn(int number) {
  Server& server = *servers_[number];
  for (NodeInput& input : std::exchange(server.inputs, {})) server.node->push(std::move(input));
  server.wants = server.node->pump(now_);
  AppendBuffer<NodeEffect> effects = std::move(server.node->take_effects());
  for (NodeEffect& effect : effects) {
    if (!server.node) break;
    perform(number, std::move(effect));
  }
  return true;
}

void ServicesHarness::perform_call(Server& server, ZkCall call) {
  if (zk_caller(call.id) == ZkCaller::kServices) ++calls_;
  if (!server.connected) {
    server.inputs.push_back(ZkResult{.id = call.id, .code = ZkCode::kNotConnected});
    return;
  }
  const auto is = [&](Kind kind) {
    return (kind == Kind::kCreate && std::holds_alternative<ZkCreate>(call.request)) ||
           (kind == Kind::kDelete && std::holds_alternative<ZkDelete>(call.request)) ||
           (kind == Kind::kMulti && std::holds_alternative<ZkMulti>(call.request));
  };
  const bool of_services = zk_caller(call.id) == ZkCaller::kServices;
  if (server.overtaken && is(server.overtaken->first) && of_services) {
    zookeeper_.apply(others_, ZkCall{ZkCallId(1), server.overtaken->second});
    server.overtaken.reset();
  }
  if (server.lose && is(*server.lose) && of_services) {
    server.lose.reset();
    zookeeper_.apply_unseen(server.session, call);
    server.inputs.push_back(ZkResult{.id = call.id});
    lose_connection(server);
    return;
  }
  ZkOutcome outcome = zookeeper_.apply(server.session, call);
  for (const ZkFired& fired : outcome.fired) {
    if (zookeeper_.watch_delivered(server.session, fired)) server.inputs.push_back(ZkWatchFired{fired.path});
  }
  zookeeper_.reply_delivered(server.session, outcome);
  server.inputs.push_back(std::move(outcome.result));
}

void ServicesHarness::perform(int number, NodeEffect effect) {
  Server& server = *servers_[number];
  if (auto* call = std::get_if<ZkCall>(&effect)) {
    perform_call(server, std::move(*call));
  } else if (std::holds_alternative<ZkReopen>(effect)) {
    connect(server);
  } else if (auto* dial = std::get_if<LinkDial>(&effect)) {
    const auto other = std::find_if(servers_.begin(), servers_.end(),
                                    [&](const auto& one) { return one->info.peer == dial->to && one->node; });
    if (other == servers_.end()) {
      server.inputs.push_back(LinkEnded{dial->link, LinkEnd::kRefused, "refused"});
      return;
    }
    const LinkId accepted(2 * ++(*other)->accepted);
    server.links[dial->link] = {other->get(), accepted};
    (*other)->links[accepted] = {&server, dial->link};
    (*other)->inputs.push_back(LinkAccepted{accepted, server.info.member.id.value});
    server.inputs.push_back(LinkOpened{dial->link});
  } else if (auto* send = std::get_if<LinkSend>(&effect)) {
    const auto link = server.links.find(send->link);
    if (link != server.links.end())
      link->second.first->inputs.push_back(LinkReceived{link->second.second, std::move(send->message)});
  } else if (auto* close = std::get_if<LinkClose>(&effect)) {
    const auto link = server.links.find(close->link);
    if (link == server.links.end()) return;
    const auto [other, end] = link->second;
    server.links.erase(link);
    if (other->links.erase(end) > 0) other->inputs.push_back(LinkEnded{end, LinkEnd::kReset, "closed"});
  } else if (auto* reply = std::get_if<Reply>(&effect)) {
    Heard& heard = heard_.at(reply->id.value);
    CHECK(!heard.ended);
    heard.ended = reply->last;
    auto& answer = std::get<ServiceAnswer>(reply->what);
    if (reply->line) {
      heard.lines.push_back(words_of(answer));
    } else {
      heard.answer = std::move(answer);
    }
  } else if (auto* line = std::get_if<LogLine>(&effect)) {
    lines_.push_back(std::move(line->message));
  } else if (std::holds_alternative<Exit>(effect)) {
    zookeeper_.close_session(server.session);
    kill(number);
  }
}

}  // namespace kvd::sim
