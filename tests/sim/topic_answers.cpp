// See topic_model.hpp: what clients are told. All of it is committed by then.
#include <fmt/format.h>

#include <algorithm>

#include "topic_model.hpp"

namespace kvd::sim {

std::string TopicModel::on_answer(const Operation& operation, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr) return failed->outcome == Outcome::kNotApplied ? on_refused(operation) : "";
  if (!follows(answer)) return {};
  if (const auto* done = std::get_if<Box<TxnDone>>(&answer.answer))
    return on(*std::get<Box<Transaction>>(operation), **done);
  if (const auto* sent = std::get_if<Sent>(&answer.answer))
    return on_sent(messages_of(operation), *sent, answer.revision);
  if (const auto* settled = std::get_if<Settled>(&answer.answer)) {
    const SettleMessages& settle = *std::get<Box<SettleMessages>>(operation);
    const SourceOf source(settle.queue, settle.subscription);
    return settled->refused ? on_refused(settle.settlings) : on(source, settle.settlings, settled->results);
  }
  if (const auto* received = std::get_if<Box<Received>>(&answer.answer))
    return on(*std::get<Box<ReceiveMessages>>(operation), **received);
  return on_read(operation, answer);
}

// That a message is gone is so for good, unless its subscription was moved meanwhile.
std::string TopicModel::on(const SourceOf& source, const std::vector<Settling>& asked,
                           const std::vector<Settled::One>& told) const {
  if (asked.size() != told.size()) return "not every settling is answered; ";
  std::string why;
  const Subscription* subscription = find(source);
  const Topic* topic = subscription == nullptr ? nullptr : topic_of(subscription->stored.topic);
  for (size_t i = 0; i < told.size(); ++i) {
    const Granted which = granted(asked[i]);
    const auto done = settled_.find(which);
    const bool here =
        topic != nullptr && topic->messages.contains(which.id) && !subscription->ended(which.id);
    const Delivery* delivery = here ? subscription->delivery(which.id) : nullptr;
    const std::string what = fmt::format("message {} under receipt {}", to_text(which.id), which.receipt);
    const auto first = asked_.find({which, asked[i].kind});
    switch (told[i].result) {
      case SettleResult::kDone:
        if (done == settled_.end() || !done->second.contains(asked[i].kind))
          why += fmt::format("{} is said to be settled, and is not; ", what);
        break;
      case SettleResult::kGone:
        if (here && first != asked_.end() && subscription->stored.number <= first->second.first.value &&
            !subscription->settled.contains(which.id))
          why += fmt::format("{} is said to be gone, and is not; ", what);
        break;
      case SettleResult::kStale:
        if (delivery != nullptr && delivery->became.receipt == which.receipt &&
            delivery->became.state == MessageState::kInFlight)
          why += fmt::format("{} is said to be stale, and is not; ", what);
        break;
    }
  }
  return why;
}

// Where its condition did not hold, the message was not granted by that receipt.
std::string TopicModel::on(const Transaction& transaction, const TxnDone& done) const {
  std::string why;
  for (size_t i = 0; i < transaction.then_ops.size(); ++i) {
    const TxnOp& op = transaction.then_ops[i];
    const SettleResult settled = done.succeeded ? SettleResult::kDone : SettleResult::kStale;
    if (op.settling) why += on({op.key, op.subscription}, {*op.settling}, {{settled}});
    if (op.message && done.succeeded) why += on_sent(*op.message, std::get<OpSent>(done.results[i]));
  }
  return why;
}

std::string TopicModel::on(const ReceiveMessages& receive, const Received& received) {
  const SourceOf source(receive.queue, receive.subscription);
  const std::string why =
      on(source, receive.settlings, received.settled) + on_granted(receive, received.messages);
  if (!received.gap) return why;
  auto& gaps = gaps_[source];
  const auto gap = std::find_if(gaps.begin(), gaps.end(), [&](const Gap& other) {
    return !other.told && other.after == received.gap->after && other.last >= received.gap->last;
  });
  if (gap == gaps.end())
    return why + fmt::format("there is no gap behind {}; ", to_text(received.gap->after));
  gap->told = true;
  return why;
}

// ---- reads ----

// What is there now, and was published by then, was there then.
std::string TopicModel::on(const PageTopic& asked, const Peeked& page, Revision revision) const {
  std::string why;
  const auto named = topic_names_.find(asked.topic);
  if (named == topic_names_.end() || named->second > revision.value) return why;
  const Topic& topic = topics_.at(named->second);
  if (page.messages.size() > asked.limit) why += "a page has more messages than were asked for; ";
  MessageId last = asked.after.kind == TopicPlace::Kind::kId ? asked.after.id : MessageId();
  const bool from_there =
      asked.after.kind == TopicPlace::Kind::kId || asked.after.kind == TopicPlace::Kind::kFirst;
  for (size_t i = 0; i < page.messages.size(); ++i) {
    const QueuedMessage& message = page.messages[i];
    const auto sent = sent_.find(message.id);
    if (sent == sent_.end() || sent->second != message.body.view())
      why += fmt::format("message {} of a page is another one; ", to_text(message.id));
    if (message.id <= last)
      why += fmt::format("message {} of a page is behind {}; ", to_text(message.id), to_text(last));
    const auto next = topic.messages.upper_bound(last);
    const bool left_out = next != topic.messages.end() && next->first < message.id;
    if (left_out && (i != 0 || from_there))
      why += fmt::format("message {} is left out of a page; ", to_text(next->first));
    last = message.id;
  }
  const auto next = topic.messages.upper_bound(last);
  const bool more = next != topic.messages.end() && next->first.revision <= revision;
  const bool ends_early = !page.more && more && (from_there || !page.messages.empty());
  if (ends_early) why += fmt::format("message {} is behind the end of all pages; ", to_text(next->first));
  return why;
}

// These two are of the newest revision.
std::string TopicModel::on(const TopicInfo& info) const {
  const auto named = topic_names_.find(info.name);
  if (named == topic_names_.end()) return fmt::format("topic {} is said to be there; ", info.name);
  const Topic& topic = topics_.at(named->second);
  const auto subscriptions = static_cast<uint64_t>(
      std::count_if(subscriptions_.begin(), subscriptions_.end(),
                    [&](const auto& item) { return item.second.stored.topic == named->second; }));
  const bool none = topic.messages.empty();
  const bool same = info.messages == topic.messages.size() && info.bytes == topic.bytes() &&
                    info.first == (none ? MessageId() : topic.messages.begin()->first) &&
                    info.last == (none ? MessageId() : topic.messages.rbegin()->first) &&
                    info.subscriptions == subscriptions && info.config == topic.stored.config;
  if (same) return {};
  return fmt::format("topic {} is said to have {} messages of {} bytes from {} to {} and {} subscriptions; ",
                     info.name, info.messages, info.bytes, to_text(info.first), to_text(info.last),
                     info.subscriptions);
}

std::string TopicModel::on(const SubscriptionInfo& info) const {
  const Subscription* subscription = find({info.topic, info.name});
  if (subscription == nullptr)
    return fmt::format("subscription {} {} is said to be there; ", info.topic, info.name);
  uint64_t behind = 0;
  for (const auto& [id, message] : topics_.at(subscription->stored.topic).messages)
    behind += subscription->ended(id) ? 0 : 1;
  const auto dead = static_cast<uint64_t>(
      std::count_if(subscription->deliveries.begin(), subscription->deliveries.end(),
                    [](const auto& item) { return item.second.became.state == MessageState::kDead; }));
  const bool same = info.behind == behind && info.dead == dead && info.cursor == subscription->place.id &&
                    info.gaps == subscription->place.gaps && info.config == subscription->stored.config &&
                    info.behind == info.ready + info.delayed + info.in_flight;
  if (same) return {};
  return fmt::format(
      "subscription {} {} is said to be {} behind {}, not {}, with {} ready, {} dead and {} gaps; ",
      info.topic, info.name, info.behind, to_text(info.cursor), behind, info.ready, info.dead, info.gaps);
}

std::string TopicModel::on_read(const Operation& operation, const StoreAnswer& answer) const {
  std::string why;
  const bool newest = answer.revision == newest_;
  if (const auto* page = std::get_if<Peeked>(&answer.answer)) {
    const auto* asked = std::get_if<PageTopic>(&operation);
    if (asked != nullptr && page->complete) why += on(*asked, *page, answer.revision);
  } else if (const auto* topic = std::get_if<Box<TopicFound>>(&answer.answer)) {
    if (newest && (*topic)->complete) why += on((*topic)->topic);
  } else if (const auto* found = std::get_if<Box<SubscriptionFound>>(&answer.answer)) {
    if (newest && (*found)->complete) why += on((*found)->subscription);
  } else if (const auto* topics = std::get_if<TopicList>(&answer.answer)) {
    for (const TopicInfo& info : topics->topics) why += newest && topics->complete ? on(info) : "";
  } else if (const auto* all = std::get_if<SubscriptionList>(&answer.answer)) {
    for (const SubscriptionInfo& info : all->subscriptions) why += newest && all->complete ? on(info) : "";
  }
  return why;
}

}  // namespace kvd::sim
