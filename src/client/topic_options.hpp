// What the command lines of kvd topic say that those of kvd queue do not (message_options.hpp has the others): make,
// read, tail, subscribe and seek. Plain data; what reads it is in the table of all clients (options_table.hpp).
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "client/message_options.hpp"
#include "client/server.hpp"
#include "client/store_options.hpp"
#include "msg/topics.hpp"
#include "msg/types.hpp"

namespace kvd::client {

struct TopicMakeOptions {
  StoreAccess access;
  std::string topic;
  TopicConfig config;
};

struct TopicReadOptions {
  StoreAccess access;
  std::string topic;
  TopicPlace from;
  uint64_t limit = UINT64_MAX;  // messages
  ReadTerms terms;
};

struct SubscribeOptions {
  StoreAccess access;
  MessageSource subscription;
  SubscriptionConfig config;
  TopicPlace from;
};

struct SeekOptions {
  StoreAccess access;
  MessageSource subscription;
  TopicPlace to;
};

using TopicCommand = std::variant<TopicMakeOptions, TopicReadOptions, SubscribeOptions, SeekOptions>;

struct TopicTailOptions {
  std::vector<Server> servers;  // not empty
  std::string topic;
  TopicPlace from;
};

// A place as a parameter of a query: `name`=ID, first or now, or time=MS.
void add_place(std::string& query, const char* name, const TopicPlace& place);

}  // namespace kvd::client
