// See watch_clients.hpp.
#include "watch_clients.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "msg/text.hpp"

namespace kvd::sim {
namespace {

constexpr uint32_t kWatchConnection = 1u << 28;  // apart from those of all other clients
constexpr Duration kAwayMost = milliseconds(200);
constexpr Duration kPollMost = milliseconds(2'000);
constexpr Duration kPromptMost = milliseconds(5);
constexpr Duration kSlowMost = milliseconds(3'000);
constexpr Duration kStayMost = milliseconds(8'000);

}  // namespace

WatchClients::WatchClients(SimContext& context, Hosts& hosts, Checkers& checkers,
                           std::vector<std::string> keys, std::function<Revision()> acknowledged)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      keys_(std::move(keys)),
      acknowledged_(std::move(acknowledged)),
      prng_(context.options.watchers == 0 ? 0 : context.prng.next()),
      clients_(static_cast<size_t>(context.options.watchers)),
      commits_(static_cast<size_t>(context.options.servers) + 1) {}

void WatchClients::start() {
  for (Client& client : clients_) think(client, kAwayMost);
}

void WatchClients::on_healed() {
  healed_ = true;
  for (Client& client : clients_) plan_taking(client);
}

void WatchClients::wrong(const Client& client, const std::string& what) {
  context_.fail(Verdict::kCorrectness,
                fmt::format("s{} to watch client {}: {}", client.server, &client - clients_.data(), what));
}

void WatchClients::on_turn(int server, Revision commit) {
  if (clients_.empty()) return;
  commits_[static_cast<size_t>(server)] = commit;
  const Revision floor = acknowledged_();
  if (floors_.empty() || floors_.back().second < floor) floors_.emplace_back(context_.queue.now(), floor);
}

Revision WatchClients::acknowledged_at(Instant when) const {
  const auto behind = std::upper_bound(floors_.begin(), floors_.end(), when,
                                       [](Instant at, const auto& floor) { return at < floor.first; });
  return behind == floors_.begin() ? Revision(0) : std::prev(behind)->second;
}

// ---- what a client does ----

void WatchClients::think(Client& client, Duration most) {
  client.id = RequestId(0);
  client.what = std::monostate();
  client.copy.leave();
  context_.queue.after(up_to(most), [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void WatchClients::act(Client& client) {
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (prng_.one_in(10) && !settled_) client.copy.forget();
  if (!client.copy.point()) return choose(client);
  const bool polls = healed_ ? client.polls_left > 0 : prng_.one_in(4);
  if (polls) return open_poll(client);
  open_stream(client);
}

// Where to begin, if nowhere yet.
void WatchClients::choose(Client& client) {
  WatchCopy& copy = client.copy;
  copy.begin(any_filter());
  const Revision known = acknowledged_();  // to some client
  switch (prng_.below(6)) {
    case 0:
      copy.begin_at(lineage_base(lineage_of(known)), true);
      break;
    case 1:
      copy.begin_at(known, false);
      break;
    case 2:
      copy.begin_at(client.oldest.value_or(known), false);
      break;
    case 3:
      return read(client);
    default:
      break;
  }
  open_stream(client);
}

WatchFilter WatchClients::any_filter() {
  const std::string& key = keys_[prng_.below(keys_.size())];
  switch (prng_.below(5)) {
    case 0:
      return {"", true};
    case 1:
      return {key, true};
    case 2:
      return {key, false};
    default:
      return {key.substr(0, key.find('/') + 1), true};
  }
}

Operation WatchClients::read_of(const WatchFilter& filter) {
  if (!filter.prefix) return ReadKey{filter.key};
  return ListKeys{filter.key, "", limits::kListItemsMax, prng_.one_in(4)};
}

// False: there is no such server at the moment.
bool WatchClients::ask(Client& client, decltype(Call::what) what, Duration timeout, Duration patience) {
  ++client.turn;
  if (hosts_.host_state(client.server) != HostState::kRunning) return false;
  const RequestId id = request_id(kWatchConnection + ++connections_, 0);
  client.id = id;
  client.in_time = healed_;
  client.commit = commits_[static_cast<size_t>(client.server)];
  context_.queue.after(patience, [this, &client, id] {
    if (client.id == id) give_up(client, id);
  });
  hosts_.deliver(client.server, Call{id, std::move(what), timeout});
  return true;
}

void WatchClients::open_stream(Client& client) {
  WatchCall call;
  call.filter = client.copy.filter();
  call.since = client.copy.point();
  call.state = prng_.one_in(call.since ? 3 : 2);
  call.values = !prng_.one_in(4);
  call.linear = prng_.one_in(3);
  call.progress = milliseconds(prng_.between(20, 1'000));
  const Duration stay = up_to(prng_.one_in(3) ? kAwayMost : kStayMost) + milliseconds(1);
  if (!ask(client, Box<WatchCall>(call), Duration(context_.options.timeout_us), stay))
    return think(client, kAwayMost);
  const size_t window = static_cast<size_t>(context_.options.watch_window);
  Stream stream{call, WatchReferee(checkers_.committed(), call, window == 0 ? limits::kStreamWindow : window),
                context_.queue.now()};
  stream.pace = static_cast<Pace>(std::min<uint64_t>(prng_.below(6), 2));
  if (stream.pace == Pace::kNever && prng_.one_in(2)) stream.pace = Pace::kPrompt;
  client.stale = false;
  client.what.emplace<Stream>(std::move(stream));
}

void WatchClients::open_poll(Client& client) {
  PollCall poll;
  poll.filter = client.copy.filter();
  poll.since = *client.copy.point();
  poll.wait = prng_.one_in(4) ? Duration(0) : up_to(kPollMost);
  poll.read.operation = read_of(poll.filter);
  if (healed_) --client.polls_left;
  const Duration timeout(context_.options.timeout_us);
  if (!ask(client, Box<PollCall>(poll), timeout, poll.wait + timeout + kReplyGrace))
    return think(client, kAwayMost);
  client.what = std::move(poll);
}

// To watch behind it, perhaps at another server.
void WatchClients::read(Client& client) {
  StoreCall call;
  call.operation = read_of(client.copy.filter());
  const Duration timeout(context_.options.timeout_us);
  if (!ask(client, call, timeout, timeout + kReplyGrace)) return think(client, kAwayMost);
  client.what = std::move(call);
}

void WatchClients::give_up(Client& client, RequestId id) {
  const auto* stream = std::get_if<Stream>(&client.what);
  if (stream == nullptr && client.in_time)
    context_.fail(Verdict::kLiveness, fmt::format("s{} did not answer watch client {} in time", client.server,
                                                  &client - clients_.data()));
  if (stream != nullptr && settled_) return;
  client.id = RequestId(0);
  hosts_.deliver(client.server, CallCancelled{id});
  think(client, kAwayMost);
}

void WatchClients::on_process_died(int server, bool stopped) {
  if (clients_.empty()) return;
  commits_[static_cast<size_t>(server)] = Revision(0);
  for (Client& client : clients_) {
    if (client.id == RequestId(0) || client.server != server) continue;
    const auto* stream = std::get_if<Stream>(&client.what);
    if (stopped && stream != nullptr && stream->referee.is_open())
      wrong(client, "it stops, and has not ended the stream");
    think(client, 5 * kAwayMost);
  }
}

// ---- what it is told ----

WatchClients::Client* WatchClients::client_of(RequestId id) {
  const auto client =
      std::find_if(clients_.begin(), clients_.end(), [id](const Client& c) { return c.id == id; });
  return client == clients_.end() ? nullptr : &*client;
}

bool WatchClients::on_effect(int server, NodeEffect& effect) {
  auto* reply = std::get_if<Reply>(&effect);
  auto* lines = std::get_if<StreamLines>(&effect);
  if (reply == nullptr && lines == nullptr) return false;
  const RequestId id = reply != nullptr ? reply->id : lines->id;
  const uint32_t number = connection_of(id);
  if (number <= kWatchConnection || number > kWatchConnection + connections_) return false;
  Client* client = client_of(id);
  if (client == nullptr) return true;  // it has hung up
  if (client->server != server) {
    wrong(*client, fmt::format("s{} answers", server));
  } else if (lines != nullptr) {
    hear(*client, std::move(*lines));
  } else if (const auto* answer = std::get_if<WatchAnswer>(&reply->what)) {
    hear(*client, *answer);
  } else if (const auto* store = std::get_if<StoreAnswer>(&reply->what)) {
    hear(*client, *store);
  }
  return true;
}

void WatchClients::hear(Client& client, const WatchAnswer& answer) {
  const bool same_lineage = lineage_of(answer.revision) == lineage_of(client.commit);
  const bool older = answer.revision < client.commit && same_lineage;
  if (auto* stream = std::get_if<Stream>(&client.what)) {
    std::string why;
    if (const auto* gone = std::get_if<HistoryGone>(&answer.what)) {
      why = stream->referee.refused(*gone, answer.revision);
      client.oldest = gone->oldest;
      client.copy.forget();
      think(client, kAwayMost);
    } else if (std::holds_alternative<WatchOpened>(answer.what)) {
      why = stream->referee.opened(answer.revision);
      if (!stream->call.since && older)
        why = fmt::format("it begins at {}, and had {}", answer.revision.value, client.commit.value);
      if (!stream->call.since && !stream->call.state) client.copy.begin_at(answer.revision, false);
    } else {
      why = "a stream is answered like a poll";
    }
    if (!why.empty()) wrong(client, why);
    return;
  }
  const auto* poll = std::get_if<PollCall>(&client.what);
  if (poll == nullptr || !std::holds_alternative<NotChanged>(answer.what))
    return wrong(client, "it answers something else than was asked");
  if (answer.revision < poll->since || (older && lineage_of(poll->since) == lineage_of(client.commit)))
    wrong(client, fmt::format("nothing has changed behind {} up to {}, it says, and had {}",
                              poll->since.value, answer.revision.value, client.commit.value));
  WatchReferee referee(checkers_.committed(), WatchCall{poll->filter, poll->since}, SIZE_MAX);
  std::string why = referee.opened(answer.revision);
  why += referee.hear(WatchProgress{answer.revision});
  why += client.copy.reach(answer.revision, checkers_.committed());
  if (!why.empty()) wrong(client, "nothing has changed, it says: " + why);
  think(client, kAwayMost);
}

void WatchClients::hear(Client& client, const StoreAnswer& answer) {
  const auto* poll = std::get_if<PollCall>(&client.what);
  const auto* call = poll != nullptr ? &poll->read : std::get_if<StoreCall>(&client.what);
  const bool refused = std::holds_alternative<Failed>(answer.answer);
  if (!refused && call == nullptr) return wrong(client, "a stream is answered like a read");
  if (refused) return think(client, kAwayMost);
  if (poll != nullptr && answer.revision < poll->since)
    wrong(client, fmt::format("something has changed behind {}, it says at {}", poll->since.value,
                              answer.revision.value));
  checkers_.on_reply(client.server, *call, answer, Revision(0));
  const auto* list = std::get_if<ListKeys>(&call->operation);
  client.copy.read_at(answer.revision, answer.answer, list == nullptr || !list->keys_only);
  const std::string why = client.copy.reach(answer.revision, checkers_.committed());
  if (!why.empty()) wrong(client, why);
  think(client, kAwayMost);
}

void WatchClients::hear(Client& client, StreamLines lines) {
  auto* stream = std::get_if<Stream>(&client.what);
  if (stream == nullptr) return wrong(client, "lines come for what is no stream");
  for (WatchLine& line : lines.lines) {
    const std::string why = stream->referee.hear(line);
    if (!why.empty()) wrong(client, why);
    if (const auto* progress = std::get_if<WatchProgress>(&line)) check_linear(client, *stream, *progress);
    if (const auto* gone = std::get_if<WatchGone>(&line)) client.oldest = gone->oldest;
    stream->untaken.push_back(std::move(line));
  }
  stream->last_said = lines.last;
  if (lines.last != !stream->referee.is_open()) wrong(client, "the last line does not say so");
  plan_taking(client);
}

// The server has asked since it told linear progress last.
void WatchClients::check_linear(Client& client, Stream& stream, const WatchProgress& progress) {
  if (!progress.linear) return;
  const Revision floor = acknowledged_at(std::exchange(stream.linear, context_.queue.now()));
  const Revision commit = commits_[static_cast<size_t>(client.server)];
  const bool exempt = context_.options.twin_us != 0 && lineage_of(floor) != lineage_of(commit);
  if (progress.revision < floor && !exempt)
    wrong(client, fmt::format("progress {} is called linear; {} had been acknowledged before",
                              progress.revision.value, floor.value));
}

// ---- what it takes ----

void WatchClients::plan_taking(Client& client) {
  auto* stream = std::get_if<Stream>(&client.what);
  if (stream == nullptr || stream->taking || stream->untaken.empty()) return;
  if (stream->pace == Pace::kNever && !healed_) return;
  const bool prompt = stream->pace == Pace::kPrompt || healed_;
  stream->taking = true;
  const Duration way = context_.up_to(context_.options.delay_us_max);
  context_.queue.after(way + up_to(prompt ? kPromptMost : kSlowMost), [this, &client, id = client.id] {
    if (client.id == id) take(client);
  });
}

void WatchClients::take(Client& client) {
  Stream& stream = std::get<Stream>(client.what);
  stream.taking = false;
  size_t count = stream.untaken.size();
  if (stream.pace == Pace::kSlow && !healed_) count = 1 + prng_.below(count);
  size_t bytes = 0;
  for (; count > 0; --count) {
    bytes += line_bytes(stream.untaken.front(), stream.call.values);
    take_line(client, stream.untaken.front());
    stream.untaken.pop_front();
  }
  stream.referee.taken(bytes);
  hosts_.deliver(client.server, StreamTaken{client.id, bytes});
  if (stream.untaken.empty() && stream.last_said) return think(client, kAwayMost);
  plan_taking(client);
}

void WatchClients::take_line(Client& client, const WatchLine& line) {
  WatchCopy& copy = client.copy;
  const CommittedHistory& committed = checkers_.committed();
  std::string why;
  if (const auto* event = std::get_if<WatchEvent>(&line)) {
    const bool values = std::get<Stream>(client.what).call.values;
    if (copy.take(*event, values)) why = copy.reach(event->record.modified(), committed);
  } else if (const auto* progress = std::get_if<WatchProgress>(&line)) {
    why = copy.reach(progress->revision, committed);
  } else if (const auto* synced = std::get_if<WatchSynced>(&line)) {
    copy.complete(synced->complete);
    why = copy.reach(synced->revision, committed);
  } else if (std::holds_alternative<WatchReset>(line)) {
    copy.forget();
  } else if (std::holds_alternative<WatchStale>(line)) {
    client.stale = true;
  } else if (std::holds_alternative<WatchCurrent>(line)) {
    client.stale = false;
  } else if (const auto* gone = std::get_if<WatchGone>(&line)) {
    // What is gone here may be there at another server.
    if (gone->reason == WatchBreak::kCopy || gone->reason == WatchBreak::kLineage || prng_.one_in(2))
      copy.forget();
  }
  if (!why.empty()) wrong(client, why);
}

std::string WatchClients::stuck() const {
  std::string text;
  const Revision newest = checkers_.committed().newest();
  for (const Client& client : clients_) {
    const auto* stream = std::get_if<Stream>(&client.what);
    const bool there = stream != nullptr && client.copy.point() && *client.copy.point() >= newest;
    if (there && !client.stale) continue;
    text += fmt::format("watch client {} at s{} is at {} of {}{}{}; ", &client - clients_.data(),
                        client.server, client.copy.point().value_or(Revision(0)).value, newest.value,
                        client.stale ? ", stale" : "", stream == nullptr ? ", without a stream" : "");
  }
  return text;
}

}  // namespace kvd::sim
