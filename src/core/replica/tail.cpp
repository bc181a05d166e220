// See tail.hpp.
#include "core/replica/tail.hpp"

#include "core/replica/log.hpp"
#include "core/replica/table.hpp"

namespace kvd {

Tail::Tail() {
  for (auto& index : newest_) index = std::make_unique<Index>();
}

Tail::~Tail() = default;

const Record* Tail::find(std::string_view key, Space space) const { return effects(space).find(key); }

void Tail::note(const Entry& entry) {
  bytes_ += entry_bytes(entry);
  keys_ += entry.effects.size();
  for (const Record& effect : entry.effects) {
    Index& newest = *newest_[static_cast<size_t>(effect.space())];
    if (Record* now = newest.find(effect.key())) {
      *now = effect;
    } else {
      newest.insert(effect);
    }
  }
}

void Tail::drop(const Entry& entry) {
  bytes_ -= entry_bytes(entry);
  keys_ -= entry.effects.size();
  for (const Record& effect : entry.effects) {
    Index& newest = *newest_[static_cast<size_t>(effect.space())];
    const Record* now = newest.find(effect.key());
    if (now != nullptr && now->modified() == entry.revision) newest.erase(effect.key());
  }
}

}  // namespace kvd
