// See http_queues.hpp.
#include "shell/http/http_queues.hpp"

#include <string>
#include <utility>

#include "shell/http/http_source.hpp"
#include "shell/http/queue_json.hpp"

namespace kvd {
namespace {

constexpr std::string_view kQueuesPath = "/v1/queues";
constexpr std::string_view kQueuePath = "/v1/queues/";
constexpr std::string_view kMessagePrefix = "messages/";
constexpr uint64_t kMessageParameters =
    kQueryPriority | kQueryDelay | kQueryMaxAge | kQueryGroup | kQueryDedup;

class QueueRequest : public SourceRequest {
 public:
  using SourceRequest::SourceRequest;

  Refusal list() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    if (Refusal wrong = take(kReadParameters | kQueryPrefix | kQueryLimit | kQueryAfter)) return wrong;
    accepted_.plan.text = next_page(kQueuesPath, query_);
    return ask(ListQueues{query_.prefix.value_or(""), query_.after, page_limit(query_)});
  }

  // Everything else is about one queue.
  Refusal of_queue(std::string_view encoded, std::optional<std::string_view> rest) {
    if (Refusal wrong = take_name(encoded, "a queue", queue_)) return wrong;
    path_.append(kQueuePath).append(percent_encode(queue_));
    if (!rest) return queue();
    if (rest == kMessagesName) return messages();
    if (rest->starts_with(kMessagePrefix)) return message(rest->substr(kMessagePrefix.size()));
    if (rest == "receive") return receive();
    if (rest == "settle") return settle();
    if (rest == "kick") return kick();
    if (rest == "consume") return consume();
    return refuse(
        request_, 404, "no-such-path",
        "there is nothing at this path; below a queue there are messages, receive, consume, settle and kick");
  }

 private:
  Refusal queue() {
    if (reads()) {
      if (Refusal wrong = take(kReadParameters)) return wrong;
      return ask(ReadQueue{queue_});
    }
    if (is(HttpMethod::kPut)) {
      if (Refusal wrong = take(kWriteParameters)) return wrong;
      accepted_.plan.text = queue_;
      return ask(MakeQueue{queue_, {}});
    }
    if (!is(HttpMethod::kDelete)) return wrong_method(request_, "GET, HEAD, PUT, DELETE");
    if (Refusal wrong = take(kWriteParameters | kQueryIfEmpty)) return wrong;
    return ask(DeleteQueue{queue_, query_.if_empty});
  }

  Refusal messages() {
    if (reads()) return peek();
    if (is(HttpMethod::kPost)) return send();
    if (is(HttpMethod::kDelete)) return purge();
    return wrong_method(request_, "GET, HEAD, POST, DELETE");
  }

  Refusal send() {
    SendMessages send{queue_, {}, true};
    if (Refusal wrong = take_new(kMessageParameters, send.messages)) return wrong;
    send.create = query_.create;
    return ask(std::move(send));
  }

  Refusal purge() {
    if (Refusal wrong = take(kWriteParameters | kQueryPurgeState)) return wrong;
    if (!query_.message_state && !query_.all_states)
      return bad_request(
          request_,
          "the query parameter 'state' tells which messages are deleted: all, ready, delayed or dead");
    return ask(PurgeMessages{queue_, query_.message_state});
  }
};

}  // namespace

bool is_queue_path(std::string_view path) { return path == kQueuesPath || path.starts_with(kQueuePath); }

Refusal accept_queue(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted) {
  accepted.plan.route = Route::kQueue;
  accepted.plan.write = is_write_method(request.method);
  limit_small_body(accepted);
  QueueRequest asked(request, target.query, identity, accepted);
  if (target.path == kQueuesPath) return asked.list();
  const PathStep step = first_step(target.path.substr(kQueuePath.size()));
  return asked.of_queue(step.name, step.rest);
}

std::optional<BodyError> take_queue_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity) {
  Operation& operation = accepted.store().operation;
  if (auto* make = std::get_if<Box<MakeQueue>>(&operation)) {
    if (body.size() == 0) return std::nullopt;
    return take_parsed(parse_queue_config(body.view()), (*make)->config);
  }
  if (auto* send = std::get_if<Box<SendMessages>>(&operation))
    return take_new_bodies(accepted.plan, std::move(body), identity.value_bytes_max, MessagesFor::kQueue,
                           (*send)->messages);
  return take_source_body(accepted, std::move(body));
}

}  // namespace kvd
