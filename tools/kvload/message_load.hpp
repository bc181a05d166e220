// What `kvload queue` and `kvload topic` do alike: producers that send, and consumers that receive and settle, a
// connection each with one request under way at most. A run goes through stages: places are made, filled, worked on,
// emptied, and deleted. A place is a queue, a topic or a subscription: what has a path of its own. Loop thread only.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "judge/grants.hpp"
#include "judge/sent_messages.hpp"
#include "kvload/load.hpp"
#include "kvload/options.hpp"
#include "kvload/pacer.hpp"
#include "kvload/queue_text.hpp"
#include "kvload/result.hpp"
#include "kvload/turns.hpp"

namespace kvd::load {

struct MessageFigures {
  std::string name;      // of the topic, or what the queues' names begin with
  RunResult sends;       // of messages, from when they were to be sent to the answer
  RunResult deliveries;  // from when they were to be sent to who receives them
  RunResult reads;       // likewise, to who reads them without receiving
  uint64_t settled = 0;  // of those that were received, meanwhile
  uint64_t stale = 0;    // that could not be settled any more, since others had them or had settled them
  double cpu_us_per_message =
      0;                   // of the servers that run here, for each received; 0: none is seen, or one ended
  double fill_s = 0;       // for the backlog
  double drain_s = 0;      // until all was received
  std::string unmeasured;  // why nothing was measured; empty: it was
  std::string unjudged;    // why it was not judged; empty: it was
  bool left = false;       // what was made was not deleted

  // What a command ends with: kvload's exit code. `sound`: nothing wrong was found.
  int exit_code(bool sound) const;
};

// How many places there are of what is worked on, and who works there.
struct MessagePlaces {
  size_t sources = 1;    // places from 0 on that consumers receive from
  size_t count = 1;      // of all places
  size_t consumers = 1;  // connections, which the sources share
  size_t readers = 0;    // likewise, that only read
  size_t backlog = 0;    // messages that wait all the time
  const char* noun = "queues";
};

class MessageLoad : public ConnectionOwner {
 public:
  // `options` has to outlive it.
  MessageLoad(const MessageOptions& options, const MessagePlaces& places, std::string name);

 protected:
  enum class Stage : uint8_t { kMaking, kFilling, kWorking, kDraining, kLooking, kDeleting };
  enum class Task : uint8_t { kNone, kMake, kDelete, kSend, kReceive, kAck, kSettle, kCount, kLook, kRead };
  struct Line {
    std::unique_ptr<Connection> connection;
    size_t server = 0;
    uint64_t not_before = 0;  // no request, or no dialing, until then
    bool dialing = false;
    bool idle = false;  // a producer in idle_, or a consumer in parked_
    // What it waits for.
    Task task = Task::kNone;
    size_t place = 0;
    uint64_t asked = 0;
    uint64_t deadline = 0;
    uint64_t intended = 0;  // of a send
    uint64_t first = 0;     // and the numbers of its messages; of a count or a read what had been seen
    size_t count = 0;       // or of those that are to be settled
    size_t most = 0;        // of a receive
    // Of a consumer.
    std::vector<HeldMessage> held;  // of `place`
    size_t turn = 0;                // of the sources that it serves
    bool to_count = false;          // it received nothing from `place`
  };
  struct Progress {
    uint64_t acknowledged = 0;  // messages, as sent
    uint64_t received = 0;      // by those who are the farthest behind
  };

  // ---- what is the place's own ----
  virtual std::string path_of(size_t place) const = 0;
  virtual std::string making_of(size_t place) const = 0;  // the body of the PUT
  virtual size_t place_to_send(uint64_t nth) const = 0;   // of requests
  virtual sim::SentMessages& sent_messages() = 0;
  virtual sim::Grants& grants(size_t source) = 0;
  virtual Progress progress() const = 0;
  virtual bool make_all() = 0;  // by make(); false: `figures_.unmeasured` says why
  virtual std::vector<size_t> all_to_delete() const = 0;
  virtual bool judge() = 0;  // at the end of a run: whether nothing is wrong
  // Of readers.
  virtual void read(Line&) {}
  virtual bool take_page(const Line&, const QueueAnswer&) { return true; }  // false: it makes no sense
  virtual bool is_all_read() const { return true; }

  // All of it. What it came to is in figures_.
  void run();
  bool make(const std::vector<size_t>& places);
  // `what`: method, and the path below the place's with its query. `wait_ms`: how long the server is to wait at most.
  void ask(Line& line, Task task, std::string_view what, std::string_view fields, std::string_view body,
           uint64_t wait_ms = 0);
  size_t reader_of(const Line& line) const {
    return line.connection->index() - options_.producers - places_.consumers;
  }
  // Nothing more is sent, and no send is under way, nor may one be that had no answer.
  bool all_is_sent() const { return stage_ >= Stage::kDraining && sends_ == 0 && uv_hrtime() > sends_end_; }
  static constexpr uint64_t kTimeoutMs = 2000;  // the server's time for a request

  const MessageOptions& options_;
  const MessagePlaces places_;
  MessageFigures figures_;

 private:
  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override { go_on(lines_[connection.index()]); }
  void on_lost(Connection& connection, int why) override;

  bool is_producer(const Line& line) const { return line.connection->index() < options_.producers; }
  bool is_reader(const Line& line) const {
    return line.connection->index() >= options_.producers + places_.consumers;
  }
  bool is_over() const { return signals_.stopped(); }
  uint64_t backlog() const {
    const Progress now = progress();
    return now.acknowledged - std::min(now.acknowledged, now.received);
  }

  void on_tick();
  void look_after(Line& line, uint64_t now);
  void dial(Line& line);
  void show_progress() const;
  void kick();
  void go_on(Line& line);
  void ask_place(Line& line, Task task);
  void fail(Line& line, Task task, const std::string& what, std::string_view outcome);
  void move_on(Line& line);

  void fill(Line& line);
  void produce(Line& line, uint64_t now);
  void produce_what_is_due();
  bool may_send(uint64_t now) const;
  bool may_receive() const;
  void release(std::deque<size_t>& waiting);
  void send(Line& line, size_t count, uint64_t intended, bool together);
  void consume(Line& line, uint64_t now);
  void drain(Line& line);
  void receive(Line& line, size_t most, uint64_t wait_ms);
  void acknowledge(Line& line);
  void settle(Line& line);
  void look(Line& line);
  size_t served_by(const Line& line) const;
  size_t next_source(Line& line);
  void note_settling(Line& line, size_t count);

  void take_sent(Line& line, const Response& response);
  void take_received(Line& line, Task task, const Response& response);
  void take_acknowledged(Line& line, const Response& response);
  void take_results(Line& line, const std::vector<SettleResult>& results);
  void take_count(Line& line, const Response& response);
  void take_look(Line& line, const Response& response);
  void take_read(Line& line, const Response& response);
  void take_place(Line& line, const Response& response);
  void note_result(const Line& line, const HeldMessage& message, SettleResult result);

  bool prepare();
  bool fill_backlog();
  void work();
  void empty();
  void look_at_what_is_left();
  bool for_all(Stage stage, const std::vector<size_t>& places);

  bool terminal_;
  std::vector<uint64_t> lanes_;  // by place: messages so far, which take its groups in turn
  Turns turns_{[this] { on_tick(); }};
  StopSignals signals_{turns_.loop(), {SIGINT, SIGTERM}, [](int) {}};
  Pacer pacer_{turns_.loop(), [this] { produce_what_is_due(); }};
  std::vector<Target> targets_;
  std::vector<pid_t> processes_;
  std::vector<Line> lines_;
  QueueAnswerParser parser_;
  Stage stage_ = Stage::kMaking;
  uint64_t tick_at_ = 0;
  uint64_t progress_at_ = 0;
  size_t dialing_ = 0;
  size_t open_ = 0;
  size_t sends_ = 0;         // under way
  uint64_t sends_end_ = 0;   // those without an answer are done by then, or never
  size_t receiving_ = 0;     // messages, at the most, of receives that are under way
  std::deque<size_t> todo_;  // places to be made, or deleted
  size_t to_do_ = 0;         // of them in all
  size_t done_ = 0;
  bool making_ = false;  // it has begun
  uint64_t sent_ = 0;    // requests so far
  size_t filling_ = 0;   // messages under way
  bool measuring_ = false;
  uint64_t end_ = 0;
  std::optional<Schedule> schedule_;  // of requests
  std::deque<size_t> idle_;           // producers that wait: for the schedule, or for the consumers
  std::deque<size_t> parked_;         // consumers that leave the backlog as it is
  std::vector<bool> drained_;         // by source
  size_t undrained_ = 0;
  uint64_t received_at_ = 0;  // when there was something last
  bool counted_ = false;      // a server has told what is in a source, since the last message
  bool looking_ = false;
  size_t look_source_ = 0;
  size_t look_state_ = 0;
  std::string look_after_;
};

}  // namespace kvd::load
