// What the parts of the HTTP interface share that judge a request by its head (http_api, http_source). Pure functions,
// any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shell/http/http_api.hpp"
#include "shell/http/http_text.hpp"

namespace kvd {

struct HttpTarget {
  std::string_view path;
  std::string_view query;
  std::string_view authority;  // of an absolute one
};

// Of a path: what stands before its first slash, and what follows; none: there is none.
struct PathStep {
  std::string_view name;
  std::optional<std::string_view> rest;
};
PathStep first_step(std::string_view path);

// What was wrong with a request; none: it is accepted.
using Refusal = std::optional<HttpResponse>;

inline constexpr uint64_t kReadParameters = kQueryRead | kQueryMinRevision | kQueryTimeout;
inline constexpr uint64_t kWriteParameters = kQueryTimeout | kQueryFence;

bool is_write_method(HttpMethod method);  // PUT, POST, DELETE
bool is_read_method(HttpMethod method);   // GET, HEAD

// `kind` as in Problem. What was to be written was not.
HttpResponse refuse(const HttpRequest& request, uint16_t status, std::string_view kind, std::string detail);
HttpResponse bad_request(const HttpRequest& request, std::string detail);
HttpResponse wrong_method(const HttpRequest& request, std::string_view allow);

// How a read is to be done.
void apply_read(AcceptedHead& accepted, const Query& query);

// For settings, and for bodies that nobody reads.
void limit_small_body(AcceptedHead& accepted);

// How many items of a listing are asked for.
uint32_t page_limit(const Query& query);

// The link to the next page of a listing at `path`: everything but the value of its last parameter.
std::string next_page(std::string_view path, const Query& query);

}  // namespace kvd
