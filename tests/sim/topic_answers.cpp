// See topic_model.hpp: what clients are told. All of it is committed by then.
#include <fmt/format.h>

#include <algorithm>

#include "topic_model.hpp"

namespace kvd::sim {

bool TopicModel::follows(const StoreAnswer& answer) const {
  return followed_ && lineage_of(answer.revision) == lineage_of(newest_) && answer.revision <= newest_;
}

std::string TopicModel::on_answer(const Operation& operation, const StoreAnswer& answer) {
  const auto* failed = std::get_if<Failed>(&answer.answer);
  if (failed != nullptr) return failed->outcome == Outcome::kNotApplied ? on_refused(operation) : "";
  if (!follows(answer)) return {};
  if (const auto* done = std::get_if<Box<TxnDone>>(&answer.answer))
    return on(*std::get<Box<Transaction>>(operation), **done);
  if (const auto* sent = std::get_if<Sent>(&answer.answer))
    return on(*std::get<Box<PublishMessages>>(operation), *sent, answer.revision);
  if (const auto* settled = std::get_if<Settled>(&answer.answer)) {
    const SettleMessages& settle = *std::get<Box<SettleMessages>>(operation);
    const SourceOf source(settle.queue, settle.subscription);
    return settled->refused ? on_refused(settle.settlings) : on(source, settle.settlings, settled->results);
  }
  if (const auto* received = std::get_if<Box<Received>>(&answer.answer))
    return on(*std::get<Box<ReceiveMessages>>(operation), **received);
  return on_read(operation, answer);
}

void TopicModel::on_unheard(const StoreAnswer& answer) {
  const auto* received = std::get_if<Box<Received>>(&answer.answer);
  if (received == nullptr || !follows(answer)) return;
  for (const QueuedMessage& message : (*received)->messages) {
    const auto grant = grants_.find({message.id, message.receipt});
    if (grant != grants_.end()) grant->second.told = true;
  }
}

std::string TopicModel::on(const PublishMessages& publish, const Sent& sent, Revision revision) const {
  std::string why;
  if (sent.count != publish.messages.size())
    why += fmt::format("{} messages are said to be published; ", sent.count);
  for (uint16_t place = 0; place < sent.count; ++place) {
    const auto before = std::find_if(sent.duplicates.begin(), sent.duplicates.end(),
                                     [&](const Sent::Duplicate& other) { return other.place == place; });
    const bool duplicate = before != sent.duplicates.end();
    const MessageId id = duplicate ? before->id : MessageId{revision, place};
    const auto known = sent_.find(id);
    const NewMessage& message = publish.messages[place];
    const std::string* name = known == sent_.end() ? nullptr : wishes_.sent(known->second);
    if (known == sent_.end()) {
      why += fmt::format("message {} is said to be published, and is none; ", to_text(id));
    } else if (!duplicate && known->second != message.body.view()) {
      why += fmt::format("message {} is said to be published, and is another one; ", to_text(id));
    } else if (duplicate && (name == nullptr || name->empty() || *name != message.dedup)) {
      why += fmt::format("message {} is said to be of the name {}; ", to_text(id), message.dedup);
    }
  }
  return why;
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
    if (!op.message || !done.succeeded) continue;
    const OpSent& sent = std::get<OpSent>(done.results[i]);
    const auto known = sent_.find(sent.id);
    const std::string* name = known == sent_.end() ? nullptr : wishes_.sent(known->second);
    const bool same = name != nullptr && known->second == op.message->body.view();
    const bool of_name = name != nullptr && !name->empty() && *name == op.message->dedup;
    if (sent.duplicate ? !of_name : !same)
      why +=
          fmt::format("message {} is said to be published by a transaction, and is not; ", to_text(sent.id));
  }
  return why;
}

std::string TopicModel::on(const ReceiveMessages& receive, const Received& received) {
  const SourceOf source(receive.queue, receive.subscription);
  std::string why = on(source, receive.settlings, received.settled);
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

// ---- what is refused for certain ----

// Who was refused may have asked for the same before.
std::string TopicModel::on_refused(const std::vector<Settling>& settlings) {
  std::string why;
  for (const Settling& settling : settlings) {
    const std::pair what(granted(settling), settling.kind);
    if (asked_[what].times != 1) continue;
    const auto done = settled_.find(what.first);
    if (done != settled_.end() && done->second.contains(settling.kind) && done->second.at(settling.kind))
      why += fmt::format("message {} under receipt {} is settled, which is refused for certain; ",
                         to_text(settling.id), settling.receipt);
    refused_.insert(what);
  }
  return why;
}

std::string TopicModel::on_refused(const Operation& operation) {
  std::string why;
  for (const NewMessage& message : messages_of(operation)) {
    const std::string body(message.body.view());
    if (bodies_.contains(body)) why += fmt::format("{} is published, which is refused for certain; ", body);
    refused_bodies_.insert(body);
  }
  return why + on_refused(settlings_of(operation));
}

}  // namespace kvd::sim
