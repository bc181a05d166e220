// See http_response.hpp.
#include "shell/http_response.hpp"

#include <simdjson.h>

#include <charconv>

#include "base/json_writer.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

void append_number(std::string& out, uint64_t number) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

std::string printable(const std::string& detail) {
  if (simdjson::validate_utf8(detail)) return detail;
  std::string out = detail;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

void append_status_line(std::string& out, uint16_t status) {
  if (status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
    return;
  }
  out += "HTTP/1.1 ";
  append_number(out, status);
  out.append(" ").append(http_reason(status)).append("\r\n");
}

bool has_content(uint16_t status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::string_view http_reason(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

void add_field(HttpResponse& response, std::string_view name, std::string_view value) {
  response.fields.append(name).append(": ").append(value).append("\r\n");
}

HttpResponse problem_response(const Problem& problem) {
  JsonWriter json;
  json.begin_object();
  json.member("type", std::string("urn:kvd:").append(problem.kind));
  json.member("title", http_reason(problem.status));
  json.member("status", problem.status);
  json.member("detail", printable(problem.detail));
  if (problem.outcome)
    json.member("outcome", *problem.outcome == Outcome::kUnknown ? "unknown" : "not-applied");
  if (problem.leader) json.member("leader", "http://" + format_address(*problem.leader));
  if (problem.current) json.member("current", problem.current->value);
  json.end_object();

  HttpResponse response;
  response.status = problem.status;
  response.content_type = "application/problem+json";
  response.body = json.take() + "\n";
  if (problem.status == 503) add_field(response, "Retry-After", "1");
  return response;
}

void append_head(std::string& out, const HttpResponse& response, const HttpFraming& framing) {
  append_status_line(out, response.status);
  if (response.status == 100) {
    out += "\r\n";
    return;
  }
  out.append(framing.node_field).append("Kvd-Epoch: ");
  append_number(out, response.epoch.value);
  out += "\r\nKvd-Revision: ";
  append_number(out, response.revision.value);
  out += "\r\n";
  if (response.etag != Revision(0)) {
    out += "ETag: \"";
    append_number(out, response.etag.value);
    out += "\"\r\n";
  }
  if (!response.content_type.empty())
    out.append("Content-Type: ").append(response.content_type).append("\r\n");
  if (response.streamed) {
    if (framing.chunked) out += "Transfer-Encoding: chunked\r\n";
  } else if (has_content(response.status)) {
    out += "Content-Length: ";
    append_number(out, response.body_bytes());
    out += "\r\n";
  }
  out += response.fields;
  if (response.close) {
    out += "Connection: close\r\n";
  } else if (framing.keep_alive) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

}  // namespace kvd
