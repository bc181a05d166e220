// Topics and their subscriptions over HTTP, without sockets: what a request at /v1/topics or below it asks of the node,
// in the two steps of http_api. Pure functions, any thread.
#pragma once
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "shell/http/body_json.hpp"
#include "shell/http/http_accept.hpp"

namespace kvd {

bool is_topic_path(std::string_view path);  // of a target

Refusal accept_topic(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted);

// Completes what accept_topic() has accepted; or what is wrong with the body.
std::optional<BodyError> take_topic_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity);

}  // namespace kvd
