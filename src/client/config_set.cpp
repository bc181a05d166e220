// See config_set.hpp.
#include "client/config_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "base/percent.hpp"

namespace kvd::client {
namespace {

constexpr size_t kNameBytes = 255;  // of one component, on every file system that matters

const char* problem_of_component(std::string_view name) {
  if (name.empty()) return "has an empty component";
  if (name == "." || name == "..") return "has a component that is no name";
  if (name.find('\0') != std::string_view::npos) return "holds a NUL";
  return name.size() > kNameBytes ? "has a component of more than 255 bytes" : nullptr;
}

const char* problem_of_path(const ConfigSet& set, std::string_view path) {
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (const char* problem = problem_of_component(path.substr(at, end - at))) return problem;
    if (end < path.size() && set.contains(std::string(path.substr(0, end))))
      return "is below a key, which cannot be a file and a directory";
    at = end + 1;
  }
  return nullptr;
}

}  // namespace

ConfigName name_of(const ConfigSet& set) {
  ConfigName name;
  uint64_t digest = 0;
  for (const auto& [key, content] : set) {
    name.revision = std::max(name.revision, content.revision);
    digest = hash_bytes(content.value, hash_bytes(key, digest));
  }
  name.digest = fmt::format("{:016x}", digest);
  return name;
}

std::string problem_of_paths(const ConfigSet& set, std::string_view prefix) {
  for (const auto& [key, content] : set) {
    if (const char* problem = problem_of_path(set, key))
      return fmt::format("the key {}{} {}", percent_encode_path(prefix), percent_encode_path(key), problem);
  }
  return "";
}

}  // namespace kvd::client
