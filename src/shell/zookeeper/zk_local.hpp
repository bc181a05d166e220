// What a standalone server has in place of a ZooKeeper client: it performs the node's calls on a ZooKeeper of its own,
// which is a value in this process. It has one session, which lasts as long as the process. With a directory the
// persistent znodes are kept there: a batch of calls is answered when one of libuv's threads has made it safe, and what
// comes meanwhile is the next batch. Decides nothing.
#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <optional>

#include "base/result.hpp"
#include "journal/files.hpp"
#include "shell/input_sink.hpp"

namespace kvd {

class ZkLocal {
 public:
  // `loop` outlives it. `seed` draws the session's id; `session_timeout` is what the node is told.
  ZkLocal(uv_loop_t* loop, uint64_t seed, Duration session_timeout, InputSink inputs);
  ~ZkLocal();  // only after close() is done, or when the loop never runs again
  ZkLocal(const ZkLocal&) = delete;
  ZkLocal& operator=(const ZkLocal&) = delete;

  // Goes on with what is kept there, and keeps it there. Blocking; before start(). `files` outlives it.
  std::optional<Error> keep_in(Files& files);
  void start();  // the session begins
  // Gathered until flush(). What the node hears, as from ZkClient: of each call its result, and before it the watches
  // that fired until then. DiskFailed when something cannot be kept: then no call is answered any more.
  void perform(ZkCall call);
  void flush();  // once per turn
  // Nothing reaches the sink from here on. What is being written is finished, what waits behind it is dropped; then
  // `done` is called, perhaps at once. Once.
  void close(std::function<void()> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvd
