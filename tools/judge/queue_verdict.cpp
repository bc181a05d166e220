// See queue_verdict.hpp.
#include "judge/queue_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd::sim {
namespace {

constexpr size_t kExamples = 10;
// The servers count in whole milliseconds, by an oscillator of their own.
constexpr uint64_t kRounding = 2'000'000;
constexpr uint64_t kDrift = 1000;  // one part of so many

uint64_t least_time(uint64_t ttr_ns) { return ttr_ns - std::min(ttr_ns, kRounding + ttr_ns / kDrift); }

double ms_between(uint64_t from, uint64_t to) {
  return (static_cast<double>(to) - static_cast<double>(from)) / 1e6;
}

}  // namespace

QueueVerdict::QueueVerdict(uint64_t ttr_ns) : ttr_ns_(least_time(ttr_ns)) {}

void QueueVerdict::object(uint64_t& count, std::string what) {
  ++count;
  if (findings_.examples.size() < kExamples) findings_.examples.push_back(std::move(what));
}

// ---- what is sent ----

uint64_t QueueVerdict::send(uint32_t group) {
  messages_.emplace_back().group = group;
  ++findings_.maybe_sent;
  return messages_.size() - 1;
}

void QueueVerdict::sent(uint64_t number, const MessageId& id) {
  Message* message = of(number);
  if (message == nullptr) return;
  message->sent = Sent::kYes;
  --findings_.maybe_sent;
  ++findings_.acknowledged;
  is_same(*message, number, id);
}

void QueueVerdict::not_sent(uint64_t number) {
  Message* message = of(number);
  if (message == nullptr) return;
  message->sent = Sent::kNo;
  --findings_.maybe_sent;
  if (message->received)
    object(findings_.unexpected,
           fmt::format("message {} was received as {}, and its send refused", number, to_text(message->id)));
}

// Whether it is the one that goes by this number; a number without an id takes it.
bool QueueVerdict::is_same(Message& message, uint64_t number, const MessageId& id) {
  if (message.id.revision == Revision(0)) message.id = id;
  if (message.id == id) return true;
  object(findings_.unexpected, fmt::format("message {} was sent once and is there twice, as {} and as {}",
                                           number, to_text(message.id), to_text(id)));
  return false;
}

// ---- what is granted ----

void QueueVerdict::granted(const Grant& grant) {
  Message* message = of(grant.number);
  if (message == nullptr)
    return object(findings_.unexpected,
                  fmt::format("{} was received, and nobody sent it", to_text(grant.id)));
  if (message->sent == Sent::kNo)
    object(findings_.unexpected, fmt::format("message {} was received as {}, and its send refused",
                                             grant.number, to_text(grant.id)));
  if (!is_same(*message, grant.number, grant.id)) return;
  hold_against_group(*message, grant);
  if (!std::exchange(message->received, true)) {
    ++findings_.received;
  } else {
    ++findings_.granted_anew;
    // Answers may be heard in another order than that of the grants, which their receipts tell.
    const bool newer = grant.receipt > message->receipt;
    const uint64_t first_asked = newer ? message->asked : grant.asked;
    const uint64_t second_heard = newer ? grant.heard : message->heard;
    if (message->ended && newer) {
      object(findings_.after_settled,
             fmt::format("{} was granted with the receipt {}, and settled before with {}", to_text(grant.id),
                         grant.receipt, message->receipt));
    } else if (grant.receipt == message->receipt || second_heard < first_asked + ttr_ns_) {
      object(findings_.twice,
             fmt::format("{} was granted with the receipts {} and {} within {:.1f} ms", to_text(grant.id),
                         std::min(message->receipt, grant.receipt), std::max(message->receipt, grant.receipt),
                         ms_between(first_asked, second_heard)));
    }
    if (!newer) return;
  }
  message->receipt = grant.receipt;
  message->asked = grant.asked;
  message->heard = grant.heard;
}

// Of a group one is in flight, and it blocks those behind it until it is settled, also when its time is over.
void QueueVerdict::hold_against_group(const Message& message, const Grant& grant) {
  if (message.group == kNoGroup) return;
  const auto [place, first] = lanes_.try_emplace(message.group, Lane{grant.receipt, grant.number});
  if (first) return;
  Lane& lane = place->second;
  const Message& newest = messages_[lane.number];
  const bool newer = grant.receipt > lane.receipt;
  const char* wrong = nullptr;
  if (lane.number == grant.number) {
    // Another grant of the same one.
  } else if (grant.receipt == lane.receipt) {
    wrong = "together with";
  } else if (newer ? grant.id < newest.id : newest.id < grant.id) {
    wrong = newer ? "behind" : "before";
  } else if (newer && !newest.ends) {
    wrong = "before the end of";
  }
  if (wrong != nullptr)
    object(findings_.out_of_order, fmt::format("{} of group {} was granted {} {}", to_text(grant.id),
                                               message.group, wrong, to_text(newest.id)));
  if (newer) lane = {grant.receipt, grant.number};
}

void QueueVerdict::settling(uint64_t number) {
  if (Message* message = of(number)) message->ends = true;
}

void QueueVerdict::settled(uint64_t number, uint64_t receipt) {
  Message* message = of(number);
  if (message == nullptr) return;
  message->ended = true;
  if (message->receipt > receipt)
    object(findings_.after_settled,
           fmt::format("{} was settled with the receipt {}, and granted anew with {}", to_text(message->id),
                       receipt, message->receipt));
}

// ---- the end ----

void QueueVerdict::found(uint64_t number) {
  Message* message = of(number);
  if (message == nullptr)
    return object(findings_.unexpected, "there is a message in a queue that nobody sent");
  message->found = true;
  object(findings_.stuck, fmt::format("message {} is in its queue, and nobody is granted it", number));
}

QueueFindings QueueVerdict::judge() {
  for (const Message& message : messages_) {
    if (message.sent == Sent::kYes && !message.received && !message.found)
      object(findings_.lost,
             fmt::format("{} was acknowledged as sent, and nobody received it", to_text(message.id)));
  }
  return std::move(findings_);
}

}  // namespace kvd::sim
