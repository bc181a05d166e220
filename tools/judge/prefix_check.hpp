// Any copy, old or new, shows a prefix of the one history, and an answer names how far it goes. What clients
// read is held here against what they know to have been acknowledged. Pure: it looks at a record and at
// nothing else.
#pragma once
#include <string>
#include <vector>

#include "judge/history.hpp"

namespace kvd::testing {

// The key of a PutKey, DeleteKey, ReadKey or AddNumber; no other operation may come in here.
const std::string& key_of(const StoreCall& request);
// For people: "PUT k by client 1 at server 2".
std::string describe(const sim::ClientOperation& operation);

// An explanation when a read, local or linear, does not show all that was acknowledged up to the revision
// that it names, shows less than the revision it asked for (so that a client missed its own write), or shows
// what nobody wrote; empty: there is none.
std::string prefix_violation(const std::vector<sim::ClientOperation>& operations);

}  // namespace kvd::testing
