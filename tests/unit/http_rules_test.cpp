// What RFC 9110 and RFC 9112 demand of a server that reads requests: a table, each line with the paragraph that it
// follows, in pieces of every size. What is answered to whole requests is in tests/shell/http_rules_test.cpp.
#include <doctest.h>

#include <string>
#include <vector>

#include "shell/http/http_host.hpp"
#include "shell/http/http_lines.hpp"
#include "shell/http/http_parser.hpp"

using namespace kvd;

namespace {

struct Rule {
  std::string paragraph;
  std::string_view bytes;
  uint16_t error;   // 0: taken
  size_t requests;  // that are taken, before the error or in all
};

struct Taken {
  uint16_t error = 0;
  std::vector<std::string> requests;  // target and body
  bool operator==(const Taken&) const = default;
};

Taken read(std::string_view bytes, size_t piece) {
  HttpParser parser;
  Taken taken;
  while (!bytes.empty()) {
    std::string copy(bytes.substr(0, piece));  // a block of its own: a sanitizer sees reads past it
    bytes.remove_prefix(copy.size());
    std::string_view input = copy;
    for (auto event = parser.advance(input); event != HttpParser::Event::kMore;
         event = parser.advance(input)) {
      if (event == HttpParser::Event::kRequest)
        taken.requests.push_back(parser.request().target + " " + std::string(parser.request().body.view()));
      if (event == HttpParser::Event::kError) {
        taken.error = parser.error().status;
        return taken;
      }
    }
  }
  return taken;
}

Taken read_all_ways(std::string_view bytes) {
  Taken whole = read(bytes, bytes.size());
  for (size_t piece = 1; piece < bytes.size() && piece < 40; ++piece) {
    CAPTURE(piece);
    CHECK(read(bytes, piece) == whole);
  }
  return whole;
}

void check(const std::vector<Rule>& rules) {
  for (const Rule& rule : rules) {
    CAPTURE(rule.paragraph);
    CAPTURE(rule.bytes);
    Taken taken = read_all_ways(rule.bytes);
    CHECK(taken.error == rule.error);
    CHECK(taken.requests.size() == rule.requests);
  }
}

// A literal with what may hold a NUL.
template <size_t N>
constexpr std::string_view bytes(const char (&literal)[N]) {
  return {literal, N - 1};
}

}  // namespace

TEST_CASE("rules: the lines of a head") {
  check({
      {"9112 2.2: a CR without LF is invalid", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400, 0},
      {"9112 2.2: ... CVE-2023-30589",
       "POST / HTTP/1.1\r\nHost: x\r\nA: \rxTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n", 400, 0},
      {"9112 2.2: ... with a length",
       "POST / HTTP/1.1\r\nHost: x\r\nA: \rContent-Length: 45\r\n\r\nGET /b HTTP/1.1\r\nHost: y\r\n\r\n", 400,
       0},
      {"9112 2.2: ... CVE-2025-23167", "GET /a HTTP/1.1\r\nHost: x\r\n\rXGET /b HTTP/1.1\r\nHost: y\r\n\r\n",
       400, 0},
      {"9112 2.2: ... in the request line", "GET / HTTP/1.1\rHost: x\r\n\r\n", 400, 0},
      {"9112 2.2: ... in a target", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.2: ... in a name", "GET / HTTP/1.1\r\nHost: x\r\nA\r: b\r\n\r\n", 400, 0},
      {"9112 2.2: ... at a value's end", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n", 400, 0},
      {"9112 2.2: ... before the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n", 400, 0},
      {"9112 2.2: ... that hides a coding",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \rchunked\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 2.2: ... behind a coding",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r, identity\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 2.2: a LF alone may be refused: the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.2: ... a field", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, 0},
      {"9112 2.2: ... the last field", "GET / HTTP/1.1\r\nHost: x\n\r\n", 400, 0},
      {"9112 2.2: ... the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\n", 400, 0},
      {"9112 2.2: ... all", "GET / HTTP/1.1\nHost: x\n\n", 400, 0},
      {"9112 2.2: ... before a request", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.2: ... 1.0 with a field", "GET / HTTP/1.0\r\nA: b\n\r\n", 400, 0},
      {"9112 2.2: ... taken of who types without a field", "GET / HTTP/1.0\n\n", 0, 1},
      {"9112 2.2: an empty line before a request is skipped", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, 1},
      {"9112 2.2: ... and not another line ending", "\r\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.2: white space before the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, 0},
      {"9112 5.2: a folded field", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, 0},
      {"9112 5.2: ... with a tab", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n", 400, 0},
      {"9112 5.2: ... an empty one", "GET / HTTP/1.1\r\nHost: x\r\nA:\r\n \r\n\r\n", 400, 0},
      {"9112 5.2: ... of a coding",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 5.1: white space before a colon", "GET / HTTP/1.1\r\nHost: x\r\nIf-Match : \"0\"\r\n\r\n", 400,
       0},
      {"9112 5.1: ... a tab", "GET / HTTP/1.1\r\nHost: x\r\nA\t: b\r\n\r\n", 400, 0},
      {"9112 5.1: white space in a name", "GET / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", 400, 0},
      {"9112 5.1: an empty name", "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400, 0},
      {"9112 5.1: ... first", "GET / HTTP/1.1\r\n: y\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 5.1: a blank name", "GET / HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n", 400, 0},
      {"9112 5.1: a line without a colon", "GET / HTTP/1.1\r\nHost: x\r\nAbc\r\n\r\n", 400, 0},
      {"9110 5.6.2: what no name may have", "GET / HTTP/1.1\r\nHost: x\r\nA(b): c\r\n\r\n", 400, 0},
      {"9110 5.6.2: ... beyond ASCII", "GET / HTTP/1.1\r\nHost: x\r\nA\xc3\xa9: c\r\n\r\n", 400, 0},
      {"9110 5.5: NUL in a value", bytes("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"), 400, 0},
      {"9110 5.5: bytes beyond ASCII in a value are opaque",
       "GET / HTTP/1.1\r\nHost: x\r\nA: \xc3\xa9\r\n\r\n", 0, 1},
      {"9110 5.5: white space around a value is none of it", "GET / HTTP/1.1\r\nHost: \t x \t\r\n\r\n", 0, 1},
  });
}

TEST_CASE("rules: the request line") {
  check({
      {"9112 3: bytes beyond ASCII in a target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3: a control character in a target", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3: NUL in a target", bytes("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"), 400, 0},
      {"9112 3.2: white space in a target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3: no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3: no version, as in HTTP/0.9", "GET /\r\nHost: x\r\n\r\n", 505, 0},
      {"9112 3.1: methods are case-sensitive", "get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.3: the version is case-sensitive", "GET / http/1.1\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 2.3: a version has two digits", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400, 0},
      {"9110 2.5: a higher minor version is the highest known one", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 0,
       1},
      {"9110 2.5: ... that needs a Host, too", "GET / HTTP/1.9\r\n\r\n", 400, 0},
      {"9112 2.3: another protocol", "GET / RTSP/1.0\r\nHost: x\r\n\r\n", 505, 0},
      {"9112 2.3: ... a method of both", "OPTIONS * RTSP/1.1\r\nHost: x\r\n\r\n", 505, 0},
      {"9112 2.3: ... a method of that one", "SETUP / RTSP/1.0\r\nHost: x\r\n\r\n", 505, 0},
      {"9112 2.3: ... of Icecast", "SOURCE / ICE/1.0\r\nHost: x\r\n\r\n", 505, 0},
      {"9110 2.5: another major version", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, 0},
      {"9110 2.5: ... a lower one", "GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505, 0},
      {"9112 3.2.4: the asterisk is a target", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 0, 1},
  });
}

TEST_CASE("rules: Host") {
  check({
      {"9112 3.2: without a Host", "GET / HTTP/1.1\r\n\r\n", 400, 0},
      {"9112 3.2: ... HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", 0, 1},
      {"9112 3.2: two of them", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3.2: ... in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400, 0},
      {"9112 3.2: a value that is no host", "GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n", 400, 0},
      {"9112 3.3: an empty one", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, 0},
      {"9112 3.3: ... for a target with an authority", "GET http://x/ HTTP/1.1\r\nHost:\r\n\r\n", 400, 0},
      {"9112 3.2.2: a good one beside a target with an authority",
       "GET http://x/ HTTP/1.1\r\nHost: y\r\n\r\n", 0, 1},
  });
  for (std::string_view good :
       {"x", "x:80", "x:", "a.b-c_d~e", "127.0.0.1:8001", "[::1]", "[2001:db8::1]:80", "%c3%a9"})
    CHECK(host_of(good).has_value());
  CHECK(host_of("a.b:80") == "a.b");
  CHECK(host_of("[::1]:80") == "[::1]");
  for (std::string_view bad : {"user@x", "u:p@x", "x/",   "x/path",   "x?q",  "x#f",     "x,y",       "x, y",
                               "x y",    "x:8a",  "x:-1", "x:80:81",  "[::1", "[::1]80", "[1.2.3.4]", "[x]",
                               "::1",    "x%",    "x%zz", "\xc3\xa9", "x\"",  "<x>",     "x\\y"})
    CHECK_MESSAGE(!host_of(bad), bad);
}

TEST_CASE("rules: where a request ends") {
  check({
      {"9112 6.3: two different lengths",
       "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, 0},
      {"9112 6.3: two equal ones may be refused",
       "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, 0},
      {"9112 6.3: a list of lengths", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na", 400, 0},
      {"9110 8.6: an empty length", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", 400, 0},
      {"9110 8.6: a sign", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400, 0},
      {"9110 8.6: a negative one", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, 0},
      {"9110 8.6: hexadecimal", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na", 400, 0},
      {"9110 8.6: white space inside", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\na", 400, 0},
      {"9110 8.6: too large a number",
       "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\na", 400, 0},
      {"9112 6.3: a length and a coding",
       "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       0},
      {"9112 6.3: ... the other way",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400,
       0},
      {"9112 6.3: chunked is not the last coding",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 6.3: there is no chunked", "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400,
       0},
      {"9112 6.3: ... identity", "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400, 0},
      {"9112 6.3: ... a longer word",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunkedchunked\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 6.3: ... an empty field", "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", 400, 0},
      {"9112 6.3: ... with a length",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \r\nContent-Length: 1\r\n\r\na", 400, 0},
      {"9112 6.3: ... a quoted word",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 6.1: chunked twice",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, 0},
      {"9112 6.1: ... in two fields",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400, 0},
      {"9112 6.1: an unknown coding before chunked",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, 0},
      {"9112 6.1: ... in two fields",
       "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       501, 0},
      {"9112 7: codings are case-insensitive",
       "PUT / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", 0, 1},
      {"9112 6.1: HTTP/1.0 with a coding", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400, 0},
      {"9112 6.1: ... with a length, too",
       "PUT / HTTP/1.0\r\nTransfer-Encoding: \r\nContent-Length: 1\r\n\r\na", 400, 0},
      {"9112 6.3: neither: no content",
       "PUT /a HTTP/1.1\r\nHost: x\r\n\r\nPUT /b HTTP/1.1\r\nHost: x\r\n\r\n", 0, 2},
      {"9112 6: content with any method",
       "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\nHost: x\r\n\r\n", 0, 2},
      {"9110 10.1.1: HTTP/1.1 may expect to be told to go on",
       "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na", 0, 1},
      {"9110 10.1.1: what else is expected is not known", "PUT / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n",
       417, 0},
  });
}

TEST_CASE("rules: chunks") {
  const std::string head = "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  struct Chunks {
    std::string paragraph;
    std::string bytes;
    uint16_t error;
  };
  for (const Chunks& rule : {
           Chunks{"9112 7.1: CRLF behind a chunk's data", "2\r\nab\r\n0\r\n\r\n", 0},
           Chunks{"9112 7.1: ... any two bytes", "2\r\nabXX0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... nothing", "2\r\nab0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... CR CR", "2\r\nab\r\r0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... LF", "2\r\nab\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... LF and a byte", "2\r\nab\nX0\r\n\r\n", 400},
           Chunks{"9112 7.1: the size's line ends with LF", "2\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... with CR", "2\rab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... with CR and a byte", "2\rXab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: no size", "\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: a size that is no number", "g\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: 0x", "0x2\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: a sign", "+2\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: white space behind a size", "2 \r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: ... before it", " 2\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: an overflow MUST be noticed", "10000000000000002\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1: sizes are hexadecimal, in either case",
                  "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", 0},
           Chunks{"9112 7.1.1: unknown extensions MUST be ignored", "2;a=\"b\";c=d\r\nab\r\n0;e\r\n\r\n", 0},
           Chunks{"9112 7.1.1: ... of any number", "2;a=b;c=d;e;f=\";\";g=h\r\nab\r\n0;a=b;c=d\r\n\r\n", 0},
           Chunks{"9112 7.1.1: ... but not without names", "2;a=b;\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.1: ... or with empty ones", "2;a=b;;c=d\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.1: ... an empty one first", "2;;c=d\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.1: ... a value alone", "2;=d\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.1: ... nor with white space in them", "2;a=b; c=d\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.1: ... nor with what ends none", "2;a=b,c=d\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 2.2: a LF behind an extension", "2;a=b;c=d\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 2.2: a CR in an extension", "2;a\rb\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 2.2: a LF in an extension", "2;a\nb\r\nab\r\n0\r\n\r\n", 400},
           Chunks{"9112 7.1.2: trailers may be dropped", "2\r\nab\r\n0\r\nA: b\r\n\r\n", 0},
           Chunks{"9112 7.1.2: ... and change nothing", "2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n", 0},
           Chunks{"9112 5.1: a trailer without a name", "2\r\nab\r\n0\r\n: b\r\n\r\n", 400},
           Chunks{"9112 5.2: a folded trailer", "2\r\nab\r\n0\r\nA: b\r\n c\r\n\r\n", 400},
           Chunks{"9112 2.2: a trailer that ends with LF", "2\r\nab\r\n0\r\nA: b\n\r\n", 400},
           Chunks{"9112 2.2: a CR in a trailer", "2\r\nab\r\n0\r\nA: b\rc\r\n\r\n", 400},
           Chunks{"9112 2.2: the last line ends with LF", "2\r\nab\r\n0\r\n\n", 400},
           Chunks{"9112 2.2: the last line ends with CR and a byte", "2\r\nab\r\n0\r\n\rX", 400},
           Chunks{"9112 2.2: data may hold anything", "4\r\na\r\nb\r\n3\r\n\r \n\r\n0\r\n\r\n", 0},
       }) {
    CAPTURE(rule.paragraph);
    CAPTURE(rule.bytes);
    // Another request behind it: neither lost nor made up.
    Taken taken = read_all_ways(head + rule.bytes + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(taken.error == rule.error);
    CHECK(taken.requests.size() == (rule.error == 0 ? 2 : 0));
    if (taken.requests.size() == 2) CHECK(taken.requests.back() == "/next ");
  }
}

TEST_CASE("rules: lines are counted the same in pieces of any size") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += i % 7 == 0 ? "\r\n" : i % 5 == 0 ? "\n " : "ab";
  HttpLines whole;
  whole.add(text);
  CHECK(whole.bare_lf());
  CHECK(whole.folded());
  CHECK_FALSE(whole.bare_cr());
  for (size_t piece : {1, 2, 3, 254, 255, 256, 257}) {
    HttpLines parts;
    for (size_t at = 0; at < text.size(); at += piece) parts.add(std::string_view(text).substr(at, piece));
    CHECK(parts.bare_lf() == whole.bare_lf());
    CHECK(parts.folded() == whole.folded());
    CHECK(parts.bare_cr() == whole.bare_cr());
  }
  HttpLines good;
  for (int i = 0; i < 1000; ++i) good.add("\r\n");
  CHECK_FALSE(good.bare_lf());
  good.add("\r");
  CHECK_FALSE(good.bare_cr());
  good.add("\r");
  CHECK(good.bare_cr());
}
