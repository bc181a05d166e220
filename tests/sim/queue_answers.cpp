// See queue_model.hpp: what clients are told. All of it is committed by then.
#include <fmt/format.h>

#include <algorithm>

#include "queue_model.hpp"

namespace kvd::sim {

std::string QueueModel::on_answer(const Operation& operation, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr) return failed->outcome == Outcome::kNotApplied ? on_refused(operation) : "";
  if (!follows(answer)) return {};
  if (const auto* done = std::get_if<Box<TxnDone>>(&answer.answer))
    return on(*std::get<Box<Transaction>>(operation), **done);
  if (const auto* sent = std::get_if<Sent>(&answer.answer))
    return on_sent(messages_of(operation), *sent, answer.revision);
  if (const auto* settled = std::get_if<Settled>(&answer.answer)) {
    const SettleMessages& settle = *std::get<Box<SettleMessages>>(operation);
    return settled->refused ? on_refused(settle.settlings) : on(settle.settlings, settled->results);
  }
  if (const auto* received = std::get_if<Box<Received>>(&answer.answer))
    return on(*std::get<Box<ReceiveMessages>>(operation), **received);
  return {};
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
    why += on_sent(*message, std::get<OpSent>(done.results[i]));
  }
  return why;
}

std::string QueueModel::on(const ReceiveMessages& receive, const Received& received) {
  return on(receive.settlings, received.settled) + on_granted(receive, received.messages);
}

}  // namespace kvd::sim
