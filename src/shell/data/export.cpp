// See export.hpp. What the directory holds is read and judged as by a start (journal_view.hpp) and written as
// GET /v1/snapshot does (core/replica/backup.hpp). Nothing is written before all of it was read.
#include "shell/data/export.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "core/replica/backup.hpp"
#include "core/replica/journal_view.hpp"
#include "msg/limits.hpp"
#include "shell/data/directory.hpp"
#include "shell/data/new_file.hpp"

namespace kvd {
namespace {

constexpr int kMayLack = 1;  // exported, but not as whole as it should be
constexpr char kNotes[] = R"(  DIR         what the server had as --data-dir
  FILE        a new file, readable by its owner alone; it appears when all of it is there. Without FILE, or
              with - in its place: the standard output, which must not be a terminal

Everything is verified first: checksums, the snapshot's digest, and that the log fits. Nothing in DIR is
changed, so it may be on a read-only file system; no server can start on it meanwhile. The snapshot is of
the format of GET /v1/snapshot:
  curl -T FILE http://HOST:PORT/v1/snapshot     restores it into an empty cluster (with ?replace=true
                                                in place of what is there)
  kvd inspect FILE                              tells what it holds

The snapshot holds all writes that the directory does, also those at the end of the log that are not known
to be committed, as they may have been acknowledged; a line tells how many. A server that was not in sync
when it stopped lacks acknowledged writes, which nothing in its directory tells: of several directories of
a cluster take the one with the highest lineage, then epoch, then revision, as the last line tells them.

Exit codes: 0 written; 1 written, but acknowledged writes may be missing, as a line says; 64 the command
line; 65 DIR cannot be used: it is damaged, does not fit together, or was written by a newer kvd; 66 there
is no DIR, or no data of kvd's in it; 73 FILE is there already, or cannot be made; 74 DIR cannot be read, or
FILE not written; 75 a server uses DIR; 128 + N ended by signal N. Unless it is 0 or 1 there is no FILE.)";

// Why there is nothing to export.
struct End {
  int code = 0;
  std::string line;
};

// Long work shows how far it is, once a second.
class Meter {
 public:
  Meter(const ExportHooks& hooks, std::string what, std::string unit)
      : hooks_(hooks), what_(std::move(what)), unit_(std::move(unit)) {}

  void reach(uint64_t done, uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now - said_ < std::chrono::seconds(1)) return;
    said_ = now;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count();
    hooks_.say(fmt::format("{}: {} of {} {}, {} a second", what_, done, total, unit_,
                           done * 1000 / static_cast<uint64_t>(ms)));
  }

 private:
  const ExportHooks& hooks_;
  std::string what_;
  std::string unit_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point said_ = began_;
};

bool is_inside(const std::filesystem::path& file, const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path place = fs::weakly_canonical(fs::absolute(file, error).parent_path(), error);
  for (; !place.empty(); place = place.parent_path()) {
    if (fs::equivalent(place, directory, error)) return true;
    if (!place.has_relative_path()) break;
  }
  return false;
}

class Export {
 public:
  Export(std::string path, std::string file, const ExportHooks& hooks)
      : path_(std::move(path)), file_(std::move(file)), hooks_(hooks) {}

  int run() {
    std::optional<End> end = open();
    if (!end) end = read();
    if (!end) end = judge();
    if (!end) end = write();
    if (!end) return tell();
    hooks_.say(end->line);
    return end->code;
  }

 private:
  std::optional<End> open();
  std::optional<End> open_output();
  std::optional<End> read();
  std::optional<End> judge();
  std::optional<End> write();
  std::optional<End> write_parts(SnapshotPart& part);
  int tell();

  End end(int code, const std::string& why) const { return End{code, fmt::format("{}: {}", path_, why)}; }
  std::optional<End> end_of_signal() const {
    const int number = hooks_.stop();
    if (number == 0) return std::nullopt;
    return End{128 + number, fmt::format("signal {}: the export was given up", number)};
  }
  Replayed& data() { return view_->data(); }

  std::string path_;
  std::string file_;  // empty: the standard output
  const ExportHooks& hooks_;
  std::unique_ptr<Directory> directory_;
  std::optional<NewFile> output_;
  std::optional<JournalView> view_;
  std::string doubt_;         // why acknowledged writes may be missing; empty: they are not
  uint64_t uncommitted_ = 0;  // entries
  uint64_t digest_ = 0;
  Lineage lineage_;
};

std::optional<End> Export::open() {
  auto directory = Directory::open_to_look(path_);
  if (!directory) return End{EX_NOINPUT, directory.error().detail};
  directory_ = std::move(*directory);
  std::string owner;
  const Result<bool> free = directory_->keep_servers_out(owner);
  if (!free) return end(EX_IOERR, free.error().detail);
  if (!*free) {
    return end(EX_TEMPFAIL, fmt::format("a server uses it{}: take GET /v1/snapshot from that one",
                                        owner.empty() ? "" : fmt::format(" (process {})", owner)));
  }
  return open_output();
}

std::optional<End> Export::open_output() {
  if (file_.empty()) {
    if (::isatty(STDOUT_FILENO) == 1)
      return End{EX_USAGE, "the standard output is a terminal: give a FILE, or send the snapshot elsewhere"};
    output_.emplace(NewFile::standard_output());
    return std::nullopt;
  }
  if (is_inside(file_, path_))
    return End{EX_USAGE,
               fmt::format("{}: is inside of {}, which is not changed: give another FILE", file_, path_)};
  Result<NewFile> file = NewFile::create(file_);
  if (!file) return End{EX_CANTCREAT, file.error().detail};
  output_.emplace(std::move(*file));
  return std::nullopt;
}

std::optional<End> Export::read() {
  view_.emplace(*directory_, boot_id());
  Meter meter(hooks_, "reads " + path_, "bytes");
  const FileResult error = view_->read([&](uint64_t done, uint64_t total) {
    meter.reach(done, total);
    return hooks_.stop() == 0;
  });
  if (error) return end(view_->journal().newer() ? EX_DATAERR : EX_IOERR, error->what);
  return end_of_signal();
}

std::optional<End> Export::judge() {
  const DiskOpened& opened = view_->opened();
  const DiskFacts& facts = view_->found().facts;
  if (!opened.intact && opened.why.empty()) return end(EX_NOINPUT, "there is no data of kvd's in it");
  if (!opened.usable) return end(EX_DATAERR, "cannot be used: " + opened.why);
  if (facts.self.incarnation == Incarnation(0)) {
    return end(EX_DATAERR, "cannot be used: its server has given it up, as it was damaged");
  }
  if (!view_->wrong().empty())
    return end(EX_DATAERR, "its snapshot and log do not fit together: " + view_->wrong());
  lineage_ = facts.lineage;
  doubt_ = facts.differs ? "it contradicts what its cluster's leader had" : opened.why;
  if (holds_former_lineage(view_->found())) {
    lineage_ = lineage_of(view_->found().base.revision);
    doubt_ = fmt::format("this is lineage {}, and lineage {} had begun, of which nothing is here",
                         lineage_.value, facts.lineage.value);
  }
  return std::nullopt;
}

// All that is in the log: who was told of the last entries nobody here knows.
std::optional<End> Export::write() {
  const LogPosition last = data().log.last();
  uncommitted_ = last.revision.value - data().commit.value;
  while (data().commit < last.revision) {
    data().commit = data().commit.next();
    data().store.apply(*data().log.at(data().commit));
  }
  digest_ = data().store.digest();
  const DiskFacts& facts = view_->found().facts;
  SnapshotPart part;
  part.cluster = facts.cluster;
  part.lineage = lineage_;
  part.from = facts.self;
  part.at = last;
  part.digest = digest_;
  part.more = true;
  if (std::optional<End> end = write_parts(part)) return end;
  if (std::optional<Error> error = output_->finish()) return End{EX_IOERR, error->detail};
  return std::nullopt;
}

std::optional<End> Export::write_parts(SnapshotPart& part) {
  Meter meter(hooks_, "writes " + output_->name(), "items");
  uint64_t items = 0;
  for (size_t space = 0; space < kSpaces; ++space) items += data().store.size(static_cast<Space>(space));
  BackupWriter writer;
  Space space = Space::kData;
  std::string after;
  while (part.more) {
    part.items = data().store.items_behind(space, after, limits::kSnapshotChunkBytes);
    part.more = !part.items.empty();
    std::string bytes;
    writer.add(part, bytes);
    const std::optional<Error> error = output_->write(bytes);
    if (std::optional<End> end = end_of_signal()) return end;
    if (error) return End{EX_IOERR, error->detail};
    meter.reach(writer.items(), items);
    if (!part.more) break;
    space = part.items.back().space();
    after = part.items.back().key();
  }
  return std::nullopt;
}

int Export::tell() {
  const LogPosition last = data().log.last();
  const DiskFacts& facts = view_->found().facts;
  if (uncommitted_ == 1) {
    hooks_.say(fmt::format(
        "the last entry (revision {}) is not known to be committed: it is included, as it may have "
        "been acknowledged",
        last.revision.value));
  } else if (uncommitted_ > 1) {
    hooks_.say(fmt::format(
        "the last {} entries (revisions {} to {}) are not known to be committed: they are included, "
        "as they may have been acknowledged",
        uncommitted_, last.revision.value - uncommitted_ + 1, last.revision.value));
  }
  if (!doubt_.empty()) hooks_.say("WARNING: ACKNOWLEDGED WRITES MAY BE MISSING: " + doubt_);
  hooks_.say(fmt::format(
      "exported server {}, cluster {}, lineage {}, epoch {}, revision {}, {} keys, digest {:016x}, "
      "to {}",
      facts.self.id.value, facts.cluster.empty() ? "-" : facts.cluster, lineage_.value, last.epoch.value,
      last.revision.value, data().store.size(), digest_, output_->name()));
  return doubt_.empty() ? EX_OK : kMayLack;
}

volatile sig_atomic_t stop_signal = 0;

// A temporary file is not left behind. What nohup ignores stays ignored.
void watch_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action.sa_handler = [](int signal) { stop_signal = signal; };
    ::sigaction(number, &action, nullptr);
  }
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

CommandSpec export_spec() {
  CommandSpec spec{"kvd export", "DIR [FILE]",
                   "Writes what a stopped server's data directory holds as a snapshot."};
  spec.notes = kNotes;
  spec.operands = 2;
  return spec;
}

Result<ExportOptions, CommandEnd> parse_export(const std::vector<std::string>& arguments) {
  auto line = CommandLine::parse(export_spec(), arguments);
  if (!line) return Failure<CommandEnd>(std::move(line.error()));
  const std::vector<std::string>& given = line->operands();
  ExportOptions options{given.empty() ? "" : given[0], given.size() < 2 ? "-" : given[1]};
  if (options.directory.empty())
    line->complain_of("DIR", "give the data directory (kvd export --help says more)");
  if (options.file.empty())
    line->complain_of("FILE", "the name is empty; give one, or - for the standard output");
  if (options.file == "-") options.file.clear();
  if (line->end()) return Failure<CommandEnd>(*line->end());
  return options;
}

int export_directory(const ExportOptions& options, const ExportHooks& hooks) {
  return Export(options.directory, options.file, hooks).run();
}

int run_export(const std::vector<std::string>& arguments) {
  const auto options = parse_export(arguments);
  if (!options) return tell(options.error());
  watch_signals();
  return export_directory(*options, {[](const std::string& line) { fmt::print(stderr, "kvd: {}\n", line); },
                                     [] { return static_cast<int>(stop_signal); }});
}

}  // namespace kvd
