// One call of a client, from its face to the node, and what comes back, whatever it is about: the store, changes of
// it, or one of the coordination services. A face (HTTP is one) is bytes to a Call, and a Reply to bytes.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/time.hpp"
#include "msg/client.hpp"
#include "msg/services.hpp"
#include "msg/types.hpp"
#include "msg/watch.hpp"

namespace kvd {

// A request's id tells by which connection of a client it came, and its place there, which begins again after 2^31 - 1.
// The place's highest bit is its connection's, and counts for nothing here.
constexpr RequestId request_id(uint32_t connection, uint32_t place) {
  return RequestId(uint64_t{connection} << 32 | place);
}
constexpr uint32_t connection_of(RequestId id) { return static_cast<uint32_t>(id.value >> 32); }
// Of two that are under way on one connection.
constexpr bool comes_before(RequestId a, RequestId b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a.value << 1) - static_cast<uint32_t>(b.value << 1)) < 0;
}

// A lease that is held by the caller's connection (core/lease_keeper.hpp): it is answered line by line.
struct HoldLease {
  uint64_t id = 0;   // of the one to be taken up; 0: a new one
  GrantLease grant;  // then
};

// A queue that is consumed by the caller's connection (core/consumers.hpp): it is answered line by line.
struct ConsumeQueue {
  std::string queue;
  uint32_t credit = 1;            // messages in flight, 1 to limits::kMessagesAtOnce
  uint64_t ttr_ms = 0;            // 0: the queue's
  std::string subscription = {};  // not empty: of the topic `queue`
};

// A topic that is read at this server as messages are published (core/topic_readers.hpp): line by line, for as long as
// the caller's connection lasts; or one page that waits until there is something behind the place.
struct FollowTopic {
  PageTopic page;
  std::optional<Duration> wait;  // of a page
};

struct Call {
  RequestId id;
  std::variant<StoreCall, ServiceCall, Box<WatchCall>, Box<PollCall>, HoldLease, ConsumeQueue,
               Box<FollowTopic>>
      what;
  // How long it may wait, from its arrival at the node; a service's beyond what the call itself may wait for others.
  Duration timeout{5'000'000};
  // Null: somebody who has shown nothing. Behind the node's door: on whose behalf; null: rights do not count.
  std::shared_ptr<const Caller> caller;
};
struct CallCancelled {  // the client's connection is gone: nobody waits for the reply any more
  RequestId id;
};

// A call is answered once; but one that a connection holds (`hold=1`) with one line after another, until one that is
// the last. A watch's one answer, WatchOpened, is such a first line: StreamLines bring the others.
struct Reply {
  RequestId id;
  std::variant<StoreAnswer, ServiceAnswer, WatchAnswer> what;
  bool line = false;
  bool last = true;
};

// Nothing was done: `why` in the words of what was called.
Reply refusal(const Call& call, ErrorCode code, std::string why);

}  // namespace kvd
