// Integers that cannot be mixed up: an Epoch is no Revision.
// Any layer may use them; which ones there are is in msg/types.hpp.
#pragma once
#include <compare>
#include <cstdint>
#include <functional>

namespace kvd {

template <class Tag>
struct StrongId {
  uint64_t value = 0;

  constexpr StrongId() = default;
  constexpr explicit StrongId(uint64_t raw) : value(raw) {}
  constexpr auto operator<=>(const StrongId&) const = default;
  constexpr StrongId next() const { return StrongId(value + 1); }
  constexpr StrongId previous() const { return StrongId(value - 1); }  // of 0: wraps; callers check
};

}  // namespace kvd

template <class Tag>
struct std::hash<kvd::StrongId<Tag>> {
  size_t operator()(const kvd::StrongId<Tag>& id) const noexcept { return std::hash<uint64_t>{}(id.value); }
};
