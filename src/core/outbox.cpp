// See outbox.hpp.
#include "core/outbox.hpp"

namespace kvd {

void Outbox::log(LogLevel level, std::string message,
                 std::vector<std::pair<std::string, std::string>> fields) {
  emit(LogLine{level, std::move(message), std::move(fields)});
}

template class AppendBuffer<LinksMessage>;
template class AppendBuffer<RegisterKeeperMessage>;
template class AppendBuffer<ElectionMessage>;
template class AppendBuffer<ReplicaMessage>;
template class AppendBuffer<KvRouterMessage>;
template class AppendBuffer<WatchMessage>;
template class AppendBuffer<LeaseKeeperMessage>;
template class AppendBuffer<ServiceRouterMessage>;
template class AppendBuffer<SessionsMessage>;
template class AppendBuffer<ServiceMessage>;
template class AppendBuffer<NodeEffect>;

}  // namespace kvd
