// See sweep.hpp.
#include "core/queues/sweep.hpp"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/big_endian.hpp"
#include "core/queues/message_draft.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/store.hpp"
#include "core/replica/table.hpp"
#include "core/topics/retention.hpp"

namespace kvd {
namespace {

// So many more may be written.
using Budget = size_t;

void bury_dying(MessageDraft& draft, const QueueView& queue, Budget& left) {
  for (auto it = queue.dying.begin(); it != queue.dying.end() && left > 0 && !draft.full(); ++it) {
    const std::string key = message_key(queue.number, it->id);
    if (draft.changed(key)) continue;  // it has gone with what its topic has cut off
    draft.bury(queue, key, "not settled in time");
    --left;
  }
}

// Who has one that has become too old may still settle it: it is not among these.
void end_old(MessageDraft& draft, const QueueView& queue, Budget& left) {
  const uint64_t clock = draft.view().clock;
  for (auto it = queue.ages.begin();
       it != queue.ages.end() && it->first <= clock && left > 0 && !draft.full(); ++it) {
    const std::string key = message_key(queue.number, it->second);
    if (draft.changed(key)) continue;
    if (queue.config.discard_old) {
      draft.forget(key);
    } else {
      draft.bury(queue, key, "too old");
    }
    --left;
  }
}

// Nobody has asked for it for so long.
void end_unused(MessageDraft& draft, const QueueView& subscription, Budget& left) {
  const bool is_used = draft.view().clock < subscription.unused_from(draft.place(subscription).used_ms);
  if (subscription.expires_ms == 0 || is_used || left == 0) return;
  delete_subscription(draft, subscription);
  --left;
}

void forget_names(MessageDraft& draft, Budget& left) {
  const WriteView& view = draft.view();
  const DueItems& due = view.store.dedup().due;
  for (auto it = due.begin(); it != due.end() && it->deadline <= view.clock && left > 0; ++it) {
    const std::string key(it->item.key());
    const std::optional<StoredName> now = dedup_of(view.latest(key, Space::kDedup));
    if (!now || now->deadline > view.clock) continue;
    draft.erase(key, Space::kDedup);
    --left;
  }
}

// Of one space, what begins with the number. False: there was more.
bool empty_space(MessageDraft& draft, Space space, const std::string& number, Budget& left) {
  const Table& items = draft.view().store.items(space);
  for (auto it = items.lower_bound(number); it != items.end() && it->key().starts_with(number); ++it) {
    const std::string key(it->key());
    if (draft.view().latest(key, space) == nullptr) continue;
    if (left == 0) return false;
    draft.erase(key, space);
    --left;
  }
  return true;
}

// What bears the number was all written before the queue gave it up. So once its last record is committed as gone,
// nothing of it is left.
void empty(MessageDraft& draft, uint64_t number, Budget& left) {
  std::string first;
  append_big_endian(first, number);
  const WriteView& view = draft.view();
  const Record* emptied = view.latest(emptied_key(number), Space::kQueues);
  if (emptied == nullptr) return;
  const bool names = empties_names(*emptied);
  const Budget before = left;
  const bool all = empty_space(draft, Space::kMessages, first, left) &&
                   empty_space(draft, Space::kDeliveries, first, left) &&
                   (!names || empty_space(draft, Space::kDedup, first, left));
  if (!all || left != before) return;
  draft.erase(emptied_key(number), Space::kQueues);
  --left;
}

}  // namespace

void add_swept(const WriteView& view, std::vector<Record>& effects) {
  MessageDraft draft(view);
  Budget left = limits::kSwept;
  for (const uint64_t number : view.store.queues().work()) {
    const QueueView& queue = view.store.queues().view(number);
    bury_dying(draft, queue, left);
    if (queue.kind == QueueView::Kind::kQueue) end_old(draft, queue, left);
    if (queue.kind == QueueView::Kind::kTopic) left -= trim_old(draft, queue, left);
    if (queue.is_subscription()) end_unused(draft, queue, left);
    if (left == 0 || draft.full()) break;
  }
  forget_names(draft, left);
  for (const uint64_t number : view.store.emptied_queues()) {
    if (left == 0) break;
    empty(draft, number, left);
  }
  std::vector<Record> swept = draft.take_effects();
  std::move(swept.begin(), swept.end(), std::back_inserter(effects));
}

}  // namespace kvd
