// What operations on several keys may lead to, and whether they may have been answered as they were: a model of the
// store that shares nothing with the servers' own. For who judges histories (serializable). Pure.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "msg/client.hpp"

namespace kvd::sim {

// The revision of a write whose answer nobody got is only known to lie somewhere.
struct ModelPlace {
  uint64_t least = 0;
  uint64_t most = 0;
};
struct ModelItem {
  std::string value;
  ModelPlace revision;
  uint64_t version = 1;
};
using ModelStore = std::map<std::string, ModelItem>;

// The stores that `operation` at `place` may make of `store`, with this answer; none: it cannot have been done there.
// Null: what it was answered is not known, and only what changes something counts. Reads leave the store as it is.
std::vector<ModelStore> outcomes(const ModelStore& store, const Operation& operation, const Answer* answer,
                                 ModelPlace place);

// Whether a write that was answered so has made an entry of its revision (which may be one of a token alone).
bool changes_keys(const Operation& operation, const Answer& answer);

}  // namespace kvd::sim
