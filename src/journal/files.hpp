// The directory that a journal lives in, as the journal sees it: a few operations on named files, blocking. The shell
// performs them on a real directory, the simulator in memory with every way in which disks fail.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvd {

struct FileError {
  bool no_space = false;  // ENOSPC, EDQUOT: may pass
  std::string what;       // "fdatasync log-1-2: Input/output error"
};
// Nothing: it was done.
using FileResult = std::optional<FileError>;

class Files {
 public:
  virtual ~Files() = default;

  struct Info {
    std::string name;
    uint64_t size = 0;  // bytes
  };
  // All files, by name. That these exist and no others is safe when this returns: a process that died in the middle of
  // a rename may have left what is not.
  virtual FileResult list(std::vector<Info>& files) = 0;
  // Up to `size` bytes from `offset`; fewer only at the file's end.
  virtual FileResult read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) = 0;
  // A new file of `size` zero bytes whose space is allocated. That it exists is safe when this returns.
  virtual FileResult create(const std::string& name, uint64_t size) = 0;
  // Extends the file when it reaches beyond its end.
  virtual FileResult write(const std::string& name, uint64_t offset, std::string_view bytes) = 0;
  // What was written to the file is safe when this returns. After an error nothing is known of any of it.
  virtual FileResult sync(const std::string& name) = 0;
  // Replaces `to`. Safe when this returns: after a crash the name has the old content or the new one.
  virtual FileResult rename(const std::string& from, const std::string& to) = 0;
  virtual FileResult remove(const std::string& name) = 0;  // of what is not there: done
  virtual uint64_t free_bytes() = 0;                       // for new files
};

}  // namespace kvd
