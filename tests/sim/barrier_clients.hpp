// Clients of a simulated world that meet at double barriers, by connections and by sessions, one that raises and lowers
// a single barrier and others that wait at it, and the referee between them, who sees in ZooKeeper who is in:
// - who is told that a double barrier is released was in together with as many as it wants;
// - who is told to have left was the last of those with whom it was in;
// - who is told that a single barrier is down was not looking at one that had been up, for its server, since before it
//   asked;
// - after the faults everybody gets through.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class BarrierClients final : public ServiceClients {
 public:
  BarrierClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  void on_zookeeper_changed() override;
  std::string stuck() const override;

 private:
  struct Member {
    std::string session;
    uint64_t call = 0;
    std::string name;            // its znode's, once it was released
    uint64_t through_since = 0;  // after the faults
  };
  struct Barrier {
    size_t size = 0;
    std::map<std::string, std::set<std::string>> complete;  // who was in when it was, and with whom at first
  };

  void on_progress_expected() override;
  std::string barrier_of(int member) const;
  void think(int member);
  void enter(int member);
  void hear_line(int member, const ServiceReply& reply);
  void enter_by_session(int member);
  void released(int member, const ServiceAnswer& answer);
  void leave(int member);
  void hear_left(int member, const ServiceReply* reply);
  void raise();
  void lower();
  void wait(int waiter);

  std::vector<Member> members_;
  std::map<std::string, Barrier> barriers_;  // double ones, by path
  std::vector<uint64_t> passes_since_;       // at the single one, by who waits
};

}  // namespace kvd::sim
