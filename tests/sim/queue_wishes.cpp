// See queue_wishes.hpp.
#include "queue_wishes.hpp"

#include <algorithm>

namespace kvd::sim {
namespace {

bool take_one(std::map<std::string, uint64_t>& wishes, const std::string& queue) {
  const auto wish = wishes.find(queue);
  if (wish == wishes.end() || wish->second == 0) return false;
  --wish->second;
  return true;
}

}  // namespace

std::vector<Settling> settlings_of(const Operation& operation) {
  std::vector<Settling> settlings;
  if (const auto* receive = std::get_if<Box<ReceiveMessages>>(&operation)) settlings = (*receive)->settlings;
  if (const auto* settle = std::get_if<Box<SettleMessages>>(&operation)) settlings = (*settle)->settlings;
  if (const auto* transaction = std::get_if<Box<Transaction>>(&operation)) {
    for (const TxnOp& op : (*transaction)->then_ops) {
      if (op.settling) settlings.push_back(*op.settling);
    }
  }
  return settlings;
}

std::vector<NewMessage> messages_of(const Operation& operation) {
  std::vector<NewMessage> messages;
  if (const auto* send = std::get_if<Box<SendMessages>>(&operation)) messages = (*send)->messages;
  if (const auto* publish = std::get_if<Box<PublishMessages>>(&operation)) messages = (*publish)->messages;
  if (const auto* transaction = std::get_if<Box<Transaction>>(&operation)) {
    for (const TxnOp& op : (*transaction)->then_ops) {
      if (op.message) messages.push_back(*op.message);
    }
  }
  return messages;
}

void QueueWishes::note(const std::vector<Settling>& settlings) {
  for (const Settling& settling : settlings) {
    settled_[granted(settling)][static_cast<size_t>(settling.kind)] = true;
    if (settling.kind == Settling::Kind::kNack) nacks_[granted(settling)].insert(settling.ms);
  }
}

void QueueWishes::note(const Operation& operation) {
  note(settlings_of(operation));
  for (const NewMessage& message : messages_of(operation))
    sent_.emplace(std::string(message.body.view()), message.dedup);
  if (const auto* purge = std::get_if<PurgeMessages>(&operation)) {
    if (!purge->state) {
      ++purges_[purge->queue];
    } else {
      some_purges_[purge->queue].note(*purge->state);
    }
  } else if (const auto* remove = std::get_if<DeleteQueue>(&operation)) {
    ++deletes_[remove->name];
  } else if (const auto* kick = std::get_if<KickMessages>(&operation)) {
    kicks_[{source_name(kick->queue, kick->subscription), kick->to}].note(kick->state);
  }
}

bool QueueWishes::settled(const Granted& which, Settling::Kind kind) const {
  const auto wish = settled_.find(which);
  return wish != settled_.end() && wish->second[static_cast<size_t>(kind)];
}

bool QueueWishes::nacked(const Granted& which, std::optional<uint64_t> ms) const {
  const auto wish = nacks_.find(which);
  return wish != nacks_.end() && wish->second.contains(ms);
}

const std::string* QueueWishes::sent(std::string_view body) const {
  const auto wish = sent_.find(body);
  return wish == sent_.end() ? nullptr : &wish->second;
}

bool QueueWishes::OfState::take(const std::set<MessageState>& any) {
  const bool asked =
      std::any_of(any.begin(), any.end(), [this](MessageState state) { return states.contains(state); });
  if (times == 0 || !asked) return false;
  --times;
  return true;
}

bool QueueWishes::take_purge_of_all(const std::string& queue) { return take_one(purges_, queue); }

bool QueueWishes::take_delete(const std::string& queue) { return take_one(deletes_, queue); }

bool QueueWishes::take_purge(const std::string& queue, const std::set<MessageState>& states) {
  return some_purges_[queue].take(states);
}

bool QueueWishes::take_kick(const std::string& queue, const std::set<MessageState>& states,
                            const std::string& to) {
  return kicks_[{queue, to}].take(states);
}

}  // namespace kvd::sim
