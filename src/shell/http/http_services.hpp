// The coordination services' part of the HTTP interface: calls in, answers and lines out. All services share it; what a
// call means is for core/services to say. Pure functions, any thread.
#pragma once
#include <optional>
#include <string_view>

#include "msg/services.hpp"
#include "shell/http/http_api.hpp"

namespace kvd {

// The collection that `path` names, of those of the services; "/v1/locks" and what is below it, for one.
std::optional<Collection> service_collection(std::string_view path);

// `path` and `query` are percent-encoded well. As accept_head().
std::optional<HttpResponse> accept_service(const HttpRequest& request, Collection collection,
                                           std::string_view path, std::string_view query,
                                           AcceptedHead& accepted);

// Whether its answer may come line by line.
bool holds(const ServiceCall& call);

// The whole answer; of a line only the head, whose body is to come.
HttpResponse render_service(const ServiceAnswer& answer, bool line, bool write);

// A line's document as JSON, with its newline.
std::string line_of(const ServiceAnswer& answer);

}  // namespace kvd
