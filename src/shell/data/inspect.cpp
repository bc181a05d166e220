// See inspect.hpp. Files are looked at one by one for what is in them; that they belong together is judged by what a
// start would do, up to the point where that would change something.
#include "shell/data/inspect.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/command_line.hpp"
#include "base/json_writer.hpp"
#include "core/replica/backup.hpp"
#include "core/replica/journal_view.hpp"
#include "shell/data/directory.hpp"

namespace kvd {
namespace {

constexpr uint64_t kReadBytes = 1u << 20;
constexpr int kAttempts = 5;  // a server that runs may remove what is just being read
constexpr char kNotes[] =
    R"(It only reads, and may be used while a server runs on the directory.
Exit codes: 0 sound; 64 the command line; 65 damaged; 66 there is no such file, or nothing of kvd's in it; 74
it cannot be read.)";
using Kind = JournalName::Kind;

struct SnapshotReport {
  std::string name;
  uint64_t bytes = 0;
  LogPosition base;
  SnapshotFoot foot;
  std::string damage;
};

struct SegmentReport {
  std::string name;
  uint64_t size = 0;
  uint64_t used = 0;
  uint64_t frames = 0;
  uint64_t records = 0;
  std::optional<Revision> first, last;  // of entries, as they stand in the file
  Epoch first_epoch, last_epoch;
  bool closed = false;  // it goes on in the next one
  std::string damage;
};

struct StoreReport {
  uint64_t keys = 0;
  uint64_t digest = 0;
  Revision at;    // what is known to be committed
  Revision last;  // of the log
};

struct BackupReport {
  SnapshotHead head;
  SnapshotFoot foot;
  uint64_t keys = 0;
  uint64_t value_bytes = 0;
  uint64_t size = 0;
};

struct Report {
  std::string path;
  std::optional<BackupReport> backup;
  std::optional<JournalRoot> root;
  std::vector<SnapshotReport> snapshots;
  std::vector<SegmentReport> segments;
  std::vector<std::string> put_aside;
  std::optional<StoreReport> store;
  std::vector<std::string> problems;
};

// ---- one file ----

FileResult look_at_snapshot(Files& files, const Files::Info& file, const JournalName& name,
                            SnapshotReport& report) {
  report.name = file.name;
  report.bytes = file.size;
  SnapshotReader reader(files, name.generation, Revision(name.number), file.size, kReadBytes);
  if (FileResult error = reader.open(report.damage)) return error;
  report.base = reader.head().base;
  report.foot = reader.foot();
  while (report.damage.empty() && !reader.end()) {
    std::vector<Record> items;
    if (FileResult error = reader.next(items, report.damage)) return error;
  }
  return {};
}

void count_records(const std::vector<DiskRecord>& records, SegmentReport& report) {
  report.records += records.size();
  for (const DiskRecord& record : records) {
    const auto* entry = std::get_if<EntryPointer>(&record);
    if (entry == nullptr) continue;
    if (!report.first) {
      report.first = (*entry)->revision;
      report.first_epoch = (*entry)->epoch;
    }
    report.last = (*entry)->revision;
    report.last_epoch = (*entry)->epoch;
  }
}

// An end behind which nothing shows that it had been safe is no damage: it is a torn one, or one that grows. Without a
// single frame only the other segments tell; `alone` there are none.
FileResult scan_segment(Files& files, const Files::Info& file, bool alone, SegmentReport& report,
                        std::optional<uint64_t>& later) {
  report.name = file.name;
  report.size = file.size;
  FrameFile frames(files, file.name, file.size, frame_seed(file.name), kReadBytes);
  LossEvidence evidence;
  std::optional<Frame> frame;
  for (;;) {
    report.used = frames.offset();
    if (FileResult error = frames.next(frame)) return error;
    if (!frame || report.closed) break;
    ++report.frames;
    evidence = LossEvidence{frame->head.sequence + 1, frame->head.opening};
    report.closed = frame->head.kind == FrameKind::kClosing;
    if (frame->head.kind != FrameKind::kRecords) continue;
    Result<std::vector<DiskRecord>> records = decode_records(*frame);
    if (!records) {
      report.damage =
          fmt::format("holds at byte {} what cannot be read: {}", report.used, records.error().detail);
      return {};
    }
    count_records(*records, report);
  }
  if (report.frames == 0 && !alone) return {};
  return find_loss(files, file.name, file.size, report.used, kReadBytes, evidence, later);
}

// Later frames are damage only when those before them are still missing once these were seen: a server may write.
FileResult look_at_segment(Files& files, const Files::Info& file, bool alone, SegmentReport& report) {
  for (std::optional<uint64_t> end;; end = report.used) {
    std::optional<uint64_t> later;
    report = SegmentReport();
    if (FileResult error = scan_segment(files, file, alone, report, later)) return error;
    if (!later) return {};
    if (end != report.used) continue;
    report.damage = fmt::format("is damaged at byte {}: there are later frames at {}", report.used, *later);
    return {};
  }
}

FileResult look_at_facts(Files& files, uint64_t size, Report& report) {
  std::string bytes;
  if (FileResult error = files.read(kFactsName, 0, size, bytes)) return error;
  bool newer = false;
  Result<JournalRoot> root = decode_root(bytes, newer);
  if (root) {
    report.root = std::move(*root);
  } else {
    report.problems.push_back(newer
                                  ? fmt::format("facts was written by a newer kvd ({})", root.error().detail)
                                  : fmt::format("facts is unreadable: {}", root.error().detail));
  }
  return {};
}

FileResult look_at(Files& files, const Files::Info& file, bool alone, Report& report) {
  const JournalName name = parse_journal_name(file.name);
  std::string damage;
  if (name.kind == Kind::kFacts) return look_at_facts(files, file.size, report);
  if (name.kind == Kind::kDamaged) report.put_aside.push_back(file.name);
  if (name.kind == Kind::kSnapshot) {
    SnapshotReport& snapshot = report.snapshots.emplace_back();
    if (FileResult error = look_at_snapshot(files, file, name, snapshot)) return error;
    damage = snapshot.damage;
  }
  if (name.kind == Kind::kSegment) {
    SegmentReport& segment = report.segments.emplace_back();
    if (FileResult error = look_at_segment(files, file, alone, segment)) return error;
    damage = segment.damage;
  }
  if (!damage.empty()) report.problems.push_back(file.name + " " + damage);
  return {};
}

// Of any name. `report` stays empty when it does not even begin as one.
FileResult look_at_backup(Files& files, const Files::Info& file, Report& report) {
  BackupReader reader;
  std::string wrong;
  for (uint64_t at = 0; at < file.size && wrong.empty(); at += kReadBytes) {
    std::string bytes;
    if (FileResult error = files.read(file.name, at, kReadBytes, bytes)) return error;
    if (at == 0 && !begins_like_backup(bytes)) return {};
    wrong = reader.feed(bytes);
  }
  wrong = reader.finish();
  report.backup = BackupReport{reader.head(), reader.foot(), reader.store().size(),
                               reader.store().value_bytes(), file.size};
  if (!wrong.empty()) report.problems.push_back(file.name + " " + wrong);
  return {};
}

// ---- the directory as a whole ----

// As of a segment, so of the whole: a loss counts once a second look has found the same.
FileResult read_whole(Files& files, const Report& report, std::optional<JournalView>& view) {
  const std::string boot = report.root && !report.root->boot.empty() ? report.root->boot : "?";
  for (std::string loss;; loss = view->journal().loss()) {
    view.emplace(files, boot);
    if (FileResult error = view->read([](uint64_t, uint64_t) { return true; })) return error;
    if (view->journal().loss() == loss || view->journal().loss().empty()) return {};
  }
}

FileResult judge_whole(Files& files, Report& report) {
  std::optional<JournalView> read;
  if (FileResult error = read_whole(files, report, read)) return error;
  JournalView& view = *read;
  const std::string& loss = view.journal().loss();
  if (!loss.empty()) report.problems.push_back(loss);
  if (report.root && !report.root->lost.empty()) {
    report.problems.push_back("a start has found a loss: " + report.root->lost);
  }
  if (!view.journal().facts_readable()) return {};
  StoreReport store;
  store.at = view.data().commit;
  store.last = view.data().log.last().revision;
  store.keys = view.data().store.size();
  store.digest = view.data().store.digest();
  report.store = store;
  if (!view.wrong().empty() && loss.empty()) report.problems.push_back(view.wrong());
  return {};
}

FileResult look_at_directory(Files& files, Report& report, bool& anything) {
  std::vector<Files::Info> all;
  if (FileResult error = files.list(all)) return error;
  for (const Files::Info& file : all) {
    anything = anything || parse_journal_name(file.name).kind != Kind::kOther;
    if (FileResult error = look_at(files, file, false, report)) return error;
  }
  return anything && report.problems.empty() ? judge_whole(files, report) : FileResult();
}

// ---- telling ----

const char* sync_name(JournalOptions::Sync sync) {
  if (sync == JournalOptions::Sync::kAlways) return "always";
  return sync == JournalOptions::Sync::kInterval ? "interval" : "never";
}

std::string as_text(const Report& report) {
  std::string text;
  auto add = [&]<class... Args>(fmt::format_string<Args...> form, Args&&... args) {
    text += fmt::format(form, std::forward<Args>(args)...) + "\n";
  };
  if (report.root) {
    const JournalRoot& root = *report.root;
    const DiskFacts& facts = root.facts;
    add("facts: format {}, generation {}, opened {} times, --sync {}, {}", root.format, root.generation,
        root.opening, sync_name(root.sync), root.closed ? "closed" : "open or not closed");
    add("  cluster {} lineage {} epoch {} server {} incarnation {:016x}",
        facts.cluster.empty() ? "-" : facts.cluster, facts.lineage.value, facts.epoch.value,
        facts.self.id.value.empty() ? "-" : facts.self.id.value, facts.self.incarnation.value);
    if (facts.differs) add("  it contradicts what its cluster's leader had");
  }
  if (report.backup) {
    const BackupReport& b = *report.backup;
    add("backup of cluster {} lineage {}, taken from server {}", b.head.facts.cluster,
        b.head.facts.lineage.value, b.head.facts.self.id.value);
    add("  base {} (epoch {}), end {}, {} keys, {} bytes of values, {} bytes, digest {:016x}, {}",
        b.head.base.revision.value, b.head.base.epoch.value, b.foot.revision.value, b.keys, b.value_bytes,
        b.size, b.foot.digest, report.problems.empty() ? "verified" : "not verified");
  }
  for (const SnapshotReport& s : report.snapshots) {
    add("{}: {}", s.name, s.damage.empty() ? "sound" : s.damage);
    add("  base {} (epoch {}), whole at {}, {} keys, {} bytes, digest {:016x}", s.base.revision.value,
        s.base.epoch.value, s.foot.revision.value, s.foot.items, s.bytes, s.foot.digest);
  }
  for (const SegmentReport& s : report.segments) {
    add("{}: {}", s.name, s.damage.empty() ? "sound" : s.damage);
    add("  {} frames, {} records, {} of {} bytes{}", s.frames, s.records, s.used, s.size,
        s.closed ? ", closed" : "");
    if (!s.first) continue;
    add("  revisions {} to {}, epochs {} to {}", s.first->value, s.last->value, s.first_epoch.value,
        s.last_epoch.value);
  }
  for (const std::string& name : report.put_aside) add("{}: put aside by a start", name);
  if (report.store) {
    add("store at revision {}: {} keys, digest {:016x}; the log goes on to {}", report.store->at.value,
        report.store->keys, report.store->digest, report.store->last.value);
  }
  for (const std::string& problem : report.problems) add("DAMAGED: {}", problem);
  if (report.problems.empty()) add("sound");
  return text;
}

void write_facts(JsonWriter& json, const JournalRoot& root) {
  json.key("facts").begin_object();
  json.member("format", root.format).member("generation", root.generation).member("opened", root.opening);
  json.member("sync", sync_name(root.sync)).member("closed", root.closed);
  json.member("cluster", std::string_view(root.facts.cluster)).member("lineage", root.facts.lineage.value);
  json.member("epoch", root.facts.epoch.value).member("server", std::string_view(root.facts.self.id.value));
  json.member("incarnation", std::string_view(fmt::format("{:016x}", root.facts.self.incarnation.value)));
  json.member("differs", root.facts.differs).end_object();
}

void write_backup(JsonWriter& json, const BackupReport& backup, bool verified) {
  const DiskFacts& facts = backup.head.facts;
  json.key("backup").begin_object().member("cluster", std::string_view(facts.cluster));
  json.member("lineage", facts.lineage.value).member("server", std::string_view(facts.self.id.value));
  json.member("base", backup.head.base.revision.value).member("base_epoch", backup.head.base.epoch.value);
  json.member("end", backup.foot.revision.value).member("keys", backup.keys);
  json.member("value_bytes", backup.value_bytes).member("bytes", backup.size);
  json.member("digest", std::string_view(fmt::format("{:016x}", backup.foot.digest)));
  json.member("verified", verified).end_object();
}

void write_files(JsonWriter& json, const Report& report) {
  json.key("snapshots").begin_array();
  for (const SnapshotReport& s : report.snapshots) {
    json.begin_object().member("name", std::string_view(s.name)).member("bytes", s.bytes);
    json.member("base", s.base.revision.value).member("base_epoch", s.base.epoch.value);
    json.member("end", s.foot.revision.value).member("keys", s.foot.items);
    json.member("digest", std::string_view(fmt::format("{:016x}", s.foot.digest)));
    json.member("damage", std::string_view(s.damage)).end_object();
  }
  json.end_array().key("segments").begin_array();
  for (const SegmentReport& s : report.segments) {
    json.begin_object()
        .member("name", std::string_view(s.name))
        .member("size", s.size)
        .member("used", s.used);
    json.member("frames", s.frames).member("records", s.records).member("closed", s.closed);
    if (s.first) {
      json.member("first_revision", s.first->value).member("last_revision", s.last->value);
      json.member("first_epoch", s.first_epoch.value).member("last_epoch", s.last_epoch.value);
    }
    json.member("damage", std::string_view(s.damage)).end_object();
  }
  json.end_array();
}

std::string as_json(const Report& report) {
  JsonWriter json;
  json.begin_object().member("path", std::string_view(report.path)).member("sound", report.problems.empty());
  if (report.backup) write_backup(json, *report.backup, report.problems.empty());
  if (report.root) write_facts(json, *report.root);
  write_files(json, report);
  json.list_member("put_aside", report.put_aside);
  if (report.store) {
    json.key("store").begin_object().member("revision", report.store->at.value);
    json.member("keys", report.store->keys);
    json.member("digest", std::string_view(fmt::format("{:016x}", report.store->digest)));
    json.member("last_revision", report.store->last.value).end_object();
  }
  json.list_member("problems", report.problems);
  return json.end_object().take() + "\n";
}

// Looks once; nothing in `code`: at `report`.
std::optional<int> look(const std::string& path, Report& report, std::string& complaint) {
  namespace fs = std::filesystem;
  report.path = path;
  std::error_code error;
  const bool whole = fs::is_directory(path, error);
  const fs::path file = path;
  const std::string place = whole ? path : file.has_parent_path() ? file.parent_path().string() : ".";
  auto directory = Directory::open_to_look(place);
  complaint = directory ? "" : directory.error().detail;
  if (!directory) return EX_NOINPUT;
  FileResult failed;
  if (whole) {
    bool anything = false;
    failed = look_at_directory(**directory, report, anything);
    if (!failed && !anything) {
      complaint = path + ": there is nothing of kvd's in this directory";
      return EX_NOINPUT;
    }
  } else {
    const uint64_t size = fs::file_size(path, error);
    complaint = fmt::format("{}: {}", path, error.message());
    if (error) return EX_NOINPUT;
    const Kind kind = parse_journal_name(file.filename().string()).kind;
    complaint = path + ": no backup, nor by its name a file of kvd's: facts, log-... or snapshot-...";
    const Files::Info info{file.filename().string(), size};
    if (kind == Kind::kFacts || kind == Kind::kSegment || kind == Kind::kSnapshot) {
      failed = look_at(**directory, info, true, report);
    } else {
      failed = look_at_backup(**directory, info, report);
      if (!failed && !report.backup) return EX_DATAERR;
    }
  }
  complaint = failed ? failed->what : "";
  if (failed) return EX_IOERR;
  return std::nullopt;
}

Inspection ended_with(const CommandEnd& end) {
  return end.code == EX_OK ? Inspection{EX_OK, end.text, ""} : Inspection{end.code, "", end.text};
}

}  // namespace

CommandSpec inspect_spec() {
  CommandSpec spec{"kvd inspect", "FILE|DIR [--json]",
                   "Looks at a data directory, one file of it, or a backup, and tells whether it is sound."};
  spec.flags = {{"json", nullptr, "as one JSON object"}};
  spec.notes = kNotes;
  spec.operands = 1;
  return spec;
}

Inspection inspect(const std::vector<std::string>& arguments) {
  auto line = CommandLine::parse(inspect_spec(), arguments);
  if (!line) return ended_with(line.error());
  const bool json = line->is_on("json");
  const std::string path = line->operands().empty() ? "" : line->operands().front();
  if (path.empty()) line->complain_of("FILE|DIR", "give a path");
  if (line->end()) return ended_with(*line->end());
  Report report;
  std::optional<int> code;
  std::string complaint;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    report = Report();
    code = look(path, report, complaint);
    if (code ? *code != EX_IOERR : report.problems.empty()) break;
    if (attempt < kAttempts) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (code) return {*code, "", complaint};
  return {report.problems.empty() ? EX_OK : EX_DATAERR, json ? as_json(report) : as_text(report), ""};
}

int run_inspect(const std::vector<std::string>& arguments) {
  const Inspection done = inspect(arguments);
  fmt::print("{}", done.output);
  if (!done.error.empty()) fmt::print(stderr, "kvd: {}\n", done.error);
  return done.code;
}

}  // namespace kvd
