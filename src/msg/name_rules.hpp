// What may stand as a name in a call of the coordination services: for znodes, hosts, ids, tasks and workers, and for
// who holds something. Pure functions.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvd {

inline constexpr size_t kHolderNameBytes = 1024;
inline constexpr uint32_t kIdMax = 1024;
inline constexpr size_t kNameBodyBytes = 8192;  // what is said of a name of a host
inline constexpr size_t kTaskNameBytes = 255;   // of ids and workers
inline constexpr size_t kTaskKindBytes = 64;

// What kvd or ZooKeeper keeps for itself there: the top of it; empty: `path` may be a client's.
std::string_view own_znode_above(std::string_view path);

// What is wrong with the name as which a client holds something: others read it in ZooKeeper, and expect a text.
std::string problem_of_holder_name(std::string_view name);

// What is wrong with a path behind /v1/names/, as a sentence; empty: nothing. Its parts become labels of a host name.
std::string problem_of_name(std::string_view path);
bool is_label(std::string_view text);  // of a host name, and no 'localhost'
// Resolvers take such a label, or a name that ends in one, for an address: 7 or 0x7f.
bool is_number(std::string_view label);

// The name of a pool of ids: one part of a path.
std::string problem_of_pool(std::string_view pool);
// Decimal without zeros before it, 1 to kIdMax.
std::optional<uint32_t> id_number(std::string_view name);

// Of one id or worker: one part of a path, UTF-8, of 1 to kTaskNameBytes.
bool task_name_valid(std::string_view name);
// Of a client's word for what the task is: it has to fit into a program's environment.
bool task_kind_valid(std::string_view kind);

}  // namespace kvd
