// The bridge between the C client's threads and the loop. Its callbacks run on threads that are not ours:
// they copy what they are given into an event, push it onto a take-all stack and wake the loop. Used by
// zk_client.cpp only. Nothing is decided here and no callback ever closes a handle.
#pragma once
#include <uv.h>
#include <zookeeper/zookeeper.h>

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "msg/zk.hpp"

namespace kvd {

// ---- what the loop is told ----
struct ZkHandleReady {  // from our own thread: open or close is over
  uint32_t generation;  // of what was to be opened; 0: nothing was
  zhandle_t* handle;    // null: nothing was to be opened, or it failed
  std::string error;    // why nothing could be opened, or which names are not known
};
struct ZkSessionEvent {
  uint32_t generation;
  int state;  // one of the C client's
};
struct ZkNodeEvent {
  uint32_t generation;
  std::string path;  // with the prefix
};
struct ZkCompletion {
  uint32_t generation;
  uint32_t number;
  int code;         // one of the C client's
  ZkResult result;  // what there is besides the code; paths with the prefix
};
struct ZkRefusal {  // from the loop itself: a call that was never made
  ZkResult result;
};
struct ZkLibraryLog {
  std::string text;
};
using ZkEvent =
    std::variant<ZkHandleReady, ZkSessionEvent, ZkNodeEvent, ZkCompletion, ZkRefusal, ZkLibraryLog>;

// Which client, which of its handles and which of that handle's calls: what the C client carries through its
// threads in place of a pointer. A pointer would dangle, as the library may never run the callbacks that are
// left when a handle is closed, and may run a watcher more often than once (with every session event).
struct ZkContext {
  uint8_t slot = 0;
  uint32_t generation = 0;  // below 2^24: counts handles
  uint32_t number = 0;      // 0: no call of anybody
  void* pack() const;
  static ZkContext unpack(const void* packed);
};

// One client's way home: a stack that any thread pushes to, and the loop's wake-up.
class ZkMailbox {
 public:
  // Takes one of a few static slots: callbacks can then reach it by number at any time.
  // `on_events` runs on the loop.
  ZkMailbox(uv_loop_t* loop, std::function<void(std::vector<ZkEvent>)> on_events);
  ~ZkMailbox();
  ZkMailbox(const ZkMailbox&) = delete;
  ZkMailbox& operator=(const ZkMailbox&) = delete;

  uint8_t slot() const { return slot_; }
  static void post(uint8_t slot, ZkEvent event);  // any thread
  // After the last thread that posts is joined.
  void close(std::function<void()> closed);

 private:
  void drain();

  uint8_t slot_;
  std::function<void(std::vector<ZkEvent>)> on_events_;
  std::function<void()> closed_;
  bool closing_ = false;
};

// ---- for our own short-lived thread: both may block ----
// Null and why when none of the servers can be resolved; a handle and an error when some cannot. What a handle says for
// the log that is not `heard` is lost. Who it is to ZooKeeper tell `credentials`, user:password; empty: nobody. The C
// client says so at the start of each connection, in front of everything else.
ZkHandleReady zk_open(const std::vector<Address>& servers, int timeout_ms, const std::string& credentials,
                      ZkContext context, bool heard);
void zk_close(const std::vector<zhandle_t*>& handles);

// ---- the callbacks ----
void zk_on_watch(zhandle_t*, int type, int state, const char* path, void* context);
void zk_on_void(int code, const void* context);                                             // delete, multi
void zk_on_path(int code, const char* path, const struct Stat* stat, const void* context);  // create
void zk_on_sync(int code, const char* path, const void* context);
void zk_on_stat(int code, const struct Stat* stat, const void* context);  // exists, set
void zk_on_data(int code, const char* data, int size, const struct Stat* stat, const void* context);
void zk_on_names(int code, const struct String_vector* names, const struct Stat* stat, const void* context);

ZkCode zk_code_of(int code);
ZkStat zk_stat_of(const struct Stat& stat);

}  // namespace kvd
