// Beside the standard library what all of the core includes, and all that looks into it.
// See standard.hpp for what that is for.
#include "core/outbox.hpp"
#include "pch/standard.hpp"
