// A command that prints what a server streams, and goes on at another server where one has ended, until it is asked to
// end, or nobody reads what it prints: kvd watch, kvd topic tail. Loop thread only.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/http_client.hpp"
#include "client/say.hpp"
#include "client/server.hpp"
#include "msg/types.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class StreamCommand {
 public:
  StreamCommand(net::Loop& loop, std::vector<Server> servers, uint64_t seed);
  virtual ~StreamCommand() = default;
  StreamCommand(const StreamCommand&) = delete;
  StreamCommand& operator=(const StreamCommand&) = delete;

  int run();  // the exit code
  void on_signal() { finish(0); }

 protected:
  virtual std::string target() const = 0;  // asked for each try: from where the next server goes on
  virtual void on_head(const Response& head) = 0;
  virtual void on_answer(const Response& answer) = 0;  // of another kind than a stream
  virtual void on_line(const std::string& line) = 0;

  void try_on(const std::string& why);  // at the next server
  void put_out(const std::string& lines);
  void finish(int code);

  Say say_;

 private:
  void ask();

  net::Loop& loop_;
  HttpClient client_;
  net::Timer look_;
  std::unique_ptr<HttpCall> call_;
  int code_ = 0;
};

}  // namespace kvd::client
