// See http_source.hpp.
#include "shell/http/http_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "msg/limits.hpp"

namespace kvd {
namespace {

// What curl says of every body without being asked: nothing about it.
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr uint64_t kNewParameters = kWriteParameters | kQueryCreate;

// "application/x-ndjson", with parameters or without.
bool is_json_lines(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return equal_ignoring_case(type, kJsonLines);
}

}  // namespace

Refusal SourceRequest::take(uint64_t parameters) {
  Result<Query> query = parse_query(text_, parameters);
  if (!query) return bad_request(request_, query.error().detail);
  query_ = std::move(*query);
  apply_read(accepted_, query_);
  accepted_.store().fence = std::move(query_.fence);
  return std::nullopt;
}

Refusal SourceRequest::take_name(std::string_view encoded, std::string_view of, std::string& name) {
  name = percent_decode(encoded);
  if (!name.empty() && name.size() <= limits::kQueueNameBytes) return std::nullopt;
  return bad_request(request_, fmt::format("{}'s name has 1 to {} bytes", of, limits::kQueueNameBytes));
}

Refusal SourceRequest::ask(Operation operation) {
  accepted_.store().operation = std::move(operation);
  return std::nullopt;
}

void SourceRequest::limit_body(size_t bytes, std::string_view what) {
  accepted_.body_bytes_max = bytes;
  accepted_.body_name = what;
}

Refusal SourceRequest::take_new(uint64_t of_one, std::vector<NewMessage>& messages) {
  const std::string_view type = request_.fields.find("Content-Type").value_or(std::string_view());
  const bool batch = is_json_lines(type);
  if (Refusal wrong = take(batch ? kNewParameters : kNewParameters | of_one)) return wrong;
  accepted_.plan.one = !batch;
  if (batch) {
    limit_body(limits::kWriteBytes, "a batch of messages");
    return std::nullopt;
  }
  if (type.size() > limits::kTypeBytes)
    return bad_request(request_,
                       fmt::format("the Content-Type of a message has {} bytes at most", limits::kTypeBytes));
  NewMessage message = query_.message ? std::move(*query_.message) : NewMessage();
  if (!message.group.empty() && message.delay_ms != 0)
    return bad_request(
        request_,
        "a message of a group has no delay of its own: the query parameters 'delay' and 'group' "
        "exclude each other");
  limit_body(identity_.value_bytes_max, "a message");
  if (!equal_ignoring_case(type, kFormType)) message.type = type;
  messages.push_back(std::move(message));
  return std::nullopt;
}

Refusal SourceRequest::peek() {
  if (Refusal wrong = take(kReadParameters | kQueryPeekState | kQueryAfterMessage | kQueryLimit))
    return wrong;
  accepted_.plan.text = next_page(fmt::format("{}/{}", path_, kMessagesName), query_);
  return ask(PeekMessages{queue_, query_.message_state.value_or(MessageState::kReady), query_.after_message,
                          page_limit(query_), subscription_});
}

Refusal SourceRequest::message(std::string_view text) {
  const bool ends = is(HttpMethod::kDelete);
  if (!reads() && !ends && !is(HttpMethod::kPut)) return wrong_method(request_, "GET, HEAD, PUT, DELETE");
  const std::optional<MessageId> id = parse_message_id(percent_decode(text));
  if (!id) return bad_request(request_, "a message's id is a number, or two of them with a point in between");
  accepted_.plan.one = true;
  if (reads()) {
    if (Refusal wrong = take(kReadParameters)) return wrong;
    return ask(PeekMessage{queue_, *id, subscription_});
  }
  if (Refusal wrong = take(kWriteParameters | kQueryReceipt | (ends ? uint64_t{0} : kQueryTtr))) return wrong;
  if (query_.receipt == 0)
    return bad_request(request_,
                       "the query parameter 'receipt' is missing: the one that came with the message");
  accepted_.plan.extends = !ends;
  Settling settling;
  settling.kind = ends ? Settling::Kind::kAck : Settling::Kind::kExtend;
  settling.id = *id;
  settling.receipt = query_.receipt;
  if (query_.ttr != 0) settling.ms = query_.ttr;
  return ask(SettleMessages{queue_, {std::move(settling)}, false, 0, subscription_});
}

Refusal SourceRequest::receive() {
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
  receive.queue = queue_;
  receive.subscription = subscription_;
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
Refusal SourceRequest::consume() {
  if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
  if (request_.fields.find("Idempotency-Key"))
    return bad_request(request_,
                       "Idempotency-Key is for writes that outlive their connection: with 'hold', ask again");
  Result<Query> query = parse_query(text_, kQueryTimeout | kQueryHold | kQueryCredit | kQueryTtr);
  if (!query) return bad_request(request_, query.error().detail);
  if (!query->hold)
    return bad_request(request_, "a consumer lasts as long as its connection: say so with hold=1");
  accepted_.call.timeout = query->timeout;
  accepted_.plan.route = Route::kHold;
  accepted_.call.what = ConsumeQueue{queue_, std::max(query->max, uint32_t{1}), query->ttr, subscription_};
  return std::nullopt;
}

Refusal SourceRequest::settle() {
  if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
  if (Refusal wrong = take(kWriteParameters | kQueryAtomic)) return wrong;
  limit_body(limits::kBatchBytes, "a list of messages to be settled");
  return ask(SettleMessages{queue_, {}, query_.atomic, 0, subscription_});
}

// Out of a queue messages may also go to another one.
Refusal SourceRequest::kick() {
  if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
  const uint64_t states = subscription_.empty() ? kQueryKickState | kQueryToQueue : kQueryStuckState;
  if (Refusal wrong = take(kWriteParameters | kQueryKickMax | states)) return wrong;
  KickMessages kick;
  kick.queue = queue_;
  kick.subscription = subscription_;
  kick.state = query_.message_state.value_or(kick.state);
  if (query_.max != 0) kick.max = query_.max;
  kick.to = query_.to_queue;
  if (kick.state == MessageState::kReady && kick.to.empty())
    return bad_request(request_, "what is ready stays as it is: kick it to another queue, with 'to'");
  return ask(std::move(kick));
}

std::optional<BodyError> take_new_bodies(const ReplyPlan& plan, Bytes body, size_t body_bytes_max,
                                         MessagesFor whom, std::vector<NewMessage>& messages) {
  if (!plan.one) return take_parsed(parse_messages(body.view(), body_bytes_max, whom), messages);
  messages.front().body = std::move(body);
  return std::nullopt;
}

std::optional<BodyError> take_source_body(AcceptedHead& accepted, Bytes body) {
  Operation& operation = accepted.store().operation;
  if (auto* receive = std::get_if<Box<ReceiveMessages>>(&operation)) {
    if (body.size() == 0) return std::nullopt;
    if (accepted.plan.raw)
      return BodyError{
          false, "with raw=1 the answer has no room for what became of messages: settle them apart", {}};
    return take_parsed(parse_settlings(body.view()), (*receive)->settlings);
  }
  auto* settle = std::get_if<Box<SettleMessages>>(&operation);
  if (settle == nullptr || accepted.plan.one) return std::nullopt;
  std::optional<BodyError> wrong = take_parsed(parse_settlings(body.view()), (*settle)->settlings);
  if (!wrong && (*settle)->settlings.empty())
    return BodyError{false, "there is no message to be settled", {}};
  return wrong;
}

}  // namespace kvd
