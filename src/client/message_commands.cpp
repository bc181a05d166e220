// See message_commands.hpp.
#include "client/message_commands.hpp"

#include <fmt/format.h>
#include <sysexits.h>
#include <uv.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "base/percent.hpp"
#include "client/answers.hpp"
#include "client/input.hpp"
#include "client/output.hpp"
#include "client/say.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

using SourceKind = MessageSource::Kind;

constexpr int kNothing = 1;
constexpr size_t kSentAtOnce = 1u << 20;  // of JSON, and one line more

bool has_priority(const NewMessage& message) { return message.priority != NewMessage().priority; }

std::string line_of(const NewMessage& message, std::string_view body) {
  JsonWriter json;
  json.begin_object().bytes_member("body", body);
  if (has_priority(message)) json.member("priority", unsigned{message.priority});
  if (message.delay_ms != 0) json.member("delay", message.delay_ms);
  if (message.max_age_ms != 0) json.member("max_age", message.max_age_ms);
  if (!message.group.empty()) json.bytes_member("group", message.group);
  if (!message.type.empty()) json.bytes_member("type", message.type);
  json.end_object();
  return json.take() + "\n";
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

// What lists call themselves, and the numbers that are printed of each item.
struct Listing {
  std::string path;
  std::string name;
  std::vector<std::string> numbers;
};
Listing listing_of(const SourceListOptions& list) {
  switch (list.kind) {
    case SourceKind::kQueue:
      return {"/v1/queues", "queues", {"ready", "delayed", "in_flight", "dead"}};
    case SourceKind::kTopic:
      return {"/v1/topics", "topics", {"messages", "bytes", "subscriptions"}};
    case SourceKind::kSubscription:
      break;
  }
  return {path_of_source({SourceKind::kTopic, list.topic, ""}, "/subscriptions"),
          "subscriptions",
          {"behind", "in_flight", "dead", "gaps"}};
}

// Behind what the next page begins; empty: there is none. A page may be empty though there is a next one.
std::string next_after(std::string_view link) {
  constexpr std::string_view kAfter = "after=";
  const size_t begin = link.find(kAfter);
  const size_t end = link.find('>');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  const std::string_view text = link.substr(begin + kAfter.size(), end - begin - kAfter.size());
  return is_percent_encoded(text) ? percent_decode(text) : std::string();
}

struct MessageRun {
  StoreClient& client;

  int operator()(const SourceRemoveOptions& remove) const {
    const auto answer =
        client.ask({"DELETE", path_of_source(remove.source), remove.if_empty ? "if_empty=1" : ""});
    return answer ? EX_OK : tell(answer.error());
  }

  int operator()(const SourceListOptions& list) const {
    const Listing listing = listing_of(list);
    PagesRequest pages{listing.path};
    if (!list.prefix.empty()) add_parameter(pages.query, "prefix", list.prefix);
    pages.terms = list.terms;
    return print_pages(client, pages, [&](const std::string& json) -> Result<PrintedPage> {
      const auto items = parse_source_page(json, listing.name, listing.numbers);
      if (!items) return failure(items.error().detail);
      PrintedPage page{"", items->size()};
      for (const ListedSource& item : *items) {
        page.lines +=
            list.json ? item.json + "\n" : fmt::format("{}\t{}\n", item.name, fmt::join(item.numbers, "\t"));
      }
      return page;
    });
  }

  int operator()(const SourceStatsOptions& stats) const {
    StoreRequest request{"GET", path_of_source(stats.source)};
    add_read_terms(request.query, stats.terms);
    return print_members(client, request, stats.json);
  }

  int operator()(const MessageSendOptions& send) const {
    if (send.lines) return send_lines(send);
    auto body = read_input(send.body);
    if (!body) return tell(body.error());
    const NewMessage& message = send.message;
    StoreRequest request{"POST", path_of_source(send.to, "/messages")};
    if (has_priority(message)) add_parameter(request.query, "priority", std::to_string(message.priority));
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
  int operator()(const MessageReceiveOptions& receive) const {
    const uint64_t until = uv_hrtime() + static_cast<uint64_t>(receive.wait.count()) * 1000;
    StoreRequest request{"POST", path_of_source(receive.source, "/receive"),
                         fmt::format("max={}", receive.max)};
    request.keyed = false;
    for (;;) {
      const uint64_t now = uv_hrtime();
      request.wait = Duration(until > now ? static_cast<int64_t>((until - now) / 1000) : 0);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      if (answer->status != 204) {
        const auto page = parse_message_page(answer->body);
        if (!page) return tell(StoreClient::useless(request, page.error().detail));
        if (page->gap) Say().line(gap_text(*page->gap));
        if (!page->messages.empty()) return take(receive, page->messages);
      }
      if (uv_hrtime() >= until) return tell(CommandEnd{kNothing, "there is no message"});
    }
  }

  int operator()(const MessagePeekOptions& peek) const {
    PagesRequest pages{path_of_source(peek.source, "/messages"),
                       fmt::format("state={}", message_state_name(peek.state))};
    pages.terms = peek.terms;
    return print_pages(client, pages, print_messages);
  }

  int operator()(const MessageKickOptions& kick) const {
    StoreRequest request{"POST", path_of_source(kick.source, "/kick"),
                         fmt::format("state={}&max={}", message_state_name(kick.state), kick.max)};
    if (!kick.to.empty()) add_parameter(request.query, "to", kick.to);
    return print_answered_number(client, request, "moved");
  }

 private:
  // Whatever has come is sent before more is waited for.
  int send_lines(const MessageSendOptions& send) const {
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

  Result<std::vector<std::string>, CommandEnd> send_batch(const MessageSendOptions& send,
                                                          std::string batch) const {
    StoreRequest request{"POST", path_of_source(send.to, "/messages")};
    request.fields = "Content-Type: application/x-ndjson\r\n";
    request.body = std::move(batch);
    const auto answer = client.ask(request);
    if (!answer) return Failure<CommandEnd>(answer.error());
    auto ids = parse_texts_in(answer->body, "ids");
    if (!ids) return Failure<CommandEnd>(StoreClient::useless(request, ids.error().detail));
    return std::move(*ids);
  }

  // Written first, and done then: what is cut off in between comes again.
  int take(const MessageReceiveOptions& receive, const std::vector<QueueMessage>& messages) const {
    std::string output;
    for (const QueueMessage& message : messages) output += receive.json ? message.json + "\n" : message.body;
    const int code = print(output);
    return code == EX_OK && receive.ack ? acknowledge(receive, messages) : code;
  }

  int acknowledge(const MessageReceiveOptions& receive, const std::vector<QueueMessage>& messages) const {
    JsonWriter json;
    json.begin_object().key("ack").begin_array();
    for (const QueueMessage& message : messages)
      json.begin_object().member("id", message.id).member("receipt", message.receipt).end_object();
    json.end_array().end_object();
    StoreRequest request{"POST", path_of_source(receive.source, "/settle")};
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

std::string path_of_source(const MessageSource& source, const char* below) {
  std::string path =
      (source.kind == SourceKind::kQueue ? "/v1/queues/" : "/v1/topics/") + percent_encode(source.name);
  if (source.kind == SourceKind::kSubscription)
    path += "/subscriptions/" + percent_encode(source.subscription);
  return path + below;
}

int print_answered_number(StoreClient& client, const StoreRequest& request, std::string_view name) {
  const auto answer = client.ask(request);
  if (!answer) return tell(answer.error());
  const auto number = parse_number_in(answer->body, name);
  return number ? print(fmt::format("{}\n", *number))
                : tell(StoreClient::useless(request, number.error().detail));
}

int print_members(StoreClient& client, const StoreRequest& request, bool json) {
  const auto answer = client.ask(request);
  if (!answer) return tell(answer.error());
  if (json) return print(answer->body);
  const auto members = parse_members(answer->body);
  if (!members) return tell(StoreClient::useless(request, members.error().detail));
  std::string lines;
  for (const auto& [name, text] : *members) lines += fmt::format("{}\t{}\n", name, text);
  return print(lines);
}

int print_pages(StoreClient& client, const PagesRequest& pages,
                const std::function<Result<PrintedPage>(const std::string& json)>& read) {
  ReadTerms terms = pages.terms;
  uint64_t left = pages.most;
  for (std::string begin = pages.begin;;) {
    StoreRequest request{"GET", pages.path,
                         fmt::format("limit={}", std::min<uint64_t>(left, limits::kListItemsMax))};
    if (!pages.query.empty()) request.query += "&" + pages.query;
    add_read_terms(request.query, terms);
    if (!begin.empty()) request.query += "&" + begin;
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto page = read(answer->body);
    if (!page) return tell(StoreClient::useless(request, page.error().detail));
    const int code = print(page->lines);
    left -= std::min<uint64_t>(left, page->items);
    const std::string after = next_after(field_of(*answer, "Link"));
    if (code != EX_OK || after.empty() || left == 0) return code;
    begin.clear();
    add_parameter(begin, "after", after);
    const auto revision = parse_decimal(field_of(*answer, "Kvd-Revision"));
    if (!revision) return tell(StoreClient::useless(request, "an answer without its revision"));
    terms.min_revision = static_cast<uint64_t>(*revision);
  }
}

Result<PrintedPage> print_messages(const std::string& json) {
  const auto page = parse_message_page(json);
  if (!page) return failure(page.error().detail);
  if (page->gap) Say().line(gap_text(*page->gap));
  PrintedPage printed{"", page->messages.size()};
  for (const QueueMessage& message : page->messages) printed.lines += message.json + "\n";
  return printed;
}

int run_message_command(net::Loop& loop, const MessageCommand& command, uint64_t seed) {
  return run_at_store<MessageRun>(loop, command, seed);
}

}  // namespace kvd::client
