// See journal_run.hpp.
#include "journal_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kvd::sim {
namespace {

constexpr int kIdlesMax = 50;  // with space enough, all is answered after so many

}  // namespace

JournalRun::Counts& JournalRun::Counts::operator+=(const Counts& other) {
  for (auto member : {&Counts::lives, &Counts::opened, &Counts::intact, &Counts::usable, &Counts::entries,
                      &Counts::snapshots, &Counts::refused, &Counts::failures, &Counts::syncs, &Counts::torn,
                      &Counts::closed}) {
    this->*member += other.*member;
  }
  return *this;
}

std::string JournalRun::Counts::text() const {
  return fmt::format(
      "{} lives, {} cut off in a change, {} closed, {} opened, {} intact, {} usable; {} entries, {} "
      "snapshots, "
      "{} had no space, {} errors, {} syncs",
      lives, torn, closed, opened, intact, usable, entries, snapshots, refused, failures, syncs);
}

JournalRun::JournalRun(uint64_t seed, bool traced, Lie lie)
    : prng_(seed), traced_(traced), files_(prng_.next(), lie) {
  using Sync = JournalOptions::Sync;
  const uint64_t sync = prng_.below(8);
  options_.sync = sync == 0 ? Sync::kInterval : sync == 1 ? Sync::kOff : Sync::kAlways;
  options_.segment_bytes = uint64_t(1) << prng_.between(10, 15);
  options_.reserve_bytes = prng_.one_in(2) ? 0 : prng_.below(20'000);
  options_.read_bytes = uint64_t(1) << prng_.between(6, 16);
  faults_ = prng_.one_in(2) ? Faults::kNone : static_cast<Faults>(1 + prng_.below(3));
  values_large_ = prng_.one_in(3);
  facts_.cluster = "c";
}

std::optional<std::string> JournalRun::run() {
  const uint64_t lives = 1 + prng_.below(6);
  for (uint64_t i = 0; i < lives && !failure_; ++i) life();
  if (!failure_) last_life();
  counts_.syncs = files_.syncs();
  return failure_;
}

void JournalRun::fail(std::string why) {
  if (!failure_) failure_ = std::move(why);
}

void JournalRun::say(const std::string& what) {
  if (traced_) fmt::print("{}\n", what);
}

// ---- lives ----

void JournalRun::life() {
  ++counts_.lives;
  plan_faults();
  if (open()) {
    const uint64_t steps = prng_.below(60);
    for (uint64_t i = 0; i < steps && !over(); ++i) step();
  }
  if (!over() && prng_.one_in(4)) {
    files_.set_budget(SimFiles::kNoLimit);
    orders_.push_back(DiskClose{});
    flush(orders_.size());
    for (int i = 0; i < kIdlesMax && !over() && !closed_; ++i) idle();
    if (!over() && !closed_) fail("does not close");
  }
  end_life();
}

// Without faults: it opens, writes, and finds it all again.
void JournalRun::last_life() {
  say("the last two lives are without faults");
  faults_ = Faults::kNone;
  files_.set_budget(SimFiles::kNoLimit);
  for (bool once : {true, false}) {
    if (!open()) {
      if (!failure_) fail("does not open a sound disk");
      return;
    }
    if (once) write();
    if (!settle() && !failure_) fail("does not answer everything, with space enough");
    idle();
    if (low_) fail("says for ever that there is little space");
    if (failure_) return;
    prng_.one_in(2) ? end_life() : perform({DiskClose{}});
    end_life();
  }
}

void JournalRun::plan_faults() {
  files_.set_budget(SimFiles::kNoLimit);
  errors_due_ = false;
  if (prng_.one_in(2)) files_.die_in(1 + prng_.below(prng_.one_in(2) ? 12 : 100));
  if (faults_ == Faults::kSpace && prng_.one_in(4)) files_.set_budget(files_.used() + prng_.below(10'000));
  if (faults_ != Faults::kErrors || prng_.one_in(2)) return;
  errors_due_ = true;
  const uint64_t in = 1 + prng_.below(30);
  const uint64_t kind = prng_.below(3);
  if (kind == 0) files_.fail_sync_in(in);
  if (kind == 1) files_.fail_read_in(in);
  if (kind == 2) files_.fail_write_in(in);
}

// Until the node may go on; false: this life is over before that.
bool JournalRun::open() {
  dead_ = closed_ = snapshot_open_ = fresh_ = fresh_refused_ = low_ = false;
  orders_.clear();
  options_.boot = fmt::format("boot-{}", boot_);
  journal_ = std::make_unique<Journal>(files_, options_);
  JournalModel::Opened opened;
  const std::vector<Files::Info> all = files_.files();
  const bool anything =
      model_.holds_copy() && std::any_of(all.begin(), all.end(), [](const Files::Info& file) {
        return file.name != "facts" && !file.name.ends_with(".tmp");
      });
  if (!read_all(opened)) return false;
  if (!opened.opened.intact && opened.opened.why.empty() && anything) {
    fail("does not say why it is not intact");
  }
  const bool weak = options_.sync != JournalOptions::Sync::kAlways && power_lost_;
  ++counts_.opened;
  counts_.intact += opened.opened.intact ? 1 : 0;
  counts_.usable += opened.opened.usable ? 1 : 0;
  say(fmt::format("opened: intact={} usable={} {}; base {} end {}, {} items, {} records",
                  opened.opened.intact, opened.opened.usable, opened.opened.why,
                  opened.found.base.revision.value, opened.found.snapshot_end.value, opened.items.size(),
                  opened.records.size()));
  JournalModel::Excuse excuse = damage_;
  excuse.lost = damaged_ || weak || errors_due_ || renounced_;
  if (std::optional<std::string> why = model_.on_opened(opened, excuse)) fail(*why);
  power_lost_ = false;
  damage_ = {};
  renounced_ = !opened.opened.intact;
  establish(opened);
  return settle();
}

bool JournalRun::read_all(JournalModel::Opened& opened) {
  for (int part = 0; !dead_; ++part) {
    std::vector<DiskOrder> orders(1, DiskRead{});
    std::vector<DiskAnswer> answers = journal_->perform(std::move(orders));
    for (int i = 0; answers.empty() && i < kIdlesMax && !files_.dead(); ++i) {
      if (i == kIdlesMax / 2) files_.set_budget(SimFiles::kNoLimit);
      answers = journal_->idle();
    }
    for (DiskAnswer& answer : answers) {
      if (files_.dead()) break;
      if (auto* found = std::get_if<DiskFound>(&answer)) {
        if (part != 0) fail("finds twice");
        opened.found = std::move(*found);
      } else if (auto* bytes = std::get_if<DiskPart>(&answer)) {
        if (!opened.records.empty() && !bytes->items.empty()) fail("items behind the log");
        opened.items.insert(opened.items.end(), bytes->items.begin(), bytes->items.end());
        opened.records.insert(opened.records.end(), bytes->records.begin(), bytes->records.end());
      } else if (auto* end = std::get_if<DiskOpened>(&answer)) {
        opened.opened = *end;
        return !failure_;
      } else {
        hear({std::move(answer)});
      }
    }
    if (files_.dead() || failure_) dead_ = true;
    if (part > 10'000) fail("reads for ever");
  }
  return false;
}

// As a node does: another incarnation unless the disk is sure to have everything, an empty copy if it has none.
void JournalRun::establish(const JournalModel::Opened& opened) {
  const bool usable = opened.opened.usable && opened.found.base != LogPosition{};
  const bool same = opened.opened.intact && usable;
  const bool keep_first = prng_.one_in(2);
  facts_ = opened.found.facts;
  base_ = opened.found.base;
  log_ = model_.log();
  committed_ = model_.committed();
  epoch_ = Epoch(std::max({epoch_.value, facts_.epoch.value, base_.epoch.value}));
  if (!same && keep_first) keep(true);
  if (!usable) begin_snapshot(true);
  if (!usable) continue_snapshot();
  if (!same && !keep_first) keep(true);
}

void JournalRun::end_life() {
  const bool power = prng_.one_in(2);
  say(fmt::format("{}{}", power ? "the power is lost" : "the process ends", closed_ ? ", cleanly" : ""));
  counts_.torn += files_.dead() ? 1 : 0;
  counts_.closed += closed_ ? 1 : 0;
  journal_.reset();
  if (power) {
    files_.lose_power();
    ++boot_;
    power_lost_ = power_lost_ || !closed_;
  } else {
    files_.end_process();
  }
  if (faults_ == Faults::kDamage && prng_.one_in(3)) damage();
}

void JournalRun::damage() {
  const std::vector<Files::Info> all = files_.files();
  if (all.empty()) return;
  const Files::Info& file = all[prng_.below(all.size())];
  damage_.marks = damage_.tail;  // a second damage may hit what told of the first
  damaged_ = damage_.tail = true;
  const uint64_t kind = prng_.below(6);
  say(fmt::format("damage {} at {} ({} bytes)", kind, file.name, file.size));
  if (kind == 0) {
    files_.lose_file(file.name);
  } else if (kind == 1) {
    damage_.marks = true;
    files_.cut(file.name, prng_.below(file.size + 1));
  } else if (file.size > 0) {
    // Near the beginning more often: the end is mostly empty.
    const uint64_t at = prng_.below(prng_.one_in(2) ? file.size : std::min<uint64_t>(file.size, 300));
    for (uint64_t i = 0; i < kind - 1; ++i) {
      files_.flip_bit(file.name, at, static_cast<int>(2 * i + prng_.below(2)));
    }
  }
}

// ---- a node's orders ----

void JournalRun::step() {
  const uint64_t kind = prng_.below(100);
  if (fresh_refused_) {  // there was no space for a new generation: nothing else makes sense
    if (kind < 50) return idle();
    begin_snapshot(true);
    continue_snapshot();
    flush(orders_.size());
  } else if (kind < 40) {
    write();
  } else if (kind < 65) {
    flush(orders_.size());
  } else if (kind < 70) {
    flush(prng_.below(orders_.size() + 1));
  } else if (kind < 78) {
    idle();
  } else if (kind < 82) {
    keep(false);
  } else if (kind < 96) {
    if (snapshot_open_) return continue_snapshot();
    begin_snapshot(fresh_ || prng_.one_in(8));
  } else if (kind < 97 && !fresh_ && snapshot_open_) {
    begin_snapshot(prng_.one_in(2));  // gives the other one up
  } else if (faults_ == Faults::kSpace) {
    files_.set_budget(prng_.one_in(2) ? SimFiles::kNoLimit : files_.used() + prng_.below(10'000));
  }
}

Revision JournalRun::last() const { return log_.empty() ? base_.revision : log_.back()->revision; }

LogPosition JournalRun::position(Revision revision) const {
  if (revision == base_.revision) return base_;
  return {log_[revision.value - base_.revision.value - 1]->epoch, revision};
}

void JournalRun::write() {
  DiskWrite order;
  order.number = ++writes_;
  for (uint64_t i = prng_.below(5); i-- > 0;) order.records.push_back(record());
  orders_.push_back(std::move(order));
}

DiskRecord JournalRun::record() {
  const uint64_t kind = prng_.below(10);
  if (kind == 0 && last() > committed_) {
    const Revision cut(committed_.value + prng_.below(last().value - committed_.value + 1));
    log_.resize(cut.value - base_.revision.value);
    epoch_ = Epoch(epoch_.value + 1);
    return DiskTruncate{cut};
  }
  if (kind <= 2) {
    committed_ = Revision(committed_.value + prng_.below(last().value - committed_.value + 1));
    return DiskCommit{committed_};
  }
  auto entry = std::make_shared<Entry>();
  entry->epoch = epoch_;
  entry->revision = last().next();
  for (uint64_t i = 1 + (prng_.one_in(5) ? prng_.below(3) : 0); i-- > 0;) {
    const std::string key = fmt::format("k{}", ++marks_);
    std::optional<Bytes> value;
    if (!prng_.one_in(5)) {
      const uint64_t size = values_large_ && prng_.one_in(3) ? prng_.below(6'000) : prng_.below(40);
      value = Bytes(std::string(size, static_cast<char>(prng_.below(256))));
    }
    Record::Metadata metadata{entry->revision, entry->revision, prng_.below(3)};
    metadata.space = prng_.one_in(4) ? Space::kRequests : Space::kData;
    entry->effects.push_back(value ? Record(key, *value, metadata) : Record::deletion(key, metadata));
  }
  log_.push_back(entry);
  ++counts_.entries;
  return EntryPointer(std::move(entry));
}

void JournalRun::keep(bool another) {
  if (another) facts_.self = {ServerId{"s0"}, Incarnation(prng_.next() | 1)};
  if (prng_.one_in(3)) facts_.lineage = Lineage(facts_.lineage.value + 1);
  facts_.epoch = epoch_ = Epoch(epoch_.value + 1);
  orders_.push_back(DiskKeep{facts_});
}

void JournalRun::begin_snapshot(bool fresh) {
  fresh_refused_ = false;
  if (fresh) {  // of a leader that is further, or of a new lineage
    fresh_ = true;
    base_ = {epoch_, Revision(committed_.value + prng_.below(20))};
    log_.clear();
    committed_ = base_.revision;
  }
  snapshot_open_ = true;
  last_key_.clear();
  orders_.push_back(DiskSnapshotBegin{++snapshots_, position(committed_), fresh});
}

void JournalRun::continue_snapshot() {
  if (!prng_.one_in(3)) {
    DiskSnapshotItems part;
    part.number = snapshots_;
    for (uint64_t i = prng_.below(6); i-- > 0;) {
      last_key_ += static_cast<char>(prng_.between('0', 'z'));
      const auto value =
          fmt::format("{}{}", ++marks_, std::string(values_large_ ? prng_.below(3'000) : 0, 'v'));
      part.items.emplace_back(last_key_, value,
                              Record::Metadata{Revision(1), committed_, 1 + prng_.below(3)});
    }
    orders_.push_back(std::move(part));
    return;
  }
  snapshot_open_ = false;
  orders_.push_back(DiskSnapshotEnd{snapshots_, committed_, prng_.next()});
}

// Performs the first `orders` of those that wait.
void JournalRun::flush(size_t orders) {
  std::vector<DiskOrder> batch(
      std::make_move_iterator(orders_.begin()),
      std::make_move_iterator(orders_.begin() + static_cast<std::ptrdiff_t>(orders)));
  orders_.erase(orders_.begin(), orders_.begin() + static_cast<std::ptrdiff_t>(orders));
  perform(std::move(batch));
}

void JournalRun::perform(std::vector<DiskOrder> orders) {
  if (over()) return;
  for (const DiskOrder& order : orders) model_.on_order(order);
  const size_t count = orders.size();
  const std::vector<DiskAnswer> answers = journal_->perform(std::move(orders));
  say(fmt::format("{} orders, {} answers{}", count, answers.size(), files_.dead() ? ": dead" : ""));
  hear(answers);
}

void JournalRun::idle() {
  if (over()) return;
  const std::vector<DiskAnswer> answers = journal_->idle();
  say(fmt::format("idle, {} answers{}", answers.size(), files_.dead() ? ": dead" : ""));
  hear(answers);
  if (!over() && !fresh_ && options_.sync != JournalOptions::Sync::kOff) model_.on_marked();
}

// What a process that died has still been told counts for nothing.
void JournalRun::hear(const std::vector<DiskAnswer>& answers) {
  if (files_.dead()) {
    dead_ = true;
    return;
  }
  for (const DiskAnswer& answer : answers) {
    if (const auto* failed = std::get_if<DiskFailed>(&answer)) {
      ++counts_.failures;
      say("failed: " + failed->what);
      if (!errors_due_ && !damaged_) fail("gives up: " + failed->what);
      dead_ = true;
      return;
    }
    if (const auto* space = std::get_if<DiskSpace>(&answer)) low_ = space->low;
    if (std::holds_alternative<DiskClosed>(answer)) closed_ = true;
    if (const auto* done = std::get_if<DiskSnapshotDone>(&answer)) {
      ++(done->done ? counts_.snapshots : counts_.refused);
      if (!done->done && faults_ != Faults::kSpace) fail("no space for a snapshot, with space enough");
      if (done->number == snapshots_) {
        snapshot_open_ = snapshot_open_ && done->done;
        fresh_refused_ = fresh_ && !done->done;
        fresh_ = fresh_refused_;
      }
    }
    const auto* kept = std::get_if<DiskKept>(&answer);
    if (kept != nullptr && kept->facts.self == facts_.self) renounced_ = false;
    if (std::optional<std::string> why = model_.on_answer(answer)) fail(*why);
  }
}

bool JournalRun::settle() {
  for (int i = 0; i < kIdlesMax && !over(); ++i) {
    if (i == kIdlesMax / 2) files_.set_budget(SimFiles::kNoLimit);
    if (fresh_refused_) begin_snapshot(true);
    while (fresh_ && snapshot_open_) continue_snapshot();
    flush(orders_.size());
    if (!over() && model_.all_answered() && !fresh_) return true;
    idle();
  }
  if (!over()) fail("does not answer everything, with space enough");
  return false;
}

}  // namespace kvd::sim
