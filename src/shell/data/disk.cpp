// See disk.hpp.
#include "shell/data/disk.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "net/loop.hpp"

namespace kvd {
namespace {

constexpr Duration kLookForSpace = milliseconds(1000);

}  // namespace

class Disk::Impl {
 public:
  Impl(uv_loop_t* loop, Files& files, JournalOptions options, Duration idle_after, InputSink inputs)
      : loop_(loop),
        interval_(options.sync == JournalOptions::Sync::kInterval),
        idle_after_(idle_after),
        inputs_(std::move(inputs)),
        timer_(loop, [this] { on_time(); }),
        journal_(files, std::move(options)) {
    work_.data = this;
  }

  void perform(DiskOrder order) { orders_.push_back(std::move(order)); }

  void flush() {
    if (working_ || (orders_.empty() && !idle_due_)) return;
    working_ = true;
    job_writes_ = !orders_.empty();
    job_orders_ = std::exchange(orders_, {});
    job_idle_ = std::exchange(idle_due_, false);
    const int failed = uv_queue_work(
        loop_, &work_, [](uv_work_t* work) { static_cast<Impl*>(work->data)->work(); },
        [](uv_work_t* work, int) { static_cast<Impl*>(work->data)->worked(); });
    CHECK(failed == 0);
  }

  void close(std::function<void()> done) {
    closed_ = std::move(done);
    closing_ = true;
    idle_due_ = false;
    timer_.stop();
    flush();
    if (!working_) finish();
  }

 private:
  // On another thread: the journal and what belongs to the job, nothing else.
  void work() {
    if (job_writes_) job_answers_ = journal_.perform(std::exchange(job_orders_, {}));
    if (!job_idle_) return;
    std::vector<DiskAnswer> more = journal_.idle();
    std::move(more.begin(), more.end(), std::back_inserter(job_answers_));
  }

  void worked() {
    working_ = false;
    for (DiskAnswer& answer : std::exchange(job_answers_, {})) {
      if (const auto* space = std::get_if<DiskSpace>(&answer)) low_ = space->low;
      if (!closing_) inputs_(std::move(answer));
    }
    if (!closing_) wait_for_idleness(job_writes_);
    flush();  // what came meanwhile
    if (closing_ && !working_) finish();
  }

  // After the last write, or (interval) after the first one since; and again while there is little space.
  void wait_for_idleness(bool wrote) {
    if (!wrote && !low_) return;
    if (interval_ && timer_.running()) return;
    timer_.start(std::max<Duration>(wrote ? idle_after_ : kLookForSpace, milliseconds(1)));
  }

  void on_time() {
    if (working_ && !interval_) return;  // not idle at all; the job's end waits anew
    idle_due_ = true;
    flush();
  }

  void finish() {
    if (closed_) std::exchange(closed_, nullptr)();
  }

  uv_loop_t* loop_;
  bool interval_;
  Duration idle_after_;
  InputSink inputs_;
  net::Timer timer_;
  std::vector<DiskOrder> orders_;  // since the job began
  bool idle_due_ = false;
  bool low_ = false;
  bool closing_ = false;
  std::function<void()> closed_;

  bool working_ = false;  // then the following belong to the job
  uv_work_t work_{};
  Journal journal_;
  std::vector<DiskOrder> job_orders_;
  bool job_writes_ = false;
  bool job_idle_ = false;
  std::vector<DiskAnswer> job_answers_;
};

Disk::Disk(uv_loop_t* loop, Files& files, JournalOptions options, Duration idle_after, InputSink inputs)
    : impl_(std::make_unique<Impl>(loop, files, std::move(options), idle_after, std::move(inputs))) {}

Disk::~Disk() = default;

void Disk::perform(DiskOrder order) { impl_->perform(std::move(order)); }
void Disk::flush() { impl_->flush(); }
void Disk::close(std::function<void()> done) { impl_->close(std::move(done)); }

}  // namespace kvd
