// The verdict about queues, fed with records that are right and with each that may not be: nothing is sent anywhere,
// and all times are made up.
#include "judge/queue_verdict.hpp"

#include <doctest.h>

#include <string>

namespace kvd::queue_verdict_test {
namespace {

using sim::MessageFindings;
using sim::QueueVerdict;
using sim::SentMessages;

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kTtr = 1000 * kMs;

MessageId id_of(uint64_t revision, uint16_t index = 0) { return {Revision(revision), index}; }

struct Record {
  uint64_t sent(uint64_t revision, uint32_t group = SentMessages::kNoGroup) {
    const uint64_t number = verdict.sends.send(group);
    verdict.sends.sent(number, id_of(revision));
    return number;
  }
  // Asked at and heard at, in ms.
  void granted(uint64_t number, uint64_t revision, uint64_t receipt, uint64_t asked, uint64_t heard) {
    verdict.grants.granted({number, id_of(revision), receipt, asked * kMs, heard * kMs});
  }
  void settled(uint64_t number, uint64_t receipt) {
    verdict.grants.settling(number);
    verdict.grants.settled(number, receipt);
  }
  const MessageFindings& judge() {
    verdict.grants.judge();
    return verdict.findings;
  }
  QueueVerdict verdict{kTtr};
};

// Exactly this is wrong, so often, and an example says so.
void check_wrong(Record& record, uint64_t MessageFindings::*which, uint64_t times, const std::string& said) {
  const MessageFindings findings = record.judge();
  CHECK(findings.*which == times);
  CHECK(findings.lost + findings.unexpected + findings.twice + findings.after_settled +
            findings.out_of_order + findings.stuck ==
        times);
  CHECK(!findings.sound());
  REQUIRE(findings.examples.size() == times);
  CHECK_MESSAGE(findings.examples.front().find(said) != std::string::npos, findings.examples.front());
}

void check_sound(Record& record) {
  const MessageFindings findings = record.judge();
  CHECK_MESSAGE(findings.sound(), findings.examples.front());
  CHECK(findings.examples.empty());
}

}  // namespace

TEST_CASE("what is sent, received and settled is sound, and counted") {
  Record record;
  const uint64_t first = record.sent(10);
  const uint64_t second = record.sent(11);
  record.granted(first, 10, 12, 0, 5);
  record.granted(second, 11, 13, 0, 5);
  record.settled(first, 12);
  record.settled(second, 13);
  const MessageFindings findings = record.judge();
  CHECK(findings.sound());
  CHECK(findings.acknowledged == 2);
  CHECK(findings.received == 2);
  CHECK(findings.granted_anew == 0);
  CHECK(findings.maybe_sent == 0);
}

TEST_CASE("what was acknowledged and nobody received is lost, unless it is in its queue") {
  Record record;
  record.sent(10);
  check_wrong(record, &MessageFindings::lost, 1, "10 was acknowledged as sent");
  Record left;
  left.verdict.grants.found(left.sent(10));
  check_wrong(left, &MessageFindings::stuck, 1, "nobody is granted it");
}

TEST_CASE("a send without an answer may be there, or not") {
  Record record;
  record.verdict.sends.send(SentMessages::kNoGroup);
  const uint64_t there = record.verdict.sends.send(SentMessages::kNoGroup);
  record.granted(there, 10, 12, 0, 5);
  const MessageFindings findings = record.judge();
  CHECK(findings.sound());
  CHECK(findings.maybe_sent == 2);
  CHECK(findings.received == 1);
  CHECK(findings.acknowledged == 0);
}

TEST_CASE("what nobody sent is unexpected") {
  Record record;
  record.granted(SentMessages::kNobody, 10, 12, 0, 5);
  check_wrong(record, &MessageFindings::unexpected, 1, "10 was received, and nobody sent it");
  Record beyond;
  beyond.granted(0, 10, 12, 0, 5);
  check_wrong(beyond, &MessageFindings::unexpected, 1, "nobody sent it");
  Record looked_at;
  looked_at.verdict.grants.found(SentMessages::kNobody);
  check_wrong(looked_at, &MessageFindings::unexpected, 1, "a message at the end that nobody sent");
}

TEST_CASE("what was certainly not sent is unexpected, whichever is heard first") {
  Record record;
  const uint64_t number = record.verdict.sends.send(SentMessages::kNoGroup);
  record.verdict.sends.not_sent(number);
  record.granted(number, 10, 12, 0, 5);
  check_wrong(record, &MessageFindings::unexpected, 1, "its send refused");
  Record later;
  const uint64_t received = later.verdict.sends.send(SentMessages::kNoGroup);
  later.granted(received, 10, 12, 0, 5);
  later.verdict.sends.not_sent(received);
  check_wrong(later, &MessageFindings::unexpected, 1, "its send refused");
}

TEST_CASE("one send makes one message") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 12, 0, 5);
  record.granted(number, 11, 13, 0, 5);
  check_wrong(record, &MessageFindings::unexpected, 1, "there twice, as 10 and as 11");
  Record maybe;  // it was received before its acknowledgement came
  const uint64_t early = maybe.verdict.sends.send(SentMessages::kNoGroup);
  maybe.granted(early, 10, 12, 0, 5);
  maybe.verdict.sends.sent(early, id_of(10, 1));
  check_wrong(maybe, &MessageFindings::unexpected, 1, "as 10 and as 10.1");
}

TEST_CASE("a grant holds for its time, and no longer") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 12, 100, 105);
  record.granted(number, 10, 13, 200, 1090);
  check_wrong(record, &MessageFindings::twice, 1,
              "10 was granted with the receipts 12 and 13 within 990.0 ms");
  Record over;
  const uint64_t other = over.sent(10);
  over.granted(other, 10, 12, 100, 105);
  over.granted(other, 10, 13, 200, 1100);  // it may have waited until the time was over
  CHECK(over.judge().granted_anew == 1);
}

TEST_CASE("the order of grants is that of their receipts, not that of their answers") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 13, 1000, 1500);
  record.granted(number, 10, 12, 400, 1600);
  check_sound(record);
  Record twice;
  const uint64_t other = twice.sent(10);
  twice.granted(other, 10, 13, 1000, 1300);
  twice.granted(other, 10, 12, 400, 1600);
  check_wrong(twice, &MessageFindings::twice, 1, "receipts 12 and 13 within 900.0 ms");
}

TEST_CASE("one grant has one holder, however late it is heard again") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 12, 0, 5);
  record.granted(number, 10, 12, 5000, 5005);
  check_wrong(record, &MessageFindings::twice, 1, "receipts 12 and 12");
}

TEST_CASE("what is settled is not granted again") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 12, 0, 5);
  record.settled(number, 12);
  record.granted(number, 10, 13, 5000, 5005);
  check_wrong(record, &MessageFindings::after_settled, 1, "receipt 13, and settled before with 12");
  Record later;  // and the other way round
  const uint64_t other = later.sent(10);
  later.granted(other, 10, 12, 0, 5);
  later.granted(other, 10, 13, 2000, 2005);
  later.settled(other, 12);
  check_wrong(later, &MessageFindings::after_settled, 1,
              "settled with the receipt 12, and granted anew with 13");
}

TEST_CASE("an end that was asked for without an answer may have been done, or not") {
  Record record;
  const uint64_t number = record.sent(10);
  record.granted(number, 10, 12, 0, 5);
  record.verdict.grants.settling(number);
  record.granted(number, 10, 13, 1000, 1010);
  record.settled(number, 13);
  check_sound(record);
  Record late;  // the answer of an earlier grant is heard behind the end
  const uint64_t other = late.sent(10);
  late.granted(other, 10, 13, 1000, 1010);
  late.settled(other, 13);
  late.granted(other, 10, 12, 0, 1020);
  check_sound(late);
}

TEST_CASE("the messages of a group come one after the other") {
  Record record;
  const uint64_t first = record.sent(10, 0);
  const uint64_t second = record.sent(11, 0);
  const uint64_t elsewhere = record.sent(9, 1);
  record.granted(first, 10, 12, 0, 5);
  record.granted(elsewhere, 9, 12, 0, 5);
  record.granted(first, 10, 13, 1000, 1010);
  record.verdict.grants.settling(first);
  record.granted(second, 11, 14, 1010, 1020);
  record.granted(first, 10, 12, 100, 1030);  // heard late
  const MessageFindings findings = record.judge();
  CHECK(findings.out_of_order == 0);
}

TEST_CASE("a message of a group is not granted while an earlier one is held") {
  Record record;
  const uint64_t first = record.sent(10, 7);
  const uint64_t second = record.sent(11, 7);
  record.granted(first, 10, 12, 0, 5);
  record.granted(second, 11, 13, 5000, 5005);  // that its time is over does not free the group
  check_wrong(record, &MessageFindings::out_of_order, 1, "11 of group 7 was granted before the end of 10");
  Record together;
  const uint64_t one = together.sent(10, 7);
  const uint64_t other = together.sent(11, 7);
  together.granted(one, 10, 12, 0, 5);
  together.granted(other, 11, 12, 0, 5);
  check_wrong(together, &MessageFindings::out_of_order, 1, "11 of group 7 was granted together with 10");
}

TEST_CASE("a message of a group does not come behind a later one") {
  Record record;
  const uint64_t first = record.sent(10, 0);
  const uint64_t second = record.sent(11, 0);
  record.granted(second, 11, 12, 0, 5);
  record.settled(second, 12);
  record.granted(first, 10, 13, 5, 10);
  check_wrong(record, &MessageFindings::out_of_order, 1, "10 of group 0 was granted behind 11");
  Record heard_late;
  const uint64_t early = heard_late.sent(10, 0);
  const uint64_t late = heard_late.sent(11, 0);
  heard_late.granted(early, 10, 13, 5, 10);
  heard_late.settled(early, 13);
  heard_late.granted(late, 11, 12, 0, 15);
  check_wrong(heard_late, &MessageFindings::out_of_order, 1, "11 of group 0 was granted before 10");
}

TEST_CASE("only the first examples are told, and all are counted") {
  Record record;
  for (uint64_t i = 0; i < 100; ++i) record.sent(10 + i);
  const MessageFindings findings = record.judge();
  CHECK(findings.lost == 100);
  CHECK(findings.examples.size() == 10);
}

}  // namespace kvd::queue_verdict_test
