// The replica actor: receives of messages, and those that wait for one. What is granted is an entry like any other
// write, appended in the turn in which a message is ready and somebody waits for it, and leaves with that turn's batch.
// See replica.hpp.
#include <algorithm>
#include <utility>

#include "core/mutation.hpp"
#include "core/queues/queue_views.hpp"
#include "core/replica/replica.hpp"

namespace kvd {
namespace {

Answer* answer_of(Evaluation& evaluation) {
  if (auto* change = std::get_if<Change>(&evaluation)) return &change->answer;
  if (auto* unchanged = std::get_if<Unchanged>(&evaluation)) return &unchanged->answer;
  return nullptr;
}

Received* received_by(Evaluation& evaluation) {
  Answer* answer = answer_of(evaluation);
  auto* received = answer != nullptr ? std::get_if<Box<Received>>(answer) : nullptr;
  return received != nullptr ? &**received : nullptr;
}
const ReceiveMessages& receive_of(const WaitingReceive& waiting) {
  return *std::get<Box<ReceiveMessages>>(waiting.message.operation);
}

bool finds_nothing(const Received& received) { return received.messages.empty() && !received.gap; }

// Nothing more comes of it, but what it has settled is done.
Evaluation only_settled(const WaitingReceive& waiting) {
  const ReceiveMessages& receive = receive_of(waiting);
  return Unchanged{Box(Received{receive.queue, receive.turn, {}, waiting.settled, receive.subscription}),
                   Revision(0)};
}

}  // namespace

// Who came before is served before. What the call itself settles is done at once, and told with what it receives.
void Replica::receive(Propose&& message) {
  auto& receive = *std::get<Box<ReceiveMessages>>(message.operation);
  forget_former_sendings(receive);
  serve_receives(source_of(receive));
  WriteCall call(message.operation, message.idempotency_key, message.fence);
  Evaluation evaluation = leader()->evaluator.evaluate(call, room());
  Received* received = received_by(evaluation);
  const bool waits = received != nullptr && finds_nothing(*received) && receive.wait > Duration(0);
  if (!waits) return carry_out(message, std::move(evaluation));
  if (leader()->receives.size() >= limits::kWaitingReceives) {
    refuse(message.token, ErrorCode::kOverloaded, Outcome::kNotApplied,
           "too many receives wait for messages at the leader");
    return;
  }
  WaitingReceive waiting{{}, std::move(received->settled), out_.now + receive.wait};
  if (auto* change = std::get_if<Change>(&evaluation)) append_entry(std::move(change->effects));
  receive.settlings.clear();
  waiting.message = std::move(message);
  leader()->receives.add(std::move(waiting));
}

// One that is sent again does not wait beside itself. Nobody hears of the former one: an answer to it might be taken
// for the present one's.
void Replica::forget_former_sendings(const ReceiveMessages& receive) {
  const bool first = (receive.turn & ((1u << kSendingBits) - 1)) <= 1;
  WaitingReceives::Line* line = first ? nullptr : leader()->receives.of(source_of(receive));
  if (line == nullptr) return;
  std::vector<uint64_t> former;
  for (const WaitingReceive& waiting : *line) {
    if (receive_of(waiting).ticket == receive.ticket) former.push_back(waiting.message.token);
  }
  for (const uint64_t token : former) leader()->receives.take(token);
}

// Those of a queue in which something may have become ready.
void Replica::serve_receives(const SourceName& source) {
  WaitingReceives& all = leader()->receives;
  WaitingReceives::Line* line = all.of(source);
  if (line == nullptr) return;
  for (auto it = line->begin(); it != line->end();) {
    const QueueView* view = store_.queues().find(source.first, source.second);
    if (view != nullptr && !store_.queues().may_grant(*view)) return;
    Propose& message = it->message;
    if (overloaded(message.operation) || too_few_in_sync()) {
      leader()->unserved.insert(source);
      return;
    }
    if (auto failed =
            missing_right(message.caller, message.operation, message.fence)) {  // it has waited too long
      const bool last = line->size() == 1;
      refuse_without_right(all.take(*line, it++), std::move(*failed));
      if (last) return;
      continue;
    }
    WriteCall call(message.operation, message.idempotency_key, message.fence);
    Evaluation evaluation = leader()->evaluator.evaluate(call, room());
    Received* received = received_by(evaluation);
    if (received != nullptr && finds_nothing(*received)) {
      auto* change = std::get_if<Change>(&evaluation);
      if (change != nullptr && !change->effects.empty()) {  // what was ready is dead
        append_entry(std::move(change->effects));
        continue;
      }
      if (receive_of(*it).credit == 0) return;
      ++it;  // it has as many as it wants; others may have fewer
      continue;
    }
    const bool last = line->size() == 1;
    const WaitingReceive served = all.take(*line, it++);
    if (received != nullptr) received->settled = served.settled;
    if (!served.settled.empty() && received == nullptr) evaluation = only_settled(served);
    carry_out(served.message, std::move(evaluation));
    if (last) return;
  }
}

// What it has settled before is done, and told.
void Replica::refuse_without_right(const WaitingReceive& waiting, Failed failed) {
  if (!waiting.settled.empty()) return carry_out(waiting.message, only_settled(waiting));
  answer(waiting.message.token, std::move(failed), commit_);
}

void Replica::serve_woken() {
  if (stopping_ || move_) return;
  std::set<SourceName> woken = store_.queues().take_woken();
  woken.merge(std::exchange(leader()->unserved, {}));
  if (leader()->receives.size() == 0 || mutated(Mutation::kWaitersForgotten)) return;
  for (const SourceName& source : woken) {
    if (!source.second.empty()) {
      serve_receives(source);
      continue;
    }
    for (const SourceName& one : leader()->receives.sources(source.first)) serve_receives(one);
  }
}

// That there was none in time is confirmed like a read.
void Replica::end_receives() {
  while (std::optional<WaitingReceive> over = leader()->receives.take_due(out_.now)) {
    const ReceiveMessages& receive = receive_of(*over);
    Received none{receive.queue, receive.turn, {}, std::move(over->settled), receive.subscription};
    Unchanged unchanged{Box(std::move(none)), Revision(0)};
    answer_later(over->message, unchanged);
  }
}

// What one has settled may be done, or not, under the next leader.
void Replica::refuse_receives(const std::vector<WaitingReceive>& receives, const std::string& why) {
  for (const WaitingReceive& waiting : receives) {
    const bool nothing = waiting.settled.empty();
    refuse(waiting.message.token, nothing ? ErrorCode::kNoLeader : ErrorCode::kSteppedDown,
           nothing ? Outcome::kNotApplied : Outcome::kUnknown, why);
  }
}

// Nobody waits for it any more. What it has been granted already its KV router gives back.
void Replica::on(const Withdraw& message) {
  if (!leader()) return;
  const auto is_it = [&](const Propose& early) { return early.token == message.token; };
  const auto early = std::find_if(leader()->early.begin(), leader()->early.end(), is_it);
  const bool put_off = early != leader()->early.end();
  if (put_off) {
    leader()->early_bytes -= operation_bytes(early->operation);
    leader()->early.erase(early);
  }
  if (put_off || leader()->receives.take(message.token)) {
    refuse(message.token, ErrorCode::kTimedOut, Outcome::kNotApplied, "nobody waits for it any more");
  }
}

}  // namespace kvd
