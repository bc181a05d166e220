// The JSON bodies that make topics and subscriptions, as queue_json has those of queues: what is unknown, of another
// type or out of range is refused with a sentence that names the place. Pure functions, any thread.
#pragma once
#include <string_view>

#include "base/result.hpp"
#include "msg/topics.hpp"
#include "shell/http/body_json.hpp"

namespace kvd {

// {"dedup_window":MS,"max_messages":N,"max_bytes":N,"max_age":MS,"discard":"none"|"old"}; what is left out has its
// default.
Result<TopicConfig, BodyError> parse_topic_config(std::string_view json);

struct SubscriptionBody {
  SubscriptionConfig config;
  TopicPlace from{TopicPlace::Kind::kNow, {}, 0};
};
// {"ttr":MS,"max_deliveries":N,"backoff":[MS,...],"dead_letter":QUEUE,"max_in_flight":N,"ordered":B,"expires":MS,
// "from":"first"|"now"|ID|{"time":MS}}; likewise.
Result<SubscriptionBody, BodyError> parse_subscription(std::string_view json);

}  // namespace kvd
