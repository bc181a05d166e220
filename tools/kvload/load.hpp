// The load itself: connections that are kept busy (closed loop) or that take requests as they fall due (open loop),
// in phases. A server that goes away costs its unanswered requests, which are counted, and is dialed until it is back;
// only interrupt() ends a phase early. One libuv loop, which run() turns; nothing else may run it meanwhile.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/connection.hpp"
#include "client/stop_signals.hpp"
#include "kvload/distributions.hpp"
#include "kvload/pacer.hpp"
#include "kvload/result.hpp"
#include "kvload/schedule.hpp"
#include "net/loop.hpp"

namespace kvd::load {

using client::Connection;
using client::ConnectionOwner;
using client::Keep;
using client::Response;
using client::StopSignals;

struct Target {
  std::string name;       // as given
  std::string fields;     // that every request has in its header (client::fields_of())
  client::Server server;  // whose address is the system's: no name
};
// An Error names the server, or the file of TLS that is of no use.
Result<std::vector<Target>, Error> resolve(const std::vector<std::string>& names,
                                           const client::Credentials& credentials = {});

// How failures are counted: "connection lost", by libuv's error code; "503 no-leader", by an answer.
const char* name_of_loss(int why);
std::string name_of_refusal(const Response& response);

struct LoadOptions {
  size_t connections = 50;
  size_t pipeline = 1;                             // unanswered requests per connection, at the most
  std::array<unsigned, kKinds> mix{100, 0, 0, 0};  // percent, by Kind
  KeyOrder order = KeyOrder::kUniform;
  uint64_t keys = 10'000;
  double theta = 0.99;
  KeyShape key_shape;
  SizeChooser value_sizes;
  uint64_t timeout_ns = 5'000'000'000;
  uint64_t seed = 1;
};

struct Phase {
  double seconds = 0;     // 0: until `count` requests are sent
  uint64_t count = 0;     // 0: until the time is over
  double rate = 0;        // requests per second; 0: closed loop
  bool fill = false;      // each key is put until that is acknowledged; ends then, or when nothing goes on
  double interval_s = 0;  // of RunResult::intervals; 0: none
  std::function<void(const RunResult&)> on_progress;  // about every second
};

class Load : public ConnectionOwner {
 public:
  Load(uv_loop_t* loop, std::vector<Target> targets, LoadOptions options);

  // Where requests may go, by index; all at first. Connections elsewhere move when their answers have come.
  void allow(std::vector<size_t> servers);
  // Dials and waits until one connection to each allowed server is open. The first one's name that is not within the
  // time; empty: all are.
  std::string connect(double seconds);
  bool any_open() const;
  RunResult run(const Phase& phase);
  void interrupt();  // from the loop: the running phase ends as if its time were over
  bool interrupted() const { return interrupted_; }
  uint64_t unfilled() const { return fill_left_; }  // keys, after a phase with `fill`

 private:
  struct Pending {
    uint64_t intended = 0;
    uint64_t sent = 0;
    uint64_t key = 0;
    Kind kind = Kind::kGet;
  };
  struct Line {  // a connection and what is unanswered on it
    explicit Line(std::unique_ptr<Connection> of) : connection(std::move(of)) {}
    std::unique_ptr<Connection> connection;
    size_t server = 0;
    std::vector<Pending> ring;
    size_t head = 0;
    size_t unanswered = 0;
    uint64_t not_before = 0;  // no request, or no dialing, until then
    bool queued = false;      // in idle_
  };
  struct Request {
    Kind kind = Kind::kGet;
    uint64_t key = 0;
  };

  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override;
  void on_lost(Connection& connection, int why) override;

  bool may_send(uint64_t now) const;
  std::optional<Request> draw();
  bool send_one(Line& line, uint64_t now);  // false: there is nothing to send now
  void send_all(Line& line, uint64_t now);
  void send_due();
  void judge(Line& line, const Pending& pending, const Response& response);
  void fail(Line& line, const Pending& pending, std::string_view what, std::string_view outcome);
  void fail_unanswered(Line& line, std::string_view what);
  void look_after(Line& line, uint64_t now);
  void dial(Line& line);
  bool is_allowed(size_t server) const;
  void on_tick();
  void arm_pacer();
  void begin(const Phase& phase);
  bool is_over() const;

  uv_loop_t* loop_;
  std::vector<Target> targets_;
  LoadOptions options_;
  std::string values_;
  std::vector<RequestText> texts_;  // per target
  std::vector<Line> lines_;
  std::vector<size_t> allowed_;
  KeyChooser chooser_;
  Prng random_;
  std::vector<Kind> kinds_;  // of 100 requests

  net::Timer ticker_;
  Pacer pacer_;

  Phase phase_;
  RunResult result_;
  std::optional<Schedule> schedule_;
  bool sending_ = false;
  bool interrupted_ = false;
  uint64_t now_ = 0;  // of what is being read; 0: ask the clock
  uint64_t end_ = 0;
  uint64_t sent_ = 0;
  size_t unanswered_ = 0;
  uint64_t progress_at_ = 0;
  std::vector<Line*> idle_;
  std::vector<Line*> touched_;
  uint64_t fill_next_ = 0;
  std::string tls_failure_;  // the newest one, in words
  uint64_t fill_left_ = 0;
  std::vector<uint64_t> fill_again_;
};

}  // namespace kvd::load
