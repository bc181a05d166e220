// See worker.hpp.
#include "client/worker.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/percent.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int64_t kNextMs = 10'000;
constexpr Duration kPace = milliseconds(50);            // should a server not wait at all
constexpr Duration kProgressPause = milliseconds(500);  // between reports: each is a write in ZooKeeper
constexpr Duration kProgressPatience = seconds(2);      // with the last one: the result waits for it

}  // namespace

Worker::Worker(uv_loop_t* loop, HttpClient& client, WorkerOptions options, std::function<void(bool)> on_over)
    : loop_(loop),
      client_(client),
      options_(std::move(options)),
      on_over_(std::move(on_over)),
      fetch_again_(loop, [this] { next(); }),
      progress_pause_(loop,
                      [this] {
                        pausing_ = false;
                        report_progress();
                      }),
      progress_patience_(loop, [this] {
        progress_call_.reset();
        report();
      }) {
  HttpRequest request;
  request.method = "POST";
  request.target = [this] {
    return fmt::format("/v1/workers?name={}&hold=1&wait=0", percent_encode(options_.name));
  };
  request.stream = true;
  request.silence = options_.silence;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(fmt::format("{}; trying on", why));
    return true;
  };
  events.on_answer = [this](const Response& answer) {
    const std::string line =
        fmt::format("worker {}: {}", options_.name, problem_text(answer.status, answer.body));
    // The name may still be taken by a former run, until the server has noticed its end.
    say_.once(answer.status == 409 ? line + "; trying on" : line);
    answer.status == 409 ? registration_->try_again() : be_over(true);
  };
  events.on_line = [this](const std::string& line) { on_line(line); };
  events.on_end = [this](const std::string& why) { on_gone(why); };
  registration_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void Worker::be_over(bool refused) {
  if (std::exchange(over_, true)) return;
  child_.reset();
  progress_pause_.stop();
  progress_patience_.stop();
  progress_call_.reset();
  call_.reset();
  registration_.reset();
  on_over_(refused);
}

void Worker::drain() {
  draining_ = true;
  if (!task_) be_over(false);
}

void Worker::stop() {
  dropped_ = true;
  if (child_ != nullptr) return child_->stop();
  if (draining_) be_over(false);  // in the middle of its report
}

// ---- registration ----

void Worker::on_line(const std::string& text) {
  const Result<WorkerLine> line = parse_worker_line(text);
  if (!line) return on_gone(line.error().detail);
  switch (line->kind) {
    case WorkerLine::Kind::kProgress:
      return;
    case WorkerLine::Kind::kRegistered:
      say_.forget();
      registered_ = line->text;
      return next();
    case WorkerLine::Kind::kCancel:
      if (!task_ || task_->id != line->text || child_ == nullptr || dropped_) return;
      say_.line(about_task("cancelled"));
      dropped_ = true;
      return child_->stop();
    case WorkerLine::Kind::kLost:
      return on_gone(line->text.empty() ? "the server says so" : line->text);
  }
}

// The server takes this worker for gone: whatever it runs is somebody else's now. A result that is on its way goes on:
// its fence tells the server what it is worth.
void Worker::on_gone(const std::string& why) {
  if (registered_.empty() && child_ != nullptr) return;  // known
  say_.once(fmt::format("worker {} is not registered ({}); registering anew", options_.name, why));
  registered_.clear();
  if (child_ != nullptr) {
    dropped_ = true;
    return child_->stop();  // and registers when that is done
  }
  if (!task_) call_.reset();
  registration_->try_again();
}

// ---- tasks ----

// Fetches a task where there is a registration and nothing to do.
void Worker::next() {
  if (task_ || over_) return;
  if (draining_) return be_over(false);
  if (!registered_.empty() && call_ == nullptr) fetch();
}

void Worker::fetch() {
  HttpRequest request;
  request.method = "POST";
  request.target = [this] {
    return fmt::format("/v1/workers/{}/next?wait={}", percent_encode(registered_), kNextMs);
  };
  request.silence = milliseconds(kNextMs) + options_.silence;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(fmt::format("{}; trying on", why));
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_fetched(answer); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void Worker::on_fetched(const Response& answer) {
  if (answer.status == 204) {
    call_.reset();
    return fetch_again_.start(kPace);
  }
  if (answer.status == 404 || answer.status == 410) return on_gone(problem_text(answer.status, answer.body));
  if (refuses_access(answer.status)) {
    say_.line(fmt::format("worker {}: {}", options_.name, problem_text(answer.status, answer.body)));
    return be_over(true);
  }
  Result<Task> task = failure(problem_text(answer.status, answer.body));
  if (answer.status == 200) task = parse_task(answer.body);
  if (!task) {
    say_.once(fmt::format("no task for {}: {}; trying on", options_.name, task.error().detail));
    return call_->try_again();
  }
  say_.forget();
  task_ = std::move(*task);
  call_.reset();
  run();
}

std::string Worker::about_task(const std::string& what) const {
  return fmt::format("task {} (attempt {}): {}", task_->id, task_->attempt, what);
}

void Worker::run() {
  dropped_ = false;
  ChildOptions child;
  child.command = {"/bin/sh", "-c", options_.exec};
  child.environment = {{"KVD_TASK", task_->id},
                       {"KVD_ATTEMPT", std::to_string(task_->attempt)},
                       {"KVD_FENCE", std::to_string(task_->fence)},
                       {"KVD_KIND", task_->kind}};
  child.grace = options_.grace;
  child.held = registration_->descriptor();
  child.streams = ChildOptions::Streams::kPiped;
  child.input = std::move(task_->data);
  child.output_max = limits::kTaskBytes;
  child.progress_max = limits::kTaskProgressBytes;
  child.on_progress = [this](const std::string& line) {
    progress_ = line;
    report_progress();
  };
  child_ =
      std::make_unique<Child>(loop_, std::move(child), [this](const ChildEnd& end) { on_command_end(end); });
  const int error = child_->start();
  if (error == 0) return;
  child_.reset();
  be_done(false, fmt::format("/bin/sh: {}\n", uv_strerror(error)));
}

// Of the command's words the last one counts, also when it ends at once. It is worth no more than one try after the
// other: what the task comes to is in its result.
void Worker::report_progress() {
  if (!progress_ || progress_call_ != nullptr || pausing_) return;
  HttpRequest request;
  request.method = "PUT";
  const std::string target =
      fmt::format("/v1/tasks/{}/progress?fence={}", percent_encode(task_->id), task_->fence);
  request.target = [target] { return target; };
  request.body = *std::exchange(progress_, std::nullopt);
  request.silence = options_.silence;
  HttpEvents events;
  events.on_failed = [](const std::string&) { return true; };  // which progress_patience_ ends
  events.on_answer = [this](const Response& answer) {
    if (answer.status / 100 != 2 && answer.status != 412)
      say_.once(about_task("its progress is not taken: " + problem_text(answer.status, answer.body)));
    on_progress_over();
  };
  progress_call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void Worker::on_progress_over() {
  progress_call_.reset();
  if (!result_) {
    pausing_ = true;
    return progress_pause_.start(kProgressPause);
  }
  report_progress();
  if (progress_call_ == nullptr) report();
}

void Worker::on_command_end(const ChildEnd& end) {
  child_.reset();
  if (!end.survivors.empty())
    say_.line(about_task(fmt::format("cannot kill what it has started: {}", fmt::join(end.survivors, ", "))));
  progress_pause_.stop();
  pausing_ = false;
  if (dropped_) {
    progress_call_.reset();
    progress_.reset();
    task_.reset();
    if (registered_.empty() && !draining_) return registration_->try_again();
    return next();
  }
  if (end.too_much_output)
    return be_done(false, fmt::format("the result has more than {} bytes\n", limits::kTaskBytes));
  be_done(end.code() == 0, end.output);
}

// The server takes no progress of a task that has a result.
void Worker::be_done(bool done, std::string text) {
  result_ = TaskResult{done, std::move(text)};
  report_progress();
  if (progress_call_ == nullptr) return report();
  progress_patience_.start(kProgressPatience);
}

void Worker::report() {
  progress_patience_.stop();
  progress_.reset();
  const TaskResult result = *std::exchange(result_, std::nullopt);
  HttpRequest request;
  request.method = "PUT";
  const std::string target = fmt::format("/v1/tasks/{}/result?fence={}&status={}", percent_encode(task_->id),
                                         task_->fence, result.done ? "done" : "failed");
  request.target = [target] { return target; };
  request.body = result.text;
  request.silence = options_.silence;
  HttpEvents events;
  events.on_failed = [this](const std::string& why) {
    say_.once(about_task(why + "; trying on"));
    return true;
  };
  events.on_answer = [this](const Response& answer) { on_reported(answer); };
  call_ = std::make_unique<HttpCall>(client_, std::move(request), std::move(events));
}

void Worker::on_reported(const Response& answer) {
  if (answer.status == 412) {
    say_.line(about_task("given to another meanwhile; its result is dropped"));
  } else if (answer.status / 100 != 2) {
    say_.line(about_task("its result is dropped: " + problem_text(answer.status, answer.body)));
  }
  if (refuses_access(answer.status)) return be_over(true);
  call_.reset();
  task_.reset();
  next();
}

}  // namespace kvd::client
