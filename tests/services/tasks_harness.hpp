// What plays about tasks have in common: a client that leaves tasks, a worker that a session has, and looks at what
// stands in ZooKeeper then.
#pragma once
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "services_harness.hpp"

namespace kvd::sim {

// Where tasks have been used before: the servers stand below /master.
struct TasksPlay : ServicesPlay {
  explicit TasksPlay(int servers = 1) : ServicesPlay(servers) {
    zk(ZkCreate{"/tasks/first", "first=", ZkMode::kPersistent});
    zk(ZkDelete{"/tasks/first"});
  }
};

inline std::string leave(ServicesPlay& play, const std::string& data, const std::string& more = "",
                         int server = 0) {
  const ServiceAnswer answer = play.ask(server, "POST tasks" + more, data);
  CHECK(answer.verdict == Verdict::kAccepted);
  return play.member(answer, "id");
}

inline std::string state_of(ServicesPlay& play, const std::string& id, int server = 0) {
  return play.member(play.ask(server, "GET tasks/" + id), "state");
}

struct Worker {
  Worker(ServicesPlay& the_play, std::string the_name, int the_server = 0)
      : play(the_play),
        name(std::move(the_name)),
        server(the_server),
        session(play.open_session(server, 3600)) {
    CHECK(play.ask(server, fmt::format("POST workers?name={}&session={}", name, session)).verdict ==
          Verdict::kCreated);
  }
  std::string request() const { return fmt::format("POST workers/{}/next?session={}", name, session); }
  ServiceAnswer next() const { return play.ask(server, request()); }
  void quit() const { CHECK(play.ask(server, "DELETE sessions/" + session).verdict == Verdict::kDone); }

  ServicesPlay& play;
  std::string name;
  int server;
  std::string session;
};

inline ServiceAnswer finish(ServicesPlay& play, const ServiceAnswer& got, const std::string& result,
                            int server = 0, const std::string& more = "") {
  return play.ask(
      server,
      fmt::format("PUT tasks/{}/result?fence={}{}", play.member(got, "id"), play.member(got, "fence"), more),
      result);
}

// By locks that the session takes there.
inline void watch_as_much_as_may_be(ServicesPlay& play, const std::string& session) {
  int places = 0;
  while (play.ask(0, fmt::format("POST locks/{}{}?session={}", std::string(1000, 'x'), places, session))
             .verdict == Verdict::kOk)
    ++places;
}

inline std::string said(const ServicesPlay& play, const std::string& worker) {
  return play.znode("/workers/" + worker).data;
}

inline std::string contender_of(const ServicesPlay& play, int server) {
  for (const std::string& name : play.children("/master")) {
    if (play.znode("/master/" + name).data == fmt::format("s{}", server)) return "/master/" + name;
  }
  return {};
}

}  // namespace kvd::sim
