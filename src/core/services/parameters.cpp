// See parameters.hpp.
#include "core/services/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/base64.hpp"
#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "msg/zk_checks.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

constexpr size_t kHolderNameBytes = 1024;

}  // namespace

void Parameters::fail(std::string problem) {
  if (problem_.empty()) problem_ = std::move(problem);
}

std::optional<std::string> Parameters::text(std::string_view name) {
  auto& all = call_.parameters;
  auto it = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
  if (it == all.end()) return std::nullopt;
  std::string value = std::move(it->value);
  all.erase(it);
  return value;
}

std::optional<uint64_t> Parameters::number(std::string_view name, uint64_t least, uint64_t most) {
  const std::optional<std::string> given = text(name);
  if (!given) return std::nullopt;
  uint64_t value = 0;
  const char* end = given->data() + given->size();
  const auto [rest, error] = std::from_chars(given->data(), end, value);
  if (error == std::errc() && rest == end && value >= least && value <= most) return value;
  fail(fmt::format("the query parameter '{}' has to be a number from {} to {}", name, least, most));
  return std::nullopt;
}

bool Parameters::flag(std::string_view name) {
  const std::optional<std::string> given = text(name);
  if (!given || *given == "0" || *given == "false") return false;
  if (*given != "1" && *given != "true") fail(fmt::format("the query parameter '{}' has to be 1 or 0", name));
  return true;
}

std::string Parameters::finish() {
  if (!call_.parameters.empty()) {
    fail(fmt::format("the query parameter '{}' is not known here", call_.parameters.front().name));
  }
  return problem_;
}

PathProblem problem_of_path(std::string_view path) {
  const std::string absolute = fmt::format("/{}", path);
  if (path.empty() || !zk_path_valid(absolute)) {
    return {ServiceStatus::kInvalid,
            "the path has to be one of znodes: UTF-8, no empty part, no '.' or '..', no slash at its end"};
  }
  for (const std::string_view own :
       {std::string_view(kElectionPath), std::string_view("/kvd"), std::string_view("/zookeeper")}) {
    if (at_or_below(absolute, own))
      return {ServiceStatus::kForbidden, fmt::format("{} is not for clients", own)};
  }
  return {};
}

std::string problem_of_holder_name(std::string_view name) {
  if (!name.empty() && name.size() <= kHolderNameBytes && is_utf8(name)) return {};
  return fmt::format("a name is a text in UTF-8 of 1 to {} bytes", kHolderNameBytes);
}

void text_member(JsonWriter& json, std::string_view name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    json.member(name, bytes);
  } else {
    json.member(std::string(name) + "_b64", std::string_view(base64_encode(bytes)));
  }
}

}  // namespace kvd
