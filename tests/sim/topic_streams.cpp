// See topic_streams.hpp.
#include "topic_streams.hpp"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "core/queues/stored.hpp"
#include "msg/limits.hpp"

namespace kvd::sim {
namespace {

constexpr std::string_view kReadTopics[] = {"t", "u"};
constexpr uint32_t kStreamConnection = 10u << 26;  // apart from those of all other clients
constexpr Duration kReadMost = seconds(4);         // then it goes on at another server
constexpr Duration kReadLong = seconds(25);        // ... so that it is told how far it has come
constexpr Duration kReadPause = milliseconds(500);

}  // namespace

// ---- what there was ----

void TopicHistory::read(const CommittedHistory& committed, Revision until) {
  const Lineage lineage = lineage_of(until);
  Revision& at = read_.try_emplace(lineage, Revision(lineage.value << 40)).first->second;
  for (; at < until; at = at.next()) {
    const Entry* entry = committed.at(at.next());
    if (entry == nullptr) return;
    for (const Record& effect : entry->effects) {
      const bool counts = effect.space() == Space::kMessages ||
                          (effect.space() == Space::kQueues && names_topic(effect.key()));
      if (counts) events_[lineage].push_back({entry->revision, &effect});
    }
  }
}

TopicHistory::Content TopicHistory::at(const CommittedHistory& committed, const std::string& topic,
                                       Revision revision) {
  read(committed, revision);
  Content content;
  for (const Event& event : events_[lineage_of(revision)]) {
    if (event.revision > revision) break;
    const Record& effect = *event.effect;
    if (effect.space() == Space::kMessages) {
      const MessageKey key = message_key_of(effect.key());
      if (key.number != content.number) continue;
      content.messages.erase(key.id);
      if (effect.has_value()) content.messages.emplace(key.id, message_of(effect).body);
      if (!effect.has_value()) content.trimmed = std::max(content.trimmed, key.id);
    } else if (effect.key() == topic_key(topic)) {
      const std::optional<StoredTopic> stored = topic_of(&effect);
      if (!stored || stored->number != content.number) content = {};
      if (stored) content.number = stored->number;
    }
  }
  return content;
}

// ---- what they do ----

TopicStreams::TopicStreams(SimContext& context, Hosts& hosts, Checkers& checkers)
    : context_(context),
      hosts_(hosts),
      checkers_(checkers),
      prng_(context.options.topics == 0 ? 0 : context.prng.next()),
      clients_(static_cast<size_t>(context.options.topics)) {
  for (size_t i = 0; i < clients_.size(); ++i) clients_[i].topic = kReadTopics[i % std::size(kReadTopics)];
}

void TopicStreams::start() {
  for (Client& client : clients_) plan(client, kReadPause);
}

void TopicStreams::wrong(const Client& client, const std::string& what) {
  context_.fail(Verdict::kCorrectness,
                fmt::format("reader {} of topic {} at s{}, behind {}: {}", &client - clients_.data(),
                            client.topic, client.server, client.at ? to_text(*client.at) : "its wish", what));
}

void TopicStreams::plan(Client& client, Duration most) {
  const Duration pause(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  context_.queue.after(pause, [this, &client, turn = ++client.turn] {
    if (client.turn == turn) act(client);
  });
}

void TopicStreams::close(Client& client) {
  if (client.id == RequestId(0)) return;
  hosts_.deliver(client.server, CallCancelled{client.id});
  client.id = RequestId(0);
}

void TopicStreams::act(Client& client) {
  close(client);
  client.server = static_cast<int>(prng_.below(static_cast<uint64_t>(context_.options.servers)));
  if (hosts_.host_state(client.server) != HostState::kRunning) return plan(client, kReadPause);
  if (client.at) {
    client.after = {TopicPlace::Kind::kId, *client.at, 0};
  } else {
    client.after.kind = prng_.one_in(2) ? TopicPlace::Kind::kFirst : TopicPlace::Kind::kNow;
  }
  FollowTopic follow{{client.topic, client.after, limits::kListItemsMax}, {}};
  // What one that waits has found at first nobody sees: it has to have a place.
  if (client.at && prng_.one_in(2)) {
    follow.wait = Duration(static_cast<int64_t>(prng_.below(2'000'000)));
    if (prng_.one_in(2)) follow.page.limit = 1 + static_cast<uint32_t>(prng_.below(2));
  }
  client.id = request_id(kStreamConnection + ++connections_, 0);
  plan(client, prng_.one_in(4) ? kReadLong : kReadMost);
  hosts_.deliver(client.server, Call{client.id, Box(std::move(follow)), seconds(5)});
}

void TopicStreams::on_turn(int server, Revision commit) {
  auto& [now, before] = commits_[server];
  before = std::exchange(now, commit);
}

void TopicStreams::on_process_died(int server) {
  commits_.erase(server);
  for (Client& client : clients_) {
    if (client.id == RequestId(0) || client.server != server) continue;
    client.id = RequestId(0);
    plan(client, kReadPause);
  }
}

// ---- what they are told ----

bool TopicStreams::on_effect(int server, const NodeEffect& effect) {
  const auto* reply = std::get_if<Reply>(&effect);
  if (reply == nullptr) return false;
  const uint32_t number = connection_of(reply->id);
  if (number <= kStreamConnection || number > kStreamConnection + connections_) return false;
  for (Client& client : clients_) {
    if (client.id != reply->id) continue;
    if (client.server != server) wrong(client, fmt::format("s{} answers", server));
    const auto* answer = std::get_if<StoreAnswer>(&reply->what);
    const auto* page = answer == nullptr ? nullptr : std::get_if<Peeked>(&answer->answer);
    if (page != nullptr) hear(client, *reply, *page, answer->revision);
    if (!reply->last) return true;
    client.id = RequestId(0);
    plan(client, kReadPause);
    return true;
  }
  return true;  // it has hung up
}

void TopicStreams::hear(Client& client, const Reply& reply, const Peeked& page, Revision revision) {
  size_t bytes = 0;
  for (const QueuedMessage& message : page.messages) bytes += line_bytes(message);
  if (reply.line && bytes != 0) hosts_.deliver(client.server, StreamTaken{client.id, bytes});
  const std::string why = judge(client, page, revision);
  if (!why.empty()) return wrong(client, why);
  client.at = client.after.id = page.last;
  client.after.kind = TopicPlace::Kind::kId;
}

// Word for word what there is behind its place by then.
std::string TopicStreams::judge(const Client& client, const Peeked& page, Revision revision) {
  if (revision == Revision()) {  // how far it has come
    const bool known = client.at && page.messages.empty() && !page.gap && page.last == *client.at;
    if (!known) return fmt::format("it is said to be at {}", to_text(page.last));
    const Revision by = commits_[client.server].second;
    const TopicHistory::Content had = history_.at(checkers_.committed(), client.topic, by);
    const bool more = by != Revision() && !had.messages.empty() && had.messages.rbegin()->first > page.last;
    return more ? fmt::format("it is said to have come so far, and s{} has {}", client.server, by.value) : "";
  }
  if (!page.complete) return "";
  const TopicHistory::Content content = history_.at(checkers_.committed(), client.topic, revision);
  if (content.number == 0) return fmt::format("there is no topic at {}", revision.value);
  MessageId at = client.after.id;
  if (client.after.kind == TopicPlace::Kind::kFirst) at = content.trimmed;
  if (client.after.kind == TopicPlace::Kind::kNow)
    at = content.messages.empty() ? content.trimmed : content.messages.rbegin()->first;
  const bool lost = at < content.trimmed;
  if (lost != page.gap.has_value() || (lost && (page.gap->after != at || page.gap->last != content.trimmed)))
    return fmt::format("up to {} nothing is kept at {}, and {} is told", to_text(content.trimmed),
                       revision.value, page.gap ? to_text(page.gap->last) : "no gap");
  at = std::max(at, content.trimmed);
  auto next = content.messages.upper_bound(at);
  for (const QueuedMessage& message : page.messages) {
    if (next == content.messages.end() || next->first != message.id || next->second != message.body.view())
      return fmt::format("it is told {} at {}, and {} is next", to_text(message.id), revision.value,
                         next == content.messages.end() ? "nothing" : to_text(next->first));
    at = (next++)->first;
  }
  if (next != content.messages.end() && !page.more)
    return fmt::format("it is not told {} at {}", to_text(next->first), revision.value);
  return page.last == at
             ? ""
             : fmt::format("it is said to be at {}, and is at {}", to_text(page.last), to_text(at));
}

std::string TopicStreams::stuck() {
  std::string why;
  const Revision newest = checkers_.committed().newest();
  if (clients_.empty() || newest == Revision(0)) return why;
  for (const Client& client : clients_) {
    const TopicHistory::Content content = history_.at(checkers_.committed(), client.topic, newest);
    if (content.number == 0 || content.messages.empty()) continue;
    if (!client.at || *client.at < content.messages.rbegin()->first)
      why += fmt::format("a reader of topic {} is not told {}; ", client.topic,
                         to_text(content.messages.rbegin()->first));
  }
  return why;
}

}  // namespace kvd::sim
