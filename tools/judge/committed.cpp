// See committed.hpp.
#include "judge/committed.hpp"

#include <fmt/format.h>

#include "msg/codec.hpp"

namespace kvd::sim {

uint64_t value_number(std::string_view value) {
  if (value.empty() || value[0] != 'v') return 0;
  uint64_t number = 0;
  for (size_t i = 1; i < value.size() && value[i] >= '0' && value[i] <= '9'; ++i) {
    number = number * 10 + static_cast<uint64_t>(value[i] - '0');
  }
  return number;
}

std::string make_value(uint64_t number, size_t bytes) {
  std::string value = fmt::format("v{}", number);
  if (value.size() < bytes) value.append(bytes - value.size(), '.');
  return value;
}

std::optional<std::string> CommittedHistory::record(const EntryPointer& entry) {
  auto found = entries_.find(entry->revision);
  if (found != entries_.end()) {
    if (found->second == entry || *found->second == *entry) return std::nullopt;
    return fmt::format(
        "revision {} is committed twice: once of epoch {} with {} effects, once of epoch {} with {}",
        entry->revision.value, found->second->epoch.value, found->second->effects.size(), entry->epoch.value,
        entry->effects.size());
  }
  if (std::optional<std::string> why = contradiction(*entry)) return why;
  entries_.emplace(entry->revision, entry);
  for (const Record& effect : entry->effects) {
    if (effect.space() == Space::kRequests) {
      if (std::optional<std::string> why = done_twice(effect, entry->revision)) return why;
      continue;
    }
    if (effect.space() == Space::kFences) {
      if (std::optional<std::string> why = not_raised(effect, entry->revision)) return why;
      continue;
    }
    if (effect.space() != Space::kData) continue;
    keys_[std::string(effect.key())][entry->revision] = &effect;
    const uint64_t number = effect.has_value() ? value_number(effect.value()) : 0;
    if (number == 0) continue;
    auto inserted = values_.emplace(number, entry->revision);
    // A write with an idempotency key that is repeated after a total loss is done again.
    if (!inserted.second && lineage_of(inserted.first->second) != lineage_of(entry->revision)) continue;
    if (!inserted.second && inserted.first->second != entry->revision) {
      return fmt::format("value v{} was written once and committed twice: at revisions {} and {}", number,
                         inserted.first->second.value, entry->revision.value);
    }
  }
  return std::nullopt;
}

std::optional<std::string> CommittedHistory::done_twice(const Record& effect, Revision revision) {
  if (!effect.has_value() || effect.key().starts_with('\0')) return std::nullopt;
  auto [found, fresh] =
      requests_.emplace(std::pair(lineage_of(revision), std::string(effect.key())), revision);
  if (fresh || found->second == revision) return std::nullopt;
  return fmt::format("the write with the idempotency key {} is done twice: at revisions {} and {}",
                     effect.key(), found->second.value, revision.value);
}

std::optional<std::string> CommittedHistory::not_raised(const Record& effect, Revision revision) {
  auto& of_resource = fences_[{lineage_of(revision), std::string(effect.key())}];
  uint64_t token = 0;
  Decoder(effect.value()).get(token);
  const auto here = of_resource.emplace(revision, token).first;
  const uint64_t before = here == of_resource.begin() ? 0 : std::prev(here)->second;
  const auto next = std::next(here);
  if (before < token && (next == of_resource.end() || token < next->second)) return std::nullopt;
  return fmt::format("the token of {} becomes {} at revision {}, and was {}", effect.key(), token,
                     revision.value, before);
}

std::vector<uint64_t> CommittedHistory::tokens(const std::string& resource, Revision at) const {
  std::vector<uint64_t> found;
  const auto of_resource = fences_.find({lineage_of(at), resource});
  if (of_resource == fences_.end()) return found;
  for (const auto& [revision, token] : of_resource->second) {
    if (revision <= at) found.push_back(token);
  }
  return found;
}

std::optional<std::string> CommittedHistory::contradiction(const Entry& entry) const {
  const Revision base = lineage_base(lineage_of(entry.revision));
  auto next = entries_.lower_bound(entry.revision);
  if (next != entries_.end() && lineage_of(next->first) == lineage_of(entry.revision) &&
      next->second->epoch < entry.epoch) {
    return fmt::format("revision {} of epoch {} comes before revision {} of epoch {}", entry.revision.value,
                       entry.epoch.value, next->first.value, next->second->epoch.value);
  }
  if (next == entries_.begin()) return std::nullopt;
  const Entry& before = *std::prev(next)->second;
  if (before.revision > base && before.epoch > entry.epoch) {
    return fmt::format("revision {} of epoch {} comes after revision {} of epoch {}", entry.revision.value,
                       entry.epoch.value, before.revision.value, before.epoch.value);
  }
  return std::nullopt;
}

const Entry* CommittedHistory::at(Revision revision) const {
  auto found = entries_.find(revision);
  return found == entries_.end() ? nullptr : found->second.get();
}

const Record* CommittedHistory::latest(const std::string& key, Revision at, Revision* modified) const {
  auto of_key = keys_.find(key);
  if (of_key == keys_.end()) return nullptr;
  auto behind = of_key->second.upper_bound(at);
  if (behind == of_key->second.begin()) return nullptr;
  --behind;
  if (lineage_of(behind->first) != lineage_of(at)) return nullptr;
  *modified = behind->first;
  return behind->second;
}

std::optional<Revision> CommittedHistory::revision_of(uint64_t number) const {
  auto found = values_.find(number);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

}  // namespace kvd::sim
