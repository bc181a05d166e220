// See call.hpp.
#include "msg/call.hpp"

#include <utility>

namespace kvd {

Reply refusal(const Call& call, ErrorCode code, std::string why) {
  if (std::holds_alternative<ServiceCall>(call.what)) {
    const ServiceStatus status = code == ErrorCode::kUnauthenticated ? ServiceStatus::kUnauthenticated
                                 : code == ErrorCode::kForbidden     ? ServiceStatus::kForbidden
                                                                     : ServiceStatus::kUnavailable;
    return {call.id, ServiceAnswer{status, std::move(why)}, false, true};
  }
  Failed failed{code, Outcome::kNotApplied, std::move(why)};
  return {call.id, StoreAnswer{std::move(failed), Epoch(), Revision(), std::nullopt}, false, true};
}

}  // namespace kvd
