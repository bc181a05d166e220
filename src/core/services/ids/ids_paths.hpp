// Where ids stand in ZooKeeper: what ids.hpp describes, as functions.
// For its own two sources only.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvd {

inline std::string held_path(const std::string& pool) { return "/ids/" + pool; }
inline std::string held_path(const std::string& pool, uint32_t id) {
  return fmt::format("/ids/{}/{}", pool, id);
}
inline std::string pool_path(const std::string& pool) { return "/kvd/ids/" + pool; }
inline std::string claims_path(const std::string& pool) { return pool_path(pool) + "/claims"; }
inline std::string claims_path(const std::string& pool, uint32_t id) {
  return fmt::format("{}/{}", claims_path(pool), id);
}
inline std::string resting_path(const std::string& pool) { return pool_path(pool) + "/resting"; }
inline std::string resting_path(const std::string& pool, uint32_t id) {
  return fmt::format("{}/{}", resting_path(pool), id);
}

}  // namespace kvd
