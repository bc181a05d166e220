// The trace's words for what is said of queues and topics (text.hpp): names are quoted, bodies are sizes, and of long
// lists the first ones are shown.
#pragma once
#include <string>
#include <string_view>

#include "base/box.hpp"
#include "msg/queues.hpp"
#include "msg/record.hpp"
#include "msg/topics.hpp"

namespace kvd {

// A queue, or a subscription of a topic.
std::string source_text(std::string_view queue, std::string_view subscription);

struct QueueOperationText {
  std::string operator()(const Box<MakeQueue>& m) const;
  std::string operator()(const DeleteQueue& m) const;
  std::string operator()(const Box<SendMessages>& m) const;
  std::string operator()(const Box<ReceiveMessages>& m) const;
  std::string operator()(const Box<SettleMessages>& m) const;
  std::string operator()(const KickMessages& m) const;
  std::string operator()(const PurgeMessages& m) const;
  std::string operator()(const ReadQueue& m) const;
  std::string operator()(const ListQueues& m) const;
  std::string operator()(const PeekMessages& m) const;
  std::string operator()(const PeekMessage& m) const;
  std::string operator()(const Box<MakeTopic>& m) const;
  std::string operator()(const DeleteTopic& m) const;
  std::string operator()(const Box<PublishMessages>& m) const;
  std::string operator()(const Box<MakeSubscription>& m) const;
  std::string operator()(const DeleteSubscription& m) const;
  std::string operator()(const SeekSubscription& m) const;
  std::string operator()(const ReadTopic& m) const;
  std::string operator()(const ListTopics& m) const;
  std::string operator()(const ReadSubscription& m) const;
  std::string operator()(const ListSubscriptions& m) const;
  std::string operator()(const PageTopic& m) const;
};
struct QueueAnswerText {
  std::string operator()(const QueueMade& m) const;
  std::string operator()(const QueueDeleted& m) const;
  std::string operator()(const Sent& m) const;
  std::string operator()(const Box<Received>& m) const;
  std::string operator()(const Settled& m) const;
  std::string operator()(const MessagesMoved& m) const;
  std::string operator()(const MessagesPurged& m) const;
  std::string operator()(const Box<QueueFound>& m) const;
  std::string operator()(const QueueList& m) const;
  std::string operator()(const Peeked& m) const;
  std::string operator()(const TopicMade& m) const;
  std::string operator()(const TopicDeleted& m) const;
  std::string operator()(const SubscriptionMoved& m) const;
  std::string operator()(const Box<TopicFound>& m) const;
  std::string operator()(const TopicList& m) const;
  std::string operator()(const Box<SubscriptionFound>& m) const;
  std::string operator()(const SubscriptionList& m) const;
};

}  // namespace kvd
