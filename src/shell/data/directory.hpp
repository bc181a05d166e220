// Files on a real directory: what the journal writes on. Blocking; one thread at a time, whichever that is. Descriptors
// stay open until their file is removed or the Directory ends, which also ends its lock.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "journal/files.hpp"

namespace kvd {

// What a loss of power changes and a restart of this process does not: JournalOptions::boot.
std::string boot_id();

class Directory final : public Files {
 public:
  // Makes the directory (0700) when it is missing, and locks it: one process at a time. Otherwise one line for the
  // operator, which begins with the path.
  static Result<std::unique_ptr<Directory>> open(const std::string& path);
  // Without a lock, and nothing can be changed: for looking at what another process may be writing.
  static Result<std::unique_ptr<Directory>> open_to_look(const std::string& path);
  // Of one opened to look: from here on, as long as this exists, no server begins to use the directory. False: one does
  // already; `owner` is its process number, as far as it is known.
  Result<bool> keep_servers_out(std::string& owner);
  ~Directory() override;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  FileResult list(std::vector<Info>& files) override;
  FileResult read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) override;
  FileResult create(const std::string& name, uint64_t size) override;
  FileResult write(const std::string& name, uint64_t offset, std::string_view bytes) override;
  FileResult sync(const std::string& name) override;
  FileResult rename(const std::string& from, const std::string& to) override;
  FileResult remove(const std::string& name) override;
  uint64_t free_bytes() override;

 private:
  explicit Directory(int descriptor, bool writable) : directory_(descriptor), writable_(writable) {}
  FileResult descriptor_of(const std::string& name, int& descriptor);
  FileResult sync_directory();
  void forget(const std::string& name);

  int directory_;
  int lock_ = -1;
  bool writable_;
  std::map<std::string, int> descriptors_;
};

}  // namespace kvd
