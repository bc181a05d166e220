// See http_services.hpp.
#include "shell/http/http_services.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/percent.hpp"
#include "msg/calls.hpp"
#include "msg/limits.hpp"
#include "shell/http/http_text.hpp"

namespace kvd {
namespace {

constexpr std::string_view kVersion = "/v1/";

struct HttpStatus {
  uint16_t status;
  std::string_view kind;  // of a refusal
};

HttpStatus http_status_of(ServiceStatus status) {
  switch (status) {
    case ServiceStatus::kOk:
      return {200, {}};
    case ServiceStatus::kCreated:
      return {201, {}};
    case ServiceStatus::kAccepted:
      return {202, {}};
    case ServiceStatus::kDone:
      return {204, {}};
    case ServiceStatus::kInvalid:
      return {400, "bad-request"};
    case ServiceStatus::kUnauthenticated:
      return {401, "unauthenticated"};
    case ServiceStatus::kForbidden:
      return {403, "forbidden"};
    case ServiceStatus::kNotFound:
      return {404, "not-found"};
    case ServiceStatus::kWrongVerb:
      return {405, "method-not-allowed"};
    case ServiceStatus::kNotInTime:
      return {408, "not-in-time"};
    case ServiceStatus::kConflict:
      return {409, "conflict"};
    case ServiceStatus::kGone:
      return {410, "gone"};
    case ServiceStatus::kConditionFailed:
      return {412, "condition-failed"};
    case ServiceStatus::kTooLarge:
      return {413, "too-large"};
    case ServiceStatus::kUnavailable:
      return {503, "unavailable"};
    case ServiceStatus::kUnknown:
      return {504, "timed-out"};
  }
  return {500, "unknown"};
}

// The field that shows a note; the place of what was made is shown by another one.
std::string_view field_of(std::string_view note) {
  if (note == kNoteHostsVersion) return "Kvd-Hosts-Version";
  if (note == kNoteComplete) return "Kvd-Complete";
  if (note == kNoteZnodeVersion) return "Kvd-Znode-Version";
  if (note == kNoteZnodeCzxid) return "Kvd-Znode-Czxid";
  if (note == kNoteZnodeMzxid) return "Kvd-Znode-Mzxid";
  if (note == kNoteZnodeOwner) return "Kvd-Znode-Ephemeral-Owner";
  return {};
}

// Of a note: a flag, a number or a text.
std::string field_value(const Value& note) {
  if (const auto* flag = std::get_if<bool>(&note.content)) return *flag ? "true" : "false";
  if (const auto number = note.number()) return std::to_string(*number);
  return note.text().value_or("");
}

void add_notes(HttpResponse& response, const Document& notes) {
  for (const auto& [name, value] : notes.members) {
    const std::string_view field = field_of(name);
    if (name == kNoteMade) {
      add_field(response, "Location", fmt::format("{}{}", kVersion, percent_encode_path(field_value(value))));
    } else if (!field.empty()) {
      add_field(response, field, field_value(value));
    }
  }
}

void add_body(HttpResponse& response, const AnswerContent& content) {
  if (const auto* document = std::get_if<Document>(&content)) {
    response.content_type = kJson;
    response.body = to_json(*document) + "\n";
  } else if (const auto* plain = std::get_if<PlainText>(&content)) {
    response.content_type = kPlainText;
    response.body = plain->text;
  } else if (const auto* octets = std::get_if<Octets>(&content)) {
    response.content_type = kOctets;
    response.body = octets->bytes;
  }
}

HttpResponse refusal(bool write, uint16_t status, std::string_view kind, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.kind = kind;
  problem.detail = std::move(detail);
  if (write) problem.outcome = status == 504 ? Outcome::kUnknown : Outcome::kNotApplied;
  return problem_response(problem);
}

HttpResponse wrong_verb(bool write, const std::string& allowed) {
  const HttpStatus http = http_status_of(ServiceStatus::kWrongVerb);
  HttpResponse response = refusal(write, http.status, http.kind, "allowed here: " + allowed);
  add_field(response, "Allow", allowed);
  return response;
}

std::optional<Verb> verb_of(HttpMethod method) {
  switch (method) {
    case HttpMethod::kGet:
    case HttpMethod::kHead:
      return Verb::kGet;
    case HttpMethod::kPut:
      return Verb::kPut;
    case HttpMethod::kPost:
      return Verb::kPost;
    case HttpMethod::kDelete:
      return Verb::kDelete;
    case HttpMethod::kOptions:
    case HttpMethod::kOther:
      break;
  }
  return std::nullopt;
}

// Every "name=value", or a name alone, of the query into `call`. A sentence when one is wrong.
std::string read_parameters(std::string_view query, ServiceCall& call) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (one.empty()) continue;
    const size_t equals = std::min(one.find('='), one.size());
    call.parameters.push_back(
        {query_decode(one.substr(0, equals)), query_decode(one.substr(std::min(equals + 1, one.size())))});
  }
  std::sort(call.parameters.begin(), call.parameters.end());
  const auto twice = std::adjacent_find(call.parameters.begin(), call.parameters.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice == call.parameters.end()) return {};
  return fmt::format("the query parameter '{}' is given twice", twice->name);
}

// How long the answer may take, which is the same for all calls.
std::string take_timeout(ServiceCall& call, Duration& timeout) {
  const auto given = std::find_if(call.parameters.begin(), call.parameters.end(),
                                  [](const auto& one) { return one.name == "timeout"; });
  if (given == call.parameters.end()) return {};
  const std::optional<uint64_t> ms = parse_number(given->value);
  if (!ms || *ms == 0 || *ms > kTimeoutMsMax)
    return fmt::format("the query parameter 'timeout' has to be a number from 1 to {}", kTimeoutMsMax);
  timeout = milliseconds(static_cast<int64_t>(*ms));
  call.parameters.erase(given);
  return {};
}

}  // namespace

std::optional<Collection> service_collection(std::string_view path) {
  if (!path.starts_with(kVersion)) return std::nullopt;
  path.remove_prefix(kVersion.size());
  const std::string_view name = path.substr(0, path.find('/'));
  for (int i = 0; i <= static_cast<int>(kLastCollection); ++i) {
    if (name == collection_name(static_cast<Collection>(i))) return static_cast<Collection>(i);
  }
  return std::nullopt;
}

std::optional<HttpResponse> accept_service(const HttpRequest& request, Collection collection,
                                           std::string_view path, std::string_view query,
                                           AcceptedHead& accepted) {
  path.remove_prefix(kVersion.size() + std::string_view(collection_name(collection)).size());
  if (path.starts_with('/')) path.remove_prefix(1);
  std::string decoded = percent_decode(path);
  const std::optional<Verb> verb = verb_of(request.method);
  if (!verb) return wrong_verb(false, allowed_verbs(collection, decoded));
  const bool write = *verb != Verb::kGet;
  ServiceCall& call = accepted.call.what.emplace<ServiceCall>();
  call.collection = collection;
  call.verb = *verb;
  call.path = std::move(decoded);
  std::string wrong = read_parameters(query, call);
  if (wrong.empty()) wrong = take_timeout(call, accepted.call.timeout);
  if (call.path.size() > limits::kKeyBytes)
    wrong = fmt::format("a path has at most {} bytes", limits::kKeyBytes);
  if (!wrong.empty()) return refusal(write, 400, "bad-request", std::move(wrong));
  accepted.plan.route = Route::kService;
  accepted.plan.write = write;
  accepted.body_bytes_max = limits::kZkData;
  accepted.body_name = "a body here";
  return std::nullopt;
}

bool holds(const ServiceCall& call) {
  return std::any_of(call.parameters.begin(), call.parameters.end(),
                     [](const auto& one) { return one.name == "hold"; });
}

HttpResponse render_service(const ServiceAnswer& answer, bool line, bool write) {
  const HttpStatus http = http_status_of(answer.status);
  if (answer.status == ServiceStatus::kWrongVerb) return wrong_verb(write, answer.why);
  if (refuses(answer.status)) return refusal(write, http.status, http.kind, answer.why);
  HttpResponse response;
  response.status = http.status;
  add_notes(response, answer.notes);
  response.streamed = line;
  if (line) {
    response.content_type = kJsonLines;
  } else {
    add_body(response, answer.content);
  }
  return response;
}

std::string line_of(const ServiceAnswer& answer) {
  const auto* document = std::get_if<Document>(&answer.content);
  return document == nullptr ? "\n" : to_json(*document) + "\n";
}

}  // namespace kvd
