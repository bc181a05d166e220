// See single_node_harness.hpp.
#include "single_node_harness.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "msg/history.hpp"

namespace kvd::sim {

SingleNodeHarness::SingleNodeHarness(NodeConfig config) {
  const bool durable = config.self.durable;
  config.self = info_of(member("a", 1));
  config.self.durable = durable;
  node_ = std::make_unique<Node>(config, 7, &trace_);
  others_ = zookeeper_.open_session(seconds(6), now_);
  for (const char* path : {"/election", "/kvd", "/kvd/members", "/kvd/lives"})
    create(path, "", ZkMode::kPersistent);
}

void SingleNodeHarness::create(const std::string& path, const std::string& data, ZkMode mode) {
  ZkOutcome outcome = zookeeper_.apply(others_, ZkCall{ZkCallId(1), ZkCreate{path, data, mode}});
  CHECK(outcome.result.code == ZkCode::kOk);
  settle();
}

void SingleNodeHarness::remove(const std::string& path) {
  CHECK(zookeeper_.apply(others_, ZkCall{ZkCallId(1), ZkDelete{path, -1}}).result.code == ZkCode::kOk);
  settle();
}

void SingleNodeHarness::set(const std::string& path, const std::string& data) {
  CHECK(zookeeper_.apply(others_, ZkCall{ZkCallId(1), ZkSet{path, data, -1}}).result.code == ZkCode::kOk);
  settle();
}

void SingleNodeHarness::register_server(const Member& who) {
  create(member_path(who.id), encode_server_info(info_of(who)));
  create(life_path(who), encode_server_info(info_of(who)));
}

void SingleNodeHarness::create_register(Register content) {
  content.cluster = "11111111-2222-4333-8444-555555555555";
  content.leader_znode = "server_0000000000";
  content.epoch_id = content.epoch.value;
  content.serial = 1;
  register_ = content;
  create(kConfigPath, encode_register(content), ZkMode::kPersistent);
}

void SingleNodeHarness::change_register(Register next) {
  const Result<Register> now = decode_register(zookeeper_.tree().at(kConfigPath).data);
  const Register made = next.epoch == now->epoch ? next_change(*now) : next_epoch(*now, next.epoch.value);
  next.cluster = now->cluster;
  next.serial = made.serial;
  next.epoch_id = made.epoch_id;
  next.history = made.history;
  set(kConfigPath, encode_register(next));
}

void SingleNodeHarness::connect() {
  session_ = zookeeper_.open_session(seconds(6), now_);
  push(ZkSessionChanged{ZkState::kConnected, session_, seconds(6)});
}

void SingleNodeHarness::reconnect() { push(ZkSessionChanged{ZkState::kConnected, session_, seconds(6)}); }

void SingleNodeHarness::push(NodeInput input) {
  node_->push(std::move(input));
  settle();
}

void SingleNodeHarness::pass(Duration span) {
  for (Instant until = now_ + span; now_ < until;) {
    now_ += Duration(12'500);
    settle();
  }
}

void SingleNodeHarness::step(Duration span) {
  now_ += span;
  settle();
}

void SingleNodeHarness::release_results(Duration span) {
  holding_ = false;
  now_ += span;
  for (ZkResult& result : std::exchange(held_, {})) node_->push(std::move(result));
  settle();
}

uint64_t SingleNodeHarness::ask(Operation operation, ReadMode read, const std::string& idempotency_key,
                                OptionalBox<Fence> fence) {
  StoreCall request;
  request.operation = std::move(operation);
  request.read = read;
  request.idempotency_key = idempotency_key;
  request.fence = std::move(fence);
  return call(std::move(request));
}

uint64_t SingleNodeHarness::call(decltype(Call::what) what) {
  push(Call{RequestId(++requests_), std::move(what)});
  return requests_;
}

LinkId SingleNodeHarness::greet(const Member& from, Epoch epoch, bool sparse) {
  LinkId link(2 * ++accepted_);
  push(LinkAccepted{link, from.id.value});
  Hello hello{register_.cluster, register_.lineage, info_of(from), ServerId{"a"}, epoch, sparse};
  push(LinkReceived{link, hello});
  return link;
}

LinkId SingleNodeHarness::answer_dial(const Member& to, Epoch epoch, bool sparse) {
  return answer_dial_as(to, to, epoch, sparse);
}

LinkId SingleNodeHarness::dialed(const std::string& host) const {
  auto dial = std::find_if(dials_.rbegin(), dials_.rend(), [&](const LinkDial& candidate) {
    return candidate.to.host == host && closed(candidate.link) == 0;
  });
  return dial == dials_.rend() ? LinkId(0) : dial->link;
}

LinkId SingleNodeHarness::answer_dial_as(const Member& to, const Member& who, Epoch epoch, bool sparse) {
  LinkId link = dialed(to.id.value);
  if (link == LinkId(0)) return link;
  push(LinkOpened{link});
  Hello hello{register_.cluster, register_.lineage, info_of(who), ServerId{"a"}, epoch, sparse};
  push(LinkReceived{link, hello});
  return link;
}

void SingleNodeHarness::prove_dead(const Member& who) {
  for (int i = 0; i < 2; ++i) {
    push(LinkEnded{dialed(who.id.value), LinkEnd::kRefused, "refused"});
    pass(milliseconds(25));
  }
}

int SingleNodeHarness::logged(const std::string& message) const {
  return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](const LogLine& line) {
    return line.message.find(message) != std::string::npos;
  }));
}

int SingleNodeHarness::closed(LinkId link) const {
  return static_cast<int>(std::count(closed_.begin(), closed_.end(), link));
}

// Until nothing more comes of what was said: ZooKeeper's answers arrive in the next turn.
void SingleNodeHarness::settle() {
  zookeeper_.set_clock(now_);
  while (!exit_) {
    std::vector<ZkFired> seen;
    if (session_ != 0) seen = zookeeper_.advance(session_, zookeeper_.zxid());
    for (const ZkFired& fired : seen) {
      if (zookeeper_.watch_delivered(session_, fired)) answers_.push_back(ZkWatchFired{fired.path});
    }
    for (NodeInput& answer : std::exchange(answers_, {})) node_->push(std::move(answer));
    Instant next = node_->pump(now_);
    size_t calls = 0;
    for (NodeEffect& effect : node_->take_effects()) {
      calls += std::holds_alternative<ZkCall>(effect) ? 1 : 0;
      perform(std::move(effect));
    }
    most_calls_ = std::max(most_calls_, calls);
    if (answers_.empty() && next > now_) return;
  }
}

void SingleNodeHarness::perform(NodeEffect effect) {
  if (auto* call = std::get_if<ZkCall>(&effect)) {
    ZkOutcome outcome = zookeeper_.apply(session_, *call);
    for (const ZkFired& fired : outcome.fired) {
      if (zookeeper_.watch_delivered(session_, fired)) answers_.push_back(ZkWatchFired{fired.path});
    }
    zookeeper_.reply_delivered(session_, outcome);
    if (holding_) {
      held_.push_back(std::move(outcome.result));
    } else {
      answers_.push_back(std::move(outcome.result));
    }
  } else if (auto* dial = std::get_if<LinkDial>(&effect)) {
    dials_.push_back(std::move(*dial));
  } else if (auto* send = std::get_if<LinkSend>(&effect)) {
    sent_.emplace_back(send->link, std::move(send->message));
  } else if (auto* order = std::get_if<DiskOrder>(&effect)) {
    orders_.push_back(std::move(*order));
  } else if (auto* close = std::get_if<LinkClose>(&effect)) {
    closed_.push_back(close->link);
  } else if (auto* line = std::get_if<LogLine>(&effect)) {
    lines_.push_back(std::move(*line));
  } else if (auto reply = answer_of_store(effect)) {
    replies_.push_back(std::move(*reply));
  } else if (auto* said = std::get_if<Reply>(&effect);
             said != nullptr && std::holds_alternative<WatchAnswer>(said->what)) {
    watch_answers_.push_back(std::move(*said));
  } else if (auto* lines = std::get_if<StreamLines>(&effect)) {
    stream_lines_.push_back(std::move(*lines));
  } else if (auto* end = std::get_if<Exit>(&effect)) {
    exit_ = std::move(*end);
  }
}

Register led_by(const Member& leader, std::vector<Member> in_sync, uint64_t epoch) {
  Register content;
  content.epoch = Epoch(epoch);
  content.leader = leader;
  content.in_sync = std::move(in_sync);
  return content;
}

LinkId lead_with(SingleNodeHarness& a, const Member& b) {
  const Member self = member("a", 1);
  a.register_server(b);
  a.create_register(led_by(self, {self, b}, 1));
  a.connect();
  return a.answer_dial(b, Epoch(1));
}

}  // namespace kvd::sim
