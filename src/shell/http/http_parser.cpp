// See http_parser.hpp.
#include "shell/http/http_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "shell/http/http_host.hpp"

namespace kvd {
namespace {

constexpr size_t kHostBytes = 255;  // a longer one is not remembered

HttpMethod method_of(const llhttp_t& parser) {
  switch (parser.method) {
    case HTTP_GET:
      return HttpMethod::kGet;
    case HTTP_HEAD:
      return HttpMethod::kHead;
    case HTTP_PUT:
      return HttpMethod::kPut;
    case HTTP_POST:
      return HttpMethod::kPost;
    case HTTP_DELETE:
      return HttpMethod::kDelete;
    case HTTP_OPTIONS:
      return HttpMethod::kOptions;
    default:
      return HttpMethod::kOther;
  }
}

}  // namespace

std::optional<std::string_view> HttpFields::find(std::string_view name) const {
  for (size_t i = 0; i < spans_.size(); ++i) {
    Field field = at(i);
    if (equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

void HttpFields::clear() {
  text_.clear();
  spans_.clear();
  start_ = 0;
  name_end_ = 0;
}

void HttpFields::end_value() {
  while (text_.size() > name_end_ && (text_.back() == ' ' || text_.back() == '\t')) text_.pop_back();
  spans_.push_back(
      {static_cast<uint32_t>(start_), static_cast<uint32_t>(name_end_), static_cast<uint32_t>(text_.size())});
  start_ = text_.size();
}

// What llhttp calls. 0: go on; HPE_PAUSED: stop here and come back; HPE_USER or -1: error_ is set.
struct HttpParserCallbacks {
  static HttpParser& of(llhttp_t* parser) { return *static_cast<HttpParser*>(parser->data); }

  static int on_message_begin(llhttp_t* parser) {
    of(parser).begin_request();
    return 0;
  }
  static int on_url(llhttp_t* parser, const char* at, size_t length) {
    HttpParser& self = of(parser);
    self.request_.method = method_of(*parser);
    if (self.request_.target.size() + length > self.limits_.target_bytes) {
      return self.fail(414,
                       fmt::format("the request target is longer than {} bytes", self.limits_.target_bytes));
    }
    self.request_.target.append(at, length);
    self.target_end_ = at + length;
    return 0;
  }
  static int on_header_field(llhttp_t* parser, const char* at, size_t length) {
    HttpParser& self = of(parser);
    if (int failed = self.count_field_bytes(length); failed != 0) return failed;
    self.name_bytes_ += length;
    if (!self.in_body_) self.request_.fields.append_name({at, length});
    return 0;
  }
  static int on_header_field_complete(llhttp_t* parser) {
    HttpParser& self = of(parser);
    if (std::exchange(self.name_bytes_, 0) == 0) return self.fail(400, "a header field has no name");
    if (!self.in_body_) self.request_.fields.end_name();
    return 0;
  }
  static int on_header_value(llhttp_t* parser, const char* at, size_t length) {
    HttpParser& self = of(parser);
    if (int failed = self.count_field_bytes(length); failed != 0) return failed;
    if (!self.in_body_) self.request_.fields.append_value({at, length});
    return 0;
  }
  static int on_header_value_complete(llhttp_t* parser) {
    HttpParser& self = of(parser);
    if (self.in_body_) return 0;
    self.request_.fields.end_value();
    if (self.request_.fields.size() > self.limits_.field_count) {
      return self.fail(431, fmt::format("more than {} header fields", self.limits_.field_count));
    }
    return 0;
  }
  static int on_chunk_extension_name(llhttp_t* parser, const char*, size_t length) {
    of(parser).name_bytes_ += length;
    return of(parser).count_field_bytes(length);
  }
  static int on_chunk_extension_name_complete(llhttp_t* parser) {
    HttpParser& self = of(parser);
    return std::exchange(self.name_bytes_, 0) == 0 ? self.fail(400, "a chunk extension has no name") : 0;
  }
  static int on_chunk_extension_value(llhttp_t* parser, const char*, size_t length) {
    return of(parser).count_field_bytes(length);
  }
  static int on_chunk_extension_value_complete(llhttp_t* parser) {
    of(parser).in_extension_ = true;
    return HPE_PAUSED;
  }
  static int on_headers_complete(llhttp_t* parser) { return of(parser).on_head(); }
  static int on_body(llhttp_t* parser, const char* at, size_t length) {
    return of(parser).on_body(at, length);
  }
  static int on_message_complete(llhttp_t* parser) {
    HttpParser& self = of(parser);
    self.in_request_ = false;
    self.paused_at_ = HttpParser::Event::kRequest;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t made = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_message_begin = on_message_begin;
      s.on_url = on_url;
      s.on_header_field = on_header_field;
      s.on_header_field_complete = on_header_field_complete;
      s.on_header_value = on_header_value;
      s.on_header_value_complete = on_header_value_complete;
      s.on_chunk_extension_name = on_chunk_extension_name;
      s.on_chunk_extension_name_complete = on_chunk_extension_name_complete;
      s.on_chunk_extension_value = on_chunk_extension_value;
      s.on_chunk_extension_value_complete = on_chunk_extension_value_complete;
      s.on_headers_complete = on_headers_complete;
      s.on_body = on_body;
      s.on_message_complete = on_message_complete;
      return s;
    }();
    return &made;
  }
};

HttpParser::HttpParser(HttpParserLimits limits) : limits_(limits) {
  llhttp_init(&parser_, HTTP_REQUEST, HttpParserCallbacks::settings());
  parser_.data = this;
  // A higher minor version is answered like 1.1 (RFC 9110, 2.5); of the major one on_head() takes care.
  parser_.lenient_flags |= LENIENT_VERSION;
}

void HttpParser::begin_request() {
  request_.method = HttpMethod::kOther;
  request_.target.clear();
  request_.fields.clear();
  request_.body.clear();
  request_.host = {};
  request_.content_length.reset();
  request_.has_body = false;
  request_.expects_continue = false;
  protocol_ = '\0';
  in_request_ = true;
  in_body_ = false;
  discards_body_ = streams_body_ = false;
  field_bytes_ = 0;
  body_bytes_ = 0;
  body_limit_ = SIZE_MAX;
}

int HttpParser::fail(uint16_t status, std::string detail) {
  error_ = HttpError{status, std::move(detail)};
  return HPE_USER;
}

int HttpParser::count_field_bytes(size_t bytes) {
  field_bytes_ += bytes;
  if (field_bytes_ <= limits_.field_bytes) return 0;
  return fail(431, fmt::format("the header fields are longer than {} bytes", limits_.field_bytes));
}

int HttpParser::on_head() {
  // An upgrade that is offered is not taken (RFC 9110, 7.8): what follows stays HTTP/1.
  parser_.upgrade = 0;
  in_body_ = true;
  if (target_end_ != nullptr) see_protocol(target_end_);
  if (parser_.http_major != 1 || protocol_ != 'H')
    return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"), -1;
  request_.minor_version = std::min<uint8_t>(parser_.http_minor, 1);
  request_.keep_alive = llhttp_should_keep_alive(&parser_) != 0;
  bool chunked = (parser_.flags & F_CHUNKED) != 0;
  if ((parser_.flags & F_CONTENT_LENGTH) != 0) request_.content_length = parser_.content_length;
  request_.has_body = chunked || request_.content_length.value_or(0) > 0;
  if (check_fields() != 0) return -1;
  paused_at_ = Event::kHead;
  return HPE_PAUSED;
}

// Those on which it depends where a request ends and whom it is for.
int HttpParser::check_fields() {
  size_t hosts = 0;
  std::optional<std::string> codings;
  for (size_t i = 0; i < request_.fields.size(); ++i) {
    HttpFields::Field field = request_.fields.at(i);
    if (equal_ignoring_case(field.name, "host")) {
      ++hosts;
      if (!read_host(field.value)) return fail(400, "Host has to be a name or address, and perhaps a port");
    } else if (equal_ignoring_case(field.name, "expect")) {
      if (!equal_ignoring_case(field.value, "100-continue"))
        return fail(417, "Expect: only 100-continue is known");
      request_.expects_continue = request_.minor_version >= 1;
    } else if (equal_ignoring_case(field.name, "transfer-encoding")) {
      codings = codings ? *codings + "," + std::string(field.value) : std::string(field.value);
    }
  }
  if (hosts > 1) return fail(400, "more than one Host field");
  if (hosts == 0 && request_.minor_version >= 1) return fail(400, "HTTP/1.1 requires a Host field");
  return codings ? check_codings(*codings) : 0;
}

bool HttpParser::read_host(std::string_view field) {
  if (field.empty() || field != host_field_) {
    auto host = host_of(field);
    if (!host || host->empty()) return false;
    host_field_ = field.size() <= kHostBytes ? field : std::string_view();
    host_bytes_ = host->size();
  }
  request_.host = field.substr(0, host_bytes_);
  return true;
}

// RFC 9112, 6.1 and 6.3: nothing but `chunked`, which llhttp has to have seen, too.
int HttpParser::check_codings(std::string_view codings) {
  if (request_.minor_version == 0) return fail(400, "HTTP/1.0 knows no Transfer-Encoding");
  size_t count = 0, chunked = 0;
  bool last = false;
  while (!codings.empty()) {
    size_t comma = std::min(codings.find(','), codings.size());
    std::string_view coding = codings.substr(0, comma);
    codings.remove_prefix(std::min(comma + 1, codings.size()));
    while (!coding.empty() && (coding.front() == ' ' || coding.front() == '\t')) coding.remove_prefix(1);
    while (!coding.empty() && (coding.back() == ' ' || coding.back() == '\t')) coding.remove_suffix(1);
    if (coding.empty()) continue;
    ++count;
    last = equal_ignoring_case(coding, "chunked");
    if (last) ++chunked;
  }
  if (!last || chunked != 1 || !request_.has_body)
    return fail(400, "Transfer-Encoding does not end with chunked: nobody could tell where the request ends");
  return count == 1 ? 0 : fail(501, "Transfer-Encoding: only chunked is known");
}

void HttpParser::limit_body(size_t bytes, std::string_view what) {
  body_limit_ = bytes;
  body_limit_name_ = what;
  if (check_body(request_.content_length.value_or(0)) != 0) return;
  if (request_.content_length && !discards_body_ && !streams_body_)
    request_.body.reserve(*request_.content_length);
}

int HttpParser::check_body(uint64_t bytes) {
  if (bytes <= body_limit_) return 0;
  return fail(413, fmt::format("{} may have {} bytes at most", body_limit_name_, body_limit_));
}

int HttpParser::on_body(const char* at, size_t length) {
  lines_.add({counted_, static_cast<size_t>(at - counted_)});
  lines_.skip_content();
  counted_ = at + length;
  body_bytes_ += length;
  if (int failed = check_body(body_bytes_); failed != 0) return failed;
  if (!discards_body_) request_.body.append({at, length});
  return 0;
}

// RFC 9112, 2.2 and 5.2. What people type into a bare socket, `GET /livez HTTP/1.0` and an empty line, may end its
// lines with LF: without a field there is nothing that could mean two things.
bool HttpParser::check_lines(const char* end) {
  lines_.add({counted_, static_cast<size_t>(end - counted_)});
  const bool in_head = paused_at_ == Event::kMore && !(in_request_ && in_body_);
  const bool may_be_typed = in_head || (request_.minor_version == 0 && request_.fields.size() == 0);
  if (lines_.bare_cr() || (lines_.bare_lf() && !may_be_typed)) {
    fail(400, "malformed HTTP: a line does not end with CR and LF");
  } else if (lines_.folded()) {
    fail(400, "malformed HTTP: a line begins with white space (a folded field is not taken)");
  }
  return error_.status == 0;
}

// The first letter behind the target: llhttp takes RTSP/1.0 as well (RFC 9112, 2.3).
void HttpParser::see_protocol(const char* from) {
  while (from < end_ && *from == ' ') ++from;
  protocol_ = from < end_ ? *from : '\0';
}

llhttp_errno_t HttpParser::execute(const char* start, const char* end) {
  llhttp_errno_t code = llhttp_execute(&parser_, start, static_cast<size_t>(end - start));
  while (code == HPE_PAUSED && std::exchange(in_extension_, false)) {
    const char* at = llhttp_get_error_pos(&parser_);
    llhttp_resume(&parser_);
    // llhttp 8 takes the semicolon for the end of the value alone, and waits for another one (RFC 9112, 7.1.1).
    code = LLHTTP_VERSION_MAJOR == 8 && at[-1] == ';' ? llhttp_execute(&parser_, ";", 1) : HPE_OK;
    if (code == HPE_OK && at < end) code = llhttp_execute(&parser_, at, static_cast<size_t>(end - at));
  }
  return code;
}

HttpParser::Event HttpParser::advance(std::string_view& input) {
  if (error_.status != 0) return Event::kError;
  bool paused = std::exchange(paused_at_, Event::kMore) != Event::kMore;
  if (paused) llhttp_resume(&parser_);
  if (input.empty() && !paused) return Event::kMore;
  // llhttp takes a null pointer for "no open span": an empty input still needs a place.
  const char* start = input.empty() ? "" : input.data();
  counted_ = start;
  target_end_ = nullptr;
  end_ = start + input.size();
  if (protocol_ == '\0') see_protocol(start);
  const llhttp_errno_t code = execute(start, end_);
  if (error_.status != 0) return Event::kError;
  if (code == HPE_OK || code == HPE_PAUSED) {
    const char* end = code == HPE_OK ? start + input.size() : llhttp_get_error_pos(&parser_);
    if (!check_lines(end)) return Event::kError;
    if (target_end_ != nullptr) see_protocol(target_end_);
    if (paused_at_ == Event::kRequest) lines_ = {};
    input.remove_prefix(static_cast<size_t>(end - start));
    return paused_at_;
  }
  if (code == HPE_PAUSED_H2_UPGRADE) {
    fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  } else {
    const char* reason = llhttp_get_error_reason(&parser_);
    fail(400, fmt::format("malformed HTTP: {}",
                          reason != nullptr && *reason != '\0' ? reason : llhttp_errno_name(code)));
  }
  return Event::kError;
}

}  // namespace kvd
