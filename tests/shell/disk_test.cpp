// The disk of a server on a real directory and a real loop: what is ordered comes back after it is opened anew, waiting
// writes share their syncs, and idle moments are used.
#include "shell/data/disk.hpp"

#include <doctest.h>

#include <atomic>

#include "shell/data/directory.hpp"
#include "support/scratch_directory.hpp"

using namespace kvd;

namespace {

// Counts, and otherwise hands on.
class CountingFiles final : public Files {
 public:
  explicit CountingFiles(Files& files) : files_(files) {}
  FileResult list(std::vector<Info>& files) override { return files_.list(files); }
  FileResult read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) override {
    return files_.read(name, offset, size, bytes);
  }
  FileResult create(const std::string& name, uint64_t size) override { return files_.create(name, size); }
  FileResult write(const std::string& name, uint64_t offset, std::string_view bytes) override {
    return files_.write(name, offset, bytes);
  }
  FileResult sync(const std::string& name) override {
    ++syncs;
    return files_.sync(name);
  }
  FileResult rename(const std::string& from, const std::string& to) override {
    return files_.rename(from, to);
  }
  FileResult remove(const std::string& name) override { return files_.remove(name); }
  uint64_t free_bytes() override { return files_.free_bytes(); }

  std::atomic<int> syncs{0};

 private:
  Files& files_;
};

struct DiskFixture {
  ScratchDirectory scratch;
  uv_loop_t loop{};
  std::unique_ptr<Directory> directory;
  std::unique_ptr<CountingFiles> files;
  std::unique_ptr<Disk> disk;
  JournalOptions options;
  std::vector<DiskAnswer> answers;
  std::function<void(const DiskAnswer&)> hear;

  DiskFixture() {
    REQUIRE(uv_loop_init(&loop) == 0);
    options.boot = "boot";
    options.segment_bytes = 1u << 20;
    options.reserve_bytes = 0;
  }
  ~DiskFixture() {
    disk.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);  // nothing was left open
  }

  void start() {
    directory = std::move(*Directory::open(scratch / "data"));
    files = std::make_unique<CountingFiles>(*directory);
    InputSink sink = [this](NodeInput&& input) {
      answers.push_back(std::get<DiskAnswer>(std::move(input)));
      if (hear) hear(answers.back());
    };
    disk = std::make_unique<Disk>(&loop, *files, options, milliseconds(20), sink);
  }
  void stop() {
    bool closed = false;
    disk->close([&] { closed = true; });
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(closed);
    disk.reset();
    directory.reset();
  }
  void order(DiskOrder order) { disk->perform(std::move(order)); }
  // Runs until an answer of this kind has come.
  template <class Answer>
  Answer wait_for() {
    for (;;) {
      for (const DiskAnswer& answer : answers) {
        if (const auto* found = std::get_if<Answer>(&answer)) {
          Answer copy = *found;
          answers.clear();
          return copy;
        }
      }
      disk->flush();
      uv_run(&loop, UV_RUN_ONCE);
    }
  }
  void run_for(Duration span) {
    uv_timer_t timer;
    REQUIRE(uv_timer_init(&loop, &timer) == 0);
    bool over = false;
    timer.data = &over;
    auto end = [](uv_timer_t* handle) { *static_cast<bool*>(handle->data) = true; };
    uv_timer_start(&timer, end, static_cast<uint64_t>(to_ms(span)), 0);
    while (!over) uv_run(&loop, UV_RUN_ONCE);
    bool closed = false;
    timer.data = &closed;
    uv_close(reinterpret_cast<uv_handle_t*>(&timer),
             [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
    while (!closed) uv_run(&loop, UV_RUN_ONCE);
  }
  // Until it is open; returns the newest revision that was read.
  uint64_t open(DiskOpened& opened) {
    uint64_t newest = 0;
    for (;;) {
      order(DiskRead{});
      disk->flush();
      while (answers.empty()) uv_run(&loop, UV_RUN_ONCE);
      for (const DiskAnswer& answer : std::exchange(answers, {})) {
        if (const auto* part = std::get_if<DiskPart>(&answer)) {
          for (const DiskRecord& record : part->records)
            newest = std::get<EntryPointer>(record)->revision.value;
        }
        if (const auto* end = std::get_if<DiskOpened>(&answer)) {
          opened = *end;
          return newest;
        }
      }
    }
  }
  DiskWrite write(uint64_t revision) {
    auto entry = std::make_shared<Entry>();
    entry->revision = Revision(revision);
    entry->effects.push_back(Record("key", "value", {Revision(1), Revision(revision), revision}));
    return DiskWrite{revision, {EntryPointer(std::move(entry))}};
  }
};

}  // namespace

TEST_CASE_FIXTURE(DiskFixture, "what was ordered comes back") {
  DiskOpened opened;
  start();
  CHECK(open(opened) == 0);
  CHECK_FALSE(opened.intact);
  order(DiskKeep{DiskFacts{"c", Lineage(1), Epoch(2), Member{ServerId{"a"}, Incarnation(7)}}});
  CHECK(wait_for<DiskKept>().facts.cluster == "c");
  order(write(1));
  CHECK(wait_for<DiskWritten>().number == 1);
  order(write(2));
  SUBCASE("clean end") {
    order(DiskClose{});
    wait_for<DiskClosed>();
  }
  SUBCASE("what is ordered last is done before it is closed") {}
  stop();
  start();
  CHECK(open(opened) == 2);
  CHECK(opened.intact);
  stop();
}

TEST_CASE_FIXTURE(DiskFixture, "writes that wait share a sync; nothing is answered from within a call") {
  constexpr uint64_t kWriters = 64;
  constexpr uint64_t kWrites = 2'000;
  DiskOpened opened;
  start();
  open(opened);
  uint64_t next = 1;
  uint64_t done = 0;
  bool inside = false;
  hear = [&](const DiskAnswer& answer) {
    CHECK_FALSE(inside);
    const auto* written = std::get_if<DiskWritten>(&answer);
    REQUIRE(written != nullptr);
    CHECK(written->number == ++done);
    if (next <= kWrites) order(write(next++));  // each writer's next
  };
  while (next <= kWriters) order(write(next++));
  const int before = files->syncs;
  while (done < kWrites) {
    inside = true;
    disk->flush();
    inside = false;
    uv_run(&loop, UV_RUN_ONCE);
  }
  const int syncs = files->syncs - before;
  MESSAGE(kWrites << " writes, " << syncs << " syncs");
  CHECK(syncs < static_cast<int>(kWrites / 8));
  hear = nullptr;
  stop();
}

TEST_CASE_FIXTURE(DiskFixture, "an idle moment after a write is used once") {
  int expected = 0;  // syncs
  SUBCASE("always: for the write, and for the mark that says so") { expected = 2; }
  SUBCASE("interval: for the write") {
    options.sync = JournalOptions::Sync::kInterval;
    expected = 1;
  }
  DiskOpened opened;
  start();
  open(opened);
  order(write(1));
  wait_for<DiskWritten>();
  run_for(milliseconds(500));
  const int before = files->syncs;
  order(write(2));
  wait_for<DiskWritten>();
  run_for(milliseconds(500));
  CHECK(files->syncs.load() == before + expected);
  stop();
}
