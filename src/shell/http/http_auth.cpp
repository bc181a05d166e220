// See http_auth.hpp.
#include "shell/http/http_auth.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "core/access/judge.hpp"
#include "msg/limits.hpp"
#include "net/secrets.hpp"
#include "shell/http/auth_json.hpp"

namespace kvd {
namespace {

constexpr std::string_view kAuthPath = "/v1/auth/";
struct AuthCollection {
  std::string_view name;
  AccessKind kind;
};
constexpr std::array<AuthCollection, 3> kCollections = {
    {{"policies", AccessKind::kPolicy}, {"users", AccessKind::kUser}, {"tokens", AccessKind::kToken}}};
constexpr std::string_view name_of(AccessKind kind) {
  return kCollections.at(static_cast<size_t>(kind)).name;
}

class AuthRequest {
 public:
  AuthRequest(const HttpRequest& request, std::string_view query, AcceptedHead& accepted)
      : request_(request), text_(query), accepted_(accepted) {
    accepted_.plan.route = Route::kAuth;
    accepted_.plan.write = !reads();
    limit_small_body(accepted_);
  }

  Refusal collection(AccessKind kind) {
    const bool makes = kind == AccessKind::kToken && request_.method == HttpMethod::kPost;
    if (!reads() && !makes)
      return wrong_method(request_, kind == AccessKind::kToken ? "GET, HEAD, POST" : "GET, HEAD");
    if (Refusal wrong = take(makes ? kQueryTimeout : kReadParameters | kQueryLimit | kQueryAfter))
      return wrong;
    if (makes) return ask(Box(CreateToken()), "a wish for a token");
    accepted_.plan.text = next_page(fmt::format("{}{}", kAuthPath, name_of(kind)), query_);
    return ask(ListAccess{kind, "", query_.after, page_limit(query_)}, {});
  }

  Refusal one(AccessKind kind, std::string_view encoded) {
    const std::string name = percent_decode(encoded);
    const bool token = kind == AccessKind::kToken;
    const std::string wrong = token ? "" : problem_of_access_name(name);
    if (token ? !is_token_id(name) : !wrong.empty())
      return bad_request(
          request_, token ? fmt::format("a token's id has {} letters and digits", kTokenIdBytes) : wrong);
    const bool puts = !token && request_.method == HttpMethod::kPut;
    const bool removes = request_.method == HttpMethod::kDelete;
    if (!reads() && !puts && !removes)
      return wrong_method(request_, token ? "GET, HEAD, DELETE" : "GET, HEAD, PUT, DELETE");
    if (Refusal refusal = take(reads() ? kReadParameters : kQueryTimeout)) return refusal;
    accepted_.plan.one = true;
    if (removes) return ask(DeleteAccess{kind, name}, {});
    if (!puts) return ask(ListAccess{kind, name, "", 1}, {});
    if (kind == AccessKind::kPolicy) return ask(Box(PutPolicy{name, {}}), "a policy");
    return ask(Box(PutUser{name, {}}), "a user");
  }

  Refusal whoami() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    accepted_.plan.route = Route::kWhoami;
    return take(kQueryTimeout);
  }

  Refusal test() {
    if (!reads()) return wrong_method(request_, "GET, HEAD");
    if (Refusal wrong = take(kQueryUser | kQueryRight | kQueryResource | kQueryPath | kQueryTimeout))
      return wrong;
    const AccessQuestion* asked = query_.question ? &*query_.question : nullptr;
    if (asked == nullptr || asked->user.empty() || !asked->right || !asked->resource)
      return bad_request(request_, "a test needs the query parameters 'user', 'right' and 'resource'");
    accepted_.plan.route = Route::kWhoami;
    accepted_.plan.question = std::move(query_.question);
    return std::nullopt;
  }

 private:
  bool reads() const { return is_read_method(request_.method); }

  Refusal take(uint64_t parameters) {
    Result<Query> query = parse_query(text_, parameters);
    if (!query) return bad_request(request_, query.error().detail);
    query_ = std::move(*query);
    apply_read(accepted_, query_);
    return std::nullopt;
  }

  // `body`: how it is called; empty: there is none.
  Refusal ask(Operation operation, std::string_view body) {
    accepted_.store().operation = std::move(operation);
    if (!body.empty()) {
      accepted_.body_bytes_max = limits::kAccessBytes;
      accepted_.body_name = body;
    }
    return std::nullopt;
  }

  const HttpRequest& request_;
  std::string_view text_;
  AcceptedHead& accepted_;
  Query query_;
};

}  // namespace

bool is_auth_path(std::string_view path) { return path.starts_with(kAuthPath); }

Refusal accept_auth(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted) {
  const PathStep step = first_step(target.path.substr(kAuthPath.size()));
  AuthRequest read(request, target.query, accepted);
  for (const AuthCollection& collection : kCollections) {
    if (step.name != collection.name) continue;
    return step.rest ? read.one(collection.kind, *step.rest) : read.collection(collection.kind);
  }
  if (step.name == "whoami" && !step.rest) return read.whoami();
  if (step.name == "test" && !step.rest) return read.test();
  return refuse(
      request, 404, "no-such-path",
      "there is nothing at this path; below /v1/auth there are policies, users, tokens, whoami and test");
}

std::optional<BodyError> take_auth_body(AcceptedHead& accepted, Bytes body) {
  Operation& operation = accepted.store().operation;
  if (auto* put = std::get_if<Box<PutPolicy>>(&operation)) {
    Result<Policy, BodyError> policy = parse_policy(body.view());
    if (!policy) return std::move(policy.error());
    (*put)->policy = std::move(*policy);
  } else if (auto* user = std::get_if<Box<PutUser>>(&operation)) {
    Result<UserAccount, BodyError> account = parse_user(body.view());
    if (!account) return std::move(account.error());
    (*user)->user = std::move(*account);
  } else if (auto* create = std::get_if<Box<CreateToken>>(&operation)) {
    Result<CreateToken, BodyError> wish = parse_token_wish(body.view());
    if (!wish) return std::move(wish.error());
    const TokenText token = new_token(net::random_bytes(kTokenRandomBytes));
    wish->id = token.id;
    wish->digest = net::sha256(token.secret);
    accepted.plan.text = token.text();
    **create = std::move(*wish);
  }
  return std::nullopt;
}

HttpResponse render_access(const ReplyPlan& plan, const Listing& listing, const AccessTable& table,
                           uint64_t now_ms) {
  JsonWriter json;
  json.begin_object();
  if (plan.one) {
    write_access(json, listing.items.front(), table, now_ms);
  } else {
    AccessKind kind = AccessKind::kPolicy;
    for (const AuthCollection& one : kCollections) {
      if (plan.text.starts_with(fmt::format("{}{}", kAuthPath, one.name))) kind = one.kind;
    }
    json.key(name_of(kind)).begin_array();
    for (const Record& item : listing.items) {
      json.begin_object();
      write_access(json, item, table, now_ms);
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  HttpResponse response = json_response(200, json);
  if (listing.more) add_next_page(response, plan.text, percent_encode(access_name(listing.items.back())));
  mark_incomplete(response, listing.complete);
  return response;
}

HttpResponse render_access_written(const KeyWritten& written, Revision revision) {
  JsonWriter json;
  json.begin_object().member("revision", revision.value).end_object();
  return json_response(written.created ? 201 : 200, json);
}

HttpResponse render_token(const ReplyPlan& plan, const TokenMade& made) {
  const TokenText token = parse_token(plan.text).value_or(TokenText());
  JsonWriter json;
  json.begin_object()
      .member("id", token.id)
      .member("token", plan.text)
      .member("user", made.user)
      .key("expires_ms");
  made.expires_ms == 0 ? json.null() : json.value(made.expires_ms);
  json.end_object();
  HttpResponse response = json_response(201, json);
  add_field(response, "Location", fmt::format("{}tokens/{}", kAuthPath, token.id));
  add_field(response, "Cache-Control", "no-store");
  return response;
}

HttpResponse render_whoami(const Caller* caller, AuthMode mode, const AccessTable& table) {
  const std::string_view name = caller != nullptr ? std::string_view(caller->user) : kAnonymous;
  JsonWriter json;
  json.begin_object()
      .member("user", name)
      .member("via", caller != nullptr ? std::string_view(caller->via) : kViaNothing);
  json.member("auth", auth_mode_name(mode));
  const AccessTable::User* user = table.find(name);
  if (user != nullptr && user->root) {
    json.member("root", true);
  } else {
    std::vector<Rule> rules;
    if (user != nullptr) {
      for (const auto& policy : user->policies)
        rules.insert(rules.end(), policy->rules.begin(), policy->rules.end());
    }
    write_rules(json, rules);
  }
  json.end_object();
  return json_response(200, json);
}

HttpResponse render_may(const AccessQuestion& question, const AccessTable::User& user) {
  JsonWriter json;
  json.begin_object().member("user", question.user).member("right", right_name(*question.right));
  json.member("resource", resource_name(*question.resource)).bytes_member("path", question.path);
  json.member("allowed", grants(user, *question.resource, *question.right, question.path)).end_object();
  return json_response(200, json);
}

}  // namespace kvd
