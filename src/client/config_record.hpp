// What a node says of the configuration that it runs, as JSON in a key of its own, and what is made of what all of them
// say. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "client/config_set.hpp"

namespace kvd::client {

struct ConfigRecord {
  enum class State : uint8_t {
    kApplying,  // the command runs, or nothing is published yet
    kRunning,   // the configuration is published, and the command has ended with 0
    kFailed,    // the command has ended with another code, or a newer configuration cannot be published
  };
  ConfigName config;  // what is published; of an empty digest: nothing
  State state = State::kApplying;
  std::optional<int> exit;  // of the command for what is published, when it has ended; 128 + N: by signal N
  std::string problem;      // why a newer one is not published, in one line; empty: none
  uint64_t lease = 0;       // while it lives, the node does
  std::string time;         // of writing this, in UTC by the node's clock
};

std::string record_json(const ConfigRecord& record);
Result<ConfigRecord> parse_config_record(std::string_view json);

struct ConfigNode {
  std::string name;
  ConfigRecord record;
  bool alive = false;
};

struct ConfigStatus {
  std::string prefix;
  ConfigName newest;
  size_t keys = 0;
  std::vector<ConfigNode> nodes;
};

// Whether there are nodes, and each is alive and runs the newest configuration.
bool is_all_well(const ConfigStatus& status);

// A line about the configuration, and one for each node with tabs between its parts.
std::string status_text(const ConfigStatus& status);
// One line.
std::string status_json(const ConfigStatus& status);

}  // namespace kvd::client
