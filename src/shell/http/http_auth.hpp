// Users, tokens and policies over HTTP, without sockets: what a request below /v1/auth asks of the node, in the two
// steps of http_api, and what is answered. Pure functions, any thread; but for the making of a token, which is random.
#pragma once
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "msg/access_table.hpp"
#include "shell/http/body_json.hpp"
#include "shell/http/http_accept.hpp"

namespace kvd {

bool is_auth_path(std::string_view path);  // of a target

Refusal accept_auth(const HttpRequest& request, const HttpTarget& target, AcceptedHead& accepted);

// Completes what accept_auth() has accepted; or what is wrong with the body. A new token's secret goes into the plan,
// and its digest alone to the node.
std::optional<BodyError> take_auth_body(AcceptedHead& accepted, Bytes body);

HttpResponse render_access(const ReplyPlan& plan, const Listing& listing, const AccessTable& table,
                           uint64_t now_ms);
HttpResponse render_access_written(const KeyWritten& written, Revision revision);
HttpResponse render_token(const ReplyPlan& plan, const TokenMade& made);

// Who the caller is and what he may, and whether somebody may do something. These are answered without the node.
HttpResponse render_whoami(const Caller* caller, AuthMode mode, const AccessTable& table);
HttpResponse render_may(const AccessQuestion& question, const AccessTable::User& user);

}  // namespace kvd
