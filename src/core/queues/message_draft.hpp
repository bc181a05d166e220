// What one write makes of messages, step by step: each sees what those before it did, and each record has one effect in
// the end. With the few steps that all writes are made of. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "core/queues/queue_views.hpp"
#include "core/queues/stored.hpp"
#include "core/replica/evaluation.hpp"

namespace kvd {

class MessageDraft {
 public:
  explicit MessageDraft(const WriteView& view) : view_(view) {}

  const WriteView& view() const { return view_; }
  const QueueViews& queues() const;
  // As this write leaves it so far. Null: there is none. Valid until it is written again.
  const Record* find(const std::string& key, Space space) const;
  bool changed(const std::string& key) const;  // the message, or its delivery
  // What the delivery with this key is of: a message of the queue, or of the subscription's topic.
  const Record* message(const QueueView& queue, const std::string& key) const;
  StoredPlace place(const QueueView& view) const;  // as this write leaves it so far
  void set(Record effect);
  void erase(const std::string& key, Space space);  // if it is there
  // In the order of spaces and keys.
  std::vector<Record> take_effects();

  // Of the next message that this write makes. None: it has made as many as one may.
  std::optional<MessageId> next_id();
  // A new message of the queue with this number.
  void put(uint64_t number, const MessageId& id, const StoredMessage& message);
  struct Sum {
    uint64_t messages = 0;
    uint64_t bytes = 0;  // of bodies
  };
  // What the queue has once this write is done. `before`: its view; null: this write makes it.
  Sum sum_of(uint64_t number, const QueueView* before) const;
  bool may_make_queue() { return !std::exchange(made_queue_, true); }  // which bears this write's revision
  // This write gives one of a group more time whose time was over. So none of the group is to be granted, though the
  // views, which this write has not changed yet, show one.
  void hold_up(const QueueView& queue, std::string_view group);
  bool is_held_up(const QueueView& queue, std::string_view group) const;
  // Its bodies are as many bytes as one write may hold: what else is dead stays where it is.
  bool full() const { return bytes_ > limits::kWriteBytes; }
  uint64_t bytes() const { return bytes_; }  // of these bodies

  // The message is dead: it goes where the queue says, or stays, for this reason.
  void bury(const QueueView& queue, const std::string& key, std::string reason);
  // It goes to another queue, as new. False: it is the same queue, or there is no room for it, there or in this write.
  bool move(const QueueView& from, const QueueView& to, const std::string& key, const StoredMessage& as);
  void forget(const std::string& key);  // it is deleted, if it is there
  // Nobody of the queue or subscription needs it any more.
  void settled(const QueueView& queue, const std::string& key);
  void set_place(const QueueView& view, const StoredPlace& place);
  // Of the next message of the topic with this number; `before`: its view; null: this write makes it.
  uint64_t next_ordinal(uint64_t number, const QueueView* before);
  // It is deleted to make room, `place` by place of those that are ready. False: this write has deleted as many as one
  // may.
  bool discard(uint64_t number, const ReadyPlace& place);
  // Its place moves behind all that are settled, or dead, one after the other: of the settled ones nothing is kept. Not
  // before it was told of what the topic does not keep any more.
  void move_on(const QueueView& subscription);
  // So many records more may be deleted to make room.
  bool may_discard(size_t records);
  // The last one of a queue that was. Null: none.
  const ReadyPlace* discarded_last(uint64_t number) const;

 private:
  const WriteView& view_;
  std::map<std::pair<Space, std::string>, Record> effects_;
  std::map<uint64_t, Sum> changes_;        // of the sums, modulo 2^64, by number
  std::map<uint64_t, uint64_t> ordinals_;  // of the last message of each topic
  size_t made_ = 0;                        // messages
  bool made_queue_ = false;
  std::set<std::pair<uint64_t, std::string>> held_up_;  // by number
  size_t discarded_ = 0;
  std::map<uint64_t, ReadyPlace> discarded_last_;  // by number
  size_t bytes_ = 0;
};

Settled::One settle(MessageDraft& draft, const QueueView& queue, const Settling& settling);
// To a queue that is made where there is none. Why a message cannot be sent, else its id, or that of the one before it.
Result<OpSent, Failed> send(MessageDraft& draft, const std::string& queue, const NewMessage& message);
// The same to a topic.
Result<OpSent, Failed> publish(MessageDraft& draft, const std::string& topic, const NewMessage& message);
// By this receipt the message may be settled. Of a queue, or of a subscription.
bool is_granted(const WriteView& view, const QueueView& queue, const MessageId& id, uint64_t receipt);
QueuedMessage message_for_client(const MessageId& id, const Record& message, const StoredDelivery& delivery,
                                 uint64_t clock);
// Another message, or so many bytes more, is more than the queue may have.
bool beyond_bounds(const QueueConfig& config, uint64_t messages, uint64_t bytes);

}  // namespace kvd
