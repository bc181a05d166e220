// See streams.hpp.
#include "core/services/streams.hpp"

namespace kvd {

Document lost_line(const std::string& why) { return Document().add("state", "lost").add("reason", why); }

Document timeout_line() { return Document().add("state", "timeout"); }

Document over_line() { return Document().add("state", "over"); }

}  // namespace kvd
