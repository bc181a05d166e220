// See topic_verdict.hpp.
#include "judge/topic_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kvd::sim {
namespace {

void add_to(MessageFindings& sum, const MessageFindings& one, std::string_view whose) {
  sum.add(one);
  for (const std::string& example : one.examples) {
    if (sum.examples.size() < MessageFindings::kExamples)
      sum.examples.push_back(fmt::format("{}{}", whose, example));
  }
}

}  // namespace

MessageFindings TopicFindings::total() const {
  MessageFindings sum;
  add_to(sum, published, "");
  for (size_t i = 0; i < subscriptions.size(); ++i)
    add_to(sum, subscriptions[i], fmt::format("subscription {}: ", i));
  const uint64_t received = sum.received;
  for (size_t i = 0; i < readers.size(); ++i) add_to(sum, readers[i], fmt::format("reader {}: ", i));
  sum.received = received;
  return sum;
}

TopicVerdict::TopicVerdict(size_t subscriptions, size_t readers, uint64_t ttr_ns)
    : findings_{{}, std::vector<MessageFindings>(subscriptions), std::vector<MessageFindings>(readers)},
      readers_(readers) {
  for (MessageFindings& findings : findings_.subscriptions) grants_.emplace_back(sends_, findings, ttr_ns);
}

void TopicVerdict::read(size_t reader, uint64_t number, const MessageId& id) {
  MessageFindings& findings = findings_.readers[reader];
  Reader& one = readers_[reader];
  if (sends_.seen(number, id, findings)) {
    if (one.seen.size() <= number) one.seen.resize(sends_.size());
    if (one.seen[number]) return findings.object(findings.twice, to_text(id) + " was read twice");
    one.seen[number] = true;
    ++findings.received;
  }
  if (!(one.last < id))
    findings.object(findings.out_of_order,
                    fmt::format("{} was read behind {}", to_text(id), to_text(one.last)));
  one.last = std::max(one.last, id);
}

void TopicVerdict::judge() {
  for (Grants& grants : grants_) grants.judge();
  for (size_t i = 0; i < readers_.size(); ++i) {
    MessageFindings& findings = findings_.readers[i];
    readers_[i].seen.resize(sends_.size());
    for (uint64_t number = 0; number < sends_.size(); ++number) {
      if (sends_[number].was_there(readers_[i].seen_before) && !readers_[i].seen[number])
        findings.object(findings.lost,
                        fmt::format("{} is there, and was never read", to_text(sends_[number].id)));
    }
  }
}

}  // namespace kvd::sim
