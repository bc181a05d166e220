// What messages come from over HTTP, a queue or a subscription of a topic: what both are asked in the same words.
// Without sockets, in the two steps of http_api. Pure functions, any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "shell/http/body_json.hpp"
#include "shell/http/http_accept.hpp"
#include "shell/http/queue_json.hpp"

namespace kvd {

inline constexpr std::string_view kMessagesName = "messages";

// One request, by its head. What it is given outlives it.
class SourceRequest {
 public:
  SourceRequest(const HttpRequest& request, std::string_view query, const HttpIdentity& identity,
                AcceptedHead& accepted)
      : request_(request), text_(query), identity_(identity), accepted_(accepted) {}

 protected:
  bool reads() const { return is_read_method(request_.method); }
  bool is(HttpMethod method) const { return request_.method == method; }

  // The query, with these parameters.
  Refusal take(uint64_t parameters);
  // A name out of the path. `of`: "a queue", for who is told that it is none.
  Refusal take_name(std::string_view encoded, std::string_view of, std::string& name);
  Refusal ask(Operation operation);
  void limit_body(size_t bytes, std::string_view what);

  // New messages: lines of JSON, or one with these parameters, then without its body.
  Refusal take_new(uint64_t of_one, std::vector<NewMessage>& messages);

  // Of what `queue_` and `subscription_` name.
  Refusal peek();
  Refusal message(std::string_view id);  // as it is in the path
  Refusal receive();
  Refusal consume();
  Refusal settle();
  Refusal kick();

  const HttpRequest& request_;
  std::string_view text_;
  const HttpIdentity& identity_;
  AcceptedHead& accepted_;
  std::string path_;          // of the queue or the subscription, percent-encoded
  std::string queue_;         // or the topic
  std::string subscription_;  // empty: of a queue
  Query query_;
};

// A body's content into its place; or what is wrong with it.
template <class T>
std::optional<BodyError> take_parsed(Result<T, BodyError> parsed, T& target) {
  if (!parsed) return std::move(parsed.error());
  target = std::move(*parsed);
  return std::nullopt;
}

// The body of new messages: see SourceRequest::take_new().
std::optional<BodyError> take_new_bodies(const ReplyPlan& plan, Bytes body, size_t body_bytes_max,
                                         MessagesFor whom, std::vector<NewMessage>& messages);
// The body of what SourceRequest has accepted for both.
std::optional<BodyError> take_source_body(AcceptedHead& accepted, Bytes body);

}  // namespace kvd
