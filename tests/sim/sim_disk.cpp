// See sim_disk.hpp.
#include "sim_disk.hpp"

#include <fmt/format.h>

#include <utility>

namespace kvd::sim {
namespace {

constexpr Duration kIdleEvery = milliseconds(100);

}  // namespace

SimDisk::SimDisk(SimContext& context, Deliver deliver)
    : context_(context),
      deliver_(std::move(deliver)),
      files_(context.options.durable != 0 ? context.prng.next() : 0) {}

void SimDisk::start() {
  JournalOptions options;
  if (context_.options.sync_interval != 0) options.sync = JournalOptions::Sync::kInterval;
  options.boot = fmt::format("boot-{}", boot_);
  options.segment_bytes = static_cast<uint64_t>(context_.options.segment_bytes);
  options.reserve_bytes = static_cast<uint64_t>(context_.options.reserve_bytes);
  options.read_bytes = static_cast<uint64_t>(context_.options.disk_read_bytes);
  journal_ = std::make_unique<Journal>(files_, options);
  ++life_;
  error_asked_ = busy_ = marked_ = false;
  plan_idle();
}

void SimDisk::order(DiskOrder what) {
  waiting_.push_back(std::move(what));
  if (!busy_) plan_batch();
}

void SimDisk::plan_batch() {
  busy_ = true;
  marked_ = false;
  batch_ = std::exchange(waiting_, {});
  const Duration span = context_.up_to(context_.options.disk_us_max) + context_.up_to(slow_us_);
  context_.queue.after(span, [this, life = life_] {
    if (life == life_) finish_batch();
  });
}

void SimDisk::finish_batch() {
  busy_ = false;
  answer(journal_->perform(std::exchange(batch_, {})));
  if (!waiting_.empty() && !busy_) plan_batch();
}

void SimDisk::plan_idle() {
  context_.queue.after(kIdleEvery, [this, life = life_] {
    if (life != life_) return;
    plan_idle();
    if (busy_) return;
    answer(journal_->idle());
    const Options& options = context_.options;  // a full disk has no room for the note
    marked_ = files_.free_bytes() >= static_cast<uint64_t>(options.reserve_bytes + options.segment_bytes);
  });
}

void SimDisk::answer(std::vector<DiskAnswer> answers) {
  for (DiskAnswer& answer : answers) deliver_(std::move(answer));
}

void SimDisk::close() {
  if (journal_ == nullptr) return;
  batch_.insert(batch_.end(), std::make_move_iterator(waiting_.begin()),
                std::make_move_iterator(waiting_.end()));
  batch_.push_back(DiskClose{});
  journal_->perform(std::exchange(batch_, {}));
  waiting_.clear();
  busy_ = false;
}

void SimDisk::end(bool power) {
  if (journal_ == nullptr) return;
  ++life_;
  if (busy_ && context_.prng.one_in(2)) {
    files_.die_in(1 + context_.prng.below(8));
    journal_->perform(std::exchange(batch_, {}));
  }
  journal_.reset();
  batch_.clear();
  waiting_.clear();
  busy_ = false;
  if (power) {
    files_.lose_power();
    ++boot_;
  } else {
    files_.end_process();
  }
}

void SimDisk::fail_sync() {
  error_asked_ = true;
  files_.fail_sync_in(1 + context_.prng.below(3));
}

void SimDisk::fill(bool full) {
  files_.set_budget(full ? files_.used() + context_.prng.below(8'000) : SimFiles::kNoLimit);
}

void SimDisk::lose_all() {
  for (const Files::Info& file : files_.files()) files_.lose_file(file.name);
}

// Of the log's last records nothing can tell that they were safe before the journal has had time to note it.
bool SimDisk::rot() {
  std::vector<Files::Info> all = files_.files();
  std::erase_if(all, [this](const Files::Info& file) {
    return file.size == 0 || (!marked_ && file.name.starts_with("log-"));
  });
  if (all.empty()) return false;
  const Files::Info& file = all[context_.prng.below(all.size())];
  const uint64_t at =
      context_.prng.below(context_.prng.one_in(2) ? file.size : std::min<uint64_t>(file.size, 500));
  files_.flip_bit(file.name, at, static_cast<int>(context_.prng.below(8)));
  return true;
}

void SimDisk::copy() {
  copy_.clear();
  for (const Files::Info& file : files_.files()) files_.read(file.name, 0, file.size, copy_[file.name]);
}

void SimDisk::put_copy_back() {
  for (const Files::Info& file : files_.files()) files_.remove(file.name);
  for (const auto& [name, bytes] : copy_) {
    files_.create(name, bytes.size());
    files_.write(name, 0, bytes);
    files_.sync(name);
  }
}

}  // namespace kvd::sim
