// HTTP/1.x requests out of a stream of bytes that arrives in pieces of any size (RFC 9112): a thin layer over
// llhttp. One per connection; any thread, no I/O, no libuv, so that a fuzzer can drive it. It refuses what is
// malformed and what is too large; it knows nothing of paths and their meaning. llhttp is built in its strict mode, and
// what it lets pass even so is refused here: tests/unit/http_rules_test.cpp has the RFCs' rules one by one.
#pragma once
#include <llhttp.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "shell/http/http_lines.hpp"

namespace kvd {

enum class HttpMethod : uint8_t { kGet, kHead, kPut, kPost, kDelete, kOptions, kOther };

// Header fields in the order of their arrival, in one buffer that the next request uses again.
class HttpFields {
 public:
  struct Field {
    std::string_view name;  // as sent
    std::string_view value;
  };
  size_t size() const { return spans_.size(); }
  Field at(size_t index) const {
    const Span& span = spans_[index];
    std::string_view text = text_;
    return {text.substr(span.start, span.name_end - span.start),
            text.substr(span.name_end, span.end - span.name_end)};
  }
  // The first field of that name (case does not matter); none: nothing.
  std::optional<std::string_view> find(std::string_view name) const;

  void clear();
  void append_name(std::string_view piece) { text_ += piece; }
  void end_name() { name_end_ = text_.size(); }
  void append_value(std::string_view piece) { text_ += piece; }
  void end_value();

 private:
  struct Span {
    uint32_t start, name_end, end;
  };
  std::string text_;
  std::vector<Span> spans_;
  size_t start_ = 0;
  size_t name_end_ = 0;
};

struct HttpRequest {
  HttpMethod method = HttpMethod::kOther;
  std::string target;         // as sent, 1 byte to the limit
  uint8_t minor_version = 1;  // of HTTP/1.x
  bool keep_alive = true;     // the client allows another request after this one
  bool has_body = false;      // one was announced, of a length above 0 or unknown
  bool expects_continue = false;
  std::optional<uint64_t> content_length;  // none: chunked, or no body
  HttpFields fields;                       // trailers are read and dropped
  std::string_view host;                   // of the Host field, without a port; empty: not read
  BytesBuilder body;                       // whole at kRequest; may be taken out
};

struct HttpParserLimits {
  size_t target_bytes = 16u << 10;  // more: 414
  size_t field_bytes = 16u << 10;   // names and values, trailers and chunk extensions included; more: 431
  size_t field_count = 100;         // more: 431
};

struct HttpError {
  uint16_t status = 0;  // the answer that the client deserves; the connection is to be closed after it
  std::string detail;
};

class HttpParser {
 public:
  enum class Event : uint8_t {
    kMore,     // all of the input is consumed: feed more
    kHead,     // request() has everything but its body: limit_body() may be called; call advance() again
    kRequest,  // request() is whole; the next advance() begins the next one
    kError,    // error() says what is wrong; nothing more will come out
  };

  explicit HttpParser(HttpParserLimits limits = {});
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // Takes what it understands off the front of `input`. After kHead and kRequest it has to be called again
  // even when `input` is empty by then.
  Event advance(std::string_view& input);

  HttpRequest& request() { return request_; }
  const HttpRequest& request() const { return request_; }
  const HttpError& error() const { return error_; }

  // Of the request whose head just came; a longer body is error 413. The next request starts unlimited.
  void limit_body(size_t bytes, std::string_view what);
  // The rest of this request's body is counted against the limit, but not kept.
  void discard_body() { discards_body_ = true; }
  // This request's body is taken out of request() piece by piece: after each advance(), what has come until then.
  void stream_body() { streams_body_ = true; }

  // A request has begun and is not whole yet.
  bool in_request() const { return in_request_; }
  // ... its head is there, and so many bytes of its body.
  bool in_body() const { return in_request_ && in_body_; }
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  friend struct HttpParserCallbacks;

  void begin_request();
  int fail(uint16_t status, std::string detail);
  int count_field_bytes(size_t bytes);
  int on_head();
  int check_fields();
  bool read_host(std::string_view field);
  int check_codings(std::string_view codings);
  bool check_lines(const char* end);
  llhttp_errno_t execute(const char* start, const char* end);
  void see_protocol(const char* from);
  int on_body(const char* at, size_t length);
  int check_body(uint64_t bytes);

  HttpParserLimits limits_;
  llhttp_t parser_;
  HttpRequest request_;
  HttpError error_;
  Event paused_at_ = Event::kMore;  // kHead, kRequest: llhttp waits there
  bool in_request_ = false;
  bool in_body_ = false;
  bool discards_body_ = false;
  bool streams_body_ = false;
  HttpLines lines_;
  std::string host_field_;         // the last one that was valid: most requests of a connection have the same
  size_t host_bytes_ = 0;          // ... of which so many are the host
  const char* counted_ = nullptr;  // in advance(): lines_ or the body has what is before it
  const char* target_end_ = nullptr;  // ... of the piece of a target that has come in this call
  const char* end_ = nullptr;         // ... of its input
  char protocol_ = '\0';              // the first letter behind the target
  bool in_extension_ = false;         // llhttp waits behind the value of a chunk extension
  size_t name_bytes_ = 0;             // of the field, or chunk extension, that has begun
  size_t field_bytes_ = 0;
  uint64_t body_bytes_ = 0;
  size_t body_limit_ = SIZE_MAX;
  std::string_view body_limit_name_;
};

}  // namespace kvd
