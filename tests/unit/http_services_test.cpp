// The coordination services over HTTP, without sockets: how a call is read, what is refused before it is one, and how
// each status is rendered.
#include "shell/http/http_services.hpp"

#include <doctest.h>

#include "msg/limits.hpp"

namespace kvd::http_services_test {

namespace {

const HttpIdentity kIdentity{ServerId{"a:1"}, "9.9", {"z:2181"}, 100};

HttpRequest request(HttpMethod method, std::string target) {
  HttpRequest out;
  out.method = method;
  out.target = std::move(target);
  return out;
}
Call accepted(HttpMethod method, std::string target) {
  AcceptedHead head;
  const std::optional<HttpResponse> refusal =
      accept_head(request(method, std::move(target)), kIdentity, head);
  if (refusal) FAIL(refusal->body);
  REQUIRE(std::holds_alternative<ServiceCall>(head.call.what));
  CHECK(head.plan.route == Route::kService);
  return std::move(head.call);
}
ServiceCall service_call(HttpMethod method, std::string target) {
  return std::get<ServiceCall>(accepted(method, std::move(target)).what);
}
int refused(std::string target) {
  AcceptedHead head;
  const std::optional<HttpResponse> refusal =
      accept_head(request(HttpMethod::kPost, std::move(target)), kIdentity, head);
  return refusal ? refusal->status : 0;
}
HttpResponse rendered(ServiceStatus status, std::string text, bool write = true) {
  return render_service(ServiceAnswer{status, std::move(text), ContentType::kJson, {}}, false, write);
}

}  // namespace

TEST_CASE("services: a call is its collection, verb, path and parameters") {
  const Call whole = accepted(HttpMethod::kPost, "/v1/locks/a%2Fb/c?wait=5&session=x%26y&timeout=70&flag");
  const ServiceCall& call = std::get<ServiceCall>(whole.what);
  CHECK(call.collection == Collection::kLocks);
  CHECK(call.verb == Verb::kPost);
  CHECK(call.path == "a/b/c");
  CHECK(whole.timeout == milliseconds(70));
  CHECK(call.parameters == std::vector<NamedText>{{"flag", ""}, {"session", "x&y"}, {"wait", "5"}});
  CHECK(service_call(HttpMethod::kPost, "/v1/sessions").path.empty());
  CHECK(service_call(HttpMethod::kHead, "/v1/elections/e").verb == Verb::kGet);
  CHECK(service_call(HttpMethod::kGet, "/v1/elections/e").collection == Collection::kElections);
  CHECK(service_call(HttpMethod::kDelete, "/v1/sessions/x").verb == Verb::kDelete);
}

TEST_CASE("services: what no call looks like is refused") {
  CHECK(refused("/v1/lockss/a") == 404);
  CHECK(refused("/v1/locks/a?timeout=0") == 400);
  CHECK(refused("/v1/locks/a?timeout=x") == 400);
  CHECK(refused("/v1/locks/a?wait=1&wait=2") == 400);
  CHECK(refused("/v1/locks/" + std::string(limits::kKeyBytes, 'a')) == 0);
  CHECK(refused("/v1/locks/a" + std::string(limits::kKeyBytes, 'a')) == 400);
  AcceptedHead head;
  const std::optional<HttpResponse> other =
      accept_head(request(HttpMethod::kOther, "/v1/locks/a"), kIdentity, head);
  REQUIRE(other);
  CHECK(other->status == 405);
  CHECK(other->fields.find("Allow: GET, HEAD, POST, DELETE\r\n") != std::string::npos);
}

TEST_CASE("services: every status has its status, and refusals say what became of it") {
  CHECK(rendered(ServiceStatus::kOk, "{}").body == "{}\n");
  CHECK(rendered(ServiceStatus::kCreated, "{}").status == 201);
  CHECK(rendered(ServiceStatus::kAccepted, "{}").status == 202);
  CHECK(rendered(ServiceStatus::kDone, "").status == 204);
  CHECK(rendered(ServiceStatus::kDone, "").body.empty());
  const std::pair<ServiceStatus, int> refusals[] = {
      {ServiceStatus::kInvalid, 400},   {ServiceStatus::kForbidden, 403},
      {ServiceStatus::kNotFound, 404},  {ServiceStatus::kWrongVerb, 405},
      {ServiceStatus::kNotInTime, 408}, {ServiceStatus::kConflict, 409},
      {ServiceStatus::kGone, 410},      {ServiceStatus::kConditionFailed, 412},
      {ServiceStatus::kTooLarge, 413},  {ServiceStatus::kUnavailable, 503}};
  for (const auto& one : refusals) {
    const int status = one.second;
    const HttpResponse response = rendered(one.first, "because");
    CAPTURE(status);
    CHECK(response.status == status);
    CHECK(response.body.find("because") != std::string::npos);
    CHECK(response.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
    CHECK(rendered(one.first, "because", false).body.find("outcome") == std::string::npos);
  }
  CHECK(rendered(ServiceStatus::kUnknown, "because").body.find("\"outcome\":\"unknown\"") !=
        std::string::npos);
  CHECK(rendered(ServiceStatus::kWrongVerb, "GET").fields.find("Allow: GET") != std::string::npos);
  CHECK(rendered(ServiceStatus::kUnavailable, "because").fields.find("Retry-After") != std::string::npos);
}

TEST_CASE("services: fields of an answer and its form") {
  ServiceAnswer answer{ServiceStatus::kOk, "bytes", ContentType::kBytes, {{"X-A", "b"}}};
  CHECK(render_service(answer, false, false).body == "bytes");
  CHECK(render_service(answer, false, false).content_type == kOctets);
  CHECK(render_service(answer, false, false).fields.find("X-A: b\r\n") != std::string::npos);
  answer.content_type = ContentType::kText;
  CHECK(render_service(answer, false, false).content_type == kPlainText);
}

}  // namespace kvd::http_services_test
