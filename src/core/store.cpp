// See store.hpp.
#include "core/store.hpp"

#include <algorithm>
#include <array>

#include "base/hash.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

uint64_t item_digest(Space space, std::string_view key, const Store::Value& value) {
  std::array<uint64_t, 5> numbers = {hash_bytes(key, static_cast<uint64_t>(space)),
                                     hash_bytes(value.bytes.view()), value.created.value,
                                     value.modified.value, value.version};
  return hash_bytes({reinterpret_cast<const char*>(numbers.data()), sizeof numbers});
}

}  // namespace

size_t item_bytes(std::string_view key, size_t value_bytes) {
  constexpr size_t kBeside = 192;  // the map's node, the counted string, what the allocator rounds up
  return key.size() + value_bytes + kBeside;
}

Item to_item(const std::string& key, const Store::Value& value, Space space) {
  return Item{key, value.bytes, value.created, value.modified, value.version, space};
}

// What is counted beside the maps themselves.
void Store::index(Space space, const std::string& key, const Value& value, bool add) {
  uint64_t digest = item_digest(space, key, value);
  digest_ += add ? digest : -digest;
  size_t bytes = item_bytes(key, value.bytes.size());
  bytes_ += add ? bytes : -bytes;
  if (space == Space::kData) {
    value_bytes_ += add ? value.bytes.size() : -value.bytes.size();
  } else if (!key.starts_with('\0')) {
    if (add) {
      requests_by_age_[value.modified] = key;
    } else {
      requests_by_age_.erase(value.modified);
    }
  }
}

void Store::insert(Space space, const std::string& key, Value value) {
  auto [it, fresh] = maps_[static_cast<size_t>(space)].try_emplace(key);
  if (!fresh) index(space, key, it->second, false);
  it->second = std::move(value);
  index(space, key, it->second, true);
}

void Store::erase(Space space, Map::iterator it) {
  index(space, it->first, it->second, false);
  maps_[static_cast<size_t>(space)].erase(it);
}

void Store::apply(const Entry& entry) {
  for (const Effect& effect : entry.effects) {
    Map& map = maps_[static_cast<size_t>(effect.space)];
    auto it = map.find(effect.key);
    // At the same revision the item came from a snapshot that has this entry already: once more gives the same.
    if (it != map.end() && it->second.modified > entry.revision) continue;
    if (effect.value) {
      insert(effect.space, effect.key, Value{*effect.value, effect.created, entry.revision, effect.version});
    } else if (it != map.end()) {
      erase(effect.space, it);
    }
  }
}

void Store::put(Item item) {
  insert(item.space, item.key, Value{std::move(item.value), item.created, item.modified, item.version});
}

void Store::clear() { *this = Store(); }

const Store::Value* Store::find(std::string_view key, Space space) const {
  const Map& map = values(space);
  auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

std::vector<Item> Store::items_behind(Space space, const std::string& last, size_t bytes) const {
  std::vector<Item> items;
  size_t taken = 0;
  for (auto s = static_cast<size_t>(space); s < maps_.size(); ++s) {
    auto it = s == static_cast<size_t>(space) ? maps_[s].upper_bound(last) : maps_[s].begin();
    for (; it != maps_[s].end() && taken < bytes; ++it) {
      items.push_back(to_item(it->first, it->second, static_cast<Space>(s)));
      taken += it->first.size() + it->second.bytes.size() + 32;
    }
  }
  return items;
}

Listing Store::list(const ListKeys& query) const {
  Listing listing;
  size_t bytes = 0;
  const Map& all = values();
  auto it = query.after < query.prefix ? all.lower_bound(query.prefix) : all.upper_bound(query.after);
  for (; it != all.end() && it->first.starts_with(query.prefix); ++it) {
    if (listing.items.size() >= std::min<size_t>(query.limit, limits::kListItemsMax) ||
        bytes > limits::kListBytes) {
      listing.more = true;
      break;
    }
    Item item = to_item(it->first, it->second);
    if (query.keys_only) item.value = Bytes();
    bytes += item.key.size() + item.value.size();
    listing.items.push_back(std::move(item));
  }
  return listing;
}

}  // namespace kvd
