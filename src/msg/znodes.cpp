// See znodes.hpp. Reads with simdjson's DOM, writes with JsonWriter; members that are not ours are ignored,
// so that a later version may add some.
#include "msg/znodes.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "base/json.hpp"
#include "base/json_writer.hpp"

namespace kvd {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

constexpr size_t kTextBytes = 255;
constexpr uint64_t kMinInSyncMax = 64;

bool whole_number(std::string_view text, uint64_t& value, int base) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return !text.empty() && code == std::errc() && end == text.data() + text.size();
}

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
    if (found.size() != 16 || !whole_number(found, value, 16)) fail(name, "is not 16 hexadecimal digits");
    return value;
  }
  bool has(const char* name) {
    element ignored;
    return object_.at_key(name).get(ignored) == simdjson::SUCCESS;
  }
  bool flag(const char* name) {
    bool found = false;
    if (object_.at_key(name).get_bool().get(found) != simdjson::SUCCESS)
      fail(name, "is neither true nor false");
    return found;
  }
  int32_t version(const char* name) {
    int64_t found = 0;
    if (object_.at_key(name).get_int64().get(found) != simdjson::SUCCESS)
      return fail(name, "is no number"), 0;
    if (found < kNoVersion || found > INT32_MAX) fail(name, "is out of range");
    return static_cast<int32_t>(found);
  }
  // Each one as "EPOCH/EPOCH_ID/SERIAL".
  std::vector<PastEpoch> history(const char* name) {
    std::vector<PastEpoch> all;
    array found;
    if (object_.at_key(name).get_array().get(found) != simdjson::SUCCESS)
      return fail(name, "is no list"), all;
    for (element item : found) {
      std::string_view text;
      if (item.get_string().get(text) != simdjson::SUCCESS) return fail(name, "is no list of texts"), all;
      const size_t first = text.find('/');
      const size_t second = text.rfind('/');
      PastEpoch past;
      if (first == std::string_view::npos || first == second ||
          !whole_number(text.substr(0, first), past.epoch.value, 10) ||
          !whole_number(text.substr(first + 1, second - first - 1), past.id, 16) ||
          !whole_number(text.substr(second + 1), past.serial, 10))
        return fail(name, "is no list of EPOCH/EPOCH_ID/SERIAL"), all;
      all.push_back(past);
    }
    if (all.size() > kHistoryMax) fail(name, "is too long");
    return all;
  }
  template <class Content, class Read>
  std::optional<Content> optional_below(const char* name, Read read) {
    element object;
    if (object_.at_key(name).get(object) != simdjson::SUCCESS) return std::nullopt;
    if (!object.is_object()) return fail(name, "is no object"), std::nullopt;
    ObjectReader inner(object, fmt::format("{}{}.", name_, name));
    Content content = read(inner);
    if (error_.empty()) error_ = inner.error_;
    return content;
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

std::string hex_text(uint64_t value) { return fmt::format("{:016x}", value); }

void write_member(JsonWriter& json, const Member& member) {
  json.member("id", member.id.value);
  json.member("incarnation", hex_text(member.incarnation.value));
}

void write_register(JsonWriter& json, const Register& content) {
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
  json.end_array().member("min_in_sync", content.min_in_sync).member("disks", content.disks);
  json.member("change", hex_text(content.change_id));
  json.member("serial", content.serial).member("epoch_id", hex_text(content.epoch_id));
  json.key("history").begin_array();
  for (const PastEpoch& past : content.history)
    json.value(fmt::format("{}/{}/{}", past.epoch.value, hex_text(past.id), past.serial));
  json.end_array().end_object();
}

Register read_register(ObjectReader& reader) {
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
  if (reader.has("serial")) {  // the first version of kvd wrote none of these
    content.serial = reader.number("serial", 0, kEpochMax);
    content.epoch_id = reader.hex("epoch_id");
    content.history = reader.history("history");
    content.disks = reader.has("disks") && reader.flag("disks");
  }
  return content;
}

void write_server_info(JsonWriter& json, const ServerInfo& info) {
  write_member(json, info.member);
  json.member("http", format_address(info.http)).member("peer", format_address(info.peer));
  json.member("durable", info.durable);
}

ServerInfo read_server_info(ObjectReader& reader) {
  ServerInfo info;
  info.member = reader.member(1);
  info.http = reader.address("http");
  info.peer = reader.address("peer");
  info.durable = reader.has("durable") && reader.flag("durable");
  return info;
}

void write_claim(JsonWriter& json, const Claim& claim) {
  json.begin_object().member("found", claim.found);
  if (claim.proposed) write_register(json.key("proposed"), *claim.proposed);
  json.member("epoch", claim.end.epoch.value).member("end", claim.end.revision.value);
  json.member("knows", claim.knows.value)
      .member("commit", claim.commit.value)
      .member("digest", hex_text(claim.digest));
  json.member("differs", claim.differs).end_object();
}

Claim read_claim(ObjectReader& reader) {
  Claim claim;
  claim.found = reader.version("found");
  claim.proposed = reader.optional_below<Register>("proposed", read_register);
  claim.end =
      LogPosition{Epoch(reader.number("epoch", 0, kEpochMax)), Revision(reader.number("end", 0, INT64_MAX))};
  claim.knows = Epoch(reader.number("knows", 0, kEpochMax));
  claim.commit = Revision(reader.number("commit", 0, INT64_MAX));
  claim.digest = reader.hex("digest");
  claim.differs = reader.flag("differs");
  return claim;
}

template <class Content, class Read>
Result<Content> decode_with(std::string_view json, Read read) {
  simdjson::dom::parser parser;
  element root;
  if (parse_json(parser, json, root) != simdjson::SUCCESS || !root.is_object()) {
    return failure("not a JSON object");
  }
  ObjectReader reader(root, "");
  Content content = read(reader);
  if (!reader.error().empty()) return failure(reader.error());
  return content;
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
  write_register(json, content);
  return json.take();
}

Result<Register> decode_register(std::string_view json) { return decode_with<Register>(json, read_register); }

std::string encode_server_info(const ServerInfo& info) {
  JsonWriter json;
  json.begin_object();
  write_server_info(json, info);
  json.end_object();
  return json.take();
}

Result<ServerInfo> decode_server_info(std::string_view json) {
  return decode_with<ServerInfo>(json, read_server_info);
}

std::string encode_registration(const Registration& registration) {
  JsonWriter json;
  json.begin_object();
  write_server_info(json, registration.info);
  if (registration.remembers) write_register(json.key("remembers"), *registration.remembers);
  if (registration.claim) write_claim(json.key("claim"), *registration.claim);
  json.end_object();
  return json.take();
}

Result<Registration> decode_registration(std::string_view json) {
  return decode_with<Registration>(json, [](ObjectReader& reader) {
    Registration registration;
    registration.info = read_server_info(reader);
    registration.remembers = reader.optional_below<Register>("remembers", read_register);
    registration.claim = reader.optional_below<Claim>("claim", read_claim);
    return registration;
  });
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
