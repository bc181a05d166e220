// See tls_keeper.hpp.
#include "shell/tls_keeper.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <uv.h>

#include <ctime>
#include <utility>

#include "base/check.hpp"

namespace kvd {
namespace {

constexpr Duration kLookEvery = seconds(30);
constexpr std::time_t kDaySeconds = 86'400;
constexpr std::time_t kSoonDays = 14;

}  // namespace

struct TlsKeeper::Job {
  uv_work_t request{};
  TlsKeeper* keeper = nullptr;  // null: nobody waits for it any more
  net::TlsFiles files;
  Sides sides = Sides::kServer;
  Stamps stamps{};  // of the files that were read last
  bool always = false;
  bool unchanged = false;
  Result<Loaded> loaded = Loaded{};
};

TlsKeeper::TlsKeeper(uv_loop_t* loop, std::string use, net::TlsFiles files, Sides sides, InputSink sink,
                     LogSink log)
    : loop_(loop),
      use_(std::move(use)),
      files_(std::move(files)),
      sides_(sides),
      sink_(std::move(sink)),
      log_(std::move(log)),
      timer_(loop, [this] { begin(false); }) {}

TlsKeeper::~TlsKeeper() { close(); }

void TlsKeeper::close() {
  timer_.stop();
  if (job_ != nullptr) std::exchange(job_, nullptr)->keeper = nullptr;
}

TlsKeeper::Stamps TlsKeeper::stamps_of(const net::TlsFiles& files) {
  Stamps stamps;
  auto stamp = stamps.begin();
  for (const std::string* file : {&files.certificate, &files.key, &files.authorities}) {
    struct stat there {};
    if (!file->empty() && stat(file->c_str(), &there) == 0)
      *stamp = {there.st_mtim.tv_sec * 1'000'000'000 + there.st_mtim.tv_nsec, there.st_ino, there.st_size};
    ++stamp;
  }
  return stamps;
}

Result<TlsKeeper::Loaded> TlsKeeper::load(const net::TlsFiles& files, Sides sides) {
  using net::TlsContext;
  Loaded loaded;
  auto server = TlsContext::load(TlsContext::Side::kServer, files);
  if (!server) return Failure<Error>(server.error());
  loaded.server = std::move(*server);
  if (sides == Sides::kServer) return loaded;
  auto client = TlsContext::load(TlsContext::Side::kClient, files);
  if (!client) return Failure<Error>(client.error());
  loaded.client = std::move(*client);
  return loaded;
}

Result<void> TlsKeeper::start() {
  stamps_ = stamps_of(files_);
  auto loaded = load(files_, sides_);
  if (!loaded) return Failure<Error>(loaded.error());
  loaded_ = std::move(*loaded);
  struct stat key {};
  if (stat(files_.key.c_str(), &key) == 0 && (key.st_mode & (S_IROTH | S_IWOTH)) != 0)
    log_({LogLevel::kWarn, "everybody on this machine may read this private key", {{"file", files_.key}}});
  tell();
  look_again_later();
  return {};
}

void TlsKeeper::look_again_later() { timer_.start(kLookEvery); }

void TlsKeeper::reload() {
  again_ = job_ != nullptr;
  if (!again_) begin(true);
}

void TlsKeeper::begin(bool always) {
  timer_.stop();
  job_ = new Job{{}, this, files_, sides_, stamps_, always};
  job_->request.data = job_;
  const auto read = [](uv_work_t* request) {
    auto& job = *static_cast<Job*>(request->data);
    const Stamps now = stamps_of(job.files);
    job.unchanged = !job.always && now == job.stamps;
    job.stamps = now;
    if (!job.unchanged) job.loaded = load(job.files, job.sides);
  };
  const auto done = [](uv_work_t* request, int) {
    const std::unique_ptr<Job> job(static_cast<Job*>(request->data));
    if (job->keeper != nullptr) job->keeper->take(*job);
  };
  CHECK(uv_queue_work(loop_, &job_->request, read, done) == 0);
}

void TlsKeeper::take(Job& job) {
  job_ = nullptr;
  stamps_ = job.stamps;
  if (!job.unchanged && job.loaded) {
    loaded_ = std::move(*job.loaded);
    failure_.clear();
    log_({LogLevel::kInfo,
          "read the TLS files again",
          {{"use", use_}, {"file", files_.certificate}, {"serial", loaded_.server->serial()}}});
  } else if (!job.unchanged) {
    failure_ = job.loaded.error().detail;
    log_({LogLevel::kError,
          "cannot use the new TLS files: those of before stay in use",
          {{"error", failure_}}});
  }
  tell();
  look_again_later();
  if (std::exchange(again_, false)) begin(true);
}

void TlsKeeper::tell() {
  const std::time_t left = loaded_.server->expires() - std::time(nullptr);
  std::string text;
  if (!failure_.empty()) {
    text = "the new TLS files cannot be used, those of before stay in use: " + failure_;
  } else if (left <= 0) {
    text = fmt::format("the certificate in {} has expired", files_.certificate);
  } else if (left < kSoonDays * kDaySeconds) {
    text = fmt::format("the certificate in {} expires in {} days", files_.certificate, left / kDaySeconds);
  }
  sink_(TlsState{use_, loaded_.server->expires(), std::move(text)});
}

}  // namespace kvd
