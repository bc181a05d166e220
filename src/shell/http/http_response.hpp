// What the HTTP interface answers, before it is bytes on a socket, and how errors look (problem+json, RFC
// 9457). Pure functions, any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/json_writer.hpp"
#include "msg/client.hpp"

namespace kvd {

struct HttpResponse {
  uint16_t status = 200;          // kRawText: `body` is everything, without a head (four-letter words)
  std::string_view content_type;  // a literal; empty: none
  Revision etag;                  // 0: none
  std::string fields;             // further header lines, each with its CRLF
  std::string body;
  Bytes value;            // the body, when `body` is empty; never copied
  bool streamed = false;  // the body comes in pieces of an unknown length in all
  bool close = false;     // the connection ends with this answer
  Epoch epoch;            // for Kvd-Epoch and Kvd-Revision
  Revision revision;

  size_t body_bytes() const { return body.empty() ? value.size() : body.size(); }
};
inline constexpr uint16_t kRawText = 0;

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
inline constexpr std::string_view kJsonLines = "application/x-ndjson";
inline constexpr std::string_view kEvents = "text/event-stream";  // Server-Sent Events (WHATWG HTML, 9.2)
inline constexpr std::string_view kOctets = "application/octet-stream";

struct Problem {
  uint16_t status = 400;
  std::string_view kind;           // becomes the type: urn:kvd:<kind>
  std::string detail;              // one sentence for the person who sent the request; any bytes
  std::optional<Outcome> outcome;  // writes only
  std::optional<Address> leader;
  bool https = false;                     // which it speaks as this server does
  std::optional<Revision> current;        // of the key, for a failed condition
  std::optional<uint64_t> current_fence;  // of the resource, for a token that is too small
  std::optional<Revision> revision;       // of this server
  std::optional<Revision> oldest;         // ... behind which a watch may begin
  std::optional<uint32_t> op;             // of a transaction: the operation that cannot be done, from 0
  std::optional<uint64_t> receipt;        // the newest of a message
  std::vector<std::string_view> results;  // what would become of each message that was to be settled
};
// Every 503 and 429 comes with Retry-After, and every 401 with WWW-Authenticate.
// That the connection closes, as after malformed HTTP, is the caller's to say.
HttpResponse problem_response(const Problem& problem);

HttpResponse empty_response(uint16_t status);
HttpResponse json_response(uint16_t status, JsonWriter& json);  // with all that was written

std::string_view http_reason(uint16_t status);

// Append a header line.
void append_field(std::string& out, std::string_view name, uint64_t value);
void add_field(HttpResponse& response, std::string_view name, std::string_view value);
// Says so when the server that answers knows that it misses something.
void mark_incomplete(HttpResponse& response, bool complete);
// The link to a listing's next page: `link` as next_page() makes it (http_accept), `last` in percent-encoding.
void add_next_page(HttpResponse& response, std::string_view link, std::string_view last);
// That such a text can stand in a header line, whoever wrote it (RFC 9110, 5.5).
bool is_field_value(std::string_view text);

// How the response goes onto this connection.
struct HttpFraming {
  std::string_view stamp;   // Kvd-Node, Date, Kvd-Epoch and Kvd-Revision, each with its CRLF
  bool head = false;        // answers HEAD: a length, but no body
  bool keep_alive = false;  // say so: an HTTP/1.0 client that asked for it
  bool chunked = true;      // the client knows chunks
};
// Appends the status line and all fields, up to and with the empty line.
void append_head(std::string& out, const HttpResponse& response, const HttpFraming& framing);

// Appends a part of a streamed body as it goes onto the connection: as a chunk (RFC 9112, 7.1), or as it is. `part` is
// not empty.
void append_chunk(std::string& out, std::string_view part, bool chunked);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace kvd
