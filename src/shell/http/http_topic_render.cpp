// See http_topic_render.hpp.
#include "shell/http/http_topic_render.hpp"

#include <string_view>

#include "base/json_writer.hpp"
#include "base/percent.hpp"

namespace kvd {
namespace {

// Nothing of 0: before all messages.
void write_id(JsonWriter& json, std::string_view name, const MessageId& id) {
  if (id != MessageId()) json.member(name, to_text(id));
}

void write_topic(JsonWriter& json, const TopicInfo& info) {
  const TopicConfig& config = info.config;
  json.begin_object().bytes_member("name", info.name);
  json.member("dedup_window", config.dedup_window_ms).member("max_messages", config.max_messages);
  json.member("max_bytes", config.max_bytes).member("max_age", config.max_age_ms);
  json.member("discard", config.discard_old ? "old" : "none");
  json.member("messages", info.messages).member("bytes", info.bytes);
  write_id(json, "first", info.first);
  write_id(json, "last", info.last);
  if (info.oldest_ms) json.member("oldest_ms", *info.oldest_ms);
  json.member("subscriptions", info.subscriptions).end_object();
}

void write_subscription(JsonWriter& json, const SubscriptionInfo& info) {
  const SubscriptionConfig& config = info.config;
  json.begin_object().bytes_member("topic", info.topic).bytes_member("name", info.name);
  write_deliveries(json, config.ttr_ms, config.max_deliveries, config.backoff_ms, config.dead_letter);
  json.member("max_in_flight", config.max_in_flight).member("ordered", config.ordered);
  json.member("expires", config.expires_ms).member("behind", info.behind).member("ready", info.ready);
  json.member("delayed", info.delayed).member("in_flight", info.in_flight).member("dead", info.dead);
  json.member("gaps", info.gaps);
  write_id(json, "cursor", info.cursor);
  if (info.waiting) json.member("waiting", *info.waiting);
  json.end_object();
}

// A page: `items` by their names, each by `write`.
template <class Item>
HttpResponse named_page(std::string_view called, const std::vector<Item>& items, bool more,
                        std::string_view link, void (*write)(JsonWriter& json, const Item& item)) {
  JsonWriter json;
  json.begin_object().key(called).begin_array();
  for (const Item& item : items) write(json, item);
  json.end_array().end_object();
  HttpResponse response = json_response(200, json);
  if (more && !items.empty()) add_next_page(response, link, percent_encode(items.back().name));
  return response;
}

}  // namespace

HttpResponse TopicRenderer::operator()(const TopicMade& made) const {
  return (*this)(QueueMade{made.created});
}

HttpResponse TopicRenderer::operator()(const TopicDeleted&) const { return empty_response(204); }

HttpResponse TopicRenderer::operator()(const SubscriptionMoved& moved) const {
  JsonWriter json;
  json.begin_object();
  write_id(json, "cursor", moved.to);
  json.member("revision", reply_.revision.value).end_object();
  return json_response(200, json);
}

HttpResponse TopicRenderer::operator()(const Box<TopicFound>& found) const {
  JsonWriter json;
  write_topic(json, found->topic);
  HttpResponse response = json_response(200, json);
  mark_incomplete(response, found->complete);
  return response;
}

HttpResponse TopicRenderer::operator()(const TopicList& list) const {
  HttpResponse response = named_page("topics", list.topics, list.more, plan_.text, write_topic);
  mark_incomplete(response, list.complete);
  return response;
}

HttpResponse TopicRenderer::operator()(const Box<SubscriptionFound>& found) const {
  JsonWriter json;
  write_subscription(json, found->subscription);
  HttpResponse response = json_response(200, json);
  mark_incomplete(response, found->complete);
  return response;
}

HttpResponse TopicRenderer::operator()(const SubscriptionList& list) const {
  HttpResponse response =
      named_page("subscriptions", list.subscriptions, list.more, plan_.text, write_subscription);
  mark_incomplete(response, list.complete);
  return response;
}

}  // namespace kvd
