// Clients of a simulated world that send messages to a few queues, receive them, and make, change, empty and delete the
// queues: see message_clients.hpp.
#pragma once
#include <string>

#include "message_clients.hpp"

namespace kvd::sim {

class QueueClients : public MessageClients {
 public:
  QueueClients(SimContext& context, Hosts& hosts, Checkers& checkers);

 private:
  SourceOf any_source() override { return {any_queue(), ""}; }
  Operation any_send() override;
  Operation any_change() override;
  Operation any_read() override;
  TxnOp any_sent() override;
  std::string done_key_of(const Held& held) const override;
  QueueConfig any_config();
  std::string any_queue();
};

}  // namespace kvd::sim
