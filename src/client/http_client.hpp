// Calls to any one of several servers that can all do the same: kvd's. A call tries them in turn, with a pause in
// between, until one answers with something other than 503; it then ends with that answer, or delivers it line by
// line while it comes. Each try has a connection of its own, so that the end of a call is the end of its connection,
// which is what releases a held lock. Loop thread only.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.hpp"
#include "base/time.hpp"
#include "client/connection.hpp"
#include "client/server.hpp"
#include "msg/types.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// Servers write to a stream at least every 10 s: after so long without a byte the connection counts as lost.
inline constexpr Duration kStreamSilence = seconds(25);
// A timer that is so late tells that this process stood still, or the machine.
inline constexpr uint64_t kStoodStillNs = 500'000'000;

struct HttpRequest {
  std::string method;
  std::function<std::string()>
      target;          // with the query; asked for each try, since what is left of a wait shrinks
  std::string fields;  // beside fields_of(Server), Connection and Content-Length, each with its CRLF
  std::string body;
  bool stream = false;                // a 200 is delivered line by line
  size_t line_bytes = 1 << 20;        // a longer line ends the stream
  Duration silence = kStreamSilence;  // how long a server may send nothing, before its answer and in it
  // By when a server has to have begun its answer (uv_hrtime); 0: as long as it takes. Each server that was not asked
  // yet gets its share of what is left, so that one that stands still does not take it all.
  uint64_t until = 0;
};

// Whoever is called may destroy the call.
struct HttpEvents {
  // A try has led to nothing, for the reason in one line that names the server. True: go on with the next one.
  std::function<bool(const std::string& why)> on_failed;
  // A whole answer: any but 503 and, of a stream, 200.
  std::function<void(const Response& response)> on_answer;
  // Of a stream, before its lines; may be empty.
  std::function<void(const Response& head)> on_head;
  // Of a stream. A connection that is merely silent at its end stays open until the call is destroyed or tried again:
  // what the server holds for it is not given back before the owner is ready.
  std::function<void(const std::string& line)> on_line;
  std::function<void(const std::string& why)> on_end;
};

class HttpClient {
 public:
  // `servers` is not empty. Calls begin with the server that answered last, at first with the first one.
  HttpClient(uv_loop_t* loop, std::vector<Server> servers, uint64_t seed);

 private:
  friend class HttpCall;

  uv_loop_t* loop_;
  std::vector<Server> servers_;
  size_t current_ = 0;
  Prng prng_;
};

class HttpCall final : private ConnectionOwner {
 public:
  // Begins in a later turn. `client` outlives it.
  HttpCall(HttpClient& client, HttpRequest request, HttpEvents events);
  ~HttpCall() override;  // closes the connection; nothing is called any more
  HttpCall(const HttpCall&) = delete;
  HttpCall& operator=(const HttpCall&) = delete;

  // What came is of no use: closes the connection and goes on with the next server, after a pause.
  void try_again();
  int descriptor() const { return connection_.descriptor(); }  // of the connection, or -1
  // What this try has left of its share of the time until the answer has to have begun; very long without `until`.
  Duration time_left() const;
  // Whether some try may have done what it asked, and no answer tells: it was sent and the connection was lost, or the
  // answer does not say that nothing was done. An answer that does tell settles its own try and no other.
  bool may_be_done() const { return in_doubt_ || unsettled_; }
  size_t server() const { return server_; }  // of the client's servers: the one that was tried last
  // How many servers have been tried in vain since the call began: all of them, or not yet.
  bool tried_all() const { return tries_ >= client_.servers_.size(); }

 private:
  enum class Phase : uint8_t { kPausing, kConnecting, kAsked, kStreaming, kDone };

  void on_open(Connection& connection) override;
  void on_response(Connection& connection, const Response& response) override;
  void on_turn(Connection& connection) override;
  void on_lost(Connection& connection, int why) override;

  void begin();
  void on_time();
  Duration share() const;
  void wait(Duration most);
  void on_whole();
  bool begin_lines(const Response& head);
  void deliver_lines();
  void pause();
  void fail(const std::string& why);
  void end(const std::string& why);

  HttpClient& client_;
  HttpRequest request_;
  HttpEvents events_;
  Phase phase_ = Phase::kPausing;
  size_t server_ = 0;
  size_t tries_ = 0;
  unsigned failures_ = 0;   // in a row: the pause grows with them
  uint64_t began_ = 0;      // this try, in ns
  bool unsettled_ = false;  // this try was sent, and nothing tells that it was not done
  bool in_doubt_ = false;   // an earlier one was
  Duration share_{0};       // of the time, for this try to be answered
  Duration waits_{0};       // what timer_ was started with, and when it is over
  uint64_t over_at_ = 0;    // ns
  std::string lines_;       // of a stream, not delivered yet
  size_t searched_ = 0;     // so much of them has no line's end
  std::optional<Response> answer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  net::Timer timer_;
  Connection connection_;
};

}  // namespace kvd::client
