// See name_entry.hpp.
#include "core/services/names/name_entry.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/ip_address.hpp"
#include "base/json.hpp"
#include "base/json_writer.hpp"
#include "msg/name_rules.hpp"

namespace kvd {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kMinifyRoom = 64;  // simdjson writes whole blocks

// The text of the value of the top object's member number `index`, without white space.
std::string text_of_member(std::string_view json, size_t index) {
  std::string text(json.size() + kMinifyRoom, '\0');
  size_t size = 0;
  const auto code = simdjson::minify(json.data(), json.size(), text.data(), size);
  CHECK(code == simdjson::SUCCESS);  // it has been parsed
  text.resize(size);
  size_t begin = 1;
  size_t depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '\\') ++at;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '{' || c == '[') ++depth;
    const bool last = (c == '}' || c == ']') && --depth == 0;
    if (!last && !(c == ',' && depth == 1)) continue;
    if (index-- == 0) {
      const size_t colon = text.find("\":", begin);  // no key that is wanted has a quote in it
      return text.substr(colon + 2, at - colon - 2);
    }
    begin = at + 1;
  }
  CHECK(!"a member of the object");
  return {};
}

// Reads one member into `entry`: a sentence when it is wrong.
std::string read_member(std::string_view json, size_t index, dom::key_value_pair member, NameEntry& entry) {
  if (member.key == "address") {
    std::string_view text;
    const bool is_text = member.value.get(text) == simdjson::SUCCESS;
    const std::optional<std::string> address = is_text ? canonical_ip(text) : std::nullopt;
    if (!address) return "\"address\" has to be an IPv4 or IPv6 address as a string";
    entry.address = *address;
  } else if (member.key == "port") {
    uint64_t port = 0;
    if (member.value.get(port) != simdjson::SUCCESS || port > UINT16_MAX)
      return "\"port\" has to be a number from 0 to 65535";
    entry.port = static_cast<uint16_t>(port);
  } else if (member.key == "meta") {
    if (!member.value.is_object()) return "\"meta\" has to be a JSON object";
    entry.meta = text_of_member(json, index);
  } else {
    return fmt::format("the member \"{}\" is unknown here", member.key);
  }
  return {};
}

bool has(const NameEntry& entry, std::string_view key) {
  if (key == "address") return !entry.address.empty();
  if (key == "port") return entry.port.has_value();
  return key == "meta" && !entry.meta.empty();
}

}  // namespace

bool name_within(std::string_view path, std::string_view zone) {
  return zone.empty() || path == zone || (path.starts_with(zone) && path[zone.size()] == '/');
}

std::string host_name_of(std::string_view path) {
  std::string name;
  while (!path.empty()) {
    const size_t slash = path.rfind('/');
    const size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
    if (!name.empty()) name += '.';
    name += path.substr(begin);
    path = path.substr(0, begin == 0 ? 0 : slash);
  }
  return name;
}

Result<NameEntry> parse_name(std::string_view body) {
  if (body.empty()) return NameEntry{};
  dom::parser parser;
  dom::element document;
  dom::object object;
  const simdjson::error_code code = parse_json(parser, body, document);
  if (code != simdjson::SUCCESS)
    return failure(fmt::format("the body is no JSON: {}", simdjson::error_message(code)));
  if (document.get(object) != simdjson::SUCCESS) return failure("the body has to be a JSON object");
  NameEntry entry;
  size_t index = 0;
  for (const dom::key_value_pair member : object) {
    if (has(entry, member.key)) return failure(fmt::format("\"{}\" is given twice", member.key));
    const std::string wrong = read_member(body, index++, member, entry);
    if (!wrong.empty()) return failure(wrong);
  }
  return entry;
}

std::optional<NameEntry> decode_name(std::string_view data) {
  dom::parser parser;
  dom::element document;
  dom::object object;
  if (data.size() > 2 * kNameBodyBytes ||
      parse_json(parser, data, document) != simdjson::SUCCESS ||
      document.get(object) != simdjson::SUCCESS)
    return std::nullopt;
  NameEntry entry;
  size_t index = 0;
  for (const dom::key_value_pair member : object) {
    bool allocated = false;
    if (member.key == "allocated" && member.value.get(allocated) == simdjson::SUCCESS)
      entry.allocated = allocated;
    read_member(data, index++, member, entry);
  }
  if (entry.address.empty()) return std::nullopt;
  return entry;
}

std::string encode_name(const NameEntry& entry) {
  JsonWriter json;
  json.begin_object().member("address", std::string_view(entry.address));
  if (entry.port) json.member("port", *entry.port);
  if (entry.allocated) json.member("allocated", true);
  if (!entry.meta.empty()) json.key("meta").raw(entry.meta);
  return json.end_object().take();
}

uint32_t pool_size(const AddressPool& pool) { return (UINT32_MAX >> pool.prefix) - 1; }

std::string pool_address(const AddressPool& pool, uint32_t index) {
  const uint32_t address = pool.network + 1 + index;
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

}  // namespace kvd
