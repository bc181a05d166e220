// One name: what its znode holds and a client sends, its host, and the addresses of a pool. Pure. (Which paths are
// names: msg/name_rules.hpp.)
//
// A znode's data, and without "allocated" the body of a PUT:
//   {"address":"10.0.0.5","port":80,"allocated":true,"meta":{..}}
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "core/config.hpp"

namespace kvd {

struct NameEntry {
  std::string address;  // IPv4 or IPv6, in the form of canonical_ip(); empty: one is to be allocated
  std::optional<uint16_t> port;
  std::string meta;        // a JSON object without white space, else as it came; empty: none
  bool allocated = false;  // the address is of a pool and claimed for this name
  bool operator==(const NameEntry&) const = default;
};

// At `zone` or below it; all are within "".
bool name_within(std::string_view path, std::string_view zone);
// "web/api/1" is the host 1.api.web.
std::string host_name_of(std::string_view path);

// Nothing but these members, each at most once, each optional. An empty body is {}.
Result<NameEntry> parse_name(std::string_view body);
std::string encode_name(const NameEntry& entry);
// Whoever wrote it: members that are not ours are left out; nothing when there is no good address.
std::optional<NameEntry> decode_name(std::string_view data);

// Those a host can have: neither the network's address nor the broadcast's. Counted from 0.
uint32_t pool_size(const AddressPool& pool);
std::string pool_address(const AddressPool& pool, uint32_t index);

}  // namespace kvd
