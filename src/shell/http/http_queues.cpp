// See http_queues.hpp.
#include "shell/http/http_queues.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "msg/limits.hpp"
#include "shell/http/queue_json.hpp"

namespace kvd {
namespace {

constexpr std::string_view kQueuesPath = "/v1/queues";
constexpr std::string_view kQueuePath = "/v1/queues/";
// What curl says of every body without being asked: nothing about it.
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr std::string_view kMessagesName = "messages";
constexpr std::string_view kMessagePrefix = "messages/";
constexpr uint64_t kSendParameters = kWriteParameters | kQueryCreate;
constexpr uint64_t kMessageParameters =
    kSendParameters | kQueryPriority | kQueryDelay | kQueryMaxAge | kQueryGroup | kQueryDedup;

// "application/x-ndjson", with parameters or without.
bool is_json_lines(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return equal_ignoring_case(type, kJsonLines);
}

// One request, by its head.
class QueueRequest {
 public:
  QueueRequest(const HttpRequest& request, std::string_view query, const HttpIdentity& identity,
               AcceptedHead& accepted)
      : request_(request), text_(query), identity_(identity), accepted_(accepted) {}

  Refusal list() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    if (Refusal wrong = take(kReadParameters | kQueryPrefix | kQueryLimit | kQueryAfter)) return wrong;
    accepted_.plan.text = next_page(kQueuesPath, query_);
    return ask(ListQueues{query_.prefix.value_or(""), query_.after, page_limit(query_)});
  }

  // Everything else is about this queue.
  Refusal of_queue(std::string name, std::optional<std::string_view> rest) {
    if (name.empty() || name.size() > limits::kQueueNameBytes)
      return bad_request(request_, fmt::format("a queue's name has 1 to {} bytes", limits::kQueueNameBytes));
    name_ = std::move(name);
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
  bool reads() const { return is_read_method(request_.method); }
  bool is(HttpMethod method) const { return request_.method == method; }

  // The query, with these parameters.
  Refusal take(uint64_t parameters) {
    Result<Query> query = parse_query(text_, parameters);
    if (!query) return bad_request(request_, query.error().detail);
    query_ = std::move(*query);
    apply_read(accepted_, query_);
    accepted_.store().fence = std::move(query_.fence);
    return std::nullopt;
  }
  Refusal ask(Operation operation) {
    accepted_.store().operation = std::move(operation);
    return std::nullopt;
  }
  void limit_body(size_t bytes, std::string_view what) {
    accepted_.body_bytes_max = bytes;
    accepted_.body_name = what;
  }

  Refusal queue() {
    if (reads()) {
      if (Refusal wrong = take(kReadParameters)) return wrong;
      return ask(ReadQueue{name_});
    }
    if (is(HttpMethod::kPut)) {
      if (Refusal wrong = take(kWriteParameters)) return wrong;
      accepted_.plan.text = name_;
      return ask(MakeQueue{name_, {}});
    }
    if (!is(HttpMethod::kDelete)) return wrong_method(request_, "GET, HEAD, PUT, DELETE");
    if (Refusal wrong = take(kWriteParameters | kQueryIfEmpty)) return wrong;
    return ask(DeleteQueue{name_, query_.if_empty});
  }

  Refusal messages() {
    if (reads()) return peek();
    if (is(HttpMethod::kPost)) return send();
    if (is(HttpMethod::kDelete)) return purge();
    return wrong_method(request_, "GET, HEAD, POST, DELETE");
  }

  Refusal peek() {
    if (Refusal wrong = take(kReadParameters | kQueryPeekState | kQueryAfterMessage | kQueryLimit))
      return wrong;
    accepted_.plan.text =
        next_page(fmt::format("{}{}/{}", kQueuePath, percent_encode(name_), kMessagesName), query_);
    return ask(PeekMessages{name_, query_.message_state.value_or(MessageState::kReady), query_.after_message,
                            page_limit(query_)});
  }

  Refusal send() {
    const std::string_view type = request_.fields.find("Content-Type").value_or(std::string_view());
    const bool batch = is_json_lines(type);
    if (Refusal wrong = take(batch ? kSendParameters : kMessageParameters)) return wrong;
    SendMessages send{name_, {}, query_.create};
    accepted_.plan.one = !batch;
    if (batch) {
      limit_body(limits::kWriteBytes, "a batch of messages");
      return ask(std::move(send));
    }
    if (type.size() > limits::kTypeBytes)
      return bad_request(
          request_, fmt::format("the Content-Type of a message has {} bytes at most", limits::kTypeBytes));
    NewMessage message = query_.message ? std::move(*query_.message) : NewMessage();
    if (!message.group.empty() && message.delay_ms != 0)
      return bad_request(
          request_,
          "a message of a group has no delay of its own: the query parameters 'delay' and 'group' "
          "exclude each other");
    limit_body(identity_.value_bytes_max, "a message");
    if (!equal_ignoring_case(type, kFormType)) message.type = type;
    send.messages.push_back(std::move(message));
    return ask(std::move(send));
  }

  Refusal purge() {
    if (Refusal wrong = take(kWriteParameters | kQueryPurgeState)) return wrong;
    if (!query_.message_state && !query_.all_states)
      return bad_request(
          request_,
          "the query parameter 'state' tells which messages are deleted: all, ready, delayed or dead");
    return ask(PurgeMessages{name_, query_.message_state});
  }

  Refusal message(std::string_view text) {
    const bool ends = is(HttpMethod::kDelete);
    if (!reads() && !ends && !is(HttpMethod::kPut)) return wrong_method(request_, "GET, HEAD, PUT, DELETE");
    const std::optional<MessageId> id = parse_message_id(percent_decode(text));
    if (!id)
      return bad_request(request_, "a message's id is a number, or two of them with a point in between");
    accepted_.plan.one = true;
    if (reads()) {
      if (Refusal wrong = take(kReadParameters)) return wrong;
      return ask(PeekMessage{name_, *id});
    }
    if (Refusal wrong = take(kWriteParameters | kQueryReceipt | (ends ? uint64_t{0} : kQueryTtr)))
      return wrong;
    if (query_.receipt == 0)
      return bad_request(request_,
                         "the query parameter 'receipt' is missing: the one that came with the message");
    accepted_.plan.extends = !ends;
    Settling settling;
    settling.kind = ends ? Settling::Kind::kAck : Settling::Kind::kExtend;
    settling.id = *id;
    settling.receipt = query_.receipt;
    if (query_.ttr != 0) settling.ms = query_.ttr;
    return ask(SettleMessages{name_, {std::move(settling)}, false});
  }

  Refusal receive() {
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
    if (request_.fields.find("Idempotency-Key"))
      return bad_request(
          request_,
          "a receive takes no Idempotency-Key, since messages are not remembered for it: what does not "
          "arrive is granted again");
    if (Refusal wrong = take(kWriteParameters | kQueryMax | kQueryWait | kQueryTtr | kQueryRaw)) return wrong;
    if (query_.raw && query_.max > 1)
      return bad_request(request_,
                         "with raw=1 the answer is one message: the query parameter 'max' can only be 1");
    ReceiveMessages receive;
    receive.queue = name_;
    receive.max = std::max(query_.max, uint32_t{1});
    receive.wait = query_.wait.value_or(Duration(0));
    receive.ttr_ms = query_.ttr;
    accepted_.call.timeout += receive.wait;
    accepted_.plan.raw = query_.raw;
    accepted_.plan.waits = receive.wait > Duration(0);
    limit_body(limits::kBatchBytes, "a list of messages to be settled");
    return ask(std::move(receive));
  }

  // As long as the connection lasts.
  Refusal consume() {
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
    if (request_.fields.find("Idempotency-Key"))
      return bad_request(
          request_, "Idempotency-Key is for writes that outlive their connection: with 'hold', ask again");
    Result<Query> query = parse_query(text_, kQueryTimeout | kQueryHold | kQueryCredit | kQueryTtr);
    if (!query) return bad_request(request_, query.error().detail);
    if (!query->hold)
      return bad_request(request_, "a consumer lasts as long as its connection: say so with hold=1");
    accepted_.call.timeout = query->timeout;
    accepted_.plan.route = Route::kHold;
    accepted_.call.what = ConsumeQueue{name_, std::max(query->max, uint32_t{1}), query->ttr};
    return std::nullopt;
  }

  Refusal settle() {
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
    if (Refusal wrong = take(kWriteParameters | kQueryAtomic)) return wrong;
    limit_body(limits::kBatchBytes, "a list of messages to be settled");
    return ask(SettleMessages{name_, {}, query_.atomic});
  }

  Refusal kick() {
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
    if (Refusal wrong = take(kWriteParameters | kQueryKickMax | kQueryKickState | kQueryToQueue))
      return wrong;
    KickMessages kick;
    kick.queue = name_;
    kick.state = query_.message_state.value_or(kick.state);
    if (query_.max != 0) kick.max = query_.max;
    kick.to = query_.to_queue;
    if (kick.state == MessageState::kReady && kick.to.empty())
      return bad_request(request_, "what is ready stays as it is: kick it to another queue, with 'to'");
    return ask(std::move(kick));
  }

  const HttpRequest& request_;
  std::string_view text_;
  const HttpIdentity& identity_;
  AcceptedHead& accepted_;
  std::string name_;
  Query query_;
};

// A body's content into its place; or what is wrong with it.
template <class T>
std::optional<BodyError> take_parsed(Result<T, BodyError> parsed, T& target) {
  if (!parsed) return std::move(parsed.error());
  target = std::move(*parsed);
  return std::nullopt;
}

}  // namespace

bool is_queue_path(std::string_view path) { return path == kQueuesPath || path.starts_with(kQueuePath); }

Refusal accept_queue(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted) {
  accepted.plan.route = Route::kQueue;
  accepted.plan.write = is_write_method(request.method);
  limit_small_body(accepted);
  QueueRequest asked(request, target.query, identity, accepted);
  if (target.path == kQueuesPath) return asked.list();
  const std::string_view path = target.path.substr(kQueuePath.size());
  const size_t slash = path.find('/');
  std::optional<std::string_view> rest;
  if (slash != std::string_view::npos) rest = path.substr(slash + 1);
  return asked.of_queue(percent_decode(path.substr(0, slash)), rest);
}

std::optional<BodyError> take_queue_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity) {
  Operation& operation = accepted.store().operation;
  if (auto* make = std::get_if<Box<MakeQueue>>(&operation)) {
    if (body.size() == 0) return std::nullopt;
    return take_parsed(parse_queue_config(body.view()), (*make)->config);
  }
  if (auto* send = std::get_if<Box<SendMessages>>(&operation)) {
    if (!accepted.plan.one)
      return take_parsed(parse_messages(body.view(), identity.value_bytes_max), (*send)->messages);
    (*send)->messages.front().body = std::move(body);
  } else if (auto* receive = std::get_if<Box<ReceiveMessages>>(&operation)) {
    if (body.size() == 0) return std::nullopt;
    if (accepted.plan.raw)
      return BodyError{
          false, "with raw=1 the answer has no room for what became of messages: settle them apart", {}};
    return take_parsed(parse_settlings(body.view()), (*receive)->settlings);
  } else if (auto* settle = std::get_if<Box<SettleMessages>>(&operation);
             settle != nullptr && !accepted.plan.one) {
    std::optional<BodyError> wrong = take_parsed(parse_settlings(body.view()), (*settle)->settlings);
    if (!wrong && (*settle)->settlings.empty())
      return BodyError{false, "there is no message to be settled", {}};
    return wrong;
  }
  return std::nullopt;
}

}  // namespace kvd
