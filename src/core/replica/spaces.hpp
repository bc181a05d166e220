// The spaces of the replicated state (Space, msg/record.hpp), one type each. Log, tail, snapshots, digest and disk
// treat them all alike; here is what tells one from another:
//
//   kSpace                  which one it is
//   count(item, add)        what the store counts of it beside its table: an item has come, or goes
//   free_some()             of what it has counted; false: nothing is left that takes long
//   effects_of(OP&, view)   for each operation of clients that is its own: what that leads to
//   add_effects(...)        of some: what every write brings along (WriteEvaluator::evaluate tells in which order)
//
// Nothing here is virtual: which space it is costs a comparison.
#pragma once
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

#include "core/access/access_space.hpp"
#include "core/queues/queue_spaces.hpp"
#include "core/replica/data_space.hpp"
#include "core/replica/fences.hpp"
#include "core/replica/leases.hpp"
#include "core/replica/requests.hpp"
#include "core/replica/terms.hpp"

namespace kvd {

template <class S>
concept ReplicatedSpace = requires(S space, const Record& item, bool add) {
  { S::kSpace } -> std::convertible_to<Space>;
  space.count(item, add);
  { space.free_some() } -> std::same_as<bool>;
};

template <class S, class Op>
concept Takes = requires(Op& operation, const WriteView& view) {
  { S::effects_of(operation, view) } -> std::same_as<Evaluation>;
};

using Spaces = std::tuple<DataSpace, RequestsSpace, FencesSpace, TermsSpace, LeasesSpace, QueuesSpace,
                          MessagesSpace, DeliveriesSpace, DedupSpace, AccessSpace>;  // by Space

template <class... S, size_t... I>
consteval bool each_in_its_place(std::tuple<S...>*, std::index_sequence<I...>) {
  return (ReplicatedSpace<S> && ...) && ((S::kSpace == static_cast<Space>(I)) && ...);
}
static_assert(std::tuple_size_v<Spaces> == kSpaces);
static_assert(each_in_its_place(static_cast<Spaces*>(nullptr), std::make_index_sequence<kSpaces>()));

// Calls fn(space) of that one.
template <class Fn>
void with_space(Spaces& spaces, Space which, Fn&& fn) {
  std::apply([&](auto&... space) { ((space.kSpace == which ? fn(space) : void()), ...); }, spaces);
}

}  // namespace kvd
