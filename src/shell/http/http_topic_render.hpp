// What is told of topics and their subscriptions, as HTTP answers: beside http_queue_render, whose messages they have.
// Pure values, any thread.
#pragma once
#include "base/box.hpp"
#include "msg/client.hpp"
#include "shell/http/http_queue_render.hpp"

namespace kvd {

class TopicRenderer : public QueueRenderer {
 public:
  using QueueRenderer::QueueRenderer;
  using QueueRenderer::operator();

  HttpResponse operator()(const TopicMade& made) const;
  HttpResponse operator()(const TopicDeleted& deleted) const;
  HttpResponse operator()(const SubscriptionMoved& moved) const;
  HttpResponse operator()(const Box<TopicFound>& found) const;
  HttpResponse operator()(const TopicList& list) const;
  HttpResponse operator()(const Box<SubscriptionFound>& found) const;
  HttpResponse operator()(const SubscriptionList& list) const;
};

}  // namespace kvd
