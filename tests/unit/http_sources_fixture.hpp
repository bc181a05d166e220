// Queues and topics over HTTP without sockets: what a request asks of the node, what it is refused with, and what is
// told of an answer. For tests of both.
#pragma once
#include <doctest.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "made_request.hpp"
#include "shell/http/http_accept.hpp"
#include "shell/http/http_api.hpp"

namespace kvd::http_sources_test {

using kvd::testing::HttpFieldList;
using kvd::testing::made_request;

inline const HttpIdentity kIdentity{ServerId{"a:1"}, "9.9", {"z:2181"}, 100};

inline HttpRequest get(std::string target) { return made_request(HttpMethod::kGet, std::move(target)); }
inline HttpRequest put(std::string target) { return made_request(HttpMethod::kPut, std::move(target)); }
inline HttpRequest remove(std::string target) { return made_request(HttpMethod::kDelete, std::move(target)); }
inline HttpRequest post(std::string target, const HttpFieldList& fields = {}) {
  return made_request(HttpMethod::kPost, std::move(target), fields);
}
inline const HttpFieldList kLines = {{"content-type", "application/x-ndjson"}};

inline AcceptedHead accepted(const HttpRequest& asked, std::string_view body = "") {
  AcceptedHead head;
  std::optional<HttpResponse> refusal = accept_head(asked, kIdentity, head);
  CAPTURE(asked.target);
  if (!refusal) refusal = accept_body(head, Bytes(body), kIdentity);
  if (refusal) FAIL(refusal->body);
  const bool of_topic = asked.target.find("/v1/topics") != std::string::npos;
  CHECK(head.plan.route == (of_topic ? Route::kTopic : Route::kQueue));
  CHECK(head.plan.write == is_write_method(asked.method));
  return head;
}
inline HttpResponse refused(const HttpRequest& asked) {
  AcceptedHead head;
  std::optional<HttpResponse> refusal = accept_head(asked, kIdentity, head);
  CAPTURE(asked.target);
  REQUIRE(refusal);
  return *refusal;
}
inline HttpResponse refused_body(const HttpRequest& asked, std::string_view body) {
  AcceptedHead head;
  CAPTURE(asked.target);
  REQUIRE_FALSE(accept_head(asked, kIdentity, head));
  std::optional<HttpResponse> refusal = accept_body(head, Bytes(body), kIdentity);
  CAPTURE(body);
  REQUIRE(refusal);
  return *refusal;
}
inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string::npos;
}
// Each is refused, and told what is allowed there.
template <size_t kCases>
void check_allowed(const std::pair<HttpRequest, const char*> (&cases)[kCases]) {
  for (const auto& one : cases) {
    const HttpRequest& request = one.first;
    const HttpResponse response = refused(request);
    CAPTURE(request.target);
    CHECK(response.status == 405);
    CHECK(contains(response.fields, one.second));
    CHECK(contains(response.body, "\"outcome\":\"not-applied\"") == is_write_method(request.method));
  }
}
template <class T>
T operation(AcceptedHead head) {
  if constexpr (std::is_constructible_v<Operation, std::in_place_type_t<T>>) {
    REQUIRE(std::holds_alternative<T>(head.store().operation));
    return std::get<T>(head.store().operation);
  } else {
    REQUIRE(std::holds_alternative<Box<T>>(head.store().operation));
    return *std::get<Box<T>>(head.store().operation);
  }
}

inline ReplyPlan plan_of(const HttpRequest& asked, std::string_view body = "") {
  return accepted(asked, body).plan;
}
inline HttpResponse render(const ReplyPlan& plan, Answer answer) {
  StoreAnswer reply{std::move(answer), Epoch(3), Revision(90), std::nullopt};
  return render_reply(plan, reply, kIdentity, HttpCounters());
}

inline Answer received(std::vector<QueuedMessage> messages, std::vector<Settled::One> settled = {}) {
  Received out;
  out.messages = std::move(messages);
  out.settled = std::move(settled);
  return Box(std::move(out));
}

inline QueuedMessage message(uint64_t revision, std::string_view body) {
  QueuedMessage out;
  out.id = MessageId{Revision(revision), 0};
  out.receipt = 95;
  out.attempt = 2;
  out.priority = 100;
  out.sent_ms = 1'700'000'000'000;
  out.body = Bytes(body);
  return out;
}

}  // namespace kvd::http_sources_test
