// See topic_commands.hpp.
#include "client/topic_commands.hpp"

#include <string>
#include <utility>
#include <variant>

#include "base/json_writer.hpp"
#include "client/message_commands.hpp"
#include "client/store_client.hpp"

namespace kvd::client {
namespace {

void write_from(JsonWriter& json, const TopicPlace& from) {
  json.key("from");
  if (from.kind == TopicPlace::Kind::kTime) {
    json.begin_object().member("time", from.ms).end_object();
  } else {
    json.value(to_text(from));
  }
}

struct TopicRun {
  StoreClient& client;

  int operator()(const TopicMakeOptions& make) const {
    JsonWriter json;
    json.begin_object();
    write_bounds(json, make.config);
    json.end_object();
    return put({MessageSource::Kind::kTopic, make.topic, ""}, json.take());
  }

  int operator()(const TopicReadOptions& read) const {
    PagesRequest pages{path_of_source({MessageSource::Kind::kTopic, read.topic, ""}, "/messages")};
    add_place(pages.begin, "after", read.from);
    pages.terms = read.terms;
    pages.most = read.limit;
    return print_pages(client, pages, print_messages);
  }

  int operator()(const SubscribeOptions& subscribe) const {
    JsonWriter json;
    json.begin_object();
    write_delivery(json, subscribe.config);
    json.member("ordered", subscribe.config.ordered).member("expires", subscribe.config.expires_ms);
    write_from(json, subscribe.from);
    json.end_object();
    return put(subscribe.subscription, json.take());
  }

  int operator()(const SeekOptions& seek) const {
    StoreRequest request{"POST", path_of_source(seek.subscription, "/seek")};
    add_place(request.query, "to", seek.to);
    return print_answered_number(client, request, "revision");
  }

 private:
  int put(const MessageSource& source, std::string config) const {
    StoreRequest request{"PUT", path_of_source(source)};
    request.body = std::move(config);
    return print_answered_number(client, request, "revision");
  }
};

}  // namespace

int run_topic_command(net::Loop& loop, const TopicCommand& command, uint64_t seed) {
  return run_at_store<TopicRun>(loop, command, seed);
}

}  // namespace kvd::client
