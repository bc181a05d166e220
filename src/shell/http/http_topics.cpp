// See http_topics.hpp.
#include "shell/http/http_topics.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "shell/http/http_source.hpp"
#include "shell/http/topic_json.hpp"

namespace kvd {
namespace {

constexpr std::string_view kTopicsPath = "/v1/topics";
constexpr std::string_view kTopicPath = "/v1/topics/";
constexpr std::string_view kSubscriptionsName = "subscriptions";
constexpr uint64_t kPlaceParameters = kQueryAfterPlace | kQueryTime;
constexpr std::string_view kTopicMethods = "GET, HEAD, PUT, DELETE";

class TopicRequest : public SourceRequest {
 public:
  using SourceRequest::SourceRequest;

  Refusal list() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    if (Refusal wrong = take(kReadParameters | kQueryPrefix | kQueryLimit | kQueryAfter)) return wrong;
    accepted_.plan.text = next_page(kTopicsPath, query_);
    return ask(ListTopics{query_.prefix.value_or(""), query_.after, page_limit(query_)});
  }

  // Everything else is about one topic.
  Refusal of_topic(const PathStep& named) {
    if (Refusal wrong = take_name(named.name, "a topic", queue_)) return wrong;
    path_.append(kTopicPath).append(percent_encode(queue_));
    if (!named.rest) return topic();
    const PathStep below = first_step(*named.rest);
    if (below.name == kSubscriptionsName)
      return below.rest ? of_subscription(first_step(*below.rest)) : list_subscriptions();
    if (below.name == kMessagesName && !below.rest) return messages();
    if (below.name == "stream" && !below.rest) return stream();
    return refuse(
        request_, 404, "no-such-path",
        "there is nothing at this path; below a topic there are messages, stream and subscriptions");
  }

 private:
  Refusal topic() {
    if (reads()) {
      if (Refusal wrong = take(kReadParameters)) return wrong;
      return ask(ReadTopic{queue_});
    }
    const bool makes = is(HttpMethod::kPut);
    if (!makes && !is(HttpMethod::kDelete)) return wrong_method(request_, kTopicMethods);
    if (Refusal wrong = take(kWriteParameters)) return wrong;
    if (!makes) return ask(DeleteTopic{queue_});
    accepted_.plan.text = queue_;
    return ask(MakeTopic{queue_, {}});
  }

  Refusal messages() {
    if (reads()) return page();
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "GET, HEAD, POST");
    PublishMessages publish{queue_, {}, true};
    if (Refusal wrong = take_new(kQueryGroup | kQueryDedup, publish.messages)) return wrong;
    publish.create = query_.create;
    return ask(std::move(publish));
  }

  Refusal page() {
    if (Refusal wrong = take(kReadParameters | kPlaceParameters | kQueryLimit | kQueryWait)) return wrong;
    accepted_.plan.published = true;
    accepted_.plan.text = next_page(fmt::format("{}/{}", path_, kMessagesName), query_);
    PageTopic page{queue_, query_.place.value_or(TopicPlace()), page_limit(query_)};
    if (query_.wait.value_or(Duration(0)) == Duration(0)) return ask(std::move(page));
    if (query_.read == ReadMode::kLinear || query_.min_revision != Revision(0))
      return bad_request(request_,
                         "who waits is answered by this server's copy: the query parameter 'wait' excludes "
                         "'read' and 'min_rev'");
    accepted_.plan.waits = true;
    accepted_.call.what = Box(FollowTopic{std::move(page), query_.wait});
    return std::nullopt;
  }

  // Where a browser goes on by itself (Last-Event-ID) counts for more than where its address says that it began.
  Refusal stream() {
    if (!is(HttpMethod::kGet)) return wrong_method(request_, "GET");
    Result<Query> query = parse_query(text_, kPlaceParameters | kQueryTimeout);
    if (!query) return bad_request(request_, query.error().detail);
    TopicPlace after = query->place.value_or(TopicPlace());
    const auto last = request_.fields.find("Last-Event-ID");
    if (last && !last->empty()) {
      const std::optional<MessageId> id = parse_message_id(*last);
      if (!id) return bad_request(request_, "Last-Event-ID has to be the id of a message");
      after = {TopicPlace::Kind::kId, *id, 0};
    }
    const auto accept = request_.fields.find("Accept");
    accepted_.plan.events = accept && accept->find(kEvents) != std::string_view::npos;
    accepted_.plan.published = true;
    accepted_.plan.route = Route::kHold;
    accepted_.call.timeout = query->timeout;
    accepted_.call.what = Box(FollowTopic{{queue_, after, limits::kListItemsMax}, std::nullopt});
    return std::nullopt;
  }

  Refusal list_subscriptions() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    if (Refusal wrong = take(kReadParameters | kQueryLimit | kQueryAfter)) return wrong;
    accepted_.plan.text = next_page(fmt::format("{}/{}", path_, kSubscriptionsName), query_);
    return ask(ListSubscriptions{queue_, query_.after, page_limit(query_)});
  }

  Refusal of_subscription(const PathStep& named) {
    if (Refusal wrong = take_name(named.name, "a subscription", subscription_)) return wrong;
    path_ += fmt::format("/{}/{}", kSubscriptionsName, percent_encode(subscription_));
    if (!named.rest) return subscription();
    const PathStep below = first_step(*named.rest);
    if (below.name == kMessagesName && below.rest) return message(*below.rest);
    const std::string_view rest = *named.rest;
    if (rest == kMessagesName) return reads() ? peek() : wrong_method(request_, "GET, HEAD");
    if (rest == "receive") return receive();
    if (rest == "settle") return settle();
    if (rest == "kick") return kick();
    if (rest == "consume") return consume();
    if (rest == "seek") return seek();
    return refuse(
        request_, 404, "no-such-path",
        "there is nothing at this path; below a subscription there are messages, receive, consume, settle, "
        "kick and seek");
  }

  Refusal subscription() {
    if (reads()) {
      if (Refusal wrong = take(kReadParameters)) return wrong;
      return ask(ReadSubscription{queue_, subscription_});
    }
    const bool makes = is(HttpMethod::kPut);
    if (!makes && !is(HttpMethod::kDelete)) return wrong_method(request_, kTopicMethods);
    if (Refusal wrong = take(kWriteParameters)) return wrong;
    if (!makes) return ask(DeleteSubscription{queue_, subscription_});
    accepted_.plan.text = subscription_;
    return ask(MakeSubscription{queue_, subscription_, {}, {TopicPlace::Kind::kNow, {}, 0}});
  }

  Refusal seek() {
    if (!is(HttpMethod::kPost)) return wrong_method(request_, "POST");
    if (Refusal wrong = take(kWriteParameters | kQueryToPlace | kQueryTime)) return wrong;
    if (!query_.place)
      return bad_request(
          request_,
          "where it is to go on is missing: the query parameter 'to' is first, now or the id of a "
          "message, or 'time' says since when");
    return ask(SeekSubscription{queue_, subscription_, *query_.place});
  }
};

}  // namespace

bool is_topic_path(std::string_view path) { return path == kTopicsPath || path.starts_with(kTopicPath); }

Refusal accept_topic(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted) {
  accepted.plan.route = Route::kTopic;
  accepted.plan.write = is_write_method(request.method);
  limit_small_body(accepted);
  TopicRequest asked(request, target.query, identity, accepted);
  if (target.path == kTopicsPath) return asked.list();
  return asked.of_topic(first_step(target.path.substr(kTopicPath.size())));
}

std::optional<BodyError> take_topic_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity) {
  if (std::holds_alternative<Box<FollowTopic>>(accepted.call.what)) return std::nullopt;
  Operation& operation = accepted.store().operation;
  if (auto* publish = std::get_if<Box<PublishMessages>>(&operation))
    return take_new_bodies(accepted.plan, std::move(body), identity.value_bytes_max, MessagesFor::kTopic,
                           (*publish)->messages);
  auto* make = std::get_if<Box<MakeTopic>>(&operation);
  auto* subscribe = std::get_if<Box<MakeSubscription>>(&operation);
  if (make == nullptr && subscribe == nullptr) return take_source_body(accepted, std::move(body));
  if (body.size() == 0) return std::nullopt;
  if (make != nullptr) return take_parsed(parse_topic_config(body.view()), (*make)->config);
  SubscriptionBody wanted;
  std::optional<BodyError> wrong = take_parsed(parse_subscription(body.view()), wanted);
  (*subscribe)->config = std::move(wanted.config);
  (*subscribe)->from = wanted.from;
  return wrong;
}

}  // namespace kvd
