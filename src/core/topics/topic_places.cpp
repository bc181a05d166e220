// See topic_places.hpp.
#include "core/topics/topic_places.hpp"

#include <string>

#include "base/big_endian.hpp"
#include "core/queues/stored.hpp"
#include "core/replica/table.hpp"

namespace kvd {
namespace {

// The first message from this revision on. Null: there is none.
const Record* first_from(const Store& store, uint64_t topic, uint64_t revision) {
  const Table& all = store.items(Space::kMessages);
  const auto it = all.lower_bound(message_key(topic, {Revision(revision), 0}));
  return it != all.end() && message_key_of(it->key()).number == topic ? &*it : nullptr;
}

}  // namespace

// The revisions are halved again and again: their messages' times rise with them, but for the difference of two
// leaders' clocks.
MessageId published_before(const Store& store, uint64_t topic, uint64_t ms) {
  const Record* first = first_from(store, topic, 0);
  if (first == nullptr || message_of(*first).sent_ms >= ms) return {};
  uint64_t before = message_key_of(first->key()).id.revision.value;  // of one that was published before
  uint64_t behind = UINT64_MAX;                                      // none from here on was
  while (behind - before > 1) {
    const uint64_t middle = before + (behind - before) / 2;
    const Record* found = first_from(store, topic, middle);
    if (found != nullptr && message_of(*found).sent_ms < ms) {
      before = message_key_of(found->key()).id.revision.value;
    } else {
      behind = middle;
    }
  }
  return {Revision(before), limits::kKicked - 1};
}

}  // namespace kvd
