// Clients of a simulated world that borrow unique ids of two pools, one too small for them and one whose numbers rest
// as long as is usual, by connections that hold and by sessions; and the referee between them:
// - of one number each grant has a larger fence than all that were told of before it was asked for, and no number of a
//   session is confirmed once a newer grant of it had been told of;
// - nobody is granted a number while a server that runs still lets another client's connection believe to hold it;
// - in ZooKeeper no number is lent before it has rested for as long as its last claim wanted;
// - nobody is told that all are lent or rest while one was free all along.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class IdClients final : public ServiceClients {
 public:
  IdClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  void on_zookeeper_changed() override;
  std::string stuck() const override;

 private:
  struct Client {
    std::string pool;
    std::string session;  // empty: by connection
    int server = 0;       // of the connection
    uint64_t call = 0;
    std::string number;  // "POOL/N" that was granted; empty: none
    int64_t fence = 0;
    uint64_t grants_since = 0;  // after the faults
  };
  struct Lent {  // a number, as ZooKeeper has it
    bool held = false;
    int64_t ended_ms = 0;
    int64_t rest_ms = 0;
  };

  void on_progress_expected() override;
  void think(int client);
  void ask(int client);
  void ask_by_session(int client, const std::string& query);
  void hear_line(int client, Instant asked, const ServiceReply& reply);
  void confirm(int client);
  void hear_confirmed(int client, Instant asked, const ServiceReply* reply);

  void granted(int client, const ServiceAnswer& answer, Instant asked);
  void refused(const Client& client, const ServiceAnswer& answer, Instant asked);

  std::vector<Client> clients_;
  Grants grants_;                     // by fence
  std::map<std::string, Lent> lent_;  // by "POOL/N"
  ZkTree claims_;                     // all that stands below /kvd/ids, and who holds
};

}  // namespace kvd::sim
