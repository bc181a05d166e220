// See http_text.hpp.
#include "shell/http/http_text.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/decimal.hpp"
#include "msg/limits.hpp"
#include "shell/http/http_options.hpp"

namespace kvd {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Each setter: empty when the value is taken, else what it has to be.
using Setter = std::string (*)(Query& query, std::string value);

std::string set_flag(bool& flag, std::string_view value) {
  flag = value.empty() || value == "true" || value == "1";
  return flag || value == "false" || value == "0" ? "" : "true or false";
}
std::string set_read(Query& query, std::string value) {
  query.read = value == "linear" ? ReadMode::kLinear : ReadMode::kLocal;
  return value == "linear" || value == "local" ? "" : "local or linear";
}
std::string set_min_revision(Query& query, std::string value) {
  std::optional<uint64_t> number = parse_number(value);
  query.min_revision = Revision(number.value_or(0));
  return number ? "" : "a revision";
}
// The whole of `text` as a number within these bounds, of milliseconds.
std::optional<uint64_t> parse_ms(std::string_view text, uint64_t min, uint64_t max) {
  const std::optional<uint64_t> number = parse_number(text);
  return number && *number >= min && *number <= max ? number : std::nullopt;
}
std::string set_timeout(Query& query, std::string value) {
  const std::optional<uint64_t> ms = parse_ms(value, 1, kTimeoutMsMax);
  if (!ms) return fmt::format("1 to {} milliseconds", kTimeoutMsMax);
  query.timeout = milliseconds(*ms);
  return "";
}
std::string set_number(uint32_t& target, std::string_view value, size_t max) {
  const std::optional<uint64_t> number = parse_number(value);
  if (!number || *number < 1 || *number > max) return fmt::format("1 to {}", max);
  target = static_cast<uint32_t>(*number);
  return "";
}
std::string set_limit(Query& query, std::string value) {
  return set_number(query.limit, value, limits::kListItemsMax);
}
std::string set_key(std::string& target, std::string value) {
  if (value.size() > limits::kKeyBytes) return fmt::format("{} bytes at most", limits::kKeyBytes);
  target = std::move(value);
  return "";
}

std::string set_id(std::string& target, std::string value) {
  if (value.empty() || value.size() > limits::kServerIdBytes) return "the id of a server";
  target = std::move(value);
  return "";
}

// RESOURCE:TOKEN. The resource may hold colons itself.
std::string set_fence(Query& query, std::string value) {
  const size_t colon = value.rfind(':');
  std::optional<uint64_t> token;
  if (colon != std::string::npos) token = parse_number(std::string_view(value).substr(colon + 1));
  if (!token || *token < 1 || *token > limits::kFenceTokenMax || colon < 1 ||
      colon > limits::kFenceResourceBytes) {
    return fmt::format("RESOURCE:TOKEN, a resource of 1 to {} bytes and a token from 1 to {}",
                       limits::kFenceResourceBytes, limits::kFenceTokenMax);
  }
  value.resize(colon);
  query.fence = Fence{std::move(value), *token};
  return "";
}

std::string set_add(Query& query, std::string value) {
  query.add = parse_decimal(value);
  return query.add ? "" : "a decimal number of 64 bits";
}

std::string set_watched_key(Query& query, std::string value) {
  if (value.empty()) return fmt::format("1 to {} bytes", limits::kKeyBytes);
  return set_key(query.key.emplace(), std::move(value));
}
std::string set_since(Query& query, std::string value) {
  const std::optional<uint64_t> number = parse_number(value);
  query.since = Revision(number.value_or(0));
  return number ? "" : "a revision";
}
std::string set_wait(Query& query, std::string value) {
  const std::optional<uint64_t> ms = parse_ms(value, 0, limits::kWaitMs);
  if (!ms) return fmt::format("0 to {} milliseconds", limits::kWaitMs);
  query.wait = milliseconds(*ms);
  return "";
}
std::string set_progress(Query& query, std::string value) {
  const std::optional<uint64_t> ms = parse_ms(value, limits::kProgressMsMin, limits::kProgressMsMax);
  if (!ms) return fmt::format("{} to {} milliseconds", limits::kProgressMsMin, limits::kProgressMsMax);
  query.progress = milliseconds(*ms);
  return "";
}

std::string set_ttl(Query& query, std::string value) {
  const std::optional<uint64_t> ms = parse_ms(value, limits::kTtlMsMin, limits::kTtlMsMax);
  if (query.term) return "given without 'lease'";
  query.term = value == "keep" ? Term{Term::Kind::kKeep, 0} : Term{Term::Kind::kTime, ms.value_or(0)};
  if (ms || value == "keep") return "";
  return fmt::format("keep, or {} to {} milliseconds", limits::kTtlMsMin, limits::kTtlMsMax);
}
std::string set_lease(Query& query, std::string value) {
  const std::optional<uint64_t> id = parse_number(value);
  if (query.term) return "given without 'ttl'";
  query.term = Term{Term::Kind::kLease, id.value_or(0)};
  return id ? "" : "the id of a lease";
}
std::string set_touch(Query& query, std::string value) {
  query.touch = parse_ms(value, limits::kTtlMsMin, limits::kTtlMsMax);
  return query.touch ? "" : fmt::format("{} to {} milliseconds", limits::kTtlMsMin, limits::kTtlMsMax);
}
std::string set_lease_ttl(Query& query, std::string value) {
  query.lease_ttl = parse_ms(value, limits::kLeaseTtlMsMin, limits::kLeaseTtlMsMax).value_or(0);
  if (query.lease_ttl != 0) return "";
  return fmt::format("{} to {} milliseconds", limits::kLeaseTtlMsMin, limits::kLeaseTtlMsMax);
}
std::string set_name(Query& query, std::string value) {
  if (value.size() > limits::kLeaseNameBytes) return fmt::format("{} bytes at most", limits::kLeaseNameBytes);
  query.name = std::move(value);
  return "";
}
std::string set_hold_number(Query& query, std::string value) {
  query.hold_number = parse_number(value).value_or(0);
  return query.hold_number != 0 ? "" : "the number of a hold";
}
std::string set_after_lease(Query& query, std::string value) {
  const std::optional<uint64_t> id = parse_number(value);
  query.after_lease = id.value_or(0);
  return id ? "" : "the id of a lease";
}

NewMessage& message_in(Query& query) { return query.message ? *query.message : query.message.emplace(); }

std::string set_priority(Query& query, std::string value) {
  const std::optional<uint64_t> number = parse_number(value);
  if (!number || *number > UINT8_MAX) return fmt::format("0 to {}", UINT8_MAX);
  message_in(query).priority = static_cast<uint8_t>(*number);
  return "";
}
std::string set_delay(uint64_t& ms, std::string_view value) {
  const std::optional<uint64_t> number = parse_ms(value, 0, limits::kTtlMsMax);
  ms = number.value_or(0);
  return number ? "" : fmt::format("0 to {} milliseconds", limits::kTtlMsMax);
}
std::string set_text(std::string& target, std::string value, size_t max) {
  if (value.empty() || value.size() > max) return fmt::format("1 to {} bytes", max);
  target = std::move(value);
  return "";
}
std::string set_ttr(Query& query, std::string value) {
  query.ttr = parse_ms(value, limits::kTtrMsMin, limits::kTtrMsMax).value_or(0);
  if (query.ttr != 0) return "";
  return fmt::format("{} to {} milliseconds", limits::kTtrMsMin, limits::kTtrMsMax);
}
std::string set_receipt(Query& query, std::string value) {
  query.receipt = parse_number(value).value_or(0);
  return query.receipt != 0 ? "" : "the receipt of a message";
}
std::string set_after_message(Query& query, std::string value) {
  const std::optional<MessageId> id = parse_message_id(value);
  query.after_message = id.value_or(MessageId());
  return id ? "" : "the id of a message";
}
std::string set_place(Query& query, std::string value) {
  if (query.place) return "given without 'time'";
  query.place = parse_place(value);
  return query.place ? "" : "first, now or the id of a message";
}
std::string set_time(Query& query, std::string value) {
  if (query.place) return "given without another place";
  const std::optional<uint64_t> ms = parse_number(value);
  query.place = TopicPlace{TopicPlace::Kind::kTime, {}, ms.value_or(0)};
  return ms ? "" : "milliseconds since 1970";
}
std::string set_peek_state(Query& query, std::string value) {
  query.message_state = message_state(value);
  return query.message_state ? "" : "ready, delayed, in_flight or dead";
}
std::string set_kick_state(Query& query, std::string value) {
  query.message_state = message_state(value);
  const bool fits = query.message_state && query.message_state != MessageState::kInFlight;
  return fits ? "" : "dead, delayed or ready";
}
std::string set_stuck_state(Query& query, std::string value) {
  query.message_state = message_state(value);
  const bool fits =
      query.message_state == MessageState::kDead || query.message_state == MessageState::kDelayed;
  return fits ? "" : "dead or delayed";
}
std::string set_purge_state(Query& query, std::string value) {
  query.message_state = message_state(value);
  query.all_states = value == "all";
  const bool one = query.message_state && query.message_state != MessageState::kInFlight;
  return one || query.all_states ? "" : "all, ready, delayed or dead";
}

AccessQuestion& question_in(Query& query) {
  return query.question ? *query.question : query.question.emplace();
}
std::string set_user(Query& query, std::string value) {
  std::string& user = question_in(query).user = std::move(value);
  return problem_of_access_name(user).empty() ? "" : "the name of a user";
}
std::string set_right(Query& query, std::string value) {
  const auto right = question_in(query).right = right_of(value);
  return right ? "" : "read or write";
}
std::string set_resource(Query& query, std::string value) {
  const auto resource = question_in(query).resource = resource_of(value);
  return resource ? "" : "a resource that rules are about, as kv or locks";
}

std::string set_auth(Query& query, std::string value) {
  query.replace_rights = value == "replace";
  return query.replace_rights ? "" : "replace";
}

struct KnownParameter {
  std::string_view name;
  uint64_t bit;
  Setter set;
};
constexpr KnownParameter kParameters[] = {
    {"read", kQueryRead, set_read},
    {"min_rev", kQueryMinRevision, set_min_revision},
    {"timeout", kQueryTimeout, set_timeout},
    {"prefix", kQueryPrefix,
     [](Query& q, std::string v) { return set_key(q.prefix.emplace(), std::move(v)); }},
    {"limit", kQueryLimit, set_limit},
    {"after", kQueryAfter, [](Query& q, std::string v) { return set_key(q.after, std::move(v)); }},
    {"keys", kQueryKeys, [](Query& q, std::string v) { return set_flag(q.keys_only, v); }},
    {"to", kQueryTo, [](Query& q, std::string v) { return set_id(q.to, std::move(v)); }},
    {"fence", kQueryFence, set_fence},
    {"replace", kQueryReplace, [](Query& q, std::string v) { return set_flag(q.replace, v); }},
    {"add", kQueryAdd, set_add},
    {"append", kQueryAppend, [](Query& q, std::string v) { return set_flag(q.append, v); }},
    {"verbose", kQueryVerbose, [](Query& q, std::string v) { return set_flag(q.verbose, v); }},
    {"key", kQueryKey, set_watched_key},
    {"since", kQuerySince, set_since},
    {"wait", kQueryWait, set_wait},
    {"state", kQueryState, [](Query& q, std::string v) { return set_flag(q.state, v); }},
    {"values", kQueryValues, [](Query& q, std::string v) { return set_flag(q.values, v); }},
    {"progress", kQueryProgress, set_progress},
    {"ttl", kQueryTtl, set_ttl},
    {"lease", kQueryLease, set_lease},
    {"touch", kQueryTouch, set_touch},
    {"ttl", kQueryLeaseTtl, set_lease_ttl},
    {"name", kQueryName, set_name},
    {"after", kQueryAfterLease, set_after_lease},
    {"hold", kQueryHoldNumber, set_hold_number},
    {"hold", kQueryHold, [](Query& q, std::string v) { return set_flag(q.hold, v); }},
    {"if_empty", kQueryIfEmpty, [](Query& q, std::string v) { return set_flag(q.if_empty, v); }},
    {"priority", kQueryPriority, set_priority},
    {"delay", kQueryDelay, [](Query& q, std::string v) { return set_delay(message_in(q).delay_ms, v); }},
    {"max_age", kQueryMaxAge, [](Query& q, std::string v) { return set_delay(message_in(q).max_age_ms, v); }},
    {"group", kQueryGroup,
     [](Query& q, std::string v) {
       return set_text(message_in(q).group, std::move(v), limits::kGroupBytes);
     }},
    {"dedup", kQueryDedup,
     [](Query& q, std::string v) {
       return set_text(message_in(q).dedup, std::move(v), limits::kDedupBytes);
     }},
    {"create", kQueryCreate, [](Query& q, std::string v) { return set_flag(q.create, v); }},
    {"max", kQueryMax, [](Query& q, std::string v) { return set_number(q.max, v, limits::kMessagesAtOnce); }},
    {"credit", kQueryCredit,
     [](Query& q, std::string v) { return set_number(q.max, v, limits::kMessagesAtOnce); }},
    {"max", kQueryKickMax, [](Query& q, std::string v) { return set_number(q.max, v, limits::kKicked); }},
    {"ttr", kQueryTtr, set_ttr},
    {"raw", kQueryRaw, [](Query& q, std::string v) { return set_flag(q.raw, v); }},
    {"atomic", kQueryAtomic, [](Query& q, std::string v) { return set_flag(q.atomic, v); }},
    {"receipt", kQueryReceipt, set_receipt},
    {"after", kQueryAfterMessage, set_after_message},
    {"state", kQueryPeekState, set_peek_state},
    {"state", kQueryKickState, set_kick_state},
    {"state", kQueryPurgeState, set_purge_state},
    {"to", kQueryToQueue,
     [](Query& q, std::string v) { return set_text(q.to_queue, std::move(v), limits::kQueueNameBytes); }},
    {"after", kQueryAfterPlace, set_place},
    {"to", kQueryToPlace, set_place},
    {"time", kQueryTime, set_time},
    {"state", kQueryStuckState, set_stuck_state},
    {"user", kQueryUser, set_user},
    {"right", kQueryRight, set_right},
    {"resource", kQueryResource, set_resource},
    {"auth", kQueryAuth, set_auth},
    {"path", kQueryPath, [](Query& q, std::string v) { return set_key(question_in(q).path, std::move(v)); }},
};

const KnownParameter* find_parameter(std::string_view name, uint64_t allowed) {
  for (const KnownParameter& parameter : kParameters) {
    if (parameter.name == name && (parameter.bit & allowed) != 0) return &parameter;
  }
  return nullptr;
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<Query> parse_query(std::string_view text, uint64_t allowed) {
  Query query;
  uint64_t seen = 0;
  while (!text.empty()) {
    size_t end = text.find('&');
    std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (pair.empty()) continue;
    size_t equals = pair.find('=');
    std::string name = query_decode(pair.substr(0, equals));
    std::string value = equals == std::string_view::npos ? "" : query_decode(pair.substr(equals + 1));
    const KnownParameter* parameter = find_parameter(name, allowed);
    if (parameter == nullptr) return failure(fmt::format("the query parameter '{}' is unknown here", name));
    if ((seen & parameter->bit) != 0)
      return failure(fmt::format("the query parameter '{}' is given twice", name));
    seen |= parameter->bit;
    std::string wanted = parameter->set(query, std::move(value));
    if (!wanted.empty()) return failure(fmt::format("the query parameter '{}' has to be {}", name, wanted));
  }
  return query;
}

bool parse_entity_tags(std::string_view field, bool weak_counts, EntityTags& tags) {
  field = trim(field);
  if (field == "*") {
    tags.any = true;
    return true;
  }
  bool found = false;
  while (!field.empty()) {
    bool weak = field.starts_with("W/");
    if (weak) field.remove_prefix(2);
    size_t end = field.starts_with('"') ? field.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos) return false;
    std::string_view opaque = field.substr(1, end - 1);
    std::optional<uint64_t> number = parse_number(opaque);
    // One spelling for each revision, and revisions start at 1.
    bool ours = number && !opaque.starts_with('0');
    if (ours && (weak_counts || !weak)) tags.revisions.push_back(Revision(*number));
    found = true;
    field = trim(field.substr(end + 1));
    if (field.empty()) break;
    if (field.front() != ',') return false;
    // Empty list items are allowed.
    while (!field.empty() && field.front() == ',') field = trim(field.substr(1));
  }
  return found;
}

}  // namespace kvd
