// What cases about tasks have in common: a client that leaves tasks, a worker that a session has, and looks at what
// stands in ZooKeeper then.
#pragma once
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "services_harness.hpp"

namespace kvd::sim {

// Where tasks have been used before: the servers stand below /master.
struct TasksHarness : ServicesHarness {
  explicit TasksHarness(int servers = 1) : ServicesHarness(servers) {
    zk(ZkCreate{"/tasks/first", "first=", ZkMode::kPersistent});
    zk(ZkDelete{"/tasks/first"});
  }
};

inline std::string leave(ServicesHarness& harness, const std::string& data, const std::string& more = "",
                         int server = 0) {
  const ServiceAnswer answer = harness.ask(server, "POST tasks" + more, data);
  CHECK(answer.status == ServiceStatus::kAccepted);
  return harness.member(answer, "id");
}

inline std::string state_of(ServicesHarness& harness, const std::string& id, int server = 0) {
  return harness.member(harness.ask(server, "GET tasks/" + id), "state");
}

struct Worker {
  Worker(ServicesHarness& the_play, std::string the_name, int the_server = 0)
      : harness(the_play),
        name(std::move(the_name)),
        server(the_server),
        session(harness.open_session(server, 3600)) {
    CHECK(harness.ask(server, fmt::format("POST workers?name={}&session={}", name, session)).status ==
          ServiceStatus::kCreated);
  }
  std::string request() const { return fmt::format("POST workers/{}/next?session={}", name, session); }
  ServiceAnswer next() const { return harness.ask(server, request()); }
  void quit() const {
    CHECK(harness.ask(server, "DELETE sessions/" + session).status == ServiceStatus::kDone);
  }

  ServicesHarness& harness;
  std::string name;
  int server;
  std::string session;
};

inline ServiceAnswer finish(ServicesHarness& harness, const ServiceAnswer& got, const std::string& result,
                            int server = 0, const std::string& more = "") {
  return harness.ask(server,
                     fmt::format("PUT tasks/{}/result?fence={}{}", harness.member(got, "id"),
                                 harness.member(got, "fence"), more),
                     result);
}

// By locks that the session takes there.
inline void watch_as_much_as_may_be(ServicesHarness& harness, const std::string& session) {
  int places = 0;
  while (harness.ask(0, fmt::format("POST locks/{}{}?session={}", std::string(1000, 'x'), places, session))
             .status == ServiceStatus::kOk)
    ++places;
}

inline std::string said(const ServicesHarness& harness, const std::string& worker) {
  return harness.znode("/workers/" + worker).data;
}

inline std::string contender_of(const ServicesHarness& harness, int server) {
  for (const std::string& name : harness.children("/master")) {
    if (harness.znode("/master/" + name).data == fmt::format("s{}", server)) return "/master/" + name;
  }
  return {};
}

}  // namespace kvd::sim
