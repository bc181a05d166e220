// See grants.hpp.
#include "judge/grants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd::sim {
namespace {

// The servers count in whole milliseconds, by an oscillator of their own.
constexpr uint64_t kRounding = 2'000'000;
constexpr uint64_t kDrift = 1000;  // one part of so many

uint64_t least_time(uint64_t ttr_ns) { return ttr_ns - std::min(ttr_ns, kRounding + ttr_ns / kDrift); }

double ms_between(uint64_t from, uint64_t to) {
  return (static_cast<double>(to) - static_cast<double>(from)) / 1e6;
}

}  // namespace

Grants::Grants(SentMessages& sent, MessageFindings& findings, uint64_t ttr_ns)
    : sent_(sent), findings_(findings), ttr_ns_(least_time(ttr_ns)) {}

Grants::Delivery* Grants::of(uint64_t number) {
  if (number >= sent_.size()) return nullptr;
  if (deliveries_.size() < sent_.size()) deliveries_.resize(sent_.size());
  return &deliveries_[number];
}

void Grants::granted(const Grant& grant) {
  if (!sent_.seen(grant.number, grant.id, findings_)) return;
  hold_against_group(grant);
  Delivery& delivery = *of(grant.number);
  if (!std::exchange(delivery.received, true)) {
    ++findings_.received;
  } else {
    ++findings_.granted_anew;
    // Answers may be heard in another order than that of the grants, which their receipts tell.
    const bool newer = grant.receipt > delivery.receipt;
    const uint64_t first_asked = newer ? delivery.asked : grant.asked;
    const uint64_t second_heard = newer ? grant.heard : delivery.heard;
    if (delivery.ended && newer) {
      findings_.object(findings_.after_settled,
                       fmt::format("{} was granted with the receipt {}, and settled before with {}",
                                   to_text(grant.id), grant.receipt, delivery.receipt));
    } else if (grant.receipt == delivery.receipt || second_heard < first_asked + ttr_ns_) {
      findings_.object(
          findings_.twice,
          fmt::format("{} was granted with the receipts {} and {} within {:.1f} ms", to_text(grant.id),
                      std::min(delivery.receipt, grant.receipt), std::max(delivery.receipt, grant.receipt),
                      ms_between(first_asked, second_heard)));
    }
    if (!newer) return;
  }
  delivery.receipt = grant.receipt;
  delivery.asked = grant.asked;
  delivery.heard = grant.heard;
}

// Of a group one is in flight, and it blocks those behind it until it is settled, also when its time is over.
void Grants::hold_against_group(const Grant& grant) {
  const uint32_t group = sent_[grant.number].group;
  if (group == SentMessages::kNoGroup) return;
  const auto [place, first] = lanes_.try_emplace(group, Lane{grant.receipt, grant.number});
  if (first) return;
  Lane& lane = place->second;
  const MessageId newest = sent_[lane.number].id;
  const bool newer = grant.receipt > lane.receipt;
  const char* wrong = nullptr;
  if (lane.number == grant.number) {
    // Another grant of the same one.
  } else if (grant.receipt == lane.receipt) {
    wrong = "together with";
  } else if (newer ? grant.id < newest : newest < grant.id) {
    wrong = newer ? "behind" : "before";
  } else if (newer && !of(lane.number)->ends) {
    wrong = "before the end of";
  }
  if (wrong != nullptr)
    findings_.object(findings_.out_of_order, fmt::format("{} of group {} was granted {} {}",
                                                         to_text(grant.id), group, wrong, to_text(newest)));
  if (newer) lane = {grant.receipt, grant.number};
}

void Grants::settling(uint64_t number) {
  if (Delivery* delivery = of(number)) delivery->ends = true;
}

void Grants::settled(uint64_t number, uint64_t receipt) {
  Delivery* delivery = of(number);
  if (delivery == nullptr) return;
  delivery->ended = true;
  if (delivery->receipt > receipt)
    findings_.object(findings_.after_settled,
                     fmt::format("{} was settled with the receipt {}, and granted anew with {}",
                                 to_text(sent_[number].id), receipt, delivery->receipt));
}

void Grants::found(uint64_t number) {
  Delivery* delivery = of(number);
  if (delivery == nullptr)
    return findings_.object(findings_.unexpected, "there is a message at the end that nobody sent");
  delivery->found = true;
  findings_.object(findings_.stuck, fmt::format("message {} is there, and nobody is granted it", number));
}

void Grants::judge() {
  for (uint64_t number = 0; number < sent_.size(); ++number) {
    const SentMessages::Message& message = sent_[number];
    const Delivery& delivery = *of(number);
    if (!message.was_there(seen_before_) || delivery.received || delivery.found) continue;
    findings_.object(
        findings_.lost,
        fmt::format("{} was {}, and nobody received it", to_text(message.id),
                    message.sent == SentMessages::Sent::kYes ? "acknowledged as sent" : "seen by others"));
  }
}

}  // namespace kvd::sim
