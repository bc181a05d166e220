// What is told of queues and their messages, as HTTP answers: the part of http_render that is about them. Pure values,
// any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/box.hpp"
#include "base/json_writer.hpp"
#include "msg/client.hpp"
#include "shell/http/http_api.hpp"

namespace kvd {

inline constexpr std::string_view kNoMessageKind = "no-message";  // of a Problem

// What a consumer is told: a line for each message that it was granted, behind one of what it has missed.
std::string received_lines(const Received& received);

// A topic that is read as a stream: the head of the answer, and what is said of a page; one without messages tells how
// far the stream has come. As Server-Sent Events the `id:` is the place from which the stream can be resumed.
HttpResponse lines_head(const ReplyPlan& plan, bool complete);
std::string page_lines(const ReplyPlan& plan, const Peeked& page);
// One event. `id` may be empty; `line` ends with a newline.
std::string event_of(std::string_view id, std::string_view line);

// Of a configuration: what queues and subscriptions have in common.
void write_deliveries(JsonWriter& json, uint64_t ttr_ms, uint32_t max_deliveries,
                      const std::vector<uint64_t>& backoff_ms, std::string_view dead_letter);

// `plan` and `reply` outlive it.
class QueueRenderer {
 public:
  QueueRenderer(const ReplyPlan& plan, const StoreAnswer& reply) : plan_(plan), reply_(reply) {}

  HttpResponse operator()(const QueueMade& made) const;
  HttpResponse operator()(const QueueDeleted& deleted) const;
  HttpResponse operator()(const Sent& sent) const;
  HttpResponse operator()(const Box<Received>& received) const;
  HttpResponse operator()(const Settled& settled) const;
  HttpResponse operator()(const MessagesMoved& moved) const;
  HttpResponse operator()(const MessagesPurged& purged) const;
  HttpResponse operator()(const Box<QueueFound>& found) const;
  HttpResponse operator()(const QueueList& list) const;
  HttpResponse operator()(const Peeked& peeked) const;

 protected:
  const ReplyPlan& plan_;
  const StoreAnswer& reply_;
};

}  // namespace kvd
