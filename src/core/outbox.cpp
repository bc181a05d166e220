// See outbox.hpp.
#include "core/outbox.hpp"

namespace kvd {

void Outbox::log(LogLevel level, std::string message,
                 std::vector<std::pair<std::string, std::string>> fields) {
  emit(LogLine{level, std::move(message), std::move(fields)});
}

template class AppendBuffer<LinksMessage>;
template class AppendBuffer<MembershipMessage>;
template class AppendBuffer<ElectionMessage>;
template class AppendBuffer<ReplicaMessage>;
template class AppendBuffer<FrontMessage>;
template class AppendBuffer<DeskMessage>;
template class AppendBuffer<SessionsMessage>;
template class AppendBuffer<ServiceMessage>;
template class AppendBuffer<NodeEffect>;

}  // namespace kvd
