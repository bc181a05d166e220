// See lease_commands.hpp.
#include "client/lease_commands.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/command_line.hpp"
#include "base/decimal.hpp"
#include "client/answers.hpp"
#include "client/output.hpp"
#include "client/store_client.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int kOver = 1;  // the lease

std::string path_of_lease(uint64_t id) { return fmt::format("/v1/leases/{}", id); }

std::string line_of(const ListedLease& lease) {
  return fmt::format("{}\t{}\t{}\t{}\n", lease.id, lease.left_ms, lease.ttl_ms, lease.name);
}

struct LeaseRun {
  StoreClient& client;

  int operator()(const LeaseGrantOptions& grant) const {
    StoreRequest request{"POST", "/v1/leases", fmt::format("ttl={}", to_ms(grant.ttl))};
    if (!grant.name.empty()) add_parameter(request.query, "name", grant.name);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    if (grant.json) return print(answer->body);
    const auto id = parse_number_in(answer->body, "lease");
    if (!id) return tell(StoreClient::useless(request, id.error().detail));
    return print(fmt::format("{}\n", *id));
  }

  // What a renewal is answered holds from then on: so it has no idempotency key, by which the answer would be repeated.
  int operator()(const LeaseRenewOptions& renew) const {
    StoreRequest request{"POST", "/v1/leases/renew"};
    request.body = fmt::format("{{\"leases\":[{}]}}", fmt::join(renew.ids, ","));
    request.keyed = false;
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto left = parse_renewals(answer->body);
    if (!left) return tell(StoreClient::useless(request, left.error().detail));
    if (left->size() != renew.ids.size())
      return tell(StoreClient::useless(request, "the answer is about other leases"));
    std::string lines;
    std::vector<uint64_t> over;
    for (size_t i = 0; i < renew.ids.size(); ++i) {
      if ((*left)[i]) {
        lines += fmt::format("{}\t{}\n", renew.ids[i], *(*left)[i]);
      } else {
        over.push_back(renew.ids[i]);
      }
    }
    const int code = print(renew.json ? answer->body : lines);
    if (code != EX_OK || over.empty()) return code;
    return tell(CommandEnd{kOver, fmt::format("over, or never there: {}", fmt::join(over, ", "))});
  }

  int operator()(const LeaseShowOptions& show) const {
    StoreRequest request{"GET", path_of_lease(show.id)};
    if (show.keys) add_parameter(request.query, "keys", "1");
    add_read_terms(request.query, show.terms);
    const auto answer = client.ask(request);
    if (!answer) return tell(answer.error());
    const auto lease = parse_lease(answer->body);
    if (!lease) return tell(StoreClient::useless(request, lease.error().detail));
    if (show.json) return print(lease->json + "\n");
    std::string lines = line_of(*lease);
    for (const std::string& key : lease->keys) lines += key + "\n";
    return print(lines);
  }

  int operator()(const LeaseListOptions& list) const {
    std::string after;
    ReadTerms terms = list.terms;
    for (;;) {
      StoreRequest request{"GET", "/v1/leases", fmt::format("limit={}", limits::kListItemsMax)};
      add_read_terms(request.query, terms);
      if (!after.empty()) add_parameter(request.query, "after", after);
      const auto answer = client.ask(request);
      if (!answer) return tell(answer.error());
      const auto page = parse_lease_page(answer->body);
      if (!page) return tell(StoreClient::useless(request, page.error().detail));
      std::string lines;
      for (const ListedLease& lease : *page) lines += list.json ? lease.json + "\n" : line_of(lease);
      const int code = print(lines);
      if (code != EX_OK || page->empty() || field_of(*answer, "Link").empty()) return code;
      after = std::to_string(page->back().id);
      const auto revision = parse_decimal(field_of(*answer, "Kvd-Revision"));
      if (!revision) return tell(StoreClient::useless(request, "an answer without its revision"));
      terms.min_revision = static_cast<uint64_t>(*revision);  // another server's copy may be older
    }
  }

  int operator()(const LeaseEndOptions& end) const {
    const auto answer = client.ask({"DELETE", path_of_lease(end.id)});
    return answer ? EX_OK : tell(answer.error());
  }
};

}  // namespace

int run_lease_command(net::Loop& loop, const LeaseCommand& command, uint64_t seed) {
  return run_at_store<LeaseRun>(loop, command, seed);
}

}  // namespace kvd::client
