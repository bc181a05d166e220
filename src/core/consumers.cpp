// See consumers.hpp.
#include "core/consumers.hpp"

#include <algorithm>
#include <utility>

#include "msg/limits.hpp"

namespace kvd {
namespace {

constexpr Duration kConsumerIdle = seconds(10);   // between two lines; a receive waits so long
constexpr Duration kReceiveTimeout = seconds(5);  // ... and its answer takes so long at most
constexpr Duration kConsumeRetry = milliseconds(200);
constexpr Duration kEndRetry = seconds(1);
constexpr Duration kEndPatience = seconds(60);  // then the grants may run out
constexpr int kTryBits = 8;                     // of the sendings of a call that the KV router counts

}  // namespace

void Consumers::handle(ConsumersMessage&& message) {
  std::visit([this](auto&& m) { on(std::forward<decltype(m)>(m)); }, std::move(message));
}

// ---- from a call to messages ----

void Consumers::on(Call&& message) {
  if (stopping_) return out_.emit(refusal(message, ErrorCode::kShuttingDown, "this server is shutting down"));
  Consumer& consumer = consumers_[message.id];
  consumer.wanted = std::move(std::get<ConsumeQueue>(message.what));
  consumer.caller = std::move(message.caller);
  consumer.ticket = out_.prng.next() | 1;
  receive(message.id, consumer, message.timeout);
}

// The first one does not wait, so that its client knows at once what it is connected to.
void Consumers::receive(RequestId client, Consumer& consumer, Duration timeout) {
  ReceiveMessages call;
  call.queue = consumer.wanted.queue;
  call.subscription = consumer.wanted.subscription;
  call.max = consumer.wanted.credit;
  call.wait = consumer.opened ? kConsumerIdle : Duration(0);
  call.ttr_ms = consumer.wanted.ttr_ms;
  call.ticket = consumer.ticket;
  call.turn = consumer.call << kSendingBits | (consumer.tries << kTryBits);
  call.credit = consumer.wanted.credit;
  consumer.token = ++last_token_;
  due_.erase({std::exchange(consumer.ask_at, kNever), client});
  asked_.emplace(consumer.token, client);
  out_.kv_router.post(
      Ask{Ask::By::kConsumers, consumer.token, Box(std::move(call)), timeout, consumer.caller});
}

void Consumers::receive_more(RequestId client, Consumer& consumer) {
  if (consumer.untaken < limits::kStreamWindow) receive(client, consumer, kConsumerIdle + kReceiveTimeout);
}

void Consumers::on(const StreamTaken& message) {
  const auto it = consumers_.find(message.id);
  if (it == consumers_.end()) return;
  Consumer& consumer = it->second;
  consumer.untaken -= std::min(consumer.untaken, message.bytes);
  const bool rests = consumer.token == 0 && consumer.ask_at == kNever;
  if (rests) receive_more(message.id, consumer);
}

void Consumers::on(Answered&& message) {
  if (const auto asked = asked_.extract(message.token)) {
    const auto it = consumers_.find(asked.mapped());
    it->second.token = 0;
    return take(it, message);
  }
  if (const auto closed = closed_.extract(message.token)) {
    const auto* granted = std::get_if<Box<Received>>(&message.answer);
    return end(closed.mapped(), granted != nullptr ? (*granted)->messages : std::vector<QueuedMessage>());
  }
  const auto ending = endings_.find(message.token);
  if (ending == endings_.end()) return;
  const auto* failed = std::get_if<Failed>(&message.answer);
  const bool over = failed == nullptr || failed->code == ErrorCode::kNoQueue ||
                    failed->code == ErrorCode::kNoTopic || stopping_;
  if (over || ending->second.until <= out_.now) {
    endings_.erase(ending);
  } else {
    ending->second.asked = false;
    ending->second.ask_at = out_.now + kEndRetry;
  }
}

void Consumers::take(All::iterator it, Answered& answered) {
  auto& [client, consumer] = *it;
  if (const auto* failed = std::get_if<Failed>(&answered.answer)) return take_failure(it, answered, *failed);
  const std::vector<QueuedMessage>& messages = std::get<Box<Received>>(answered.answer)->messages;
  const bool none = messages.empty() && !std::get<Box<Received>>(answered.answer)->gap;
  if (none && (!consumer.opened || consumer.waits || consumer.speak_at <= out_.now)) {
    say(client, consumer, Document().add("state", "idle"), false);
  } else if (!none) {
    for (const QueuedMessage& message : messages) consumer.untaken += line_bytes(message);
    out_.emit(Reply{client, StoreAnswer{std::move(answered.answer), {}, answered.revision, {}}, true, false});
    consumer.speak_at = out_.now + kConsumerIdle;
  }
  consumer.opened = true;
  consumer.waits = false;
  consumer.tries = 0;
  ++consumer.call;
  receive_more(client, consumer);
}

// What could not be asked is asked again: the same call, which gets what it may have been granted.
void Consumers::take_failure(All::iterator it, Answered& answered, const Failed& failed) {
  auto& [client, consumer] = *it;
  if (!consumer.opened) {
    out_.emit(Reply{client, StoreAnswer{std::move(answered.answer), {}, answered.revision, {}}, false, true});
    forget(it);
  } else if (failed.code == ErrorCode::kNoQueue || failed.code == ErrorCode::kNoTopic) {
    const char* const what = failed.code == ErrorCode::kNoQueue ? "no queue" : "no subscription";
    say(client, consumer, Document().add("state", "lost").add("reason", what), true);
    forget(it);
  } else if (lacks_right(failed)) {
    say(client, consumer, Document().add("state", "lost").add("reason", "forbidden"), true);
    forget(it);
  } else {
    if (!std::exchange(consumer.waits, true) || consumer.speak_at <= out_.now)
      say(client, consumer, Document().add("state", "waiting").add("reason", failed.detail), false);
    if (++consumer.tries == 1u << (kSendingBits - kTryBits)) {
      consumer.tries = 0;
      ++consumer.call;
    }
    consumer.ask_at = out_.now + kConsumeRetry;
    due_.emplace(consumer.ask_at, client);
  }
}

void Consumers::say(RequestId client, Consumer& consumer, Document line, bool last) {
  consumer.speak_at = out_.now + kConsumerIdle;
  out_.emit(Reply{client, ServiceAnswer{ServiceStatus::kOk, std::move(line)}, true, last});
}

// ---- the end of a connection, and of this server ----

// A receive that is under way may be granted something until it is answered.
void Consumers::on(const CallCancelled& message) {
  const auto it = consumers_.find(message.id);
  if (it == consumers_.end()) return;
  const Consumer consumer = it->second;
  forget(it);
  if (consumer.token == 0) return end(consumer, {});
  asked_.erase(consumer.token);
  out_.kv_router.post(AskWithdrawn{consumer.token});
  closed_.emplace(consumer.token, consumer);
}

void Consumers::forget(All::iterator it) {
  due_.erase({it->second.ask_at, it->first});
  consumers_.erase(it);
}

// `unseen`: what it was granted too late is as if it had not been.
void Consumers::end(const Consumer& consumer, const std::vector<QueuedMessage>& unseen) {
  if (stopping_) return;
  SettleMessages settle;
  settle.queue = consumer.wanted.queue;
  settle.subscription = consumer.wanted.subscription;
  settle.ticket = consumer.ticket;
  for (const QueuedMessage& message : unseen)
    settle.settlings.push_back({Settling::Kind::kRelease, message.id, message.receipt, {}, {}});
  endings_.emplace(++last_token_, Ending{std::move(settle), out_.now + kEndPatience, out_.now, false});
  end_again();
}

void Consumers::end_again() {
  std::map<uint64_t, Ending> due;
  for (auto it = endings_.begin(); it != endings_.end();) {
    const auto next = std::next(it);
    if (!it->second.asked && it->second.ask_at <= out_.now) due.insert(endings_.extract(it));
    it = next;
  }
  for (auto& [token, ending] : due) {
    ending.asked = true;
    out_.kv_router.post(Ask{Ask::By::kConsumers, ++last_token_, Box(ending.settle), kReceiveTimeout});
    endings_.emplace(last_token_, std::move(ending));
  }
}

// What it has been granted its client may still settle, at another server.
void Consumers::on(const StopRequested&) {
  stopping_ = true;
  for (auto& [client, consumer] : consumers_) {
    if (consumer.opened) {
      say(client, consumer, Document().add("state", "stopping"), true);
    } else {
      Failed why{ErrorCode::kShuttingDown, Outcome::kUnknown, "this server is shutting down"};
      out_.emit(Reply{client, StoreAnswer{std::move(why), {}, {}, {}}, false, true});
    }
    if (consumer.token != 0) out_.kv_router.post(AskWithdrawn{consumer.token});
  }
  consumers_.clear();
  due_.clear();
  asked_.clear();
  std::erase_if(endings_, [](const auto& ending) { return !ending.second.asked; });
}

// ---- time ----

void Consumers::on_time() {
  if (deadline() > out_.now) return;
  while (!due_.empty() && due_.begin()->first <= out_.now) {
    const RequestId client = due_.begin()->second;
    receive(client, consumers_.at(client), kConsumerIdle + kReceiveTimeout);
  }
  end_again();
}

Instant Consumers::deadline() const {
  Instant next = due_.empty() ? kNever : due_.begin()->first;
  for (const auto& [token, ending] : endings_) {
    if (!ending.asked) next = std::min(next, ending.ask_at);
  }
  return next;
}

}  // namespace kvd
