// `kvd lock` and `kvd elect`: a command that runs only while a server says that this process holds a lock or leads an
// election. The grant is tied to one connection (?hold=1): to close it is to give the grant back, and what ends it ends
// the command. Loop thread only.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "client/answers.hpp"
#include "client/child.hpp"
#include "client/http_client.hpp"
#include "client/options.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

class HeldCommand {
 public:
  // `silence`: how long the server may say nothing.
  HeldCommand(net::Loop& loop, HoldOptions options, uint64_t seed, Duration silence = kStreamSilence);
  HeldCommand(const HeldCommand&) = delete;
  HeldCommand& operator=(const HeldCommand&) = delete;

  // Until the command is over or will never be started. The exit code: see `kvd lock --help`.
  int run();
  void on_signal(int number);

 private:
  enum class Phase : uint8_t {
    kQueued,    // or not even that: no server has taken the request
    kRunning,   // granted
    kStopping,  // not granted any more, and the command still there
    kDone,
  };

  std::string target() const;
  void on_deadline();
  bool may_try_again() const;
  void on_line(const std::string& line);
  void on_held(uint64_t fence);
  void on_out(const std::string& why);
  void on_child_end(const ChildEnd& end);
  void start_command();
  void finish(int code, const std::string& line = "");

  net::Loop& loop_;
  HoldOptions options_;
  const char* what_;  // as one says it
  uint64_t began_;    // ns
  Say say_;
  Phase phase_ = Phase::kQueued;
  uint64_t fence_ = 0;
  int code_ = 0;
  bool interrupted_ = false;
  HttpClient client_;
  std::unique_ptr<HttpCall> call_;
  std::unique_ptr<Child> child_;
  std::string last_failure_;  // of asking
  net::Timer deadline_;       // of a wait
};

}  // namespace kvd::client
