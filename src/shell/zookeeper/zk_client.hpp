// The ZooKeeper client as the node sees it: calls go out, results, watches and session changes come in. It
// wraps the multi-threaded C client 3.8 and keeps its hazards to itself; zk_bridge.hpp is the other half, on
// that library's threads. Only the loop's thread may call it. Never decides anything about the protocol and
// never retries a call.
#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shell/input_sink.hpp"
#include "shell/zookeeper/zk_auth.hpp"

namespace kvd {

// The longest that close() takes: the C client's own waits add up to it when the server does not answer. Two handles
// are closed at the same time.
inline constexpr Duration kZkCloseMax = milliseconds(4500);

struct ZkOptions {
  std::vector<Address> servers;  // at least one. Literal addresses are better than names: see zk_bridge.cpp
  std::string prefix;            // of all paths: empty or "/a/b"; created when it is missing
  Duration session_timeout{0};   // asked for; servers clamp it to 2 to 20 of their ticks
  ZkAuth auth{};                 // who this server is there; with it kvd's own znodes are made protected
  bool all_protected = false;    // and so are all others that it makes
};

// What reaches the sink, in order:
//   ZkSessionChanged   kConnected with session and negotiated timeout; kConnecting when the connection is
//                      lost; kExpired (also when authentication failed, or when ZooKeeper takes new
//                      sessions and not this one): the session is gone, and nothing happens until reopen()
//   ZkResult           exactly one for each perform(), except after close(). Calls that are outstanding when
//                      the connection is lost end with kUnknown; before kExpired all of them have ended
//   ZkAccessJudged     when ZooKeeper begins to refuse this server at kvd's own znodes, and when it has not for a
//                      while. Looked for after each kConnected, and in all results
//   ZkWatchFired       for each watch whose read has succeeded (ZkExists: or found nothing), at most once
// Never from within a call of this class: always later, from the loop.
class ZkClient {
 public:
  // `loop` outlives the client, which adds its handles to it here and takes them off in close().
  ZkClient(uv_loop_t* loop, ZkOptions options, InputSink inputs, LogSink logs);
  ~ZkClient();  // only after close() is done, or when the loop never runs again
  ZkClient(const ZkClient&) = delete;
  ZkClient& operator=(const ZkClient&) = delete;

  void start();  // opens the first session, and tries for ever; once
  void perform(ZkCall call);
  void reopen();  // after kExpired: a new session
  // Ends the session, so that its ephemerals vanish at once if it is connected. Nothing reaches the sinks
  // from here on; `done` is called from the loop, after kZkCloseMax at the latest. Once.
  void close(std::function<void()> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvd
