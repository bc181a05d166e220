// See store_options.hpp and options_table.hpp.
#include "client/store_options.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/decimal.hpp"
#include "client/help.hpp"
#include "client/options_table.hpp"
#include "msg/limits.hpp"

namespace kvd::client {
namespace {

constexpr int64_t kTimeoutMs = 10'000;
constexpr int64_t kTimeoutMsMax = 600'000;

uint64_t read_revision(CommandLine& line, const char* flag) {
  return static_cast<uint64_t>(line.number(flag, 0, 1, INT64_MAX));
}

void check_key(CommandLine& line, const std::string& what, const std::string& key) {
  if (key.empty() || key.size() > limits::kKeyBytes)
    line.complain_of(what, fmt::format("give a key of 1 to {} bytes", limits::kKeyBytes));
}

std::string read_key(CommandLine& line) {
  std::string key = line.operands().empty() ? "" : line.operands().front();
  check_key(line, "KEY", key);
  return key;
}

std::string read_fence(CommandLine& line) {
  const std::string fence = line.text("fence", "");
  const size_t colon = fence.rfind(':');
  const auto token = colon == std::string::npos ? std::nullopt : parse_decimal(fence.substr(colon + 1));
  const bool good = token && *token > 0 && colon > 0 && colon <= limits::kFenceResourceBytes;
  if (line.has("fence") && !good) line.complain("fence", "give RESOURCE:TOKEN, as in app/db:34");
  return fence;
}

// Of a command that has no such flags they are what is taken for granted.
WriteTerms read_write_terms(CommandLine& line) {
  WriteTerms terms;
  terms.fence = read_fence(line);
  terms.if_revision = read_revision(line, "if-rev");
  return terms;
}

// ---- the commands ----

ClientCommand read_get(CommandLine& line, const Surroundings&) {
  return StoreCommand(
      GetOptions{read_access(line), read_key(line), read_read_terms(line), line.is_on("json")});
}

ClientCommand read_put(CommandLine& line, const Surroundings&) {
  PutOptions put{read_access(line), read_key(line), {}, read_write_terms(line), line.is_on("json")};
  put.terms.if_absent = line.is_on("if-absent");
  if (put.terms.if_absent && put.terms.if_revision != 0)
    line.complain("if-absent", "give this or --if-rev, not both");
  put.value = read_value(line);
  return StoreCommand(std::move(put));
}

ClientCommand read_del(CommandLine& line, const Surroundings&) {
  DelOptions del{read_access(line), "", line.text("prefix", ""), read_write_terms(line)};
  if (!line.has("prefix")) {
    del.key = read_key(line);
  } else if (!line.operands().empty()) {
    line.complain("prefix", "give this or a KEY, not both");
  } else if (line.has("if-rev")) {
    line.complain("if-rev", "this is for one KEY, not for --prefix");
  }
  check_key(line, "--prefix", del.key.empty() ? del.prefix : del.key);
  return StoreCommand(std::move(del));
}

ClientCommand read_ls(CommandLine& line, const Surroundings&) {
  ListOptions list{read_access(line), "", read_read_terms(line)};
  if (!line.operands().empty()) list.prefix = line.operands().front();
  if (list.prefix.size() > limits::kKeyBytes)
    line.complain_of("PREFIX", fmt::format("give at most {} bytes", limits::kKeyBytes));
  list.values = line.is_on("values");
  list.json = line.is_on("json");
  list.nul = line.is_on("0");
  return StoreCommand(std::move(list));
}

ClientCommand read_txn(CommandLine& line, const Surroundings&) {
  return StoreCommand(TxnOptions{read_access(line), read_input_file(line, 0), read_write_terms(line)});
}

ClientCommand read_add(CommandLine& line, const Surroundings&) {
  AddOptions add{read_access(line), read_key(line), 1, read_write_terms(line)};
  if (line.operands().size() < 2) return StoreCommand(std::move(add));
  const auto amount = parse_decimal(line.operands()[1]);
  if (!amount) line.complain_of("N", "give a whole number of 64 bits, as in 5 or -3");
  add.amount = amount.value_or(0);
  return StoreCommand(std::move(add));
}

ClientCommand read_watch(CommandLine& line, const Surroundings&) {
  WatchOptions watch;
  watch.servers = read_servers(line);
  watch.prefix = line.text("prefix", "");
  if (!line.operands().empty()) {
    if (line.has("prefix")) line.complain("prefix", "give this or a KEY, not both");
    watch.key = read_key(line);
  } else if (line.has("prefix")) {
    check_key(line, "--prefix", watch.prefix);
  }
  if (line.has("since")) watch.since = static_cast<uint64_t>(line.number("since", 0, 0, INT64_MAX));
  watch.state = line.is_on("state");
  watch.linear = line.is_on("linear");
  watch.values = line.is_on("values");
  watch.json = line.is_on("json");
  watch.nul = line.is_on("0");
  return watch;
}

}  // namespace

CommandSpec store_spec_of(const char* name, const char* usage, size_t operands, const char* does,
                          std::string notes, std::vector<FlagSpec> flags) {
  flags.push_back({"timeout", "MS", "how long each request may take, with its repetitions (10000)"});
  CommandSpec spec = client_spec_of(name, usage, does, std::move(notes), std::move(flags));
  spec.operands = operands;
  return spec;
}

InputSource read_value(CommandLine& line) {
  if (line.operands().size() < 2 || line.operands()[1] == "-") return {};
  const std::string& value = line.operands()[1];
  if (!value.starts_with('@')) return {InputSource::Kind::kText, value};
  if (value.size() == 1) line.complain_of("@", "give the file's name behind it");
  return {InputSource::Kind::kFile, value.substr(1)};
}

InputSource read_input_file(CommandLine& line, size_t place) {
  const std::string file = line.operands().size() > place ? line.operands()[place] : "-";
  if (file.empty()) line.complain_of("FILE", "the name is empty; give one, or - for the standard input");
  if (file == "-") return {};
  return {InputSource::Kind::kFile, file};
}

StoreAccess read_access(CommandLine& line) {
  return {read_servers(line), line.span("timeout", milliseconds(kTimeoutMs), 1, kTimeoutMsMax)};
}

std::vector<FlagSpec> with_read_flags(std::vector<FlagSpec> flags) {
  flags.push_back({"linear", nullptr, "the newest state there is, confirmed by the leader"});
  flags.push_back({"min-rev", "N", "wait until the server has revision N"});
  return flags;
}

ReadTerms read_read_terms(CommandLine& line) {
  return {line.is_on("linear"), read_revision(line, "min-rev")};
}

std::vector<ClientEntry> store_entries() {
  const FlagSpec fence{"fence", "RESOURCE:TOKEN",
                       "refused when a larger token has come for the resource; under kvd lock: "
                       "\"$KVD_LOCK:$KVD_FENCE\""};
  const FlagSpec if_rev{"if-rev", "N", "only if the key was last written at revision N"};
  std::vector<ClientEntry> entries{
      {store_spec_of(
           "get", "KEY [OPTIONS]", 1, "Writes the value of a key, byte by byte and nothing else.",
           std::string(help::kGet) + help::kReadCodes,
           with_read_flags(
               {{"json", nullptr, "one line: key, value, revision and version, as GET /v1/kv has them"}})),
       read_get},
      {store_spec_of("put", "KEY [VALUE|-|@FILE] [OPTIONS]", 2, "Puts a value, and prints the new revision.",
                     std::string(help::kPut) + help::kWriteCodes,
                     {if_rev,
                      {"if-absent", nullptr, "only if there is no such key"},
                      fence,
                      {"json", nullptr, "print what the server answered instead of the revision"}}),
       read_put},
      {store_spec_of("del", "KEY|--prefix P [OPTIONS]", 1, "Deletes keys, and prints how many.",
                     std::string(help::kDel) + help::kWriteCodes,
                     {{"prefix", "P", "all keys that begin with P, page by page"}, if_rev, fence}),
       read_del},
      {store_spec_of("ls", "[PREFIX] [OPTIONS]", 1, "Lists keys, one a line, in the order of their bytes.",
                     std::string(help::kLs) + help::kReadCodes,
                     with_read_flags({{"values", nullptr, "with their values: KEY, a tab, VALUE"},
                                      {"json", nullptr, "one JSON object a line, as GET /v1/kv has them"},
                                      {"0", nullptr, "NUL in place of each line's end and tab"}})),
       read_ls},
      {store_spec_of("txn", "[FILE|-] [OPTIONS]", 1, "Sends a transaction, and prints the answer.",
                     std::string(help::kTxn) + help::kWriteCodes, {fence}),
       read_txn},
      {store_spec_of("add", "KEY [N] [OPTIONS]", 2, "Adds to a number, and prints the sum.",
                     std::string(help::kAdd) + help::kWriteCodes, {fence}),
       read_add},
  };
  entries.back().spec.negative = true;
  entries.push_back(
      {client_spec_of("watch", "[KEY|--prefix P] [OPTIONS]",
                      "Prints each change of a key, of many or of all.", help::kWatch,
                      {{"prefix", "P", "all keys that begin with P"},
                       {"since", "N", "the changes behind revision N (from now on)"},
                       {"state", nullptr,
                        "what is there first; with --since only where the history does not reach back"},
                       {"values", nullptr, "with their values: REVISION, TYPE, KEY, VALUE"},
                       {"json", nullptr, "the lines of GET /v1/watch"},
                       {"0", nullptr, "NUL in place of each line's end and tab"},
                       {"linear", nullptr, "also a line when all that was acknowledged has been printed"}}),
       read_watch});
  entries.back().spec.operands = 1;
  return entries;
}

}  // namespace kvd::client
