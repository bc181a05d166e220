// What a leader does with messages by itself, a little in each entry: those whose last delivery was not settled in
// time, and those that are too old, die; names of sends whose window is over are forgotten; what was in a queue that
// was deleted, or emptied, is deleted. (That a grant or a delay has ended is written nowhere: queue_views.hpp.) Pure.
#pragma once
#include <vector>

#include "core/replica/evaluation.hpp"

namespace kvd {

// As effects of the next entry, limits::kSwept at most, or little more.
void add_swept(const WriteView& view, std::vector<Record>& effects);

}  // namespace kvd
