// A ZooKeeper and some kvd servers as real processes, for tests that kill, freeze and restart them. Each test
// has its own, in a temporary directory that is kept, and its path printed, when the test fails. Main thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rig/kvd_server.hpp"
#include "rig/zookeeper_server.hpp"

namespace kvd::testing {

inline constexpr Duration kDeadline = seconds(60);  // generous: it decides only how late a failure is noticed

// One plain sentence about what the test does or sees, on standard output.
void say(const std::string& sentence);

class Cluster {
 public:
  struct Options {
    int servers = 3;
    int zookeepers = 1;
    std::vector<std::string> flags = {"--expect", "3", "--min-in-sync", "2"};
    bool durable = false;       // each server has a directory of its own, data_directory()
    std::vector<Place> places;  // of the servers; those beyond are on loopback
    Place zookeeper_place;
  };
  // ZooKeeper serves when this returns; no kvd has been started.
  explicit Cluster(const Options& options);
  Cluster() : Cluster(Options()) {}
  ~Cluster();  // ends everything; what a failed test leaves behind stays in directory()
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  ZookeeperEnsemble& zookeeper() { return zookeeper_; }
  KvdServer& server(size_t index) { return *servers_.at(index); }
  const std::vector<std::unique_ptr<KvdServer>>& servers() const { return servers_; }
  KvdServer& add_server(std::vector<std::string> flags);  // not started
  std::vector<KvdServer*> serving();                      // those that are meant to run and are not frozen
  std::vector<Address> addresses() const;                 // of all, for clients
  const std::string& directory() const { return directory_; }
  std::string data_directory(size_t index) const;

  void start_all();  // and waits until all are in sync

  // Polls until it holds. Fails the test when `limit` passes, or at once when a server ended by itself, and
  // then says what was waited for and what each server said last.
  void wait_until(const std::string& what, const std::function<bool()>& holds, Duration limit = kDeadline);

  // Lets time pass, as part of what is tried. Fails like wait_until() when a server ends by itself.
  void wait_for(Duration span);

  // Names a server that is meant to run and does not; empty: there is none.
  std::string ended_by_itself();

  // The server that all serving servers name as their leader, and that says so itself; null: they do not
  // agree.
  KvdServer* leader();
  KvdServer& wait_for_leader();
  // Every serving server is ready and complete, and the in-sync set is exactly these.
  bool all_in_sync();
  void wait_all_in_sync();
  // Every serving server has the same revision and the same digest. Nobody may write meanwhile.
  void wait_all_equal();

  // Asks this server, again and again while it refuses for now what it certainly has not done: on a machine with other
  // work, servers fall behind for a moment.
  HttpAnswer insist(const KvdServer& server, const HttpCall& call);
  HttpAnswer read_linear(const KvdServer& server, const std::string& key);  // likewise
  // Writes through this server, again and again until it is acknowledged; returns the revision.
  uint64_t write(KvdServer& server, const std::string& key, const std::string& value);
  // Reads every key of `expected` on every serving server at the newest state and names the first one that is
  // missing or has another value; empty: there is none.
  std::string lost_write(const std::map<std::string, std::string>& expected);
  void require_everywhere(const std::map<std::string, std::string>& expected);
  // Key and value of everything below `prefix`, read with `read=linear`.
  std::map<std::string, std::string> read_all(KvdServer& server, const std::string& prefix);

  // The election znodes in the order of their numbers: the id of the server that each belongs to. Needs a
  // ZooKeeper that answers.
  std::vector<std::string> election_order();

 private:
  std::string describe();
  std::string directory_;
  ZookeeperEnsemble zookeeper_;
  std::vector<std::string> flags_;
  bool durable_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<KvdServer>> servers_;
};

}  // namespace kvd::testing
