// What a topic keeps: a log is cut at its beginning, by its bounds and by age. What a subscription has not settled, or
// has as a dead letter, is kept all the same, unless the topic says that old messages go. And what goes as a whole.
// Pure.
#pragma once
#include <optional>

#include "core/queues/message_draft.hpp"

namespace kvd {

// The smallest id of a topic that a subscription of it still needs. None: nobody needs any.
std::optional<MessageId> kept_from(const QueueViews& queues, const QueueView& topic);
// Deletes the oldest messages that may go, until the topic is within its bounds again. False: they are not enough.
bool trim_to_bounds(MessageDraft& draft, const QueueView& topic);
// ... that are too old by the log's clock: about `most` records, and returns how many.
size_t trim_old(MessageDraft& draft, const QueueView& topic, size_t most);
// With what became of its messages, bit by bit (core/queues/sweep.hpp).
void delete_subscription(MessageDraft& draft, const QueueView& subscription);
// What bears the number of a topic or a subscription is to be deleted; `names`: and the dedup names of a topic.
void give_up(MessageDraft& draft, uint64_t number, bool names);

}  // namespace kvd
