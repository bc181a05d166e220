// See service_clients.hpp.
#include "service_clients.hpp"

#include "lock_clients.hpp"

namespace kvd::sim {

std::vector<std::unique_ptr<ServiceClients>> make_service_clients(SimContext& context, ServiceCalls& calls) {
  std::vector<std::unique_ptr<ServiceClients>> all;
  if (context.options.locks != 0) all.push_back(std::make_unique<LockClients>(context, calls));
  return all;
}

}  // namespace kvd::sim
