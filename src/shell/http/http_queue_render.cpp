// See http_queue_render.hpp.
#include "shell/http/http_queue_render.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/json_writer.hpp"
#include "base/percent.hpp"

namespace kvd {
namespace {

void write_queue(JsonWriter& json, const QueueInfo& info) {
  const QueueConfig& config = info.config;
  json.begin_object().bytes_member("name", info.name);
  write_deliveries(json, config.ttr_ms, config.max_deliveries, config.backoff_ms, config.dead_letter);
  json.member("dedup_window", config.dedup_window_ms).member("max_messages", config.max_messages);
  json.member("max_bytes", config.max_bytes).member("max_age", config.max_age_ms);
  json.member("max_in_flight", config.max_in_flight).member("order", config.fifo ? "fifo" : "priority");
  json.member("discard", config.discard_old ? "old" : "none");
  json.member("ready", info.ready).member("delayed", info.delayed).member("in_flight", info.in_flight);
  json.member("dead", info.dead).member("bytes", info.bytes).member("groups", info.groups);
  json.member("blocked", info.blocked);
  if (info.oldest_ms) json.member("oldest_ms", *info.oldest_ms);
  if (info.waiting) json.member("waiting", *info.waiting);
  json.end_object();
}

// What is told of a message beside what was sent.
struct Shown {
  bool grants = true;    // what became of it; false: it stands in a topic, for all who read
  bool state = false;    // it was looked at and not granted
  bool priority = true;  // a topic's have none
};

void write_standing(JsonWriter& json, const QueuedMessage& message, const Shown& shown) {
  const bool timed = message.state == MessageState::kInFlight || message.state == MessageState::kDelayed;
  if (shown.state) json.member("state", message_state_name(message.state));
  if (shown.state && timed) json.member("left_ms", message.left_ms);
  if (message.receipt != 0) json.member("receipt", message.receipt);
  json.member("attempt", message.attempt);
  if (shown.priority) json.member("priority", unsigned{message.priority});
}

void write_message(JsonWriter& json, const QueuedMessage& message, const Shown& shown) {
  json.begin_object().member("id", to_text(message.id));
  if (shown.grants) write_standing(json, message, shown);
  if (!message.group.empty()) json.bytes_member("group", message.group);
  if (!message.type.empty()) json.bytes_member("type", message.type);
  json.member("sent_ms", message.sent_ms).bytes_member("body", message.body.view());
  if (!message.dead_from.empty())
    json.bytes_member("dead_from", message.dead_from).member("attempts", message.attempts);
  if (!message.reason.empty()) json.bytes_member("reason", message.reason);
  json.end_object();
}

void write_messages(JsonWriter& json, const std::vector<QueuedMessage>& messages, const Shown& shown) {
  json.key("messages").begin_array();
  for (const QueuedMessage& message : messages) write_message(json, message, shown);
  json.end_array();
}

void write_gap(JsonWriter& json, const Received::Gap& gap) {
  json.key("gap").begin_object().member("after", to_text(gap.after)).member("last", to_text(gap.last));
  json.end_object();
}

std::string ended_line(JsonWriter& json) {
  std::string line = json.end_object().take();
  line += '\n';
  return line;
}

std::string_view settle_result_name(SettleResult result) {
  switch (result) {
    case SettleResult::kDone:
      return "ok";
    case SettleResult::kGone:
      return "gone";
    case SettleResult::kStale:
      return "stale";
  }
  CHECK(false);
}

std::vector<std::string_view> result_names(const std::vector<Settled::One>& results) {
  std::vector<std::string_view> names;
  for (const Settled::One& one : results) names.push_back(settle_result_name(one.result));
  return names;
}

Problem settle_problem(uint16_t status, std::string_view kind, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.kind = kind;
  problem.detail = std::move(detail);
  return problem;
}

HttpResponse no_message(std::optional<Outcome> outcome) {
  Problem problem = settle_problem(404, kNoMessageKind, "there is no such message, or no more");
  problem.outcome = outcome;
  return problem_response(problem);
}

// Of one message that was named by its path.
HttpResponse settled_one(const Settled::One& one, bool extends) {
  if (one.result == SettleResult::kGone) return no_message(Outcome::kNotApplied);
  if (one.result == SettleResult::kStale) {
    Problem problem = settle_problem(
        412, "stale-receipt",
        one.receipt != 0
            ? fmt::format("the message was granted to another one since, with the receipt {}", one.receipt)
            : "the receipt does not count: the message is not in flight by it any more");
    problem.outcome = Outcome::kNotApplied;
    if (one.receipt != 0) problem.receipt = one.receipt;
    return problem_response(problem);
  }
  if (!extends) return empty_response(204);
  JsonWriter json;
  json.begin_object().member("left_ms", one.left_ms).end_object();
  return json_response(200, json);
}

void add_gap(HttpResponse& response, const Received& received) {
  const std::optional<Received::Gap>& gap = received.gap;
  if (gap) add_field(response, "Kvd-Gap", fmt::format("{}..{}", to_text(gap->after), to_text(gap->last)));
}

HttpResponse no_messages(const Received& received) {
  HttpResponse response = empty_response(204);
  add_gap(response, received);
  return response;
}

// The body of the answer is that of the message.
HttpResponse raw_message(const Received& received) {
  const QueuedMessage& message = received.messages.front();
  HttpResponse response;
  if (message.type.empty() || !is_field_value(message.type)) {
    response.content_type = kOctets;
  } else {
    add_field(response, "Content-Type", message.type);
  }
  add_field(response, "Kvd-Message-Id", to_text(message.id));
  append_field(response.fields, "Kvd-Receipt", message.receipt);
  append_field(response.fields, "Kvd-Attempt", message.attempt);
  add_gap(response, received);
  response.value = message.body;
  return response;
}

std::string message_line(const QueuedMessage& message, const Shown& shown) {
  JsonWriter json;
  json.begin_object().key("message");
  write_message(json, message, shown);
  return ended_line(json);
}

std::string gap_line(const Received::Gap& gap) {
  JsonWriter json;
  json.begin_object();
  write_gap(json, gap);
  return ended_line(json);
}

}  // namespace

std::string received_lines(const Received& received) {
  std::string lines;
  if (received.gap) lines += gap_line(*received.gap);
  for (const QueuedMessage& message : received.messages)
    lines += message_line(message, {true, false, received.subscription.empty()});
  return lines;
}

HttpResponse lines_head(const ReplyPlan& plan, bool complete) {
  HttpResponse response;
  response.content_type = plan.events ? kEvents : kJsonLines;
  response.streamed = true;
  if (plan.published) add_field(response, "Cache-Control", "no-store");
  mark_incomplete(response, complete);
  return response;
}

std::string event_of(std::string_view id, std::string_view line) {
  return fmt::format("{}{}{}data: {}\n", id.empty() ? "" : "id: ", id, id.empty() ? "" : "\n", line);
}

std::string page_lines(const ReplyPlan& plan, const Peeked& page) {
  std::string lines;
  const auto add = [&](const std::string& id, const std::string& line) {
    lines += plan.events ? event_of(id, line) : line;
  };
  if (page.gap) add(to_text(page.gap->last), gap_line(*page.gap));
  for (const QueuedMessage& message : page.messages)
    add(to_text(message.id), message_line(message, {false, false, false}));
  if (!page.messages.empty() || page.gap) return lines;
  JsonWriter json;
  json.begin_object().member("progress", to_text(page.last));
  add(to_text(page.last), ended_line(json));
  return lines;
}

void write_deliveries(JsonWriter& json, uint64_t ttr_ms, uint32_t max_deliveries,
                      const std::vector<uint64_t>& backoff_ms, std::string_view dead_letter) {
  json.member("ttr", ttr_ms).member("max_deliveries", max_deliveries);
  json.list_member("backoff", backoff_ms).bytes_member("dead_letter", dead_letter);
}

HttpResponse QueueRenderer::operator()(const QueueMade& made) const {
  JsonWriter json;
  json.begin_object().bytes_member("name", plan_.text);
  json.member("revision", reply_.revision.value).end_object();
  return json_response(made.created ? 201 : 200, json);
}

HttpResponse QueueRenderer::operator()(const QueueDeleted&) const { return empty_response(204); }

HttpResponse QueueRenderer::operator()(const Sent& sent) const {
  JsonWriter json;
  json.begin_object();
  const bool nothing_new = !sent.duplicates.empty() && sent.duplicates.size() == sent.count;
  if (plan_.one) {
    const MessageId id = nothing_new ? sent.duplicates.front().id : MessageId{reply_.revision, 0};
    json.member("id", to_text(id));
    if (nothing_new) json.member("duplicate", true);
  } else {
    json.key("ids").begin_array();
    auto duplicate = sent.duplicates.begin();
    for (uint32_t i = 0; i < sent.count; ++i) {
      const auto place = static_cast<uint16_t>(i);
      const bool known = duplicate != sent.duplicates.end() && duplicate->place == place;
      json.value(to_text(known ? duplicate->id : MessageId{reply_.revision, place}));
      if (known) ++duplicate;
    }
    json.end_array();
    if (!sent.duplicates.empty()) {
      json.key("duplicates").begin_array();
      for (const Sent::Duplicate& one : sent.duplicates) json.value(unsigned{one.place});
      json.end_array();
    }
  }
  json.member("revision", reply_.revision.value).end_object();
  return json_response(nothing_new ? 200 : 201, json);
}

HttpResponse QueueRenderer::operator()(const Box<Received>& received) const {
  const bool none = received->messages.empty();
  if (none && received->settled.empty() && (plan_.raw || !received->gap)) return no_messages(*received);
  if (plan_.raw && !none) return raw_message(*received);
  JsonWriter json;
  json.begin_object();
  write_messages(json, received->messages, {true, false, received->subscription.empty()});
  if (!received->settled.empty()) json.list_member("settled", result_names(received->settled));
  if (received->gap) write_gap(json, *received->gap);
  json.end_object();
  return json_response(200, json);
}

HttpResponse QueueRenderer::operator()(const Settled& settled) const {
  if (plan_.one) return settled_one(settled.results.front(), plan_.extends);
  if (settled.refused) {
    Problem problem = settle_problem(
        412, "not-settled", "one of the messages is gone, or granted to another one since: none was settled");
    problem.outcome = Outcome::kNotApplied;
    problem.results = result_names(settled.results);
    return problem_response(problem);
  }
  JsonWriter json;
  json.begin_object();
  json.list_member("results", result_names(settled.results));
  json.member("revision", reply_.revision.value).end_object();
  return json_response(200, json);
}

HttpResponse QueueRenderer::operator()(const MessagesMoved& moved) const {
  JsonWriter json;
  json.begin_object().member("moved", moved.count).end_object();
  return json_response(200, json);
}

HttpResponse QueueRenderer::operator()(const MessagesPurged& purged) const {
  JsonWriter json;
  json.begin_object().member("purged", purged.count).member("more", purged.more).end_object();
  return json_response(200, json);
}

HttpResponse QueueRenderer::operator()(const Box<QueueFound>& found) const {
  JsonWriter json;
  write_queue(json, found->queue);
  HttpResponse response = json_response(200, json);
  mark_incomplete(response, found->complete);
  return response;
}

HttpResponse QueueRenderer::operator()(const QueueList& list) const {
  JsonWriter json;
  json.begin_object().key("queues").begin_array();
  for (const QueueInfo& info : list.queues) write_queue(json, info);
  json.end_array().end_object();
  HttpResponse response = json_response(200, json);
  if (list.more && !list.queues.empty())
    add_next_page(response, plan_.text, percent_encode(list.queues.back().name));
  mark_incomplete(response, list.complete);
  return response;
}

HttpResponse QueueRenderer::operator()(const Peeked& peeked) const {
  const Shown shown{!plan_.published, true, plan_.route == Route::kQueue};
  JsonWriter json;
  if (plan_.one) {
    if (peeked.messages.empty()) return no_message(std::nullopt);
    write_message(json, peeked.messages.front(), shown);
  } else {
    json.begin_object();
    write_messages(json, peeked.messages, shown);
    json.member("more", peeked.more);
    if (plan_.published) json.member("last", to_text(peeked.last));
    if (peeked.gap) write_gap(json, *peeked.gap);
    json.end_object();
  }
  HttpResponse response = json_response(200, json);
  if (peeked.more) add_next_page(response, plan_.text, to_text(peeked.last));
  mark_incomplete(response, peeked.complete);
  return response;
}

}  // namespace kvd
