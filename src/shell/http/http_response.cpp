// See http_response.hpp.
#include "shell/http/http_response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "msg/znodes.hpp"

namespace kvd {
namespace {

// Appends to a string pieces that are at most `room` bytes in all, without asking at each piece whether they fit.
class Appender {
 public:
  Appender(std::string& out, size_t room) : out_(out), start_(out.size()) {
    out_.resize(start_ + room);
    at_ = out_.data() + start_;
  }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;
  ~Appender() {
    const auto size = static_cast<size_t>(at_ - out_.data());
    CHECK(size <= out_.size());
    out_.resize(size);
  }

  Appender& operator<<(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  Appender& operator<<(uint64_t number) {
    at_ = std::to_chars(at_, at_ + kDigits, number).ptr;
    return *this;
  }

 private:
  static constexpr size_t kDigits = 20;

  std::string& out_;
  size_t start_;
  char* at_;
};

std::string printable(const std::string& detail) {
  if (is_utf8(detail)) return detail;
  std::string out = detail;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

bool has_content(uint16_t status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

void append_chunk(std::string& out, std::string_view part, bool chunked) {
  if (chunked) out += fmt::format("{:x}\r\n", part.size());
  out += part;
  if (chunked) out += "\r\n";
}

std::string_view http_reason(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

void append_field(std::string& out, std::string_view name, uint64_t value) {
  constexpr size_t kBesideName = 30;
  Appender(out, name.size() + kBesideName) << name << ": " << value << "\r\n";
}

void add_field(HttpResponse& response, std::string_view name, std::string_view value) {
  response.fields.append(name).append(": ").append(value).append("\r\n");
}

void mark_incomplete(HttpResponse& response, bool complete) {
  if (!complete) add_field(response, "Kvd-Complete", "false");
}

void add_next_page(HttpResponse& response, std::string_view link, std::string_view last) {
  add_field(response, "Link", fmt::format("<{}{}>; rel=\"next\"", link, last));
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

HttpResponse empty_response(uint16_t status) {
  HttpResponse response;
  response.status = status;
  return response;
}
HttpResponse json_response(uint16_t status, JsonWriter& json) {
  HttpResponse response;
  response.status = status;
  response.content_type = kJson;
  response.body = json.take() + "\n";
  return response;
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
  if (problem.leader)
    json.member("leader", (problem.https ? "https://" : "http://") + format_address(*problem.leader));
  if (problem.current) json.member("current", problem.current->value);
  if (problem.current_fence) json.member("current_fence", *problem.current_fence);
  if (problem.revision) json.member("revision", problem.revision->value);
  if (problem.oldest) json.member("oldest", problem.oldest->value);
  if (problem.op) json.member("op", *problem.op);
  if (problem.receipt) json.member("receipt", *problem.receipt);
  if (!problem.results.empty()) json.list_member("results", problem.results);
  json.end_object();

  HttpResponse response;
  response.status = problem.status;
  response.content_type = "application/problem+json";
  response.body = json.take() + "\n";
  if (problem.status == 503 || problem.status == 429) add_field(response, "Retry-After", "1");
  if (problem.status == 401) add_field(response, "WWW-Authenticate", "Bearer");
  return response;
}

void append_head(std::string& out, const HttpResponse& response, const HttpFraming& framing) {
  constexpr size_t kOfItsOwn = 400;  // more than all literals, reasons and numbers below take
  Appender head(out,
                kOfItsOwn + framing.stamp.size() + response.content_type.size() + response.fields.size());
  if (response.status == 200) {
    head << "HTTP/1.1 200 OK\r\n";
  } else {
    head << "HTTP/1.1 " << uint64_t{response.status} << " " << http_reason(response.status) << "\r\n";
  }
  if (response.status == 100) {
    head << "\r\n";
    return;
  }
  head << framing.stamp;
  if (response.etag != Revision(0)) head << "ETag: \"" << response.etag.value << "\"\r\n";
  if (!response.content_type.empty()) head << "Content-Type: " << response.content_type << "\r\n";
  if (response.streamed) {
    if (framing.chunked) head << "Transfer-Encoding: chunked\r\n";
  } else if (has_content(response.status)) {
    head << "Content-Length: " << uint64_t{response.body_bytes()} << "\r\n";
  }
  head << response.fields;
  if (response.close) {
    head << "Connection: close\r\n";
  } else if (framing.keep_alive) {
    head << "Connection: keep-alive\r\n";
  }
  head << "\r\n";
}

}  // namespace kvd
