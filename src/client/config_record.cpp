// See config_record.hpp.
#include "client/config_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_writer.hpp"
#include "base/percent.hpp"
#include "client/answers.hpp"

namespace kvd::client {
namespace {

using State = ConfigRecord::State;

constexpr std::array<const char*, 3> kStates = {"applying", "running", "failed"};  // in the order of State

const char* word_of(State state) { return kStates[static_cast<size_t>(state)]; }

// What stands in the record and in the status alike.
void add_members(JsonWriter& json, const ConfigRecord& record) {
  json.member("revision", record.config.revision).member("digest", record.config.digest);
  json.member("state", word_of(record.state));
  if (record.exit) json.member("exit", *record.exit);
  if (!record.problem.empty()) json.bytes_member("problem", record.problem);
  json.member("lease", record.lease).member("time", record.time);
}

bool is_current(const ConfigStatus& status, const ConfigNode& node) {
  return node.record.config == status.newest;
}

std::string state_text(const ConfigRecord& record) {
  if (!record.problem.empty()) return fmt::format("{}: {}", word_of(record.state), record.problem);
  if (record.state != State::kFailed || !record.exit) return word_of(record.state);
  return fmt::format("{}: the command ended with {}", word_of(record.state), *record.exit);
}

// As a column: the key may hold anything.
std::string node_text(const std::string& name) {
  const auto odd = [](unsigned char c) { return c <= ' ' || c >= 0x7f; };
  return std::any_of(name.begin(), name.end(), odd) ? percent_encode(name) : name;
}

}  // namespace

std::string record_json(const ConfigRecord& record) {
  JsonWriter json;
  json.begin_object();
  add_members(json, record);
  return json.end_object().take();
}

Result<ConfigRecord> parse_config_record(std::string_view text) {
  ConfigRecord record;
  const auto revision = parse_number_in(text, "revision");
  const auto lease = parse_number_in(text, "lease");
  const auto exit = parse_number_in(text, "exit");
  if (!revision || !lease) return failure("the record is none of kvd config sync's");
  record.config = {static_cast<uint64_t>(*revision), text_in(text, "digest")};
  const std::string state = text_in(text, "state");
  const auto known = std::find(kStates.begin(), kStates.end(), state);
  if (known == kStates.end()) return failure("the record has a state that is not known here");
  record.state = static_cast<State>(known - kStates.begin());
  if (exit) record.exit = static_cast<int>(*exit);
  record.problem = text_in(text, "problem");
  record.lease = static_cast<uint64_t>(*lease);
  record.time = text_in(text, "time");
  return record;
}

bool is_all_well(const ConfigStatus& status) {
  const auto well = [&status](const ConfigNode& node) {
    return node.alive && is_current(status, node) && node.record.state == State::kRunning;
  };
  return !status.nodes.empty() && std::all_of(status.nodes.begin(), status.nodes.end(), well);
}

std::string status_text(const ConfigStatus& status) {
  const auto counted = [](size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  std::string text = fmt::format("revision {} of {}: {}, {}\n", status.newest.revision, status.prefix,
                                 counted(status.keys, "key"), counted(status.nodes.size(), "node"));
  for (const ConfigNode& node : status.nodes) {
    const ConfigRecord& record = node.record;
    text += fmt::format(
        "{}\t{}\t{}\t{}\t{}\n", node_text(node.name), record.config.revision, state_text(record),
        node.alive ? "alive"
                   : fmt::format("blind since {} or later", record.time.empty() ? "?" : record.time),
        is_current(status, node) ? "current" : "behind");
  }
  return text;
}

std::string status_json(const ConfigStatus& status) {
  JsonWriter json;
  json.begin_object().bytes_member("prefix", status.prefix);
  json.member("revision", status.newest.revision).member("digest", status.newest.digest);
  json.member("keys", status.keys).key("nodes").begin_array();
  for (const ConfigNode& node : status.nodes) {
    json.begin_object().bytes_member("node", node.name);
    add_members(json, node.record);
    json.member("alive", node.alive).member("current", is_current(status, node)).end_object();
  }
  return json.end_array().end_object().take() + "\n";
}

}  // namespace kvd::client
