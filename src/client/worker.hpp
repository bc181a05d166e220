// One worker of `kvd work`: registered with a server as long as a connection lives, it fetches one task at a time, runs
// the command for it and reports the result. Loop thread only.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/answers.hpp"
#include "client/child.hpp"
#include "client/http_client.hpp"
#include "client/say.hpp"
#include "net/loop.hpp"

namespace kvd::client {

struct WorkerOptions {
  std::string name;
  std::string exec;  // for /bin/sh -c
  Duration grace;
  Duration silence = kStreamSilence;  // of the server, after which the worker registers anew
};

struct TaskResult {
  bool done = false;
  std::string text;
};

class Worker {
 public:
  // `on_over` is called once, after drain() or when a server refuses the worker (true); it may not destroy the Worker.
  Worker(uv_loop_t* loop, HttpClient& client, WorkerOptions options,
         std::function<void(bool refused)> on_over);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Takes no more tasks; over when the running one is finished and its result reported.
  void drain();
  // The running task's command is stopped, its result dropped.
  void stop();
  // A signal to the running task's command, if there is one.
  void pass_on(int number) {
    if (child_ != nullptr) child_->pass_on(number);
  }

 private:
  void on_line(const std::string& line);
  void on_gone(const std::string& why);
  void fetch();
  void on_fetched(const Response& answer);
  void run();
  void on_command_end(const ChildEnd& end);
  void report_progress();
  void on_progress_over();
  void be_done(bool done, std::string text);
  void report();
  void on_reported(const Response& answer);
  void next();
  void be_over(bool refused);
  std::string about_task(const std::string& what) const;

  uv_loop_t* loop_;
  HttpClient& client_;
  WorkerOptions options_;
  Say say_;
  std::function<void(bool)> on_over_;
  std::string registered_;  // the name that the server knows; empty: none
  bool draining_ = false;
  bool over_ = false;
  bool dropped_ = false;  // nobody wants the running task's result any more
  std::optional<Task> task_;
  std::unique_ptr<HttpCall> registration_;
  std::unique_ptr<HttpCall> call_;  // next, or the result
  std::unique_ptr<Child> child_;
  std::optional<std::string> progress_;      // what the command said last, and is not reported yet
  std::unique_ptr<HttpCall> progress_call_;  // one at a time
  bool pausing_ = false;                     // between two reports of progress
  std::optional<TaskResult> result_;         // of the running task, whose command has ended
  net::Timer fetch_again_;
  net::Timer progress_pause_;
  net::Timer progress_patience_;  // with the last report, before the result
};

}  // namespace kvd::client
