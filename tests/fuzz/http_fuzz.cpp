// libFuzzer over the HTTP parser: whatever the bytes, they must be read without a fault, and the same bytes
// in one piece and in arbitrary pieces must give the same requests and agree on whether there was an error.
// (Which error may differ: in one piece a bad byte can be seen before a bound is.) No field that is taken holds a
// part of a line's end or is without a name, and a target is ASCII. The first bytes of the input say where to cut.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shell/http/http_parser.hpp"

using kvd::HttpFields;
using kvd::HttpParser;
using kvd::HttpParserLimits;

namespace {

constexpr size_t kCuts = 8;
constexpr size_t kBodyBytes = 300;

struct Outcome {
  std::vector<std::string> requests;
  bool failed = false;
  bool in_request = false;
  bool operator==(const Outcome&) const = default;
};

std::string describe(const kvd::HttpRequest& request) {
  std::string text = std::to_string(static_cast<int>(request.method)) + ' ' + request.target + ' ' +
                     std::to_string(request.minor_version) + (request.keep_alive ? " keep" : " close") +
                     (request.expects_continue ? " expects" : "");
  for (size_t i = 0; i < request.fields.size(); ++i) {
    HttpFields::Field field = request.fields.at(i);
    text.append(" [").append(field.name).append("|").append(field.value).append("]");
  }
  return text + '<' + std::string(request.body.view()) + '>';
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

bool one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
}

void check(const kvd::HttpRequest& request) {
  for (char c : request.target) require(c > ' ' && c < '\x7f', "a target holds what no URI has");
  for (size_t i = 0; i < request.fields.size(); ++i) {
    HttpFields::Field field = request.fields.at(i);
    require(!field.name.empty() && one_line(field.name), "a field's name is empty or two lines");
    require(one_line(field.value), "a field's value is two lines");
  }
}

class Reader {
 public:
  // False once there is nothing more to read.
  bool feed(std::string_view piece) {
    // A block of its own, so that the sanitizer sees a read past its end.
    std::unique_ptr<char[]> copy(new char[piece.size()]);
    if (!piece.empty()) std::memcpy(copy.get(), piece.data(), piece.size());
    std::string_view input(copy.get(), piece.size());
    for (;;) {
      HttpParser::Event event = parser_.advance(input);
      if (event == HttpParser::Event::kMore) return true;
      if (event == HttpParser::Event::kHead) parser_.limit_body(kBodyBytes, "a body");
      if (event == HttpParser::Event::kRequest) check(parser_.request());
      if (event == HttpParser::Event::kRequest) outcome_.requests.push_back(describe(parser_.request()));
      if (event == HttpParser::Event::kError) {
        outcome_.failed = true;
        return false;
      }
    }
  }
  Outcome take() {
    outcome_.in_request = !outcome_.failed && parser_.in_request();
    return std::move(outcome_);
  }

 private:
  HttpParser parser_{HttpParserLimits{100, 200, 8}};
  Outcome outcome_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kCuts) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + kCuts, size - kCuts);
  Reader whole;
  whole.feed(bytes);
  Reader parts;
  std::string_view rest = bytes;
  bool more = true;
  for (size_t i = 0; more && !rest.empty(); ++i) {
    std::string_view piece = rest.substr(0, data[i % kCuts] % 32 + size_t{1});
    rest.remove_prefix(piece.size());
    more = parts.feed(piece);
  }
  require(whole.take() == parts.take(), "in one piece and in several the bytes give different requests");
  return 0;
}
