// See queue_text.hpp.
#include "msg/queue_text.hpp"

#include <fmt/format.h>

#include "msg/text.hpp"

namespace kvd {
namespace {

constexpr size_t kMessagesShown = 4;  // of a longer list: the first ones, then how many there are

template <class T, class Print>
std::string listed(const std::vector<T>& items, Print print) {
  std::string out = "[";
  for (size_t i = 0; i < items.size() && i < kMessagesShown; ++i)
    out += (i > 0 ? ", " : "") + print(items[i]);
  if (items.size() > kMessagesShown) out += fmt::format(", ... {} in all", items.size());
  return out + ']';
}

std::string text_of_new(const NewMessage& message) {
  std::string out = fmt::format("{}B", message.body.size());
  if (message.priority != NewMessage().priority) out += fmt::format(" priority={}", message.priority);
  if (message.delay_ms != 0) out += fmt::format(" delay={}ms", message.delay_ms);
  if (message.max_age_ms != 0) out += fmt::format(" max_age={}ms", message.max_age_ms);
  if (!message.group.empty()) out += " group=" + quoted(message.group);
  if (!message.dedup.empty()) out += " dedup=" + quoted(message.dedup);
  if (message.past) out += message.past->dead ? " restored dead" : " restored";
  return out;
}

std::string text_of_settling(const Settling& settling) {
  const char* const kinds[] = {"ack", "nack", "release", "extend", "dead"};
  return fmt::format("{} {} by {}{}", kinds[static_cast<size_t>(settling.kind)], to_text(settling.id),
                     settling.receipt, settling.ms ? fmt::format(" {}ms", *settling.ms) : "");
}

std::string text_of_settled(const Settled::One& one) {
  const char* const results[] = {"ok", "gone", "stale"};
  return results[static_cast<size_t>(one.result)];
}

std::string text_of_message(const QueuedMessage& message) {
  return fmt::format("{}={}B receipt={} attempt={}", to_text(message.id), message.body.size(),
                     message.receipt, message.attempt);
}

std::string text_of_info(const QueueInfo& info) {
  return fmt::format("{} ready={} delayed={} in_flight={} dead={}", quoted(info.name), info.ready,
                     info.delayed, info.in_flight, info.dead);
}

std::string text_of_topic(const TopicInfo& info) {
  return fmt::format("{} messages={}", quoted(info.name), info.messages);
}
std::string text_of_subscription(const SubscriptionInfo& info) {
  return fmt::format("{} behind={} cursor={}", source_text(info.topic, info.name), info.behind,
                     to_text(info.cursor));
}

}  // namespace

std::string source_text(std::string_view queue, std::string_view subscription) {
  return quoted(queue) + (subscription.empty() ? "" : "/" + quoted(subscription));
}

std::string QueueOperationText::operator()(const Box<MakeQueue>& m) const {
  return "MakeQueue " + quoted(m->name);
}
std::string QueueOperationText::operator()(const DeleteQueue& m) const {
  return "DeleteQueue " + quoted(m.name) + (m.if_empty ? " if_empty" : "");
}
std::string QueueOperationText::operator()(const Box<SendMessages>& m) const {
  return "SendMessages " + quoted(m->queue) + " " + listed(m->messages, text_of_new);
}
std::string QueueOperationText::operator()(const Box<ReceiveMessages>& m) const {
  return fmt::format("ReceiveMessages {} max={} wait={}ms{}", source_text(m->queue, m->subscription), m->max,
                     to_ms(m->wait),
                     m->settlings.empty() ? "" : " " + listed(m->settlings, text_of_settling));
}
std::string QueueOperationText::operator()(const Box<SettleMessages>& m) const {
  return fmt::format("SettleMessages {} {}{}", source_text(m->queue, m->subscription),
                     listed(m->settlings, text_of_settling), m->atomic ? " atomic" : "");
}
std::string QueueOperationText::operator()(const KickMessages& m) const {
  return fmt::format("KickMessages {} {} max={}{}", source_text(m.queue, m.subscription),
                     message_state_name(m.state), m.max, m.to.empty() ? "" : " to=" + quoted(m.to));
}
std::string QueueOperationText::operator()(const PurgeMessages& m) const {
  return fmt::format("PurgeMessages {} {}", quoted(m.queue), m.state ? message_state_name(*m.state) : "all");
}
std::string QueueOperationText::operator()(const ReadQueue& m) const { return "ReadQueue " + quoted(m.name); }
std::string QueueOperationText::operator()(const ListQueues& m) const {
  return fmt::format("ListQueues prefix={} after={} limit={}", quoted(m.prefix), quoted(m.after), m.limit);
}
std::string QueueOperationText::operator()(const PeekMessages& m) const {
  return fmt::format("PeekMessages {} {} after={} limit={}", source_text(m.queue, m.subscription),
                     message_state_name(m.state), to_text(m.after), m.limit);
}
std::string QueueOperationText::operator()(const PeekMessage& m) const {
  return fmt::format("PeekMessage {} {}", source_text(m.queue, m.subscription), to_text(m.id));
}
std::string QueueOperationText::operator()(const Box<MakeTopic>& m) const {
  return "MakeTopic " + quoted(m->name);
}
std::string QueueOperationText::operator()(const DeleteTopic& m) const {
  return "DeleteTopic " + quoted(m.name);
}
std::string QueueOperationText::operator()(const Box<PublishMessages>& m) const {
  return "PublishMessages " + quoted(m->topic) + " " + listed(m->messages, text_of_new);
}
std::string QueueOperationText::operator()(const Box<MakeSubscription>& m) const {
  return "MakeSubscription " + source_text(m->topic, m->name) + " from=" + to_text(m->from);
}
std::string QueueOperationText::operator()(const DeleteSubscription& m) const {
  return "DeleteSubscription " + source_text(m.topic, m.name);
}
std::string QueueOperationText::operator()(const SeekSubscription& m) const {
  return "SeekSubscription " + source_text(m.topic, m.name) + " to=" + to_text(m.to);
}
std::string QueueOperationText::operator()(const ReadTopic& m) const { return "ReadTopic " + quoted(m.name); }
std::string QueueOperationText::operator()(const ListTopics& m) const {
  return fmt::format("ListTopics prefix={} after={} limit={}", quoted(m.prefix), quoted(m.after), m.limit);
}
std::string QueueOperationText::operator()(const ReadSubscription& m) const {
  return "ReadSubscription " + source_text(m.topic, m.name);
}
std::string QueueOperationText::operator()(const ListSubscriptions& m) const {
  return fmt::format("ListSubscriptions {} after={} limit={}", quoted(m.topic), quoted(m.after), m.limit);
}
std::string QueueOperationText::operator()(const PageTopic& m) const {
  return fmt::format("PageTopic {} after={} limit={}", quoted(m.topic), to_text(m.after), m.limit);
}

std::string QueueAnswerText::operator()(const QueueMade& m) const {
  return m.created ? "QueueMade created" : "QueueMade";
}
std::string QueueAnswerText::operator()(const QueueDeleted&) const { return "QueueDeleted"; }
std::string QueueAnswerText::operator()(const Sent& m) const {
  return fmt::format("Sent {}", m.count) +
         (m.duplicates.empty() ? "" : fmt::format(" duplicates={}", m.duplicates.size()));
}
std::string QueueAnswerText::operator()(const Box<Received>& m) const {
  return "Received " + listed(m->messages, text_of_message) +
         (m->settled.empty() ? "" : " settled=" + listed(m->settled, text_of_settled)) +
         (m->gap ? fmt::format(" gap={}..{}", to_text(m->gap->after), to_text(m->gap->last)) : "");
}
std::string QueueAnswerText::operator()(const Settled& m) const {
  return (m.refused ? "Settled nothing " : "Settled ") + listed(m.results, text_of_settled);
}
std::string QueueAnswerText::operator()(const MessagesMoved& m) const {
  return fmt::format("MessagesMoved {}", m.count);
}
std::string QueueAnswerText::operator()(const MessagesPurged& m) const {
  return fmt::format("MessagesPurged {}{}", m.count, m.more ? " more" : "");
}
std::string QueueAnswerText::operator()(const Box<QueueFound>& m) const {
  return "QueueFound " + text_of_info(m->queue);
}
std::string QueueAnswerText::operator()(const QueueList& m) const {
  return fmt::format("QueueList {}{}", listed(m.queues, text_of_info), m.more ? " more" : "");
}
std::string QueueAnswerText::operator()(const Peeked& m) const {
  return fmt::format("Peeked {}{}", listed(m.messages, text_of_message), m.more ? " more" : "");
}
std::string QueueAnswerText::operator()(const TopicMade& m) const {
  return m.created ? "TopicMade created" : "TopicMade";
}
std::string QueueAnswerText::operator()(const TopicDeleted&) const { return "TopicDeleted"; }
std::string QueueAnswerText::operator()(const SubscriptionMoved& m) const {
  return "SubscriptionMoved " + to_text(m.to);
}
std::string QueueAnswerText::operator()(const Box<TopicFound>& m) const {
  return "TopicFound " + text_of_topic(m->topic);
}
std::string QueueAnswerText::operator()(const TopicList& m) const {
  return fmt::format("TopicList {}{}", listed(m.topics, text_of_topic), m.more ? " more" : "");
}
std::string QueueAnswerText::operator()(const Box<SubscriptionFound>& m) const {
  return "SubscriptionFound " + text_of_subscription(m->subscription);
}
std::string QueueAnswerText::operator()(const SubscriptionList& m) const {
  return fmt::format("SubscriptionList {}{}", listed(m.subscriptions, text_of_subscription),
                     m.more ? " more" : "");
}

}  // namespace kvd
