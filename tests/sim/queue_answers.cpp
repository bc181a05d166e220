// See queue_model.hpp: what clients are told. All of it is committed by then.
#include <fmt/format.h>

#include <algorithm>

#include "queue_model.hpp"

namespace kvd::sim {

bool QueueModel::follows(const StoreAnswer& answer) const {
  return followed_ && lineage_of(answer.revision) == lineage_of(newest_) && answer.revision <= newest_;
}

std::string QueueModel::on_answer(const Operation& operation, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr) return failed->outcome == Outcome::kNotApplied ? on_refused(operation) : "";
  if (!follows(answer)) return {};
  if (const auto* done = std::get_if<Box<TxnDone>>(&answer.answer))
    return on(*std::get<Box<Transaction>>(operation), **done);
  if (const auto* sent = std::get_if<Sent>(&answer.answer))
    return on(*std::get<Box<SendMessages>>(operation), *sent, answer.revision);
  if (const auto* settled = std::get_if<Settled>(&answer.answer)) {
    const SettleMessages& settle = *std::get<Box<SettleMessages>>(operation);
    return settled->refused ? on_refused(settle.settlings) : on(settle.settlings, settled->results);
  }
  if (const auto* received = std::get_if<Box<Received>>(&answer.answer))
    return on(*std::get<Box<ReceiveMessages>>(operation), **received);
  return {};
}

void QueueModel::on_unheard(const StoreAnswer& answer) {
  const auto* received = std::get_if<Box<Received>>(&answer.answer);
  if (received == nullptr || !follows(answer)) return;
  for (const QueuedMessage& message : (*received)->messages) {
    const auto grant = grants_.find({message.id, message.receipt});
    if (grant != grants_.end()) grant->second.told = true;
  }
}

std::string QueueModel::on(const SendMessages& send, const Sent& sent, Revision revision) const {
  std::string why;
  if (sent.count != send.messages.size()) why += fmt::format("{} messages are said to be sent; ", sent.count);
  for (uint16_t place = 0; place < sent.count; ++place) {
    const auto before = std::find_if(sent.duplicates.begin(), sent.duplicates.end(),
                                     [&](const Sent::Duplicate& other) { return other.place == place; });
    const bool duplicate = before != sent.duplicates.end();
    const MessageId id = duplicate ? before->id : MessageId{revision, place};
    const auto known = sent_.find(id);
    if (known == sent_.end()) {
      why += fmt::format("message {} is said to be sent, and is none; ", to_text(id));
    } else if (!duplicate && known->second != send.messages[place].body.view()) {
      why += fmt::format("message {} is said to be sent, and is another one; ", to_text(id));
    } else if (duplicate) {
      const std::string* name = wishes_.sent(known->second);
      if (name == nullptr || name->empty() || *name != send.messages[place].dedup)
        why +=
            fmt::format("message {} is said to be of the name {}; ", to_text(id), send.messages[place].dedup);
    }
  }
  return why;
}

std::string QueueModel::on(const std::vector<Settling>& asked, const std::vector<Settled::One>& told) {
  if (asked.size() != told.size()) return "not every settling is answered; ";
  std::string why;
  for (size_t i = 0; i < told.size(); ++i) {
    const Granted which = granted(asked[i]);
    const auto done = settled_.find(which);
    const auto held = std::find_if(messages_.begin(), messages_.end(), [&](const auto& item) {
      return item.first.second == which.id && names_.contains(item.first.first);
    });
    const bool here = held != messages_.end();
    const std::string what = fmt::format("message {} under receipt {}", to_text(which.id), which.receipt);
    switch (told[i].result) {
      case SettleResult::kDone:
        if (done == settled_.end() || !done->second.contains(asked[i].kind))
          why += fmt::format("{} is said to be settled, and is not; ", what);
        break;
      case SettleResult::kGone:
        if (here) why += fmt::format("{} is said to be gone, and is not; ", what);
        break;
      case SettleResult::kStale:
        if (here && held->second.became.receipt == which.receipt &&
            held->second.became.state == MessageState::kInFlight)
          why += fmt::format("{} is said to be stale, and is not; ", what);
        break;
    }
  }
  return why;
}

// Where its condition did not hold, the first message was not granted by that receipt.
std::string QueueModel::on(const Transaction& transaction, const TxnDone& done) {
  const std::vector<Settling> settlings = settlings_of(transaction);
  if (!done.succeeded) return on({settlings.front()}, {{SettleResult::kStale}});
  std::string why = on(settlings, std::vector<Settled::One>(settlings.size()));
  for (size_t i = 0; i < transaction.then_ops.size(); ++i) {
    const OptionalBox<NewMessage>& message = transaction.then_ops[i].message;
    if (!message) continue;
    const OpSent& sent = std::get<OpSent>(done.results[i]);
    const auto known = sent_.find(sent.id);
    if (sent.duplicate || known == sent_.end() || known->second != message->body.view())
      why += fmt::format("message {} is said to be sent by a transaction, and is not; ", to_text(sent.id));
  }
  return why;
}

std::string QueueModel::on(const ReceiveMessages& receive, const Received& received) {
  std::string why = on(receive.settlings, received.settled);
  if (received.messages.size() > receive.max) why += "more messages are granted than were asked for; ";
  for (const QueuedMessage& message : received.messages) {
    const std::string what = fmt::format("message {} under receipt {}", to_text(message.id), message.receipt);
    const auto grant = grants_.find({message.id, message.receipt});
    if (grant == grants_.end()) {
      why += fmt::format("{} is said to be granted, and is not; ", what);
      continue;
    }
    if (grant->second.told) why += fmt::format("{} is granted to two clients; ", what);
    if (grant->second.given_back) why += fmt::format("{} is granted, and was given back; ", what);
    grant->second.told = true;
    if (message.attempt != grant->second.attempt)
      why += fmt::format("{} is said to be attempt {}; ", what, message.attempt);
    if (message.body.view() != sent_[message.id]) why += fmt::format("{} has another body; ", what);
  }
  return why;
}

// Who was refused for certain may have asked for the same before.
std::string QueueModel::on_refused(const std::vector<Settling>& settlings) {
  std::string why;
  for (const Settling& settling : settlings) {
    const std::pair what(granted(settling), settling.kind);
    if (asked_[what] != 1) continue;
    const auto done = settled_.find(what.first);
    if (done != settled_.end() && done->second.contains(settling.kind) && done->second.at(settling.kind))
      why += fmt::format("message {} under receipt {} is settled, which is refused for certain; ",
                         to_text(settling.id), settling.receipt);
    refused_.insert(what);
  }
  return why;
}

std::string QueueModel::on_refused(const Operation& operation) {
  std::string why;
  for (const NewMessage& message : messages_of(operation)) {
    const std::string body(message.body.view());
    if (bodies_.contains(body)) why += fmt::format("{} is sent, which is refused for certain; ", body);
    refused_bodies_.insert(body);
  }
  return why + on_refused(settlings_of(operation));
}

}  // namespace kvd::sim
