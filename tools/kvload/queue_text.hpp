// What producers and consumers of `kvload queue` write, and how they read what they are told. The body of a message
// tells its number, and when it was to be sent; so does a send need no other record to be found again. Pure functions
// and a parser with its buffers; any thread, one at a time.
#pragma once
#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "msg/queues.hpp"

namespace kvd::load {

inline constexpr size_t kMessageBytesMin = 48;  // there is room for what a body tells

struct QueueStamp {
  uint64_t number = 0;
  uint64_t at = 0;  // ns
};
// `bytes` as in all messages of a run, kMessageBytesMin at least. No character needs an escape in JSON.
void append_queue_body(const QueueStamp& stamp, size_t bytes, std::string& out);
// A line of a batch; `group` is empty where it has none.
void append_queue_line(const QueueStamp& stamp, size_t bytes, std::string_view group, std::string& out);
// Nothing: it is not one of these.
std::optional<QueueStamp> parse_queue_body(std::string_view body, size_t bytes);

// A message that a consumer has: to be settled by its id and receipt.
struct HeldMessage {
  uint64_t number = 0;
  MessageId id;
  uint64_t receipt = 0;
};
std::string acknowledge_body(const std::vector<HeldMessage>& held);  // {"ack":[..]}

struct ReceivedMessage {
  std::optional<QueueStamp> stamp;
  MessageId id;
  uint64_t receipt = 0;  // 0: it was never granted
};
struct QueueAnswer {
  std::vector<MessageId> ids;             // that were sent, in their order
  std::vector<ReceivedMessage> messages;  // received, or looked at
  std::vector<SettleResult> settled;      // in the order of what was to be settled
  bool more = false;                      // of what is looked at
};

class QueueAnswerParser {
 public:
  // `bytes`: of the bodies. The answer is valid until the next one. Null: it is not what a server says to a send, a
  // receive, a settlement or a look at messages.
  const QueueAnswer* parse(std::string_view json, size_t bytes);

 private:
  bool read(simdjson::dom::object object, size_t bytes);
  bool read_messages(simdjson::dom::array list, size_t bytes);

  simdjson::dom::parser parser_;
  QueueAnswer answer_;
};

}  // namespace kvd::load
