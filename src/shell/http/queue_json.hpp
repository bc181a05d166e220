// The JSON bodies of requests about queues. What comes in is foreign: anything missing, unknown, of another type or out
// of range is refused with a sentence that names the place. Texts that are no UTF-8 come in base64, as a member
// NAME_b64 in place of NAME. Pure functions, any thread.
#pragma once
#include <simdjson.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "msg/queues.hpp"
#include "shell/http/body_json.hpp"

namespace kvd {

// {"ttr":MS,"max_deliveries":N,"backoff":[MS,...],"dead_letter":QUEUE,"dedup_window":MS,"max_messages":N,
// "max_bytes":N,"max_age":MS,"max_in_flight":N,"order":"priority"|"fifo","discard":"none"|"old"}; what is left out has
// its default.
Result<QueueConfig, BodyError> parse_queue_config(std::string_view json);

// A topic's messages have no priority, no delay and no age of their own.
enum class MessagesFor : uint8_t { kQueue, kTopic };

// A line for each message, 1 to limits::kMessagesAtOnce of them, each with a body of `body_bytes_max` at most:
// {"body":TEXT,"priority":N,"delay":MS,"max_age":MS,"group":G,"dedup":D,"type":T}. Empty lines count for nothing.
Result<std::vector<NewMessage>, BodyError> parse_messages(std::string_view lines, size_t body_bytes_max,
                                                          MessagesFor whom);

// {"ack":[{"id":ID,"receipt":R},...],"nack":[{...,"delay":MS,"reason":TEXT}],"release":[{...}],
// "extend":[{...,"ttr":MS}],"dead":[{...,"reason":TEXT}]}: in this order, at most limits::kMessagesAtOnce in all.
Result<std::vector<Settling>, BodyError> parse_settlings(std::string_view json);

// What an operation of a transaction does to messages: {"queue":Q,"id":ID,"receipt":R}, or with
// "topic":T,"subscription":S in place of the queue; {"queue":Q} or {"topic":T} and the members of a line of
// parse_messages().
Result<TxnOp, BodyError> parse_ack_op(simdjson::dom::object fields);
Result<TxnOp, BodyError> parse_send_op(simdjson::dom::object fields, size_t body_bytes_max);
Result<TxnOp, BodyError> parse_publish_op(simdjson::dom::object fields, size_t body_bytes_max);
// Empty: it is taken. (As all here: else what is wrong with it.)
std::string take_message_id(simdjson::dom::element value, MessageId& id);

// The members that name what an operation or a condition is about.
class SourceReader {
 public:
  enum class Of : uint8_t {
    kQueue,   // "queue"
    kTopic,   // "topic"
    kEither,  // "queue", or "topic" and "subscription"
  };
  explicit SourceReader(Of of) : of_(of) {}
  bool knows(std::string_view member) { return text_of(member) != nullptr; }
  std::string take(simdjson::dom::key_value_pair member);  // that it knows
  bool given() const { return queue_.bytes || topic_.bytes || subscription_.bytes; }
  std::string end(std::string& name, std::string& subscription) const;

 private:
  BodyText* text_of(std::string_view member);

  Of of_;
  BodyText queue_;
  BodyText topic_;
  BodyText subscription_;
};

}  // namespace kvd
