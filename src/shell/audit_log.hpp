// The audit log: who did what, a line of JSON each, in the order in which it was answered. Another thread writes it,
// what comes meanwhile waits here. A file that cannot be written loses nothing of what waits: it is tried again each
// second, and meanwhile, as when too much waits, it takes nothing. Loop thread only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "net/loop.hpp"
#include "shell/input_sink.hpp"

namespace kvd {

class AuditLog {
 public:
  static constexpr size_t kLinesMax = 65'536;    // that wait
  static constexpr size_t kBytesMax = 8u << 20;  // ... of them

  // `path`: of a file that is appended to; "-": the standard output.
  AuditLog(uv_loop_t* loop, std::string path, LogSink log);
  ~AuditLog();  // after close()
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Opens it; blocks. An Error is the system's reason.
  Result<void> start();
  // False: what has to be in here is not to be done now.
  bool takes() const { return !failed_ && has_room(); }
  void add(std::string line);  // with its end. Where it is not taken it is counted
  void reopen();               // the file was moved away: a new one is begun
  // What waits is still written while the loop runs dry, unless the file fails.
  void close();

  uint64_t dropped() const { return dropped_; }  // lines, since the start
  bool failed() const { return failed_; }

 private:
  struct Job;

  bool has_room() const { return lines_ < kLinesMax && bytes_ < kBytesMax; }

  void begin();
  void take(const Job& job);

  uv_loop_t* loop_;
  std::string path_;
  LogSink log_;
  net::Timer timer_;
  int descriptor_ = -1;
  std::string waiting_;
  size_t lines_ = 0;  // that wait, or are being written
  size_t bytes_ = 0;  // likewise
  bool reopen_ = false;
  bool failed_ = false;
  bool closing_ = false;
  uint64_t dropped_ = 0;
  Job* job_ = nullptr;  // frees itself when it is done
};

}  // namespace kvd
