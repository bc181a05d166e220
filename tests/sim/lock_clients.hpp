// Clients of a simulated world that contend for locks by connections that hold (POST locks/..?hold=1), and the referee
// between them: of one lock each grant has a larger fence than all before it, and nobody is granted it while a server
// that runs still lets another client believe that it holds it. (A server that stands still is excused: that is what
// fences are for.)
#pragma once
#include <map>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class LockClients final : public ServiceClients {
 public:
  LockClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  std::string stuck() const override;

 private:
  struct Client {
    std::string path;
    int server = 0;
    uint64_t call = 0;  // the last one
    bool held = false;
    uint64_t grants_since = 0;  // after the faults
  };

  void on_progress_expected() override;
  void think(int client);
  void ask(int client);
  void hear(int client, const ServiceReply* reply);
  void granted(int client, int64_t fence);

  std::vector<Client> clients_;
  std::map<std::string, int64_t> fences_;  // the largest by lock
};

}  // namespace kvd::sim
