// See http_audit.hpp.
#include "shell/http/http_audit.hpp"

#include <algorithm>
#include <utility>

#include "base/json_writer.hpp"
#include "base/utc.hpp"

namespace kvd {
namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr uint64_t kMs = 1000;
constexpr size_t kPathMax = 2048;  // longer than any that means something
constexpr uint64_t kLinesASecond = 100;

std::string_view path_of(std::string_view target) {
  target = target.substr(0, target.find('?'));
  const size_t scheme = target.find(kSchemeEnd);
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  return target.substr(std::min(target.find('/', scheme + kSchemeEnd.size()), target.size()));
}

bool writes_by(HttpMethod method) {
  return method == HttpMethod::kPut || method == HttpMethod::kPost || method == HttpMethod::kDelete;
}

std::string_view name_of(HttpMethod method) {
  switch (method) {
    case HttpMethod::kGet:
      return "GET";
    case HttpMethod::kHead:
      return "HEAD";
    case HttpMethod::kPut:
      return "PUT";
    case HttpMethod::kPost:
      return "POST";
    case HttpMethod::kDelete:
      return "DELETE";
    case HttpMethod::kOptions:
      return "OPTIONS";
    case HttpMethod::kOther:
      break;
  }
  return "other";
}

JsonWriter& begin_line(JsonWriter& json, std::string_view node, uint64_t now_ms) {
  return json.begin_object().member("time", utc_text_ms(now_ms)).member("node", node);
}

std::string end_line(JsonWriter& json) { return json.end_object().take() + "\n"; }

}  // namespace

AuditRecord audit_record(HttpMethod method, std::string_view target, std::shared_ptr<const Caller> caller) {
  AuditRecord record{method, std::string(path_of(target).substr(0, kPathMax)), std::move(caller)};
  const std::string_view path = record.path;
  const bool rights = path.starts_with("/v1/auth/") && path != "/v1/auth/whoami" && path != "/v1/auth/test";
  const bool cluster =
      writes_by(method) && (path.starts_with("/v1/cluster/") || path.starts_with("/v1/fences/"));
  record.always = rights || cluster || path == "/v1/snapshot";
  return record;
}

bool is_audited(const AuditRecord& record, uint16_t status, bool writes) {
  constexpr uint16_t kContinue = 100, kRefused = 400, kStranger = 401, kForbidden = 403;
  if (record.path.empty() || status == kContinue) return false;
  if (record.always || status == kStranger || status == kForbidden) return true;
  return writes && writes_by(record.method) && status < kRefused;  // also those whose outcome is not known
}

bool AuditLimit::takes(uint64_t now_ms) {
  const uint64_t second = now_ms / kMs;
  if (std::exchange(second_, second) != second) lines_ = 0;
  if (++lines_ <= kLinesASecond) return true;
  ++left_out_;
  return false;
}

std::string audit_line(const AuditRecord& record, const AuditAnswer& answer, std::string_view node,
                       uint64_t now_ms) {
  JsonWriter json;
  begin_line(json, node, now_ms);
  json.member("user", record.caller ? std::string_view(record.caller->user) : kAnonymous);
  json.member("via", record.caller ? std::string_view(record.caller->via) : kViaNothing);
  if (!record.shown.empty()) json.member("shown", record.shown);
  json.member("address", answer.address.empty() ? "socket" : std::string_view(answer.address));
  json.member("method", name_of(record.method))
      .bytes_member("path", record.path)
      .member("status", answer.status);
  if (record.replaces_rights) json.member("auth", "replace");
  if (answer.status == 0) json.member("outcome", "unknown");
  if (answer.left_out != 0) json.member("left_out", answer.left_out);
  if (answer.revision != Revision(0)) json.member("revision", answer.revision.value);
  return end_line(json);
}

std::string audit_event(std::string_view what, std::string_view node, uint64_t now_ms) {
  JsonWriter json;
  begin_line(json, node, now_ms).member("event", what);
  return end_line(json);
}

}  // namespace kvd
