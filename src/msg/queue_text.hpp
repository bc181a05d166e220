// The trace's words for what is said of queues (text.hpp): names are quoted, bodies are sizes, and of long lists the
// first ones are shown.
#pragma once
#include <string>
#include <string_view>

#include "base/box.hpp"
#include "msg/queues.hpp"
#include "msg/record.hpp"

namespace kvd {

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
};

}  // namespace kvd
