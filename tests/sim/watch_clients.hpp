// Clients of a simulated world that watch keys, at any server, by streams and by calls that wait for a change; and what
// each makes of it: a copy of what matches, which goes on from where it was at another server when one dies, says its
// last line, or is left by whim. What is said is judged when it is said (watch_referee.hpp); the copy is held against
// what is committed when its client takes it, which may be late, or never.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/prng.hpp"
#include "checkers.hpp"
#include "context.hpp"
#include "network.hpp"
#include "watch_copy.hpp"
#include "watch_referee.hpp"

namespace kvd::sim {

class WatchClients {
 public:
  // `keys`: what other clients write. `acknowledged`: the newest revision that any of them was told.
  WatchClients(SimContext& context, Hosts& hosts, Checkers& checkers, std::vector<std::string> keys,
               std::function<Revision()> acknowledged);

  void start();
  // What is asked from here on has to be answered in time, and everybody reads.
  void on_healed();
  // From here on nobody leaves a stream by whim.
  void expect_progress() { settled_ = true; }
  // What a node says to one of these clients; false: it is somebody else's.
  bool on_effect(int server, NodeEffect& effect);
  void on_turn(int server, Revision commit);
  void on_process_died(int server, bool stopped);
  // Empty, or who has not caught up with what is committed.
  std::string stuck() const;

 private:
  enum class Pace : uint8_t { kPrompt, kSlow, kNever };
  struct Stream {
    WatchCall call;
    WatchReferee referee;
    Instant linear{};  // when linear progress was told last, or the stream was asked for
    std::deque<WatchLine> untaken;
    bool last_said = false;
    bool taking = false;  // planned
    Pace pace = Pace::kPrompt;
  };
  struct Client {
    uint64_t turn = 0;  // counts what it does: what was planned before is ignored
    int server = 0;
    RequestId id;          // of what is under way; 0: nothing
    Revision commit;       // that the server had when it was asked
    bool in_time = false;  // it has to be answered
    WatchCopy copy;
    std::optional<Revision> oldest;  // that a server has named last
    bool stale = false;
    int polls_left = 2;  // after the faults
    std::variant<std::monostate, Stream, PollCall, StoreCall> what;
  };

  void think(Client& client, Duration most);
  void act(Client& client);
  void choose(Client& client);
  WatchFilter any_filter();
  Operation read_of(const WatchFilter& filter);
  bool ask(Client& client, decltype(Call::what) what, Duration timeout, Duration patience);
  void open_stream(Client& client);
  void open_poll(Client& client);
  void read(Client& client);
  void give_up(Client& client, RequestId id);
  void hang_up(Client& client);
  Client* client_of(RequestId id);
  void hear(Client& client, const WatchAnswer& answer);
  void hear(Client& client, const StoreAnswer& answer);
  void hear(Client& client, StreamLines lines);
  void check_linear(Client& client, Stream& stream, const WatchProgress& progress);
  void plan_taking(Client& client);
  void take(Client& client);
  void take_line(Client& client, const WatchLine& line);
  Revision acknowledged_at(Instant when) const;
  void wrong(const Client& client, const std::string& what);
  Duration up_to(Duration most) {
    return Duration(static_cast<int64_t>(prng_.below(static_cast<uint64_t>(most.count()) + 1)));
  }

  SimContext& context_;
  Hosts& hosts_;
  Checkers& checkers_;
  std::vector<std::string> keys_;
  std::function<Revision()> acknowledged_;
  Prng prng_;  // their own
  std::vector<Client> clients_;
  std::vector<Revision> commits_;                     // by server
  std::vector<std::pair<Instant, Revision>> floors_;  // acknowledged, and since when that is known
  uint32_t connections_ = 0;
  bool healed_ = false;
  bool settled_ = false;
};

}  // namespace kvd::sim
