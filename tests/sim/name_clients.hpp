// Clients of a simulated world that register names with addresses of a pool, by connections and by sessions, others
// that watch all names through each server, and the referee between them:
// - nobody is told to have a name, or an address, while a server that runs still lets another client's connection
//   believe that it has it, and a session's name is not confirmed once a later owner had been told of it;
// - in ZooKeeper no two names have the same allocated address, and each is claimed for the name that has it;
// - after the faults everybody gets a name, and once nobody changes any more each watcher's list is ZooKeeper's.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class NameClients final : public ServiceClients {
 public:
  NameClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  void on_zookeeper_changed() override;
  std::string stuck() const override;

 private:
  struct Client {
    std::string wanted;   // the name
    std::string session;  // empty: by connection
    int server = 0;       // of the connection
    uint64_t call = 0;
    std::string name;  // that it has; empty: none
    std::string address;
    int64_t version = 0;
    uint64_t names_since = 0;  // after the faults
  };
  struct Watcher {
    uint64_t version = 0;
    bool any = false;
    std::string heard;  // all names, as its server told them last
  };

  void on_progress_expected() override;
  void think(int client);
  void ask(int client);
  void hear_line(int client, Instant asked, const ServiceReply& reply);
  void register_by_session(int client);
  void register_again(int client);
  void hear_registered(int client, Instant asked, const ServiceReply* reply);
  void given(int client, const ServiceAnswer& answer, Instant asked);
  bool stays(int client) const;
  void watch(int server);
  std::string names_in_zookeeper() const;

  std::vector<Client> clients_;
  std::vector<Watcher> watchers_;  // one for each server
  Grants grants_;                  // by version
};

}  // namespace kvd::sim
