// See audit_log.hpp.
#include "shell/audit_log.hpp"

#include <fcntl.h>
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

int open_log(const std::string& path) {
  if (path == "-") return ::dup(STDOUT_FILENO);
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kMode);
}

// How much was written. `error`: why it is not all.
size_t write_all(int descriptor, std::string_view text, int& error) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t size = ::write(descriptor, text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      error = errno;
      break;
    }
    written += static_cast<size_t>(size);
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
    if (error == 0) text.erase(0, write_all(descriptor, text, error));
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
  if (lines_ >= kLinesMax) {
    ++dropped_;
    return;
  }
  waiting_ += line;
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
  if (failed_ && closing_) return;
  if (failed_) return timer_.start(kAgainAfter);
  if (lines_ > 0 || reopen_) begin();
}

void AuditLog::close() {
  closing_ = true;
  timer_.stop();
}

}  // namespace kvd
