// See audit_log.hpp.
#include "shell/audit_log.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/check.hpp"

namespace kvd {
namespace {

constexpr Duration kAgainAfter = seconds(1);
constexpr mode_t kMode = 0600;
constexpr int kPatienceMs = 1000;

int open_log(const std::string& path) {
  if (path == "-") return ::dup(STDOUT_FILENO);
  // (A pipe that nobody reads is an error, and nothing to wait for.)
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, kMode);
}

// Whoever reads a pipe may stop reading. What poll() promises is room for this much.
bool waits_in_vain(int descriptor) {
  pollfd one{descriptor, POLLOUT, 0};
  return ::poll(&one, 1, kPatienceMs) == 0;
}

// How much was written. `error`: why it is not all.
size_t write_all(int descriptor, std::string_view text, int& error) {
  size_t written = 0;
  while (written < text.size() && error == 0) {
    if (waits_in_vain(descriptor)) {
      error = ETIMEDOUT;
      break;
    }
    const size_t some = std::min<size_t>(text.size() - written, PIPE_BUF);
    const ssize_t size = ::write(descriptor, text.data() + written, some);
    if (size >= 0) written += static_cast<size_t>(size);
    if (size < 0 && errno != EINTR && errno != EAGAIN) error = errno;
  }
  return written;
}

}  // namespace

struct AuditLog::Job {
  uv_work_t request;
  AuditLog* log;  // null: it is gone
  std::string path;
  bool reopen;
  int descriptor;
  std::string text;
  int error = 0;

  void run() {
    if (reopen || descriptor < 0) {
      const int fresh = open_log(path);
      error = fresh < 0 ? errno : 0;
      if (fresh >= 0 && descriptor >= 0) ::close(descriptor);
      if (fresh >= 0) descriptor = fresh;
    }
    if (error != 0) return;
    const size_t written = write_all(descriptor, text, error);
    // Of a line that was torn the whole is written once more, on a line of its own.
    const size_t whole = written == 0 ? std::string::npos : text.rfind('\n', written - 1);
    const size_t done = written == text.size() ? written : whole == std::string::npos ? 0 : whole + 1;
    text.erase(0, done);
    if (done != written) text.insert(0, 1, '\n');
  }
};

AuditLog::AuditLog(uv_loop_t* loop, std::string path, LogSink log)
    : loop_(loop), path_(std::move(path)), log_(std::move(log)), timer_(loop, [this] { begin(); }) {}

AuditLog::~AuditLog() {
  if (job_ != nullptr) job_->log = nullptr;
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> AuditLog::start() {
  descriptor_ = open_log(path_);
  if (descriptor_ < 0) return failure(std::strerror(errno));
  return {};
}

void AuditLog::add(std::string line) {
  if (!has_room()) {
    ++dropped_;
    return;
  }
  waiting_ += line;
  bytes_ += line.size();
  ++lines_;
  if (job_ == nullptr && !failed_) begin();
}

void AuditLog::reopen() {
  reopen_ = true;
  if (job_ == nullptr) begin();
}

void AuditLog::begin() {
  if (job_ != nullptr) return;
  job_ = new Job{{}, this, path_, std::exchange(reopen_, false), descriptor_, std::exchange(waiting_, {})};
  job_->request.data = job_;
  const auto write = [](uv_work_t* request) { static_cast<Job*>(request->data)->run(); };
  const auto done = [](uv_work_t* request, int) {
    const std::unique_ptr<Job> job(static_cast<Job*>(request->data));
    if (job->log != nullptr) job->log->take(*job);
  };
  CHECK(uv_queue_work(loop_, &job_->request, write, done) == 0);
}

void AuditLog::take(const Job& job) {
  job_ = nullptr;
  descriptor_ = job.descriptor;
  const bool failed = job.error != 0;
  if (failed && !failed_)
    log_({LogLevel::kError,
          "cannot write the audit log: what has to be in it is refused",
          {{"file", path_}, {"error", std::strerror(job.error)}}});
  if (!failed && failed_) log_({LogLevel::kInfo, "the audit log is written again", {{"file", path_}}});
  failed_ = failed;
  reopen_ |= failed && job.reopen;
  waiting_.insert(0, job.text);
  lines_ = static_cast<size_t>(std::count(waiting_.begin(), waiting_.end(), '\n'));
  bytes_ = waiting_.size();
  if (failed_ && closing_)
    return log_({LogLevel::kError, "the audit log lacks its end", {{"lines", std::to_string(lines_)}}});
  if (failed_) return timer_.start(kAgainAfter);
  if (lines_ > 0 || reopen_) begin();
}

void AuditLog::close() {
  closing_ = true;
  timer_.stop();
}

}  // namespace kvd
