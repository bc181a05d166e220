// See znodes.hpp. Reads with simdjson's DOM, writes with JsonWriter; members that are not ours are ignored,
// so that a later version may add some.
#include "msg/znodes.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "base/json_writer.hpp"

namespace kvd {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

constexpr size_t kTextBytes = 255;
constexpr uint64_t kMinInSyncMax = 64;

// Reads the members of one object; the first one that is missing or wrong is remembered by name.
class ObjectReader {
 public:
  ObjectReader(element object, std::string name) : object_(object), name_(std::move(name)) {}

  std::string text(const char* name, size_t smallest) {
    std::string_view found;
    if (object_.at_key(name).get_string().get(found) != simdjson::SUCCESS)
      return fail(name, "is no string"), "";
    if (found.size() < smallest || found.size() > kTextBytes) fail(name, "has a wrong length");
    return std::string(found);
  }
  uint64_t number(const char* name, uint64_t low, uint64_t high) {
    uint64_t found = 0;
    if (object_.at_key(name).get_uint64().get(found) != simdjson::SUCCESS)
      return fail(name, "is no number"), 0;
    if (found < low || found > high) fail(name, "is out of range");
    return found;
  }
  uint64_t hex(const char* name) {
    std::string_view found;
    if (object_.at_key(name).get_string().get(found) != simdjson::SUCCESS)
      return fail(name, "is no string"), 0;
    uint64_t value = 0;
    auto [end, code] = std::from_chars(found.data(), found.data() + found.size(), value, 16);
    if (found.size() != 16 || code != std::errc() || end != found.data() + found.size()) {
      fail(name, "is not 16 hexadecimal digits");
    }
    return value;
  }
  // An empty id (when `smallest` is 0) stands for nobody; everybody else has an incarnation.
  Member member(size_t smallest) {
    Member found{ServerId{text("id", smallest)}, Incarnation(hex("incarnation"))};
    if (!found.id.value.empty() && found.incarnation == Incarnation(0))
      fail("incarnation", "is out of range");
    return found;
  }
  Member member_below(const char* name, size_t smallest) {
    element object;
    if (object_.at_key(name).get(object) != simdjson::SUCCESS) return fail(name, "is missing"), Member{};
    return member_of(object, name, smallest);
  }
  std::vector<Member> members_below(const char* name) {
    std::vector<Member> members;
    array found;
    if (object_.at_key(name).get_array().get(found) != simdjson::SUCCESS)
      return fail(name, "is no list"), members;
    for (element item : found) members.push_back(member_of(item, name, 1));
    if (std::adjacent_find(members.begin(), members.end(), std::greater_equal<>()) != members.end()) {
      fail(name, "is not sorted");
    }
    return members;
  }
  ElectionCause cause(const char* name) {
    std::string word = text(name, 1);
    for (int i = 0; i <= static_cast<int>(kLastElectionCause); ++i) {
      if (word == election_cause_name(static_cast<ElectionCause>(i))) return static_cast<ElectionCause>(i);
    }
    fail(name, "is no cause of an election");
    return ElectionCause::kBootstrap;
  }
  Address address(const char* name) {
    Result<Address> found = parse_address(text(name, 1));
    if (!found) return fail(name, "is no address"), Address{};
    return *found;
  }
  void fail(std::string_view member, std::string_view problem) {
    if (error_.empty()) error_ = fmt::format("{}{} {}", name_, member, problem);
  }
  const std::string& error() const { return error_; }

 private:
  Member member_of(element object, const char* name, size_t smallest) {
    ObjectReader inner(object, fmt::format("{}.", name));
    Member found = inner.member(smallest);
    if (error_.empty()) error_ = inner.error_;
    return found;
  }

  element object_;
  std::string name_;  // "leader." for what lies below leader
  std::string error_;
};

void write_member(JsonWriter& json, const Member& member) {
  json.member("id", member.id.value);
  json.member("incarnation", fmt::format("{:016x}", member.incarnation.value));
}

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > kTextBytes) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '[' && c != ']' && c != '/' && c != '"' && c != '\\';
  });
}

}  // namespace

bool at_or_below(std::string_view path, std::string_view znode) {
  return path.starts_with(znode) && (path.size() == znode.size() || path[znode.size()] == '/');
}

std::string member_path(const ServerId& id) { return fmt::format("{}/{}", kMembersPath, id.value); }

std::string life_path(const Member& member) {
  return fmt::format("{}/{}.{:016x}", kLivesPath, member.id.value, member.incarnation.value);
}

std::string election_path(const std::string& znode) { return fmt::format("{}/{}", kElectionPath, znode); }

std::string encode_register(const Register& content) {
  JsonWriter json;
  json.begin_object().member("cluster", content.cluster);
  json.member("lineage", content.lineage.value).member("epoch", content.epoch.value);
  json.key("leader").begin_object();
  write_member(json, content.leader);
  json.end_object()
      .member("cause", election_cause_name(content.cause))
      .member("leader_znode", content.leader_znode);
  json.key("in_sync").begin_array();
  for (const Member& member : content.in_sync) {
    json.begin_object();
    write_member(json, member);
    json.end_object();
  }
  json.end_array().member("min_in_sync", content.min_in_sync);
  json.member("change", fmt::format("{:016x}", content.change_id)).end_object();
  return json.take();
}

Result<Register> decode_register(std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return failure("not a JSON object");
  }
  ObjectReader reader(root, "");
  Register content;
  content.cluster = reader.text("cluster", 1);
  content.lineage = Lineage(reader.number("lineage", 0, kLineageMax));
  content.epoch = Epoch(reader.number("epoch", 0, kEpochMax));
  content.leader = reader.member_below("leader", 0);
  content.cause = reader.cause("cause");
  content.leader_znode = reader.text("leader_znode", 0);
  content.in_sync = reader.members_below("in_sync");
  content.min_in_sync = static_cast<uint32_t>(reader.number("min_in_sync", 1, kMinInSyncMax));
  content.change_id = reader.hex("change");
  if (!reader.error().empty()) return failure(reader.error());
  return content;
}

std::string encode_server_info(const ServerInfo& info) {
  JsonWriter json;
  json.begin_object();
  write_member(json, info.member);
  json.member("http", format_address(info.http)).member("peer", format_address(info.peer)).end_object();
  return json.take();
}

Result<ServerInfo> decode_server_info(std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS || !root.is_object()) {
    return failure("not a JSON object");
  }
  ObjectReader reader(root, "");
  ServerInfo info;
  info.member = reader.member(1);
  info.http = reader.address("http");
  info.peer = reader.address("peer");
  if (!reader.error().empty()) return failure(reader.error());
  return info;
}

std::string format_address(const Address& address) {
  bool brackets = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", address.host, brackets ? "]" : "", address.port);
}

Result<Address> parse_address(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return failure(fmt::format("'{}' has no port", text));
  std::string_view host = text.substr(0, colon);
  std::string_view digits = text.substr(colon + 1);
  bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  bool has_colon = host.find(':') != std::string_view::npos;
  if (!is_host(host) || has_colon != brackets) {
    return failure(fmt::format("'{}' is no host:port (an IPv6 address needs brackets)", text));
  }
  uint16_t port = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || end != digits.data() + digits.size() || port == 0) {
    return failure(fmt::format("'{}' has no port from 1 to 65535", text));
  }
  return Address{std::string(host), port};
}

}  // namespace kvd
