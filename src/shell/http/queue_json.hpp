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

// A line for each message, 1 to limits::kMessagesAtOnce of them, each with a body of `body_bytes_max` at most:
// {"body":TEXT,"priority":N,"delay":MS,"max_age":MS,"group":G,"dedup":D,"type":T}. Empty lines count for nothing.
Result<std::vector<NewMessage>, BodyError> parse_messages(std::string_view lines, size_t body_bytes_max);

// {"ack":[{"id":ID,"receipt":R},...],"nack":[{...,"delay":MS,"reason":TEXT}],"release":[{...}],
// "extend":[{...,"ttr":MS}],"dead":[{...,"reason":TEXT}]}: in this order, at most limits::kMessagesAtOnce in all.
Result<std::vector<Settling>, BodyError> parse_settlings(std::string_view json);

// What an operation of a transaction does to a queue: {"queue":Q,"id":ID,"receipt":R}, or {"queue":Q} and the members
// of a line of parse_messages().
Result<TxnOp, BodyError> parse_ack_op(simdjson::dom::object fields);
Result<TxnOp, BodyError> parse_send_op(simdjson::dom::object fields, size_t body_bytes_max);
// Empty: it is taken. (As the next one: else what is wrong with it.)
std::string take_queue_name(const BodyText& text, std::string& name);
std::string take_message_id(simdjson::dom::element value, MessageId& id);

}  // namespace kvd
