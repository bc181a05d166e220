// See store.hpp.
#include "core/store.hpp"

#include <algorithm>
#include <array>

#include "base/hash.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

uint64_t item_digest(std::string_view key, const Store::Value& value) {
  std::array<uint64_t, 5> numbers = {hash_bytes(key), hash_bytes(value.bytes.view()), value.created.value,
                                     value.modified.value, value.version};
  return hash_bytes({reinterpret_cast<const char*>(numbers.data()), sizeof numbers});
}

}  // namespace

Item to_item(const std::string& key, const Store::Value& value) {
  return Item{key, value.bytes, value.created, value.modified, value.version};
}

void Store::insert(const std::string& key, Value value) {
  auto [it, fresh] = values_.try_emplace(key);
  if (!fresh) {
    digest_ -= item_digest(key, it->second);
    value_bytes_ -= it->second.bytes.size();
  }
  it->second = std::move(value);
  digest_ += item_digest(key, it->second);
  value_bytes_ += it->second.bytes.size();
}

void Store::erase(Map::iterator it) {
  digest_ -= item_digest(it->first, it->second);
  value_bytes_ -= it->second.bytes.size();
  values_.erase(it);
}

void Store::apply(const Entry& entry) {
  for (const Effect& effect : entry.effects) {
    auto it = values_.find(effect.key);
    // `>` and not `>=`: a batch may touch one key twice, and applies in order.
    if (it != values_.end() && it->second.modified > entry.revision) continue;
    if (effect.value) {
      insert(effect.key, Value{*effect.value, effect.created, entry.revision, effect.version});
    } else if (it != values_.end()) {
      erase(it);
    }
  }
}

void Store::put(Item item) {
  insert(item.key, Value{std::move(item.value), item.created, item.modified, item.version});
}

void Store::clear() {
  values_.clear();
  digest_ = 0;
  value_bytes_ = 0;
}

const Store::Value* Store::find(std::string_view key) const {
  auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

Listing Store::list(const ListKeys& query) const {
  Listing listing;
  size_t bytes = 0;
  auto it = query.after < query.prefix ? values_.lower_bound(query.prefix) : values_.upper_bound(query.after);
  for (; it != values_.end() && it->first.starts_with(query.prefix); ++it) {
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
