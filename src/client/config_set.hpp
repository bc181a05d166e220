// A configuration as a value: the keys below a prefix as they are at one revision of the store, what tells it from
// others, and whether it can be files. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvd::client {

// Below the prefix, what the nodes say of themselves: no part of the configuration.
inline constexpr std::string_view kConfigRecords = ".running/";

struct ConfigKey {
  std::string value;
  uint64_t revision = 0;  // that wrote it
};

using ConfigSet = std::map<std::string, ConfigKey>;  // by the keys without their prefix

// Both together tell configurations apart. The revision alone does not: where a key is deleted that is not the newest
// one, nothing of what is left has another revision.
struct ConfigName {
  uint64_t revision = 0;  // of the newest key; 0: there are no keys
  std::string digest;     // of all keys and values: 16 hexadecimal digits

  bool operator==(const ConfigName& other) const = default;
};

ConfigName name_of(const ConfigSet& set);

// Why the keys cannot be the paths of files, in one line of ASCII that names one of them with `prefix`, as URLs have
// it; empty: they can.
std::string problem_of_paths(const ConfigSet& set, std::string_view prefix);

}  // namespace kvd::client
