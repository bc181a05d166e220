// The disk of a server with --data-dir: takes the node's orders on the loop's thread and has the journal perform them
// on one of libuv's, one job at a time, so that what comes while one syncs is made safe together by the next. The
// journal is touched by that job alone: no locks. Decides nothing.
#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <vector>

#include "journal/journal.hpp"
#include "shell/input_sink.hpp"

namespace kvd {

class Disk {
 public:
  // `loop` and `files` outlive it. `idle_after` without a write the journal may mark what is safe; with --sync interval
  // it is that interval.
  Disk(uv_loop_t* loop, Files& files, JournalOptions options, Duration idle_after, InputSink inputs);
  ~Disk();  // only after close() is done, or when the loop never runs again
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Gathered until flush(). Answers reach the sink from the loop, never from within a call of this class.
  void perform(DiskOrder order);
  void flush();  // once per turn
  // Nothing reaches the sink from here on. What was ordered is performed; then `done` is called, perhaps at once. Once.
  void close(std::function<void()> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvd
