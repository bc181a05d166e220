// The HTTP server on a real loopback socket with a scripted node behind it and clients in front, all on one
// thread and one loop, so that a test decides what happens when. Waiting means running the loop until a
// condition holds or a generous deadline ends the test; that something does not happen is looked for after
// settle(), never after a mere while.
#pragma once
#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shell/http/http_server.hpp"

namespace kvd::testing {

struct Response {  // one HTTP response as a client reads it
  int status = 0;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
  std::string field(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

class HttpFixture {
 public:
  // The node's answer to a request; none: it is kept in `held` until the test answers it.
  using Script = std::function<std::optional<Answer>(const StoreCall&)>;

  explicit HttpFixture(HttpOptions options = {}, Script script = nullptr);
  ~HttpFixture();
  HttpFixture(const HttpFixture&) = delete;
  HttpFixture& operator=(const HttpFixture&) = delete;

  HttpServer& server() { return *server_; }
  Address address() const { return address_; }
  uv_loop_t* loop() { return &loop_; }

  // Runs the loop until `condition` holds; fails the test after half a minute.
  void run_until(const std::function<bool()>& condition);
  // Until a later request on a connection of its own (ruok, which the node does not see) has been answered:
  // whatever was sent before it has reached the server, and what the node said before it is on its way.
  void settle();
  // Some turns of the loop, for pace alone.
  void run_turns(int turns);
  // Answers a held request in the next turn.
  void answer(const Call& call, Answer answer);

  // What the node says to a call of the services or a watch, in the next turn.
  void say(Reply reply) { replies_.push_back(std::move(reply)); }
  // ... and to a stream that was opened, behind the replies.
  void say(StreamLines lines) { lines_.push_back(std::move(lines)); }

  std::vector<Call> held;   // of the store
  std::vector<Call> calls;  // of the services, and watches
  std::vector<StreamTaken> taken;
  std::vector<RequestId> cancelled;
  std::vector<LogLine> log;
  size_t asked = 0;  // requests that reached the node
  Epoch epoch{3};
  Revision revision{40};

 private:
  void turn();

  uv_loop_t loop_;
  uv_prepare_t prepare_;
  uv_timer_t waker_;
  Script script_;
  std::vector<NodeInput> inputs_;
  std::vector<Reply> replies_;
  std::vector<StreamLines> lines_;
  std::unique_ptr<HttpServer> server_;
  Address address_;
};

class Client {
 public:
  // `receive_bytes`: the size of the socket's receive buffer; 0: the system's.
  explicit Client(HttpFixture& fixture, int receive_bytes = 0);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends all of it, running the loop while the socket is full; stops when the server is gone.
  Client& send(std::string_view bytes);
  void end_sending();  // half-close
  void reset();        // gone without a word
  // The next whole response; `head`: it answers a HEAD request.
  Response next(bool head = false);
  // The server closed, and nothing more came.
  bool closed();
  // Waits for the end of the connection and returns everything
  // that came until then and was not taken by next().
  std::string rest();
  // Reads what is there, `most` bytes at most; false: nothing was.
  bool read_some(size_t most = SIZE_MAX);
  // The connection did not end in order.
  bool was_reset() const { return reset_; }
  const std::string& received() const { return received_; }

 private:
  HttpFixture& fixture_;
  int fd_ = -1;
  std::string received_;
  bool ended_ = false;
  bool reset_ = false;
};

}  // namespace kvd::testing
