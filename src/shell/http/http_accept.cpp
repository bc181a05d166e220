// See http_accept.hpp.
#include "shell/http/http_accept.hpp"

#include <fmt/format.h>

#include <utility>

#include "msg/limits.hpp"

namespace kvd {

bool is_write_method(HttpMethod method) {
  return method == HttpMethod::kPut || method == HttpMethod::kPost || method == HttpMethod::kDelete;
}
bool is_read_method(HttpMethod method) { return method == HttpMethod::kGet || method == HttpMethod::kHead; }

PathStep first_step(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

HttpResponse refuse(const HttpRequest& request, uint16_t status, std::string_view kind, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.kind = kind;
  problem.detail = std::move(detail);
  if (is_write_method(request.method)) problem.outcome = Outcome::kNotApplied;
  return problem_response(problem);
}
HttpResponse bad_request(const HttpRequest& request, std::string detail) {
  return refuse(request, 400, "bad-request", std::move(detail));
}
HttpResponse wrong_method(const HttpRequest& request, std::string_view allow) {
  HttpResponse response = refuse(request, 405, "method-not-allowed", fmt::format("allowed here: {}", allow));
  add_field(response, "Allow", allow);
  return response;
}

void apply_read(AcceptedHead& accepted, const Query& query) {
  accepted.store().read = query.read;
  accepted.store().min_revision = query.min_revision;
  accepted.call.timeout = query.timeout;
}

void limit_small_body(AcceptedHead& accepted) {
  accepted.body_bytes_max = kSmallBodyBytes;
  accepted.body_name = "a request body here";
}

uint32_t page_limit(const Query& query) {
  return query.limit == 0 ? static_cast<uint32_t>(limits::kListItems) : query.limit;
}

std::string next_page(std::string_view path, const Query& query) {
  std::string link = fmt::format("{}?", path);
  if (query.prefix) link += "prefix=" + percent_encode(*query.prefix) + "&";
  if (query.message_state) link += fmt::format("state={}&", message_state_name(*query.message_state));
  if (query.limit != 0) link += fmt::format("limit={}&", query.limit);
  if (query.keys_only) link += "keys=true&";
  if (query.read == ReadMode::kLinear) link += "read=linear&";
  return link + "after=";
}

}  // namespace kvd
