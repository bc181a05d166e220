// Clients of a simulated world that leave tasks and look what has become of them, and workers, by connections and by
// sessions, that fetch tasks and do them at their own speed, or die over them; and the referee between them:
// - each attempt, which its fence names, is given to one worker, later attempts have larger fences, and the data is
//   what the client left;
// - of a task one attempt's result is accepted, and none that is given once a later attempt was known to be under way;
// - what is told of a task that is over is what a worker gave for its last attempt, or that no attempt was left;
// - after the faults every task that was accepted is over.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "service_clients.hpp"

namespace kvd::sim {

class TaskClients final : public ServiceClients {
 public:
  TaskClients(SimContext& context, ServiceCalls& calls);

  void start() override;
  std::string stuck() const override;

 private:
  struct Attempt {
    int worker = 0;
    int64_t number = 0;
    Instant given{};     // to the worker
    std::string result;  // that was sent; empty: none yet
    bool accepted = false;
  };
  struct Task {
    std::string data;  // empty: whoever left it was not told of it
    int64_t retries = 0;
    std::map<int64_t, Attempt> attempts;  // by fence
  };
  struct Leaver {
    uint64_t left_since = 0;  // tasks after the faults
  };
  struct Worker {
    uint64_t life = 0;    // counts its enrolments
    std::string session;  // empty: by connection
    int server = 0;       // of the connection
    uint64_t call = 0;
    std::string task;  // that it works on
    int64_t fence = 0;
  };

  void on_progress_expected() override;
  // ---- who leaves tasks ----
  void think(int leaver);
  void leave(int leaver);
  void look(int leaver);
  void told(const std::string& id, const ServiceAnswer& answer);
  // ---- workers ----
  void rest(int worker);
  void enroll(int worker);
  void enrolled(int worker);
  void ask_for_next(int worker, uint64_t life);
  void hear_next(int worker, const ServiceReply* reply);
  void work(int worker, const ServiceAnswer& answer);
  void give_result(int worker, uint64_t life);
  void accepted(const std::string& id, int64_t fence, Instant sent);
  void hang_up(int worker);

  std::vector<Leaver> leavers_;
  std::vector<Worker> workers_;
  std::map<std::string, Task> tasks_;  // all that was heard of
  std::set<std::string> open_;         // were accepted, and nobody was told that they are over
  uint64_t left_ = 0;
};

}  // namespace kvd::sim
