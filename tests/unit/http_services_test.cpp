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
HttpResponse rendered(ServiceAnswer answer, bool write = true) {
  return render_service(answer, false, write);
}
bool has_field(const HttpResponse& response, std::string_view field) {
  return response.fields.find(field) != std::string::npos;
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
  CHECK(rendered({ServiceStatus::kOk, Document().add("a", 1)}).body == "{\"a\":1}\n");
  CHECK(rendered({ServiceStatus::kCreated, Document()}).status == 201);
  CHECK(rendered({ServiceStatus::kAccepted, Document()}).status == 202);
  CHECK(rendered(ServiceStatus::kDone).status == 204);
  CHECK(rendered(ServiceStatus::kDone).body.empty());
  const std::pair<ServiceStatus, int> refusals[] = {
      {ServiceStatus::kInvalid, 400},   {ServiceStatus::kForbidden, 403},
      {ServiceStatus::kNotFound, 404},  {ServiceStatus::kWrongVerb, 405},
      {ServiceStatus::kNotInTime, 408}, {ServiceStatus::kConflict, 409},
      {ServiceStatus::kGone, 410},      {ServiceStatus::kConditionFailed, 412},
      {ServiceStatus::kTooLarge, 413},  {ServiceStatus::kUnavailable, 503}};
  for (const auto& one : refusals) {
    const int status = one.second;
    const HttpResponse response = rendered({one.first, "because"});
    CAPTURE(status);
    CHECK(response.status == status);
    CHECK(response.body.find("because") != std::string::npos);
    CHECK(response.body.find("\"outcome\":\"not-applied\"") != std::string::npos);
    CHECK(rendered({one.first, "because"}, false).body.find("outcome") == std::string::npos);
  }
  CHECK(rendered({ServiceStatus::kUnknown, "because"}).body.find("\"outcome\":\"unknown\"") !=
        std::string::npos);
  CHECK(has_field(rendered({ServiceStatus::kWrongVerb, "GET"}), "Allow: GET"));
  CHECK(has_field(rendered({ServiceStatus::kUnavailable, "because"}), "Retry-After"));
}

TEST_CASE("services: the form of an answer's content") {
  const HttpResponse octets = rendered({ServiceStatus::kOk, Octets{"bytes"}});
  CHECK(octets.body == "bytes");
  CHECK(octets.content_type == kOctets);
  const HttpResponse text = rendered({ServiceStatus::kOk, PlainText{"text"}});
  CHECK(text.body == "text");
  CHECK(text.content_type == kPlainText);
  CHECK(rendered({ServiceStatus::kOk, Document()}).content_type == kJson);
}

TEST_CASE("services: what is noted beside an answer has fields of its own") {
  const HttpResponse made =
      rendered({ServiceStatus::kCreated, Document(), Document().add(kNoteMade, "znodes/a b/c")});
  CHECK(made.fields == "Location: /v1/znodes/a%20b/c\r\n");
  const HttpResponse hosts =
      rendered({ServiceStatus::kOk, PlainText{""},
                Document().add(kNoteHostsVersion, uint64_t{5}).add(kNoteComplete, false)});
  CHECK(hosts.fields == "Kvd-Hosts-Version: 5\r\nKvd-Complete: false\r\n");
  const HttpResponse znode = rendered({ServiceStatus::kOk, Octets{""},
                                       Document()
                                           .add(kNoteZnodeVersion, 1)
                                           .add(kNoteZnodeCzxid, -2)
                                           .add(kNoteZnodeMzxid, 3)
                                           .add(kNoteZnodeOwner, "0x4")});
  CHECK(znode.fields ==
        "Kvd-Znode-Version: 1\r\nKvd-Znode-Czxid: -2\r\nKvd-Znode-Mzxid: 3\r\nKvd-Znode-Ephemeral-Owner: "
        "0x4\r\n");
  CHECK(rendered({ServiceStatus::kOk, Document(), Document().add("of_another_face", 1)}).fields.empty());
}

}  // namespace kvd::http_services_test
