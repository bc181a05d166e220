// The topics of a backup, their messages and subscriptions: what BackupRestore (backup_restore.hpp) writes of them
// into a cluster behind all else, one operation at a time, since each is behind the one before it. A topic is made
// without bounds, gets its messages batch by batch in their order, under new ids and with what is left of their ages,
// and then its configuration. A subscription is made in between, behind what it had settled from the beginning on, so
// that it needs all that follows from the first moment on: what was in flight, waited, was dead in it, or was settled
// out of order, is granted again. To replace what is there, all topics that are there are deleted before. Operations
// out, answers in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/queues/stored.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "msg/client.hpp"

namespace kvd {

class TopicRestore {
 public:
  explicit TopicRestore(const Store& backup);  // which outlives this

  // Deletes a topic that is there. Nothing: an answer has to come first, or there is none left.
  std::optional<Operation> next_clearing();
  bool cleared() const { return !busy_ && doomed_.empty() && !more_pages_; }
  // Nothing: an answer has to come first, or all is written.
  std::optional<Operation> next();
  bool ended() const { return !busy_ && at_ == topics_.size(); }
  // That one of these is done.
  void done(const Answer& answer);

  uint64_t topics() const { return topics_.size(); }  // of the backup
  uint64_t messages() const { return messages_; }     // in them
  uint64_t written() const { return written_; }       // messages, for certain

 private:
  struct Subscription {
    std::string name;
    SubscriptionConfig config;
    MessageId place;  // in the backup
  };
  struct Topic {
    std::string name;
    StoredTopic stored;
    std::vector<Subscription> subscriptions;  // by place
  };
  enum class Step : uint8_t { kMake, kWrite, kConfigure };

  void take_listing(const TopicList& list);
  void begin_topic();
  bool has_more() const;
  bool subscription_due() const;
  PublishMessages next_messages();
  void go_on();

  const Store& backup_;
  std::vector<Topic> topics_;
  uint64_t messages_ = 0;
  ListTopics page_;         // of the topics that are there; the next one
  bool more_pages_ = true;  // that, or it was asked for
  std::vector<std::string> doomed_;
  bool busy_ = false;  // an operation is under way
  size_t at_ = 0;      // of topics_: which one is written
  Step step_ = Step::kMake;
  size_t subscription_ = 0;  // of it, the next one
  Table::Iterator next_;     // its next message
  uint64_t written_ = 0;
};

}  // namespace kvd
