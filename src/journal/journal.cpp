// See journal.hpp. One queue: an order that meets no space stays at its head, and with it everything behind it, until
// there is space. Writes are gathered while the orders are gone through; whatever needs them on the disk writes and
// syncs them first, and the end of perform() does it once for the rest.
#include "journal/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "journal/journal_log.hpp"
#include "journal/journal_recovery.hpp"
#include "journal/journal_snapshot.hpp"

namespace kvd {
namespace {

// More than the reserve by this part of it must be free before the space is called enough again.
constexpr uint64_t kHysteresis = 8;

bool is_hint(const DiskWrite& order) {
  return std::all_of(order.records.begin(), order.records.end(),
                     [](const DiskRecord& record) { return std::holds_alternative<DiskCommit>(record); });
}

}  // namespace

struct Journal::Parts {
  // A DiskWrite whose records are in the log from `sequence` backwards.
  struct Write {
    uint64_t sequence = 0;
    DiskWrite order;
    bool hint = false;
  };

  Parts(Files& where, JournalOptions how) : files(where), options(std::move(how)), recovery(files, options) {}

  void run();
  void go_through_queue();
  FileResult perform(DiskOrder& order);
  FileResult perform(DiskRead&);
  FileResult perform(DiskKeep& order);
  FileResult perform(DiskWrite& order);
  FileResult perform(DiskSnapshotBegin& order);
  FileResult perform(DiskSnapshotItems& order);
  FileResult perform(DiskSnapshotEnd& order);
  FileResult perform(DiskClose&);

  void wait_for_space();
  FileResult begin_log();
  FileResult write_log();
  FileResult make_safe();
  FileResult mark_what_is_safe();
  void answer_writes();
  FileResult keep_root(JournalRoot next);
  bool always() const { return options.sync == JournalOptions::Sync::kAlways; }

  FileResult begin_generation();
  FileResult finish_snapshot(SnapshotFoot foot);
  FileResult switch_generation();
  FileResult remove_covered(uint64_t first_segment);
  FileResult give_up_snapshot();
  bool concerns(uint64_t number) const { return snapshot && snapshot->number() == number; }

  FileResult idle_turn();
  void check_space();
  void fail(const FileError& error);

  Files& files;
  JournalOptions options;
  JournalRecovery recovery;
  std::vector<DiskAnswer> answers;

  std::deque<DiskOrder> waiting;
  bool blocked = false;  // the first of them waits for space
  bool ended = false;    // failed or closed: nothing is done any more
  bool low = false;
  bool no_successor = false;  // there was no space to prepare the next segment; idle() tries again

  JournalRoot root;               // as it is on the disk
  std::optional<JournalLog> log;  // of the generation that is written; none before it was opened
  std::deque<Write> unwritten;    // appended to the log
  std::deque<Write> unsafe;       // written; without records
  std::optional<SnapshotWriter> snapshot;

  // A new generation is begun and not yet what a restart finds. `former`: the one that a restart finds.
  std::optional<JournalLog> former;
  bool void_log = false;  // its snapshot was given up: what follows it is of no use until another one
  uint64_t newest_generation = 0;
  std::vector<uint64_t> withheld;  // DiskWritten, until the generation is whole
};

Journal::Journal(Files& files, JournalOptions options)
    : parts_(std::make_unique<Parts>(files, std::move(options))) {}

Journal::~Journal() = default;

std::vector<DiskAnswer> Journal::perform(std::vector<DiskOrder> orders) {
  if (parts_->ended) return {};
  for (DiskOrder& order : orders) parts_->waiting.push_back(std::move(order));
  parts_->run();
  return std::exchange(parts_->answers, {});
}

std::vector<DiskAnswer> Journal::idle() {
  if (parts_->ended) return {};
  parts_->run();
  if (!parts_->ended) {
    if (FileResult error = parts_->idle_turn()) parts_->fail(*error);
  }
  return std::exchange(parts_->answers, {});
}

// ---- the queue ----

void Journal::Parts::run() {
  blocked = false;
  go_through_queue();
  // What is left after an order that waits is written before it, and safe.
  while (!ended && log) {
    FileResult error = former ? write_log() : make_safe();
    if (!error) break;
    if (!error->no_space) return fail(*error);
    wait_for_space();
    go_through_queue();
  }
  if (!ended && log && !no_successor) {
    FileResult error = log->prepare();
    if (error && !error->no_space) return fail(*error);
    no_successor = error.has_value();
  }
  if (!ended) check_space();
}

void Journal::Parts::go_through_queue() {
  while (!waiting.empty() && !ended && !blocked) {
    DiskOrder order = std::move(waiting.front());
    waiting.pop_front();
    FileResult error = perform(order);
    if (!error) continue;
    if (!error->no_space) return fail(*error);
    waiting.push_front(std::move(order));
    wait_for_space();
  }
  // The last order does not wait: nobody was told of anything that does.
  if (blocked && !ended && std::holds_alternative<DiskClose>(waiting.back())) {
    DiskClose close;
    if (FileResult error = perform(close)) fail(*error);
  }
}

// What was appended and could not be written waits as well, before the order that noticed. A snapshot under way gives
// its space for it.
void Journal::Parts::wait_for_space() {
  for (; log && !unwritten.empty() && unwritten.back().sequence > log->written(); unwritten.pop_back()) {
    waiting.push_front(std::move(unwritten.back().order));
  }
  blocked = !snapshot;
  if (FileResult error = give_up_snapshot()) fail(*error);
}

void Journal::Parts::fail(const FileError& error) {
  ended = true;
  answers.push_back(DiskFailed{error.what});
}

FileResult Journal::Parts::perform(DiskOrder& order) {
  return std::visit([this](auto& content) { return perform(content); }, order);
}

// ---- opening, facts, the end ----

FileResult Journal::Parts::perform(DiskRead&) {
  if (recovery.done()) return {};
  if (FileResult error = recovery.read(answers)) return error;
  if (!recovery.done()) return {};
  const JournalRecovery::Found& found = recovery.found();
  root = found.root;
  newest_generation = root.generation;
  log.emplace(files, options, root.generation, root.opening);
  log->resume(found.segments, found.number, found.next);
  return {};
}

FileResult Journal::Parts::keep_root(JournalRoot next) {
  if (!former && log) next.safe = log->synced();
  if (FileResult error = replace_facts(files, next)) return error;
  root = std::move(next);
  return {};
}

FileResult Journal::Parts::perform(DiskKeep& order) {
  if (!log) return FileError{false, "the directory was not opened"};
  if (FileResult error = make_safe()) return error;
  JournalRoot next = root;
  // Another life: nobody relies on what the former one had called safe.
  if (next.facts.self != order.facts.self) next.lost.clear();
  next.facts = order.facts;
  if (FileResult error = keep_root(std::move(next))) return error;
  answers.push_back(DiskKept{order.facts});
  return {};
}

FileResult Journal::Parts::perform(DiskClose&) {
  if (log) {
    FileResult error = make_safe();
    if (!error && !former) error = mark_what_is_safe();
    JournalRoot next = root;
    next.closed = true;
    if (!error) error = keep_root(std::move(next));
    // Without space it is only not marked as closed; nobody was told of what is still waiting.
    if (error && !error->no_space) return error;
  }
  ended = true;
  answers.push_back(DiskClosed{});
  return {};
}

// ---- the log ----

FileResult Journal::Parts::begin_log() {
  if (log->empty()) {
    if (FileResult error = log->open()) return error;
  }
  if (former || root.begun) return {};
  JournalRoot next = root;
  next.begun = true;
  return keep_root(std::move(next));
}

FileResult Journal::Parts::perform(DiskWrite& order) {
  if (!log) return FileError{false, "the directory was not opened"};
  if (void_log) {
    withheld.push_back(order.number);
    return {};
  }
  if (FileResult error = begin_log()) return error;
  if (FileResult error = log->append(order.records)) return error;
  const bool hint = is_hint(order);
  unwritten.push_back(Write{log->appended(), std::move(order), hint});
  return {};
}

FileResult Journal::Parts::write_log() {
  if (FileResult error = log->write()) return error;
  answer_writes();
  return {};
}

// In the sense of --sync. What only hints at commits is not waited for: the next sync takes it along.
FileResult Journal::Parts::make_safe() {
  if (FileResult error = write_log()) return error;
  const bool needed =
      std::any_of(unsafe.begin(), unsafe.end(), [](const Write& write) { return !write.hint; });
  if (always() && needed) {
    if (FileResult error = log->sync()) return error;
  }
  answer_writes();
  return {};
}

// So that the loss of what was written last shows later: a frame that says that it was safe.
FileResult Journal::Parts::mark_what_is_safe() {
  if (log->data_unsynced()) {
    if (FileResult error = log->sync()) return error;
  }
  answer_writes();
  if (FileResult error = log->mark()) return error;
  return always() ? log->sync() : FileResult();
}

void Journal::Parts::answer_writes() {
  while (!unwritten.empty() && unwritten.front().sequence <= log->written()) {
    unwritten.front().order.records.clear();
    unsafe.push_back(std::move(unwritten.front()));
    unwritten.pop_front();
  }
  for (; !unsafe.empty(); unsafe.pop_front()) {
    const Write& write = unsafe.front();
    if (former) {
      withheld.push_back(write.order.number);
    } else if (!always() || write.hint || write.sequence <= log->synced()) {
      answers.push_back(DiskWritten{write.order.number});
    } else {
      break;
    }
  }
}

FileResult Journal::Parts::idle_turn() {
  no_successor = false;
  if (!log || blocked || former || options.sync == JournalOptions::Sync::kOff) return {};
  FileResult error = mark_what_is_safe();
  return error && error->no_space ? FileResult() : error;
}

void Journal::Parts::check_space() {
  const uint64_t free = files.free_bytes();
  const uint64_t enough = options.reserve_bytes + (low ? options.reserve_bytes / kHysteresis : 0);
  const bool now_low = blocked || free < enough;
  if (now_low == low) return;
  low = now_low;
  answers.push_back(DiskSpace{
      low, free,
      blocked ? fmt::format("no space for what is to be written; {} bytes are free", free)
              : fmt::format("{} bytes are free, {} are kept in reserve", free, options.reserve_bytes)});
}

// ---- snapshots ----

FileResult Journal::Parts::perform(DiskSnapshotBegin& order) {
  if (!log) return FileError{false, "the directory was not opened"};
  if (snapshot) {
    if (FileResult error = snapshot->give_up()) return error;
    snapshot.reset();
  }
  if (order.fresh) {
    if (FileResult error = begin_generation()) return error;
  } else if (void_log) {
    answers.push_back(DiskSnapshotDone{order.number, false});
    return {};
  }
  snapshot.emplace(files, log->generation(), order);
  FileResult error = snapshot->begin(root.facts);
  return error && error->no_space ? give_up_snapshot() : error;
}

// What is written from here on belongs to the generation that this snapshot begins; a restart finds the former one
// until that is whole.
FileResult Journal::Parts::begin_generation() {
  if (FileResult error = make_safe()) return error;
  if (former) {
    if (FileResult error = log->remove_all()) return error;
  } else {
    if (FileResult error = log->sync()) return error;
    root.safe = log->synced();
    former.emplace(std::move(*log));
  }
  log.emplace(files, options, ++newest_generation, root.opening);
  void_log = false;
  return {};
}

FileResult Journal::Parts::perform(DiskSnapshotItems& order) {
  if (!concerns(order.number)) return {};
  FileResult error = snapshot->add(order.items);
  if (error) return error->no_space ? give_up_snapshot() : error;
  answers.push_back(DiskSnapshotTaken{order.number});
  return {};
}

FileResult Journal::Parts::perform(DiskSnapshotEnd& order) {
  if (!concerns(order.number)) return {};
  // In every mode: it is whole only with the log, and the log before it goes.
  if (FileResult error = write_log()) return error;
  if (FileResult error = begin_log()) return error;
  if (FileResult error = log->sync()) return error;
  answer_writes();
  SnapshotFoot foot;
  foot.revision = order.revision;
  foot.digest = order.digest;
  foot.segment = log->first_behind(snapshot->base().revision).number;
  foot.sequence = log->first_behind(snapshot->base().revision).first;
  foot.through = log->written();
  FileResult error = finish_snapshot(foot);
  return error && error->no_space ? give_up_snapshot() : error;
}

FileResult Journal::Parts::finish_snapshot(SnapshotFoot foot) {
  if (FileResult error = snapshot->finish(foot)) return error;
  if (FileResult error = snapshot->publish()) return error;
  if (former) {
    FileResult error = switch_generation();
    if (error && error->no_space) {  // the facts are the former ones
      if (FileResult failed = files.remove(snapshot->name())) return failed;
    }
    if (error) return error;
  }
  answers.push_back(DiskSnapshotDone{snapshot->number(), true});
  if (FileResult error = remove_covered(foot.segment)) return error;
  snapshot.reset();
  return {};
}

FileResult Journal::Parts::switch_generation() {
  JournalRoot next = root;
  next.generation = log->generation();
  next.begun = next.snapshot = true;
  next.safe = log->synced();
  if (FileResult error = replace_facts(files, next)) return error;
  root = std::move(next);
  former.reset();
  for (uint64_t number : std::exchange(withheld, {})) answers.push_back(DiskWritten{number});
  return {};
}

// Everything that the snapshot stands for now.
FileResult Journal::Parts::remove_covered(uint64_t first_segment) {
  if (FileResult error = log->remove_before(first_segment)) return error;
  std::vector<Files::Info> all;
  if (FileResult error = files.list(all)) return error;
  for (const Files::Info& file : all) {
    const JournalName name = parse_journal_name(file.name);
    const bool other = name.generation != log->generation();
    if ((name.kind == JournalName::Kind::kSegment && other) ||
        (name.kind == JournalName::Kind::kSnapshot && file.name != snapshot->name())) {
      if (FileResult error = files.remove(file.name)) return error;
    }
  }
  return {};
}

FileResult Journal::Parts::give_up_snapshot() {
  if (!snapshot) return {};
  if (FileResult error = snapshot->give_up()) return error;
  answers.push_back(DiskSnapshotDone{snapshot->number(), false});
  snapshot.reset();
  if (!former) return {};
  // The log that was to follow it is of no use alone.
  if (FileResult error = log->remove_all()) return error;
  for (const auto* writes : {&unsafe, &unwritten}) {
    for (const Write& write : *writes) withheld.push_back(write.order.number);
  }
  unsafe.clear();
  unwritten.clear();
  log.emplace(files, options, log->generation(), root.opening);
  void_log = true;
  return {};
}

}  // namespace kvd
