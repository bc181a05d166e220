// See message_ledger.hpp.
#include "message_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd::sim {

void MessageLedger::on_asked(const Operation& operation) {
  wishes_.note(operation);
  for (const Settling& settling : settlings_of(operation)) {
    const std::pair what(granted(settling), settling.kind);
    Asked& asked = asked_[what];
    if (asked.times++ == 0) asked.first = newest_;
    refused_.erase(what);
  }
}

void MessageLedger::forget_all() {
  sent_.clear();
  bodies_.clear();
  grants_.clear();
  settled_.clear();
}

bool MessageLedger::begin(const Entry& entry) {
  // A server that knows of no new lineage yet may go on in the one before.
  if (lineage_of(entry.revision) < lineage_of(newest_)) return false;
  const bool first = entry.revision == lineage_base(lineage_of(entry.revision)).next();
  if (first) forget_all();
  followed_ = first || (followed_ && entry.revision == newest_.next());
  newest_ = entry.revision;
  clock_ = entry.clock;
  return followed_;
}

bool MessageLedger::follows(const StoreAnswer& answer) const {
  return followed_ && lineage_of(answer.revision) == lineage_of(newest_) && answer.revision <= newest_;
}

bool MessageLedger::wished(const Granted& which, Settling::Kind kind) const {
  return wishes_.settled(which, kind) && !refused_.contains({which, kind});
}

Duration MessageLedger::lasts(uint64_t ms) const {
  const Duration span = milliseconds(static_cast<int64_t>(ms));
  return span - span * 2 * rate_ppm_ / 1'000'000;
}

bool MessageLedger::is_again(const StoredDelivery& was, const StoredDelivery& now, uint64_t clock) {
  return was.state == MessageState::kInFlight && now.state == MessageState::kInFlight && was.due > clock &&
         was.ticket != 0 && was.ticket == now.ticket && now.turn > was.turn &&
         was.turn >> kSendingBits == now.turn >> kSendingBits && was.attempts == now.attempts;
}

bool MessageLedger::is_last(const StoredDelivery& became, uint32_t deliveries) {
  return deliveries != 0 && became.attempts >= deliveries;
}

uint64_t MessageLedger::backoff_after(const std::vector<uint64_t>& backoff_ms, uint32_t attempts) {
  if (backoff_ms.empty() || attempts == 0) return 0;
  return backoff_ms[std::min<size_t>(attempts, backoff_ms.size()) - 1];
}

std::string MessageLedger::judge_body(const std::string& body) const {
  if (wishes_.sent(body) == nullptr) return "was sent by nobody";
  if (const auto known = bodies_.find(body); known != bodies_.end())
    return fmt::format("was sent before, as {}", to_text(known->second));
  return refused_bodies_.contains(body) ? "was refused for certain" : "";
}

void MessageLedger::note_sent(const MessageId& id, const std::string& body) {
  sent_[id] = body;
  bodies_.emplace(body, id);
}

// ---- what clients are told ----

void MessageLedger::on_unheard(const StoreAnswer& answer) {
  const auto* received = std::get_if<Box<Received>>(&answer.answer);
  if (received == nullptr || !follows(answer)) return;
  for (const QueuedMessage& message : (*received)->messages) {
    const auto grant = grants_.find({message.id, message.receipt});
    if (grant != grants_.end()) grant->second.told = true;
  }
}

std::string MessageLedger::on_sent(const std::vector<NewMessage>& asked, const Sent& sent,
                                   Revision revision) const {
  if (sent.count != asked.size()) return fmt::format("{} messages are said to be sent; ", sent.count);
  std::string why;
  for (uint16_t place = 0; place < sent.count; ++place) {
    const auto before = std::find_if(sent.duplicates.begin(), sent.duplicates.end(),
                                     [&](const Sent::Duplicate& other) { return other.place == place; });
    const bool duplicate = before != sent.duplicates.end();
    why += on_sent(asked[place], OpSent{duplicate ? before->id : MessageId{revision, place}, duplicate});
  }
  return why;
}

std::string MessageLedger::on_sent(const NewMessage& asked, const OpSent& sent) const {
  const auto known = sent_.find(sent.id);
  if (known == sent_.end())
    return fmt::format("message {} is said to be sent, and is none; ", to_text(sent.id));
  if (!sent.duplicate && known->second != asked.body.view())
    return fmt::format("message {} is said to be sent, and is another one; ", to_text(sent.id));
  const std::string* name = wishes_.sent(known->second);
  const bool of_name = name != nullptr && !name->empty() && *name == asked.dedup;
  if (sent.duplicate && !of_name)
    return fmt::format("message {} is said to be of the name {}; ", to_text(sent.id), asked.dedup);
  return {};
}

std::string MessageLedger::on_granted(const ReceiveMessages& asked, const std::vector<QueuedMessage>& told) {
  std::string why;
  if (told.size() > asked.max) why += "more messages are granted than were asked for; ";
  for (const QueuedMessage& message : told) {
    const std::string what = fmt::format("message {} under receipt {}", to_text(message.id), message.receipt);
    const auto grant = grants_.find({message.id, message.receipt});
    if (grant == grants_.end()) {
      why += fmt::format("{} is said to be granted, and is not; ", what);
      continue;
    }
    if (grant->second.told) why += fmt::format("{} is granted to two clients; ", what);
    if (grant->second.given_back) why += fmt::format("{} is granted, and was given back; ", what);
    grant->second.told = true;
    if (message.attempt != grant->second.attempt)
      why += fmt::format("{} is said to be attempt {}; ", what, message.attempt);
    if (message.body.view() != sent_[message.id]) why += fmt::format("{} has another body; ", what);
  }
  return why;
}

// Who was refused for certain may have asked for the same before.
std::string MessageLedger::on_refused(const std::vector<Settling>& settlings) {
  std::string why;
  for (const Settling& settling : settlings) {
    const std::pair what(granted(settling), settling.kind);
    if (asked_[what].times != 1) continue;
    const auto done = settled_.find(what.first);
    if (done != settled_.end() && done->second.contains(settling.kind) && done->second.at(settling.kind))
      why += fmt::format("message {} under receipt {} is settled, which is refused for certain; ",
                         to_text(settling.id), settling.receipt);
    refused_.insert(what);
  }
  return why;
}

std::string MessageLedger::on_refused(const Operation& operation) {
  std::string why;
  for (const NewMessage& message : messages_of(operation)) {
    const std::string body(message.body.view());
    if (bodies_.contains(body)) why += fmt::format("{} is sent, which is refused for certain; ", body);
    refused_bodies_.insert(body);
  }
  return why + on_refused(settlings_of(operation));
}

}  // namespace kvd::sim
