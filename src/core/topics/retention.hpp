// What a topic keeps: a log is cut at its beginning, by its bounds and by age. What a subscription has not settled, or has
// as a dead letter, is kept all the same, unless the topic says that old messages go. Pure.
#pragma once
#include <optional>

#include "core/queues/message_draft.hpp"

namespace kvd {

// The smallest id of a topic that a subscription of it still needs. None: nobody needs any.
std::optional<MessageId> kept_from(const QueueViews& queues, const QueueView& topic);
// Deletes the oldest messages that may go, until the topic is within its bounds again. False: they are not enough.
bool trim_to_bounds(MessageDraft& draft, const QueueView& topic);
// ... that are too old by the log's clock: `most` of them, and returns how many.
size_t trim_old(MessageDraft& draft, const QueueView& topic, size_t most);

}  // namespace kvd
