// The views that a server has of its queues, held against those that its records lead to: its store's, and while it
// leads, those of its log's end over them. Knows of the views how they are fed, and nothing else.
#pragma once
#include <string>

#include "core/node.hpp"

namespace kvd::sim {

// Empty, or how they differ.
std::string judge_views(const Node& node);

}  // namespace kvd::sim
