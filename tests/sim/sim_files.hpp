// A directory in memory that fails as real disks do, as a function of a seed and of what is asked of it. The owner says
// when the process dies, the power fails, a call ends in an error or safe bytes go bad; what exactly is left of it is
// drawn. Decides nothing about the journal, and outlives the processes that use it.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.hpp"
#include "journal/files.hpp"

namespace kvd::sim {

// A promise that this disk does not keep, which real ones must: with it whoever relies on it loses what is safe.
enum class Lie : uint8_t { kNone, kSync, kRename, kWrite };

class SimFiles final : public Files {
 public:
  static constexpr uint64_t kNoLimit = UINT64_MAX;
  static constexpr uint64_t kNever = 0;  // of the counts below
  static constexpr size_t kSector = 512;

  explicit SimFiles(uint64_t seed, Lie lie = Lie::kNone) : prng_(seed), lie_(lie) {}

  FileResult list(std::vector<Info>& files) override;
  FileResult read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) override;
  FileResult create(const std::string& name, uint64_t size) override;
  FileResult write(const std::string& name, uint64_t offset, std::string_view bytes) override;
  FileResult sync(const std::string& name) override;
  FileResult rename(const std::string& from, const std::string& to) override;
  FileResult remove(const std::string& name) override;
  uint64_t free_bytes() override;

  // ---- the end of a process ----

  // It dies in the `changes`-th change (create, write, sync, rename, remove) from now on, which may be half done.
  // Whatever it calls from then on fails and does nothing.
  void die_in(uint64_t changes) { die_in_ = changes; }
  bool dead() const { return dead_; }
  // The process is gone, wherever it was; the next one may begin. All that it wrote is there.
  void end_process();
  // The machine's power is gone, and with it the process and what was not safe: of the sectors written since the last
  // sync any may have reached the disk, or a part of one; of removed files any may be back.
  void lose_power();

  // ---- errors, each once ----

  // The `syncs`-th sync from now on fails: some of the file is safe, some never will be; reads show all of it.
  void fail_sync_in(uint64_t syncs) { fail_sync_in_ = syncs; }
  void fail_read_in(uint64_t reads) { fail_read_in_ = reads; }
  void fail_write_in(uint64_t writes) { fail_write_in_ = writes; }  // some of it may be written

  // ---- what lasts ----

  // The files together may have so many bytes; those that are there stay.
  void set_budget(uint64_t bytes) { budget_ = bytes; }
  uint64_t used() const;

  // ---- damage, of what is safe as well ----

  void flip_bit(const std::string& name, uint64_t offset, int bit);
  void lose_file(const std::string& name);
  void cut(const std::string& name, uint64_t size);  // as a careless copy would

  // ---- for tests ----

  std::vector<Info> files() const;
  uint64_t changes() const { return changes_; }  // begun until now, by all processes
  uint64_t syncs() const { return syncs_; }

 private:
  struct File {
    std::string shown;  // what reads see
    std::string safe;   // what is on the disk
    std::vector<bool>
        dirty;  // by sector of `shown`: written since the last sync. Not dirty and yet not what is
                // safe: a failed sync has given it up
  };
  using Directory = std::map<std::string, std::shared_ptr<File>>;

  bool dies_now();
  bool happens_now(uint64_t& in);
  FileResult dead_error() const;
  File* find(const std::string& name);
  // Puts the bytes into what reads see.
  void put(File& file, uint64_t offset, std::string_view bytes);
  void write_back(File& file, size_t sector, size_t bytes = kSector);
  void write_back_some(File& file, uint64_t of_hundred);
  void lose_unsafe(File& file);
  void directory_safe();
  void directory_changed();

  Prng prng_;
  Lie lie_;
  Directory directory_;
  // As it is on the disk, and after each change since: a power loss leaves one of them.
  std::vector<Directory> directories_ = {{}};
  uint64_t budget_ = kNoLimit;
  uint64_t changes_ = 0;
  uint64_t syncs_ = 0;
  uint64_t die_in_ = kNever;
  uint64_t fail_sync_in_ = kNever;
  uint64_t fail_read_in_ = kNever;
  uint64_t fail_write_in_ = kNever;
  bool dead_ = false;
};

}  // namespace kvd::sim
