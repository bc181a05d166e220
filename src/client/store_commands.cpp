// See store_commands.hpp.
#include "client/store_commands.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <string>
#include <string_view>
#include <variant>

#include "base/command_line.hpp"
#include "base/percent.hpp"
#include "client/answers.hpp"
#include "client/input.hpp"
#include "client/output.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int kElseOrMissing = 1;

std::string path_of(const std::string& key) { return "/v1/kv/" + percent_encode_path(key); }

void add_write_terms(StoreRequest& request, const WriteTerms& terms) {
  if (!terms.fence.empty()) add_parameter(request.query, "fence", terms.fence);
  if (terms.if_revision != 0) request.fields += fmt::format("If-Match: \"{}\"\r\n", terms.if_revision);
  if (terms.if_absent) request.fields += "If-None-Match: *\r\n";
}

struct StoreRun {
  StoreClient& client;

  int operator()(const GetOptions& get) const {
    if (get.json) return get_with_metadata(get);
    StoreRequest request{"GET", path_of(get.key)};
    add_read_terms(request.query, get.terms);
    const auto answer = client.ask(request);
    return answer ? print(answer->body) : tell(answer.error());
  }

  int operator()(const PutOptions& put) const {
    auto value = read_input(put.value);
    if (!value) return tell(value.error());
    StoreRequest request{"PUT", path_of(put.key)};
    add_write_terms(request, put.terms);
    request.body = std::move(*value);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    return put.json ? print(answer->body) : print_number(request, *answer, "revision");
  }

  int operator()(const DelOptions& del) const {
    if (del.key.empty()) return delete_pages(del);
    StoreRequest request{"DELETE", path_of(del.key)};
    add_write_terms(request, del.terms);
    const auto answer = client.ask(request);
    return answer ? print("1\n") : tell(answer.error());
  }

  int operator()(const ListOptions& list) const {
    std::string after;
    ReadTerms terms = list.terms;
    for (;;) {
      StoreRequest request{"GET", "/v1/kv", fmt::format("limit={}", limits::kListItemsMax)};
      add_read_terms(request.query, terms);
      if (!list.values) add_parameter(request.query, "keys", "true");
      if (!list.prefix.empty()) add_parameter(request.query, "prefix", list.prefix);
      if (!after.empty()) add_parameter(request.query, "after", after);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      const auto page = parse_key_page(answer->body);
      if (!page) return tell(StoreClient::useless(request, page.error().detail));
      const int code = print(lines_of(list, *page));
      if (code != EX_OK || page->keys.empty() || field_of(*answer, "Link").empty()) return code;
      after = page->keys.back().key;
      terms.min_revision = page->revision;  // another server's copy may be older
    }
  }

  int operator()(const TxnOptions& txn) const {
    auto body = read_input(txn.body);
    if (!body) return tell(body.error());
    StoreRequest request{"POST", "/v1/txn"};
    add_write_terms(request, txn.terms);
    request.body = std::move(*body);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto succeeded = parse_flag_in(answer->body, "succeeded");
    if (!succeeded) return tell(StoreClient::useless(request, succeeded.error().detail));
    return print(answer->body, *succeeded ? EX_OK : kElseOrMissing);
  }

  int operator()(const AddOptions& add) const {
    StoreRequest request{"POST", path_of(add.key), fmt::format("add={}", add.amount)};
    add_write_terms(request, add.terms);
    const auto answer = client.ask(request);
    return answer ? print_number(request, *answer, "value") : tell(answer.error());
  }

 private:
  // Only a listing tells more of a key than its revision; the key itself is the first of those that begin with it.
  int get_with_metadata(const GetOptions& get) const {
    StoreRequest request{"GET", "/v1/kv", "limit=1"};
    add_read_terms(request.query, get.terms);
    add_parameter(request.query, "prefix", get.key);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto page = parse_key_page(answer->body);
    if (!page) return tell(StoreClient::useless(request, page.error().detail));
    if (page->keys.empty() || page->keys.front().key != get.key)
      return tell(CommandEnd{kElseOrMissing, "there is no such key"});
    return print(page->keys.front().json + "\n");
  }

  int delete_pages(const DelOptions& del) const {
    StoreRequest request{"DELETE", "/v1/kv", fmt::format("limit={}", limits::kListItemsMax)};
    add_parameter(request.query, "prefix", del.prefix);
    add_write_terms(request, del.terms);
    const auto deleted = client.delete_pages(request, "deleted", "keys");
    if (!deleted) return tell(deleted.error());
    if (*deleted == 0) return tell(CommandEnd{kElseOrMissing, "there is no such key"});
    return print(fmt::format("{}\n", *deleted));
  }

  static std::string lines_of(const ListOptions& list, const KeyPage& page) {
    const char end = list.nul ? '\0' : '\n';
    std::string lines;
    for (const ListedKey& listed : page.keys) {
      lines += list.json ? listed.json : listed.key;
      if (list.values && !list.json) (lines += list.nul ? '\0' : '\t') += listed.value;
      lines += end;
    }
    return lines;
  }

  static int print_number(const StoreRequest& request, const Response& answer, std::string_view name) {
    const auto number = parse_number_in(answer.body, name);
    if (!number) return tell(StoreClient::useless(request, number.error().detail));
    return print(fmt::format("{}\n", *number));
  }
};

}  // namespace

int run_store_command(net::Loop& loop, const StoreCommand& command, uint64_t seed) {
  return run_at_store<StoreRun>(loop, command, seed);
}

}  // namespace kvd::client
