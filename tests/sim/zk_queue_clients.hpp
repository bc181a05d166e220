// Clients of a simulated world that put entries into two queues in ZooKeeper and take them: out of a plain one, and out
// of a locking one by connections that hold and by sessions, with what they have they are done or let go of it; and the
// referee between them:
// - of a plain queue no data is told twice, and no more entries vanish than were told, or may have been taken by a call
//   whose answer nobody has heard;
// - of a locking queue each time that an entry is given has a larger fence than all that were told of before it was
//   asked for, and nobody is given it while a server that runs still lets another client's connection believe to have
//   it;
// - no entry of a locking queue vanishes that no client has said to be done, and none is there that was told as done.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class ZkQueueClients final : public ServiceClients {
 public:
  ZkQueueClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  void on_zookeeper_changed() override;
  std::string stuck() const override;

 private:
  struct Client {
    std::string session;  // empty: by connection
    int server = 0;       // of the connection
    uint64_t call = 0;
    std::string entry;  // of the locking queue, that was given; empty: none
    int64_t fence = 0;
    uint64_t entries_since = 0;  // after the faults
  };

  void on_progress_expected() override;
  void think(int client);
  void put(int client);
  void take(int client);
  void hear_taken(int client, const ServiceReply* reply);
  void hold(int client);
  void hear_line(int client, Instant asked, const ServiceReply& reply);
  void lock_by_session(int client);
  void given(int client, const ServiceAnswer& answer, Instant asked);
  void finish(int client);
  void hear_finished(const std::string& entry, const ServiceReply* reply);
  std::set<std::string> names_below(const std::string& path) const;

  std::vector<Client> clients_;
  uint64_t puts_ = 0;
  Grants grants_;  // by fence
  // Of the plain queue.
  std::set<std::string> told_;  // data
  std::set<std::string> plain_;
  size_t vanished_ = 0;
  size_t unheard_ = 0;  // calls that may have taken one
  // Of the locking one.
  std::set<std::string> entries_;
  std::set<std::string> to_be_done_;
};

}  // namespace kvd::sim
