// Clients of a simulated world that read topics along, without subscriptions: each by a stream, or by one waiting page
// after the other, at a server that it changes now and then, from where it has come to. What each is told is compared
// with what was committed by the revision that the answer is of: every message behind its place, in the topic's order,
// each once, and of what went by then the gap. Once the clients of topics are stopped, everything has to be told.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"

namespace kvd::sim {

// The topics of a lineage, as of any revision of it.
class TopicHistory {
 public:
  struct Content {
    uint64_t number = 0;                        // 0: there is no such topic
    std::map<MessageId, std::string> messages;  // bodies
    MessageId trimmed;                          // the newest one that is not kept any more
  };
  // `revision` was committed.
  Content at(const CommittedHistory& committed, const std::string& topic, Revision revision);

 private:
  struct Event {  // of one entry's effects, in their order
    Revision revision;
    const Record* effect = nullptr;  // the committed history's
  };
  void read(const CommittedHistory& committed, Revision until);

  std::map<Lineage, Revision> read_;  // up to there
  std::map<Lineage, std::vector<Event>> events_;
};

class TopicStreams {
 public:
  TopicStreams(SimContext& context, Hosts& hosts, Checkers& checkers);

  void start();
  // False: it concerns somebody else.
  bool on_effect(int server, const NodeEffect& effect);
  void on_turn(int server, Revision commit);
  void on_process_died(int server);
  // Empty, or who has not been told everything.
  std::string stuck();

 private:
  struct Client {
    uint64_t turn = 0;  // counts what it does: what was planned before is ignored
    std::string topic;
    RequestId id;  // 0: there is no connection
    int server = 0;
    TopicPlace after;             // what it asked for
    std::optional<MessageId> at;  // all up to it was told
  };

  void plan(Client& client, Duration most);
  void act(Client& client);
  void close(Client& client);
  void hear(Client& client, const Reply& reply, const Peeked& page, Revision revision);
  std::string judge(const Client& client, const Peeked& page, Revision revision);
  void wrong(const Client& client, const std::string& what);

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  Prng prng_;  // their own
  TopicHistory history_;
  std::vector<Client> clients_;
  std::map<int, std::pair<Revision, Revision>>
      commits_;  // of servers, after their last turn and the one before
  uint32_t connections_ = 0;
};

}  // namespace kvd::sim
