// Runs the commands that kvd queue and kvd topic have in common, but for work: each sends a request, or one for each
// page or batch, and prints what came of it. And the parts that their other commands are made of. Loop thread only.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json_writer.hpp"
#include "base/result.hpp"
#include "client/message_options.hpp"
#include "client/store_client.hpp"
#include "net/loop.hpp"

namespace kvd::client {

// The exit code: see --help of each.
int run_message_command(net::Loop& loop, const MessageCommand& command, uint64_t seed);

// Sends a request and prints the number that the answer calls so.
int print_answered_number(StoreClient& client, const StoreRequest& request, std::string_view name);

// Sends a request and prints the members of the answer, one a line with its name in front; or all that it is.
int print_members(StoreClient& client, const StoreRequest& request, bool json);

// Page by page, none of them older than the one before.
struct PagesRequest {
  std::string path;     // percent-encoded
  std::string query{};  // likewise, of every page
  std::string begin{};  // likewise: where the first page begins, unless at the beginning
  ReadTerms terms;
  uint64_t most = UINT64_MAX;  // items, in all
};
struct PrintedPage {
  std::string lines;
  size_t items = 0;
};
int print_pages(StoreClient& client, const PagesRequest& pages,
                const std::function<Result<PrintedPage>(const std::string& json)>& read);
// Of messages, as they stand there, one a line. A gap is told on standard error.
Result<PrintedPage> print_messages(const std::string& json);

// The members of a configuration that queues share with subscriptions, and with topics.
template <class Config>
void write_delivery(JsonWriter& json, const Config& config) {
  json.member("ttr", config.ttr_ms).member("max_deliveries", config.max_deliveries);
  json.key("backoff").begin_array();
  for (const uint64_t ms : config.backoff_ms) json.value(ms);
  json.end_array().bytes_member("dead_letter", config.dead_letter);
  json.member("max_in_flight", config.max_in_flight);
}
template <class Config>
void write_bounds(JsonWriter& json, const Config& config) {
  json.member("dedup_window", config.dedup_window_ms).member("max_messages", config.max_messages);
  json.member("max_bytes", config.max_bytes).member("max_age", config.max_age_ms);
  json.member("discard", config.discard_old ? "old" : "none");
}

}  // namespace kvd::client
