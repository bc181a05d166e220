// Clients of a simulated world that publish messages in a few topics, receive them by subscriptions, and make, change,
// move and delete both: see message_clients.hpp. What is dead goes to a queue of which nobody of them receives.
#pragma once
#include <string>

#include "message_clients.hpp"

namespace kvd::sim {

class TopicClients : public MessageClients {
 public:
  TopicClients(SimContext& context, Hosts& hosts, Checkers& checkers);

 private:
  SourceOf any_source() override;
  Operation any_send() override;
  Operation any_change() override;
  Operation any_read() override;
  TxnOp any_sent() override;
  std::string done_key_of(const Held& held) const override;
  std::string any_topic();
  TopicPlace any_place();
  TopicConfig any_topic_config();
  SubscriptionConfig any_subscription_config();
  NewMessage any_message();
  MessageId any_id();
};

}  // namespace kvd::sim
