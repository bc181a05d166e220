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

}  // namespace

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
  return fmt::format("ReceiveMessages {} max={} wait={}ms{}", quoted(m->queue), m->max, to_ms(m->wait),
                     m->settlings.empty() ? "" : " " + listed(m->settlings, text_of_settling));
}
std::string QueueOperationText::operator()(const Box<SettleMessages>& m) const {
  return fmt::format("SettleMessages {} {}{}", quoted(m->queue), listed(m->settlings, text_of_settling),
                     m->atomic ? " atomic" : "");
}
std::string QueueOperationText::operator()(const KickMessages& m) const {
  return fmt::format("KickMessages {} {} max={}{}", quoted(m.queue), message_state_name(m.state), m.max,
                     m.to.empty() ? "" : " to=" + quoted(m.to));
}
std::string QueueOperationText::operator()(const PurgeMessages& m) const {
  return fmt::format("PurgeMessages {} {}", quoted(m.queue), m.state ? message_state_name(*m.state) : "all");
}
std::string QueueOperationText::operator()(const ReadQueue& m) const { return "ReadQueue " + quoted(m.name); }
std::string QueueOperationText::operator()(const ListQueues& m) const {
  return fmt::format("ListQueues prefix={} after={} limit={}", quoted(m.prefix), quoted(m.after), m.limit);
}
std::string QueueOperationText::operator()(const PeekMessages& m) const {
  return fmt::format("PeekMessages {} {} after={} limit={}", quoted(m.queue), message_state_name(m.state),
                     to_text(m.after), m.limit);
}
std::string QueueOperationText::operator()(const PeekMessage& m) const {
  return fmt::format("PeekMessage {} {}", quoted(m.queue), to_text(m.id));
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
         (m->settled.empty() ? "" : " settled=" + listed(m->settled, text_of_settled));
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

}  // namespace kvd
