// The views that a server has of its queues, held against those that its records lead to: what nobody replicates must
// follow from what everybody has.
#pragma once
#include <string>

#include "core/node.hpp"

namespace kvd::sim {

// Empty, or how they differ.
std::string judge_views(const Node& node);

}  // namespace kvd::sim
