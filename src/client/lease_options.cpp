// See lease_options.hpp and options_table.hpp.
#include "client/lease_options.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/decimal.hpp"
#include "client/help.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr char kGiveAnId[] = "give the id of a lease, as kvd lease grant prints it";

Duration read_ttl(CommandLine& line) {
  const std::string text = line.operands().empty() ? "" : line.operands().front();
  const auto ttl = parse_decimal(text);
  const bool good = ttl && *ttl >= int64_t{limits::kLeaseTtlMsMin} && *ttl <= int64_t{limits::kLeaseTtlMsMax};
  if (!good) {
    line.complain_of(text.empty() ? "TTL" : "TTL " + text,
                     fmt::format("give a whole number of milliseconds from {} to {}", limits::kLeaseTtlMsMin,
                                 limits::kLeaseTtlMsMax));
  }
  return milliseconds(good ? *ttl : 0);
}

uint64_t read_id(CommandLine& line, const std::string& what, const std::string& text) {
  const auto id = parse_decimal(text);
  const bool good = id && *id > 0;
  if (!good) line.complain_of(text.empty() ? what : what + " " + text, kGiveAnId);
  return good ? static_cast<uint64_t>(*id) : 0;
}

uint64_t read_one_id(CommandLine& line) {
  return read_id(line, "ID", line.operands().empty() ? "" : line.operands().front());
}

// ---- the actions ----

ClientCommand read_grant(CommandLine& line, const Surroundings&) {
  LeaseGrantOptions grant{read_access(line), read_ttl(line), "", line.is_on("json")};
  if (line.has("name")) grant.name = read_name(line, "name", "");
  return LeaseCommand(std::move(grant));
}

ClientCommand read_renew(CommandLine& line, const Surroundings&) {
  LeaseRenewOptions renew{read_access(line), {}, line.is_on("json")};
  if (line.operands().empty()) line.complain_of("ID", kGiveAnId);
  for (const std::string& text : line.operands()) renew.ids.push_back(read_id(line, "ID", text));
  return LeaseCommand(std::move(renew));
}

ClientCommand read_show(CommandLine& line, const Surroundings&) {
  return LeaseCommand(LeaseShowOptions{read_access(line), read_one_id(line), read_read_terms(line),
                                       line.is_on("keys"), line.is_on("json")});
}

ClientCommand read_lease_ls(CommandLine& line, const Surroundings&) {
  return LeaseCommand(LeaseListOptions{read_access(line), read_read_terms(line), line.is_on("json")});
}

ClientCommand read_lease_end(CommandLine& line, const Surroundings&) {
  return LeaseCommand(LeaseEndOptions{read_access(line), read_one_id(line)});
}

ClientCommand read_lease_hold(CommandLine& line, const Surroundings& surroundings) {
  LeaseHoldOptions hold;
  hold.servers = read_servers(line);
  if (!line.has("id")) {
    hold.ttl = read_ttl(line);
    hold.name = read_name(line, "name", own_name(surroundings));
  } else if (!line.operands().empty()) {
    line.complain("id", "give this or a TTL, not both");
  } else if (line.has("name")) {
    line.complain("name", "this is for a new lease, not for one with --id");
  } else {
    hold.id = read_id(line, "--id", line.text("id", ""));
  }
  hold.grace = read_grace(line);
  hold.command = line.command();
  return hold;
}

}  // namespace

std::vector<ClientEntry> lease_entries() {
  const FlagSpec json{"json", nullptr, "print what the server answered"};
  std::vector<ClientEntry> entries{
      {store_spec_of("lease grant", "TTL [OPTIONS]", 1, "Grants a lease, and prints its id.",
                     std::string(help::kLeaseGrant) + help::kLeaseWriteCodes,
                     {{"name", "NAME", "of the lease, for people, 1 to 255 bytes (none)"}, json}),
       read_grant},
      {store_spec_of("lease renew", "ID... [OPTIONS]", limits::kLeasesAtOnce,
                     "Renews leases, and prints what is left of each.",
                     std::string(help::kLeaseRenew) + help::kLeaseWriteCodes, {json}),
       read_renew},
      {store_spec_of("lease show", "ID [OPTIONS]", 1, "Prints a lease, and which keys end with it.",
                     std::string(help::kLeaseShow) + help::kLeaseReadCodes,
                     with_read_flags({{"keys", nullptr, "also its keys, each in a line of its own"}, json})),
       read_show},
      {store_spec_of(
           "lease ls", "[OPTIONS]", 0, "Lists all leases, one a line, the oldest first.",
           std::string(help::kLeaseLs) + help::kLeaseReadCodes,
           with_read_flags({{"json", nullptr, "one JSON object a line, as GET /v1/leases has them"}})),
       read_lease_ls},
      {store_spec_of("lease end", "ID [OPTIONS]", 1, "Ends a lease, and with it its keys.",
                     help::kLeaseWriteCodes, {}),
       read_lease_end},
      {client_spec_of(
           "lease hold", "TTL|--id ID [OPTIONS] [-- CMD ARGS...]",
           "Holds a lease as long as it runs, or as a command runs.", help::kLeaseHold,
           {{"id", "ID", "take this lease up instead of a new one, with the time that it was granted with"},
            {"name", "NAME", "of the lease, for people (this machine's name and a number)"},
            grace_flag()}),
       read_lease_hold},
  };
  entries.back().spec.operands = 1;
  entries.back().spec.command = true;
  return entries;
}

}  // namespace kvd::client
