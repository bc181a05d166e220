// One connection to another message queue: what its client says, and how it understands what comes back. Bytes in,
// bytes out, and events; no sockets and no clocks. A session is one of four parts:
//   set up, tear down   makes or deletes the queue; ready once that is done
//   producer            ready; then sends when it is told to
//   consumer            ready; then receives and acknowledges, over and over, of itself
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvd::peers {

enum class Part : uint8_t { kSetUp, kTearDown, kProducer, kConsumer };
enum class Peer : uint8_t { kBeanstalkd, kRedis, kNats, kRabbitmq };

struct Terms {
  Part part = Part::kProducer;
  std::string queue;   // a name that is no other's: letters, digits and dashes
  size_t index = 0;    // of the connection
  size_t batch = 1;    // messages that are sent, or received, together
  size_t copies = 1;   // Redis: servers that have a write before it counts; NATS, RabbitMQ: of the queue
  bool files = false;  // NATS: the queue is kept in files
  bool topic =
      false;  // NATS: messages stay when they are acknowledged, for others (those of Redis always do)
};

// Called from within take() only; may not touch the session.
class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  virtual void on_ready() = 0;
  virtual void on_sent(
      size_t messages) = 0;  // so many more of those that were sent are acknowledged, in their order
  virtual void on_received(std::string_view body) = 0;
  virtual void on_settled(
      size_t messages) = 0;  // likewise of those received; where nothing confirms that: is told
  virtual void on_failed(std::string_view what) = 0;  // the last that is told
};

class Session {
 public:
  Session(Terms terms, SessionEvents& events) : terms_(std::move(terms)), events_(events) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  virtual void begin() = 0;  // the connection stands
  // How many of the bytes were understood; the others come again, with more behind them.
  virtual size_t take(std::string_view bytes) = 0;
  virtual void send(
      const std::vector<std::string>& bodies) = 0;  // of a producer that is ready, once all are acknowledged
  virtual void tick() {}                            // every few milliseconds

  std::string& output() { return output_; }  // what is to be written; the caller takes it away

 protected:
  bool is(Part part) const { return terms_.part == part; }

  const Terms terms_;
  SessionEvents& events_;
  std::string output_;
};

// Of the protocols of lines. The line from `at` on without its CR LF, and `at` behind it; nothing: it is not whole.
std::optional<std::string_view> take_line(std::string_view bytes, size_t& at);
std::string_view take_word(std::string_view& line);  // up to a space, which goes as well
std::optional<uint64_t> whole_number(std::string_view text);

std::unique_ptr<Session> make_beanstalkd(const Terms& terms, SessionEvents& events);
std::unique_ptr<Session> make_redis(const Terms& terms, SessionEvents& events);
std::unique_ptr<Session> make_nats(const Terms& terms, SessionEvents& events);
std::unique_ptr<Session> make_rabbitmq(const Terms& terms, SessionEvents& events);

std::unique_ptr<Session> make_session(Peer peer, const Terms& terms, SessionEvents& events);

}  // namespace kvd::peers
