// See zk_local.hpp.
#include "shell/zookeeper/zk_local.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/prng.hpp"
#include "core/zookeeper/zk_ensemble.hpp"
#include "core/zookeeper/znode_log.hpp"

namespace kvd {
namespace {

// With less free space nothing is written any more: a disk that is full in the middle of a write would be the end.
constexpr uint64_t kReserveBytes = 64u << 20;

Instant wall_clock() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return Instant(std::chrono::duration_cast<Duration>(since_1970));
}

}  // namespace

class ZkLocal::Impl {
 public:
  Impl(uv_loop_t* loop, uint64_t seed, Duration session_timeout, InputSink inputs)
      : loop_(loop), timeout_(session_timeout), inputs_(std::move(inputs)), prng_(seed), zookeeper_(prng_) {
    work_.data = this;
  }

  std::optional<Error> keep_in(Files& files) {
    log_.emplace(files);
    Result<ZnodeLog::Found> found = log_->open();
    if (!found) return found.error();
    files_ = &files;
    zookeeper_.resume(std::move(found->tree), found->zxid);
    return std::nullopt;
  }

  void start() {
    session_ = zookeeper_.open_session(timeout_, Instant());  // nobody ever looks whether it has expired
    inputs_(ZkSessionChanged{ZkState::kConnected, session_, timeout_});
  }

  void perform(ZkCall call) { calls_.push_back(std::move(call)); }

  void flush() {
    if (working_ || failed_ || calls_.empty()) return;
    zookeeper_.set_clock(wall_clock());
    const bool full = files_ != nullptr && files_->free_bytes() < kReserveBytes;
    for (const ZkCall& call : std::exchange(calls_, {})) outcomes_.push_back(outcome_of(call, full));
    if (changes_.empty() && (!log_ || log_->begun() || full)) return deliver();
    working_ = true;
    const int failed = uv_queue_work(
        loop_, &work_, [](uv_work_t* work) { static_cast<Impl*>(work->data)->work(); },
        [](uv_work_t* work, int) { static_cast<Impl*>(work->data)->worked(); });
    CHECK(failed == 0);
  }

  void close(std::function<void()> done) {
    closed_ = std::move(done);
    if (!working_) std::exchange(closed_, nullptr)();
  }

 private:
  ZkOutcome outcome_of(const ZkCall& call, bool full) {
    if (full && zk_is_write(call.request)) {
      ZkOutcome refused;
      refused.result.id = call.id;
      refused.result.code = ZkCode::kNotConnected;
      return refused;
    }
    const int64_t before = zookeeper_.zxid();
    ZkOutcome outcome = zookeeper_.apply(session_, call);
    if (log_ && zookeeper_.zxid() != before) encode_newest_change(zookeeper_, changes_);
    return outcome;
  }

  void deliver() {
    for (ZkOutcome& outcome : std::exchange(outcomes_, {})) {
      for (const ZkFired& fired : outcome.fired) {
        if (zookeeper_.watch_delivered(session_, fired)) inputs_(ZkWatchFired{fired.path});
      }
      zookeeper_.reply_delivered(session_, outcome);
      inputs_(std::move(outcome.result));
    }
  }

  void work() { error_ = log_->append(changes_); }  // on another thread, which alone has these meanwhile

  void worked() {
    working_ = false;
    changes_.clear();
    if (closed_) return std::exchange(closed_, nullptr)();
    if (error_) {
      failed_ = true;
      return inputs_(DiskAnswer(DiskFailed{error_->what}));
    }
    deliver();
    flush();
  }

  uv_loop_t* loop_;
  Duration timeout_;
  InputSink inputs_;
  Prng prng_;
  ZkEnsemble zookeeper_;
  uint64_t session_ = 0;
  Files* files_ = nullptr;  // none: in memory
  std::optional<ZnodeLog> log_;
  std::vector<ZkCall> calls_;        // since the batch began
  std::vector<ZkOutcome> outcomes_;  // of the batch
  std::string changes_;              // that it made
  uv_work_t work_{};
  bool working_ = false;
  bool failed_ = false;
  FileResult error_;
  std::function<void()> closed_;
};

ZkLocal::ZkLocal(uv_loop_t* loop, uint64_t seed, Duration session_timeout, InputSink inputs)
    : impl_(std::make_unique<Impl>(loop, seed, session_timeout, std::move(inputs))) {}

ZkLocal::~ZkLocal() = default;

std::optional<Error> ZkLocal::keep_in(Files& files) { return impl_->keep_in(files); }
void ZkLocal::start() { impl_->start(); }
void ZkLocal::perform(ZkCall call) { impl_->perform(std::move(call)); }
void ZkLocal::flush() { impl_->flush(); }
void ZkLocal::close(std::function<void()> done) { impl_->close(std::move(done)); }

}  // namespace kvd
