// See sent_messages.hpp.
#include "judge/sent_messages.hpp"

#include <fmt/format.h>

#include <utility>

namespace kvd::sim {
namespace {

std::string received_though_refused(uint64_t number, const MessageId& id) {
  return fmt::format("message {} was received as {}, and its send refused", number, to_text(id));
}

}  // namespace

void MessageFindings::object(uint64_t& count, std::string what) {
  ++count;
  if (examples.size() < kExamples) examples.push_back(std::move(what));
}

void MessageFindings::add(const MessageFindings& other) {
  acknowledged += other.acknowledged;
  maybe_sent += other.maybe_sent;
  received += other.received;
  granted_anew += other.granted_anew;
  lost += other.lost;
  unexpected += other.unexpected;
  twice += other.twice;
  after_settled += other.after_settled;
  out_of_order += other.out_of_order;
  stuck += other.stuck;
}

uint64_t SentMessages::send(uint32_t group) {
  messages_.emplace_back().group = group;
  ++findings_.maybe_sent;
  return messages_.size() - 1;
}

void SentMessages::sent(uint64_t number, const MessageId& id) {
  if (number >= messages_.size()) return;
  messages_[number].sent = Sent::kYes;
  --findings_.maybe_sent;
  ++findings_.acknowledged;
  is_same(number, id, findings_);
}

void SentMessages::not_sent(uint64_t number) {
  if (number >= messages_.size()) return;
  Message& message = messages_[number];
  message.sent = Sent::kNo;
  --findings_.maybe_sent;
  if (message.seen != 0) findings_.object(findings_.unexpected, received_though_refused(number, message.id));
}

bool SentMessages::seen(uint64_t number, const MessageId& id, MessageFindings& told) {
  if (number >= messages_.size()) {
    told.object(told.unexpected, fmt::format("{} was received, and nobody sent it", to_text(id)));
    return false;
  }
  Message& message = messages_[number];
  if (message.seen == 0) message.seen = ++seen_;
  if (message.sent == Sent::kNo) told.object(told.unexpected, received_though_refused(number, id));
  return is_same(number, id, told);
}

// Whether it is the one that goes by this number; a number without an id takes it.
bool SentMessages::is_same(uint64_t number, const MessageId& id, MessageFindings& told) {
  Message& message = messages_[number];
  if (message.id.revision == Revision(0)) message.id = id;
  if (message.id == id) return true;
  told.object(told.unexpected, fmt::format("message {} was sent once and is there twice, as {} and as {}",
                                           number, to_text(message.id), to_text(id)));
  return false;
}

}  // namespace kvd::sim
