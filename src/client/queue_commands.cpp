// See queue_commands.hpp.
#include "client/queue_commands.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <uv.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "base/json_writer.hpp"
#include "base/percent.hpp"
#include "client/answers.hpp"
#include "client/input.hpp"
#include "client/output.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int kNothing = 1;
constexpr size_t kSentAtOnce = 1u << 20;  // of JSON, and one line more

std::string json_of(const QueueConfig& config) {
  JsonWriter json;
  json.begin_object().member("ttr", config.ttr_ms).member("max_deliveries", config.max_deliveries);
  json.key("backoff").begin_array();
  for (const uint64_t ms : config.backoff_ms) json.value(ms);
  json.end_array().bytes_member("dead_letter", config.dead_letter);
  json.member("dedup_window", config.dedup_window_ms).member("max_messages", config.max_messages);
  json.member("max_bytes", config.max_bytes).member("max_age", config.max_age_ms);
  json.member("max_in_flight", config.max_in_flight).member("order", config.fifo ? "fifo" : "priority");
  json.member("discard", config.discard_old ? "old" : "none").end_object();
  return json.take();
}

std::string line_of(const NewMessage& message, std::string_view body) {
  JsonWriter json;
  json.begin_object().bytes_member("body", body).member("priority", unsigned{message.priority});
  if (message.delay_ms != 0) json.member("delay", message.delay_ms);
  if (message.max_age_ms != 0) json.member("max_age", message.max_age_ms);
  if (!message.group.empty()) json.bytes_member("group", message.group);
  if (!message.type.empty()) json.bytes_member("type", message.type);
  json.end_object();
  return json.take() + "\n";
}

std::string line_of(const ListedQueue& queue) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\n", queue.name, queue.ready, queue.delayed, queue.in_flight,
                     queue.dead);
}

// Of the whole lines at the beginning of `content`, which are taken out of it, as many as go at once: as a line of JSON
// each. Empty: there is none.
std::string take_batch(std::string& content, const NewMessage& message) {
  std::string lines;
  size_t at = 0;
  for (size_t count = 0; count < limits::kMessagesAtOnce && lines.size() < kSentAtOnce; ++count) {
    const size_t end = content.find('\n', at);
    if (end == std::string_view::npos) break;
    lines += line_of(message, std::string_view(content).substr(at, end - at));
    at = end + 1;
  }
  content.erase(0, at);
  return lines;
}

struct QueueRun {
  StoreClient& client;

  int operator()(const QueueMakeOptions& make) const {
    StoreRequest request{"PUT", path_of_queue(make.queue)};
    request.body = json_of(make.config);
    return print_number(request, "revision");
  }

  int operator()(const QueueRemoveOptions& remove) const {
    const auto answer =
        client.ask({"DELETE", path_of_queue(remove.queue), remove.if_empty ? "if_empty=1" : ""});
    return answer ? EX_OK : tell(answer.error());
  }

  int operator()(const QueueSendOptions& send) const {
    if (send.lines) return send_lines(send);
    auto body = read_input(send.body);
    if (!body) return tell(body.error());
    const NewMessage& message = send.message;
    StoreRequest request{"POST", path_of_queue(send.queue, "/messages")};
    if (message.priority != NewMessage().priority)
      add_parameter(request.query, "priority", std::to_string(message.priority));
    if (message.delay_ms != 0) add_parameter(request.query, "delay", std::to_string(message.delay_ms));
    if (message.max_age_ms != 0) add_parameter(request.query, "max_age", std::to_string(message.max_age_ms));
    if (!message.group.empty()) add_parameter(request.query, "group", message.group);
    if (!message.dedup.empty()) add_parameter(request.query, "dedup", message.dedup);
    if (!message.type.empty()) request.fields = fmt::format("Content-Type: {}\r\n", message.type);
    request.body = std::move(*body);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const std::string id = text_in(answer->body, "id");
    if (id.empty()) return tell(StoreClient::useless(request, "no text 'id' in the answer"));
    return print(id + "\n");
  }

  // To receive is no write that is remembered: an answer that is lost is a message that is granted again later.
  int operator()(const QueueReceiveOptions& receive) const {
    const uint64_t until = uv_hrtime() + static_cast<uint64_t>(receive.wait.count()) * 1000;
    StoreRequest request{"POST", path_of_queue(receive.queue, "/receive"),
                         fmt::format("max={}", receive.max)};
    request.keyed = false;
    for (;;) {
      const uint64_t now = uv_hrtime();
      request.wait = Duration(until > now ? static_cast<int64_t>((until - now) / 1000) : 0);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      if (answer->status != 204) return take(receive, request, answer->body);
      if (uv_hrtime() >= until) return tell(CommandEnd{kNothing, "there is no message"});
    }
  }

  int operator()(const QueuePeekOptions& peek) const {
    const std::string state = fmt::format("state={}", message_state_name(peek.state));
    return print_pages(path_of_queue(peek.queue, "/messages"), state, peek.terms,
                       [](const std::string& json) {
                         return page_of(parse_queue_messages(json),
                                        [](const QueueMessage& message) { return message.json + "\n"; });
                       });
  }

  int operator()(const QueueKickOptions& options) const {
    const KickMessages& kick = options.kick;
    StoreRequest request{"POST", path_of_queue(kick.queue, "/kick"),
                         fmt::format("state={}&max={}", message_state_name(kick.state), kick.max)};
    if (!kick.to.empty()) add_parameter(request.query, "to", kick.to);
    return print_number(request, "moved");
  }

  int operator()(const QueuePurgeOptions& purge) const {
    const StoreRequest request{"DELETE", path_of_queue(purge.queue, "/messages"), "state=" + purge.state};
    const auto purged = client.delete_pages(request, "purged", "messages");
    return purged ? print(fmt::format("{}\n", *purged)) : tell(purged.error());
  }

  int operator()(const QueueListOptions& list) const {
    std::string query;
    if (!list.prefix.empty()) add_parameter(query, "prefix", list.prefix);
    return print_pages("/v1/queues", query, list.terms, [&list](const std::string& json) {
      return page_of(parse_queue_page(json), [&list](const ListedQueue& queue) {
        return list.json ? queue.json + "\n" : line_of(queue);
      });
    });
  }

  int operator()(const QueueStatsOptions& stats) const {
    StoreRequest request{"GET", path_of_queue(stats.queue)};
    add_read_terms(request.query, stats.terms);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    if (stats.json) return print(answer->body);
    const auto members = parse_members(answer->body);
    if (!members) return tell(StoreClient::useless(request, members.error().detail));
    std::string lines;
    for (const auto& [name, text] : *members) lines += fmt::format("{}\t{}\n", name, text);
    return print(lines);
  }

 private:
  template <class Item, class Told>
  static Result<std::string> page_of(const Result<std::vector<Item>>& items, Told told) {
    if (!items) return failure(items.error().detail);
    std::string lines;
    for (const Item& item : *items) lines += told(item);
    return lines;
  }
  // Behind what the next page begins; empty: there is none. A page may be empty though there is a next one.
  static std::string next_after(std::string_view link) {
    constexpr std::string_view kAfter = "after=";
    const size_t begin = link.find(kAfter);
    const size_t end = link.find('>');
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
    const std::string_view text = link.substr(begin + kAfter.size(), end - begin - kAfter.size());
    return is_percent_encoded(text) ? percent_decode(text) : std::string();
  }

  // Page by page, none of them older than the one before.
  template <class Read>
  int print_pages(const std::string& path, const std::string& query, ReadTerms terms, Read read) const {
    for (std::string after;;) {
      StoreRequest request{"GET", path, fmt::format("limit={}", limits::kListItemsMax)};
      if (!query.empty()) request.query += "&" + query;
      add_read_terms(request.query, terms);
      if (!after.empty()) add_parameter(request.query, "after", after);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      const auto page = read(answer->body);
      if (!page) return tell(StoreClient::useless(request, page.error().detail));
      const int code = print(*page);
      after = next_after(field_of(*answer, "Link"));
      if (code != EX_OK || after.empty()) return code;
      const auto revision = parse_decimal(field_of(*answer, "Kvd-Revision"));
      if (!revision) return tell(StoreClient::useless(request, "an answer without its revision"));
      terms.min_revision = static_cast<uint64_t>(*revision);
    }
  }

  int print_number(const StoreRequest& request, std::string_view name) const {
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto number = parse_number_in(answer->body, name);
    return number ? print(fmt::format("{}\n", *number))
                  : tell(StoreClient::useless(request, number.error().detail));
  }

  // Whatever has come is sent before more is waited for.
  int send_lines(const QueueSendOptions& send) const {
    size_t sent = 0;
    const auto cut_off = [&sent](CommandEnd why) {
      if (sent != 0) why.text += fmt::format(" ({} messages were sent before that)", sent);
      return tell(why);
    };
    std::string content;
    for (bool more = true; more;) {
      const auto has_come = read_more(content);
      if (!has_come) return cut_off(has_come.error());
      more = *has_come;
      if (!more && !content.empty()) content += '\n';
      for (std::string batch; !(batch = take_batch(content, send.message)).empty();) {
        const auto ids = send_batch(send, std::move(batch));
        if (!ids) return cut_off(ids.error());
        sent += ids->size();
        const int code = print(fmt::format("{}\n", fmt::join(*ids, "\n")));
        if (code != EX_OK) return code;
      }
      if (content.size() > limits::kWriteBytes)
        return cut_off({EX_DATAERR, fmt::format("a line of more than {} bytes", limits::kWriteBytes)});
    }
    return EX_OK;
  }

  Result<std::vector<std::string>, CommandEnd> send_batch(const QueueSendOptions& send,
                                                          std::string batch) const {
    StoreRequest request{"POST", path_of_queue(send.queue, "/messages")};
    request.fields = "Content-Type: application/x-ndjson\r\n";
    request.body = std::move(batch);
    const auto answer = client.ask(request);
    if (!answer) return Failure<CommandEnd>(answer.error());
    auto ids = parse_texts_in(answer->body, "ids");
    if (!ids) return Failure<CommandEnd>(StoreClient::useless(request, ids.error().detail));
    return std::move(*ids);
  }

  // Written first, and done then: what is cut off in between comes again.
  int take(const QueueReceiveOptions& receive, const StoreRequest& request, const std::string& answer) const {
    const auto messages = parse_queue_messages(answer);
    if (!messages) return tell(StoreClient::useless(request, messages.error().detail));
    if (messages->empty()) return tell(CommandEnd{kNothing, "there is no message"});
    std::string output;
    for (const QueueMessage& message : *messages) output += receive.json ? message.json + "\n" : message.body;
    const int code = print(output);
    return code == EX_OK && receive.ack ? acknowledge(receive, *messages) : code;
  }

  int acknowledge(const QueueReceiveOptions& receive, const std::vector<QueueMessage>& messages) const {
    JsonWriter json;
    json.begin_object().key("ack").begin_array();
    for (const QueueMessage& message : messages)
      json.begin_object().member("id", message.id).member("receipt", message.receipt).end_object();
    json.end_array().end_object();
    StoreRequest request{"POST", path_of_queue(receive.queue, "/settle")};
    request.body = json.take();
    const auto answer = client.ask(request);
    const auto not_done = [](const std::string& why) {
      return tell(CommandEnd{EX_TEMPFAIL, "what was written may come again: " + why});
    };
    if (!answer) return not_done(answer.error().text);
    const auto results = parse_texts_in(answer->body, "results");
    if (!results) return not_done(results.error().detail);
    const bool stale = std::find(results->begin(), results->end(), "stale") != results->end();
    return stale ? not_done("a receipt counts no more") : EX_OK;
  }
};

}  // namespace

std::string path_of_queue(const std::string& queue, const char* below) {
  return "/v1/queues/" + percent_encode(queue) + below;
}

int run_queue_command(net::Loop& loop, const QueueCommand& command, uint64_t seed) {
  const StoreAccess& access =
      std::visit([](const auto& one) -> const StoreAccess& { return one.access; }, command);
  StoreClient client(loop, access, seed);
  return std::visit(QueueRun{client}, command);
}

}  // namespace kvd::client
