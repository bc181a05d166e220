// Queues over HTTP, without sockets: what a request at /v1/queues or below it asks of the node, in the two steps of
// http_api. Pure functions, any thread.
#pragma once
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "shell/http/body_json.hpp"
#include "shell/http/http_accept.hpp"

namespace kvd {

bool is_queue_path(std::string_view path);  // of a target

Refusal accept_queue(const HttpRequest& request, const HttpTarget& target, const HttpIdentity& identity,
                     AcceptedHead& accepted);

// Completes what accept_queue() has accepted; or what is wrong with the body.
std::optional<BodyError> take_queue_body(AcceptedHead& accepted, Bytes body, const HttpIdentity& identity);

}  // namespace kvd
