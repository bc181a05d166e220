// The verdict about topics, fed with a record that is right and with each that may not be: nothing is published
// anywhere, and all times are made up. What it finds at one subscription is what is found at a queue
// (queue_verdict_test.cpp); here it is that each subscription and each reader counts for itself.
#include "judge/topic_verdict.hpp"

#include <doctest.h>

#include <string>

namespace kvd::topic_verdict_test {
namespace {

using sim::MessageFindings;
using sim::SentMessages;
using sim::TopicFindings;
using sim::TopicVerdict;

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kTtr = 1000 * kMs;
constexpr size_t kSubscriptions = 2;
constexpr size_t kReaders = 2;

MessageId id_of(uint64_t revision) { return {Revision(revision), 0}; }

struct Record {
  uint64_t published(uint64_t revision, uint32_t group = SentMessages::kNoGroup) {
    const uint64_t number = verdict.sends().send(group);
    verdict.sends().sent(number, id_of(revision));
    return number;
  }
  // Asked at and heard at, in ms.
  void granted(size_t subscription, uint64_t number, uint64_t revision, uint64_t receipt, uint64_t asked,
               uint64_t heard) {
    verdict.subscription(subscription).granted({number, id_of(revision), receipt, asked * kMs, heard * kMs});
  }
  void settled(size_t subscription, uint64_t number, uint64_t receipt) {
    verdict.subscription(subscription).settling(number);
    verdict.subscription(subscription).settled(number, receipt);
  }
  void done(size_t subscription, uint64_t number, uint64_t revision, uint64_t receipt) {
    granted(subscription, number, revision, receipt, 0, 5);
    settled(subscription, number, receipt);
  }
  // By whoever is not named, as it has to be.
  void done_by_others(uint64_t number, uint64_t revision, size_t subscription = kSubscriptions,
                      size_t reader = kReaders) {
    for (size_t i = 0; i < kSubscriptions; ++i) {
      if (i != subscription) done(i, number, revision, 1000 + revision);
    }
    for (size_t i = 0; i < kReaders; ++i) {
      if (i != reader) verdict.read(i, number, id_of(revision));
    }
  }
  // All of it is received and read.
  const TopicFindings& judge() {
    const uint64_t seen = verdict.sends().seen_so_far();
    for (size_t i = 0; i < kSubscriptions; ++i) verdict.subscription(i).emptied(seen);
    for (size_t i = 0; i < kReaders; ++i) verdict.read_all(i, seen);
    verdict.judge();
    return verdict.findings();
  }
  TopicVerdict verdict{kSubscriptions, kReaders, kTtr};
};

uint64_t wrong_in(const MessageFindings& one) {
  return one.lost + one.unexpected + one.twice + one.after_settled + one.out_of_order + one.stuck;
}

// Exactly this is wrong, once, at this one alone, and an example says so.
void check_wrong(const TopicFindings& findings, const MessageFindings& whose,
                 uint64_t MessageFindings::*which, const std::string& said) {
  CHECK(whose.*which == 1);
  CHECK(wrong_in(whose) == 1);
  CHECK(wrong_in(findings.total()) == 1);
  CHECK_FALSE(findings.sound());
  const MessageFindings total = findings.total();
  REQUIRE(total.examples.size() == 1);
  CHECK_MESSAGE(total.examples.front() == said, total.examples.front());
}

}  // namespace

TEST_CASE("what all subscriptions and all readers got is sound, and counted") {
  Record record;
  for (const uint64_t revision : {10, 11}) record.done_by_others(record.published(revision), revision);
  const TopicFindings& findings = record.judge();
  CHECK_MESSAGE(findings.sound(), findings.total().examples.front());
  CHECK(findings.published.acknowledged == 2);
  CHECK(findings.subscriptions[1].received == 2);
  CHECK(findings.readers[1].received == 2);
  CHECK(findings.total().received == 4);
  CHECK(findings.total().examples.empty());
}

TEST_CASE("what one subscription never gets is lost there") {
  Record record;
  record.done_by_others(record.published(10), 10, 1);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[1], &MessageFindings::lost,
              "subscription 1: 10 was acknowledged as sent, and nobody received it");
}

TEST_CASE("what is left in a subscription is stuck, and not lost") {
  Record record;
  const uint64_t number = record.published(10);
  record.done_by_others(number, 10, 0);
  record.verdict.subscription(0).found(number);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[0], &MessageFindings::stuck,
              "subscription 0: message 0 is there, and nobody is granted it");
}

TEST_CASE("a message is granted again after its end was acknowledged: at this subscription, not at another") {
  Record record;
  const uint64_t number = record.published(10);
  record.done_by_others(number, 10);
  record.granted(1, number, 10, 2000, 5000, 5005);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[1], &MessageFindings::after_settled,
              "subscription 1: 10 was granted with the receipt 2000, and settled before with 1010");
}

TEST_CASE("a subscription grants a message to one within its time") {
  Record record;
  const uint64_t number = record.published(10);
  record.done_by_others(number, 10, 0);
  record.granted(0, number, 10, 20, 0, 5);
  record.granted(0, number, 10, 21, 500, 505);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[0], &MessageFindings::twice,
              "subscription 0: 10 was granted with the receipts 20 and 21 within 505.0 ms");
}

TEST_CASE("each ordered subscription has the order of a group for itself") {
  Record record;
  const uint64_t first = record.published(10, 3);
  const uint64_t second = record.published(11, 3);
  for (size_t reader = 0; reader < kReaders; ++reader) {
    record.verdict.read(reader, first, id_of(10));
    record.verdict.read(reader, second, id_of(11));
  }
  record.done(0, first, 10, 20);
  record.done(1, second, 11, 21);
  record.done(0, second, 11, 22);
  record.done(1, first, 10, 23);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[1], &MessageFindings::out_of_order,
              "subscription 1: 10 of group 3 was granted behind 11");
}

TEST_CASE("what nobody published is unexpected, whoever sees it") {
  Record record;
  record.granted(1, SentMessages::kNobody, 10, 20, 0, 5);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.subscriptions[1], &MessageFindings::unexpected,
              "subscription 1: 10 was received, and nobody sent it");
  Record read;
  read.verdict.read(0, SentMessages::kNobody, id_of(10));
  const TopicFindings& found = read.judge();
  check_wrong(found, found.readers[0], &MessageFindings::unexpected,
              "reader 0: 10 was received, and nobody sent it");
}

TEST_CASE("what was certainly not published is unexpected, whichever is heard first") {
  Record record;
  const uint64_t number = record.verdict.sends().send(SentMessages::kNoGroup);
  record.done_by_others(number, 10);
  record.verdict.sends().not_sent(number);
  const TopicFindings& findings = record.judge();
  check_wrong(findings, findings.published, &MessageFindings::unexpected,
              "message 0 was received as 10, and its send refused");
}

TEST_CASE("a publish without an answer may be there or not: for all, or for none") {
  Record record;
  record.verdict.sends().send(SentMessages::kNoGroup);
  const uint64_t there = record.verdict.sends().send(SentMessages::kNoGroup);
  record.done_by_others(there, 10);
  const TopicFindings& findings = record.judge();
  CHECK_MESSAGE(findings.sound(), findings.total().examples.front());
  CHECK(findings.published.maybe_sent == 2);

  Record partly;
  partly.done_by_others(partly.verdict.sends().send(SentMessages::kNoGroup), 10, 0);
  const TopicFindings& found = partly.judge();
  check_wrong(found, found.subscriptions[0], &MessageFindings::lost,
              "subscription 0: 10 was seen by others, and nobody received it");
}

TEST_CASE("a publish without an answer that is seen after a subscription was empty may have been done then") {
  for (const bool before : {false, true}) {
    Record record;
    const uint64_t number = record.verdict.sends().send(SentMessages::kNoGroup);
    if (before) record.done(1, number, 10, 20);
    record.verdict.subscription(0).emptied(record.verdict.sends().seen_so_far());
    record.verdict.read_all(0, record.verdict.sends().seen_so_far());
    if (!before) record.done(1, number, 10, 20);
    record.verdict.judge();
    CHECK(record.verdict.findings().subscriptions[0].lost == (before ? 1 : 0));
    CHECK(record.verdict.findings().readers[0].lost == (before ? 1 : 0));
  }
}

TEST_CASE("a message has one id for all") {
  Record record;
  const uint64_t number = record.verdict.sends().send(SentMessages::kNoGroup);
  record.done_by_others(number, 10, kSubscriptions, 1);
  record.verdict.read(1, number, id_of(11));
  const TopicFindings& findings = record.judge();
  CHECK(findings.readers[1].unexpected == 1);
  CHECK(findings.readers[1].lost == 1);
  CHECK(wrong_in(findings.total()) == 2);
  CHECK(findings.total().examples.front() ==
        "reader 1: message 0 was sent once and is there twice, as 10 and as 11");
}

TEST_CASE("a reader sees each message, once and in order") {
  Record missed;
  missed.done_by_others(missed.published(10), 10);
  missed.done_by_others(missed.published(11), 11, kSubscriptions, 1);
  missed.done_by_others(missed.published(12), 12);
  const TopicFindings& findings = missed.judge();
  check_wrong(findings, findings.readers[1], &MessageFindings::lost,
              "reader 1: 11 is there, and was never read");

  Record twice;
  const uint64_t number = twice.published(10);
  twice.done_by_others(number, 10);
  twice.verdict.read(0, number, id_of(10));
  const TopicFindings& again = twice.judge();
  check_wrong(again, again.readers[0], &MessageFindings::twice, "reader 0: 10 was read twice");

  Record order;
  const uint64_t first = order.published(10);
  order.done_by_others(order.published(11), 11);
  order.done_by_others(first, 10, kSubscriptions, 1);
  CHECK(order.verdict.findings().readers[0].out_of_order == 1);
  CHECK(order.verdict.findings().readers[0].examples.front() == "10 was read behind 11");
}

}  // namespace kvd::topic_verdict_test
