// See tail.hpp.
#include "core/replica/tail.hpp"

#include "core/replica/log.hpp"
#include "core/replica/table.hpp"
#include "core/replica/terms.hpp"

namespace kvd {

Tail::Tail() {
  for (auto& index : newest_) index = std::make_unique<Index>();
}

Tail::~Tail() = default;

const Record* Tail::find(std::string_view key, Space space) const { return effects(space).find(key); }

void Tail::note(const Entry& entry) {
  bytes_ += entry_bytes(entry);
  keys_ += entry.effects.size();
}

void Tail::note(const Record& effect) {
  Index& newest = *newest_[static_cast<size_t>(effect.space())];
  count(effect, true);
  if (Record* now = newest.find(effect.key())) {
    count(*now, false);
    *now = effect;
  } else {
    newest.insert(effect);
  }
}

void Tail::drop(const Entry& entry) {
  bytes_ -= entry_bytes(entry);
  keys_ -= entry.effects.size();
  for (const Record& effect : entry.effects) {
    Index& newest = *newest_[static_cast<size_t>(effect.space())];
    const Record* now = newest.find(effect.key());
    if (now == nullptr || now->modified() != entry.revision) continue;
    count(*now, false);
    newest.erase(effect.key());
  }
}

size_t Tail::attached(uint64_t lease) const {
  const auto it = attached_.find(lease);
  return it == attached_.end() ? 0 : it->second;
}

void Tail::count(const Record& effect, bool add) {
  if (effect.space() != Space::kTerms) return;
  const std::optional<StoredTerm> term = term_of(&effect);
  if (!term || term->lease == 0) return;
  size_t& keys = attached_[term->lease];
  keys += add ? 1 : -1;
  if (keys == 0) attached_.erase(term->lease);
}

}  // namespace kvd
