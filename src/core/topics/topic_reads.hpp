// What is read of topics and subscriptions: from a store, which has what is committed. Any server answers so, and
// nobody looks at the views. Pure.
#pragma once
#include "core/queues/queue_reads.hpp"
#include "core/replica/store.hpp"
#include "msg/client.hpp"

namespace kvd {

Answer read_topic(const Store& store, const ReadTopic& read, const ReadAt& at);
Answer list_topics(const Store& store, const ListTopics& list, const ReadAt& at);
Answer read_subscription(const Store& store, const ReadSubscription& read, const ReadAt& at);
Answer list_subscriptions(const Store& store, const ListSubscriptions& list, const ReadAt& at);
Answer page_topic(const Store& store, const PageTopic& page, const ReadAt& at);

}  // namespace kvd
