// Whether a topic kept its word, by what its clients were told: all that was published is there once for all, each
// subscription gets each message, as one of a queue is got (grants.hpp), and each reader sees all of them once and in
// the order of their ids. A publish without an answer may have been done or not; but if anybody saw its message, all
// have to.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "judge/grants.hpp"
#include "judge/sent_messages.hpp"

namespace kvd::sim {

struct TopicFindings {
  MessageFindings published;                   // what publishers alone know
  std::vector<MessageFindings> subscriptions;  // the others of each: what it received
  std::vector<MessageFindings> readers;        // likewise

  bool sound() const { return total().sound(); }
  MessageFindings total() const;  // with examples of all, the first ten, which say whose they are
};

class TopicVerdict {
 public:
  // `ttr_ns`: for how long each grant holds.
  TopicVerdict(size_t subscriptions, size_t readers, uint64_t ttr_ns);
  TopicVerdict(const TopicVerdict&) = delete;
  TopicVerdict& operator=(const TopicVerdict&) = delete;

  SentMessages& sends() { return sends_; }
  Grants& subscription(size_t index) { return grants_[index]; }
  // A reader was told so, behind all that it was told before. `number`: as the body tells.
  void read(size_t reader, uint64_t number, const MessageId& id);
  // It was told all, asked for when so many had been seen (sends().seen_so_far()).
  void read_all(size_t reader, uint64_t seen) { readers_[reader].seen_before = seen; }

  // So far, without what is lost.
  const TopicFindings& findings() const { return findings_; }
  // Counts that, too; once, at the end.
  void judge();

 private:
  struct Reader {
    MessageId last;
    std::vector<bool> seen;  // by number
    uint64_t seen_before = 0;
  };

  TopicFindings findings_;
  SentMessages sends_{findings_.published};
  std::deque<Grants> grants_;
  std::vector<Reader> readers_;
};

}  // namespace kvd::sim
