// libFuzzer over the HTTP parser: whatever the bytes, they must be read without a fault, and the same bytes
// in one piece and in arbitrary pieces must give the same requests and agree on whether there was an error.
// (Which error may differ: in one piece a bad byte can be seen before a bound is.) The first bytes of the
// input say where to cut.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shell/http_parser.hpp"

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
  if (whole.take() == parts.take()) return 0;
  std::fprintf(stderr, "in one piece and in several the bytes give different requests\n");
  std::abort();
}
