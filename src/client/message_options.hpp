// What the command lines of kvd queue and of kvd topic have in common: what messages come from, and how they are sent,
// received, worked on, looked at and kicked. Plain data; message_flags.hpp reads it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "client/server.hpp"
#include "client/store_options.hpp"
#include "msg/queues.hpp"
#include "msg/types.hpp"

namespace kvd::client {

// A queue, a topic, or a subscription of a topic.
struct MessageSource {
  enum class Kind : uint8_t { kQueue, kTopic, kSubscription };
  Kind kind = Kind::kQueue;
  std::string name;          // of the queue or the topic
  std::string subscription;  // of a subscription alone
  bool operator==(const MessageSource&) const = default;
};
// Percent-encoded, and without a slash at its end.
std::string path_of_source(const MessageSource& source, const char* below = "");

struct SourceRemoveOptions {
  StoreAccess access;
  MessageSource source;
  bool if_empty = false;
};

struct SourceListOptions {
  StoreAccess access;
  MessageSource::Kind kind = MessageSource::Kind::kQueue;
  std::string topic;   // of subscriptions
  std::string prefix;  // of queues and topics
  ReadTerms terms;
  bool json = false;
};

struct SourceStatsOptions {
  StoreAccess access;
  MessageSource source;
  ReadTerms terms;
  bool json = false;
};

struct MessageSendOptions {
  StoreAccess access;
  MessageSource to;
  InputSource body;
  bool lines = false;  // each line of the standard input is a body
  NewMessage message;  // all but its body
};

struct MessageReceiveOptions {
  StoreAccess access;
  MessageSource source;
  uint32_t max = 1;
  Duration wait{0};
  bool ack = false;
  bool json = false;  // also for more than one
};

struct MessagePeekOptions {
  StoreAccess access;
  MessageSource source;
  MessageState state = MessageState::kReady;
  ReadTerms terms;
};

struct MessageKickOptions {
  StoreAccess access;
  MessageSource source;
  MessageState state = MessageState::kDead;
  uint32_t max = 0;
  std::string to;  // another queue; empty: they stay
};

using MessageCommand =
    std::variant<SourceRemoveOptions, SourceListOptions, SourceStatsOptions, MessageSendOptions,
                 MessageReceiveOptions, MessagePeekOptions, MessageKickOptions>;

struct MessageWorkOptions {
  std::vector<Server> servers;  // not empty
  MessageSource source;
  std::string exec;               // for /bin/sh -c
  std::optional<Duration> delay;  // of what was not done; nothing: as the source has it
  Duration grace{0};
};

}  // namespace kvd::client
