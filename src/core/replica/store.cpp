// See store.hpp.
#include "core/replica/store.hpp"

#include <algorithm>
#include <array>

#include "base/hash.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/table.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

uint64_t item_digest(const Record& item) {
  std::array<uint64_t, 5> numbers = {hash_bytes(item.key(), static_cast<uint64_t>(item.space())),
                                     item.value_hash(), item.created().value, item.modified().value,
                                     item.version()};
  return hash_bytes({reinterpret_cast<const char*>(numbers.data()), sizeof numbers});
}

}  // namespace

size_t item_bytes(const Record& item) {
  // The record's head (36), its place and the place's number in tree and hash (17 to 26), what the allocator adds (16).
  // It follows from the content alone: a smaller value is never one that grows the store.
  constexpr size_t kBeside = 76;
  constexpr size_t kInOrder = 64;  // of what is due, of a lease's keys, and of what became of a message
  const bool ordered = item.space() == Space::kTerms || item.space() == Space::kLeases ||
                       item.space() == Space::kDeliveries || item.space() == Space::kDedup;
  return item.key().size() + item.value().size() + kBeside + (ordered ? kInOrder : 0);
}

Store::Store() : queues_(std::make_unique<QueueViews>()) {
  for (auto& table : tables_) table = std::make_unique<Table>();
}

Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

const Record* Store::find(std::string_view key, Space space) const { return items(space).find(key); }

size_t Store::size(Space space) const { return items(space).size(); }

// What is counted beside the tables themselves.
void Store::count(const Record& item, bool add) {
  const uint64_t digest = item_digest(item);
  digest_ += add ? digest : -digest;
  const size_t bytes = item_bytes(item);
  bytes_ += add ? bytes : -bytes;
  with_space(spaces_, item.space(), [&](auto& space) { space.count(item, add); });
}

// `now`: what the table has of this key.
void Store::set(Record* now, const Record& item) {
  view(now, item);
  if (now != nullptr) count(*now, false);
  count(item, true);
  if (now != nullptr) {
    *now = item;
  } else {
    table(item).insert(item);
  }
}

void Store::view(const Record* now, const Record& effect) {
  if (!of_queues(effect.space()) || foresees_) return;
  view_queues(*queues_, now, effect, [this](std::string_view key, Space space) { return find(key, space); });
}

void Store::foresee(bool foresee) {
  foresees_ = foresee;
  queues_->note_woken(foresee);
}

void Store::view_anew() {
  queues_ = std::make_unique<QueueViews>();
  for (const Record& queue : items(Space::kQueues)) queues_->add_queue(queue);
  for (const Record& message : items(Space::kMessages))
    queues_->add(message.key(), &message, find(message.key(), Space::kDeliveries));
  for (const Record& delivery : items(Space::kDeliveries)) {  // of subscriptions
    if (find(delivery.key(), Space::kMessages) == nullptr) queues_->add(delivery.key(), nullptr, &delivery);
  }
}

bool Store::has_due() const {
  return !terms().due.empty() || !leases().due.empty() || queues_->has_due() || !dedup().due.empty() ||
         !emptied_queues().empty();
}

void Store::apply(const Entry& entry) {
  reach_clock(entry.clock);
  for (const Record& effect : entry.effects) {
    Record* now = table(effect).find(effect.key());
    // At the same revision the item came from a snapshot that has this entry already: once more gives the same.
    if (now != nullptr && now->modified() > entry.revision) continue;
    if (effect.has_value()) {
      set(now, effect);
    } else if (now != nullptr) {
      view(now, effect);
      count(*now, false);
      table(effect).erase(effect.key());
    }
  }
}

void Store::put(Record item) { set(table(item).find(item.key()), item); }

void Store::clear() { *this = Store(); }

bool Store::free_some() {
  bool more = false;
  std::apply([&](auto&... space) { ((more |= space.free_some()), ...); }, spaces_);
  for (auto& table : tables_) more |= table->free_some();
  more |= queues_->free_some();
  return more;
}

std::vector<Record> Store::items_behind(Space space, std::string_view last, size_t bytes) const {
  std::vector<Record> found;
  size_t taken = 0;
  for (auto s = static_cast<size_t>(space); s < tables_.size(); ++s) {
    const Table& all = *tables_[s];
    auto it = s == static_cast<size_t>(space) ? all.upper_bound(last) : all.begin();
    for (; it != all.end() && taken < bytes; ++it) {
      found.push_back(*it);
      taken += it->key().size() + it->value().size() + 32;
    }
  }
  return found;
}

Listing Store::list(const ListKeys& query) const {
  Listing listing;
  size_t bytes = 0;
  const Table& all = items();
  auto it = query.after < query.prefix ? all.lower_bound(query.prefix) : all.upper_bound(query.after);
  for (; it != all.end() && it->key().starts_with(query.prefix); ++it) {
    if (listing.items.size() >= std::min<size_t>(query.limit, limits::kListItemsMax) ||
        bytes > limits::kListBytes) {
      listing.more = true;
      break;
    }
    listing.items.push_back(query.keys_only ? Record(it->key(), std::string_view(), it->metadata()) : *it);
    bytes += it->key().size() + listing.items.back().value().size() + limits::kListItemBytes;
  }
  return listing;
}

}  // namespace kvd
