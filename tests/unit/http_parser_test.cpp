// The HTTP parser: whole and in pieces of every size, what it refuses and with which status.
// Standalone: no sockets, no node.
#include "shell/http/http_parser.hpp"

#include <doctest.h>

#include <string>
#include <vector>

using namespace kvd;

namespace {

struct Parsed {
  std::vector<std::string> requests;  // "METHOD target body" and what matters of the head
  uint16_t error = 0;
  bool in_request = false;
};

std::string describe(const HttpRequest& request) {
  std::string text = std::to_string(static_cast<int>(request.method)) + " " + request.target + " 1." +
                     std::to_string(request.minor_version) + (request.keep_alive ? " keep" : " close");
  for (size_t i = 0; i < request.fields.size(); ++i) {
    HttpFields::Field field = request.fields.at(i);
    text += " [" + std::string(field.name) + "|" + std::string(field.value) + "]";
  }
  return text + " <" + std::string(request.body.view()) + ">";
}

// Feeds `bytes` in pieces of `piece` bytes.
Parsed parse(std::string_view bytes, size_t piece, HttpParserLimits limits = {}, size_t body_limit = 1000) {
  HttpParser parser(limits);
  Parsed out;
  while (!bytes.empty()) {
    // A heap block of its own: reading past it is seen by a sanitizer.
    std::string copy(bytes.substr(0, piece));
    bytes.remove_prefix(copy.size());
    std::string_view input = copy;
    for (auto event = parser.advance(input); event != HttpParser::Event::kMore;
         event = parser.advance(input)) {
      if (event == HttpParser::Event::kHead) parser.limit_body(body_limit, "a body");
      if (event == HttpParser::Event::kRequest) out.requests.push_back(describe(parser.request()));
      if (event == HttpParser::Event::kError) {
        out.error = parser.error().status;
        CHECK_FALSE(parser.error().detail.empty());
        return out;
      }
    }
    CHECK(input.empty());
  }
  out.in_request = parser.in_request();
  return out;
}

// The same in pieces of every size.
Parsed parse_all_ways(std::string_view bytes, HttpParserLimits limits = {}, size_t body_limit = 1000) {
  Parsed whole = parse(bytes, bytes.size(), limits, body_limit);
  for (size_t piece = 1; piece < bytes.size() && piece < 40; ++piece) {
    CAPTURE(piece);
    Parsed parts = parse(bytes, piece, limits, body_limit);
    CHECK(parts.requests == whole.requests);
    CHECK(parts.error == whole.error);
    CHECK(parts.in_request == whole.in_request);
  }
  return whole;
}

}  // namespace

TEST_CASE("parser: pipelined requests of all kinds") {
  Parsed parsed = parse_all_ways(
      "GET /a?b=c HTTP/1.1\r\nHost: x\r\nEmpty:\r\nSpaced:  v w \t\r\n\r\n"
      "PUT /v1/kv/k HTTP/1.1\r\nhost: x\r\nContent-Length: 5\r\n\r\nhello"
      "\r\n"  // RFC 9112, 2.2: an empty line before a request is skipped
      "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
      "DELETE /d HTTP/1.0\r\n\r\n");
  CHECK(parsed.error == 0);
  CHECK_FALSE(parsed.in_request);
  REQUIRE(parsed.requests.size() == 4);
  CHECK(parsed.requests[0] == "0 /a?b=c 1.1 keep [Host|x] [Empty|] [Spaced|v w] <>");
  CHECK(parsed.requests[1] == "2 /v1/kv/k 1.1 keep [host|x] [Content-Length|5] <hello>");
  CHECK(parsed.requests[2] == "3 /p 1.1 keep [Host|x] [Transfer-Encoding|chunked] <abcde>");
  CHECK(parsed.requests[3] == "4 /d 1.0 close <>");
}

TEST_CASE("parser: keep-alive as RFC 9112, 9.3 has it") {
  CHECK(parse("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 999).requests[0].find("close") !=
        std::string::npos);
  CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 999).requests[0].find("keep") !=
        std::string::npos);
}

TEST_CASE("parser: an upgrade is ignored, also with CONNECT") {
  Parsed parsed = parse_all_ways(
      "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
      "CONNECT h:1 HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(parsed.error == 0);
  CHECK(parsed.requests.size() == 3);
}

TEST_CASE("parser: what is refused") {
  struct Case {
    const char* bytes;
    uint16_t status;
  };
  const Case cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET / HTTX/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nX\x01: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400},
      {"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
      {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
      {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
       0},  // 1001 bytes announced: wait and see
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    Parsed parsed = parse_all_ways(c.bytes);
    CHECK(parsed.error == c.status);
    CHECK(parsed.requests.empty());
  }
}

TEST_CASE("parser: bounds") {
  HttpParserLimits limits{.target_bytes = 20, .field_bytes = 40, .field_count = 3};
  std::string head = "GET /" + std::string(19, 'x') + " HTTP/1.0\r\n";
  CHECK(parse_all_ways(head + "\r\n", limits).error == 0);
  CHECK(parse_all_ways("GET /x" + head.substr(5) + "\r\n", limits).error == 414);
  CHECK(parse_all_ways(head + "A: " + std::string(39, 'x') + "\r\n\r\n", limits).error == 0);
  CHECK(parse_all_ways(head + "A: " + std::string(40, 'x') + "\r\n\r\n", limits).error == 431);
  CHECK(parse_all_ways(head + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits).error == 0);
  CHECK(parse_all_ways(head + "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", limits).error == 431);
  // 29 bytes of fields.
  std::string chunked = "PUT / HTTP/1.1\r\nHost:x\r\nTransfer-Encoding:chunked\r\n\r\n";
  CHECK(parse_all_ways(chunked + "1;" + std::string(9, 'e') + "\r\na\r\n0\r\n\r\n", limits).error == 0);
  CHECK(parse_all_ways(chunked + "1;" + std::string(99, 'e') + "\r\na\r\n0\r\n\r\n", limits).error == 431);
  CHECK(parse_all_ways(chunked + "0\r\nT: " + std::string(40, 't') + "\r\n\r\n", limits).error == 431);
  CHECK(parse_all_ways(chunked + "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", limits, 4).error == 0);
  CHECK(parse_all_ways(chunked + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", limits, 4).error == 413);
}

TEST_CASE("parser: a body that is thrown away is counted, not kept") {
  HttpParser parser;
  std::string_view input = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  REQUIRE(parser.advance(input) == HttpParser::Event::kHead);
  CHECK(parser.request().has_body);
  CHECK(parser.request().content_length == 3);
  CHECK(parser.in_request());
  parser.discard_body();
  parser.limit_body(3, "x");
  REQUIRE(parser.advance(input) == HttpParser::Event::kRequest);
  CHECK(parser.request().body.size() == 0);
  CHECK_FALSE(parser.in_request());
}
