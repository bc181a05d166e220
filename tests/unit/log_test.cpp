// The form of a log line: nothing that a client or a peer sends can forge a line, a field or a JSON member,
// whatever bytes it consists of.
#include "shell/log.hpp"

#include <doctest.h>
#include <simdjson.h>

using namespace kvd;

namespace {

const std::chrono::system_clock::time_point kAt{std::chrono::milliseconds(1'700'000'000'042)};

std::string form(LogFormat format, std::string message,
                 std::vector<std::pair<std::string, std::string>> fields) {
  return format_log_line(format, kAt, "warn",
                         LogLine{LogLevel::kWarn, std::move(message), std::move(fields)});
}

}  // namespace

TEST_CASE("logfmt") {
  CHECK(form(LogFormat::kLogfmt, "elected", {{"epoch", "3"}, {"id", "a:8001"}}) ==
        "time=2023-11-14T22:13:20.042Z level=warn msg=elected epoch=3 id=a:8001");
  CHECK(form(LogFormat::kLogfmt, "link ended", {{"why", ""}, {"detail", "x=\"1\"\nlevel=info \\ \x01"}}) ==
        "time=2023-11-14T22:13:20.042Z level=warn msg=\"link ended\" why=\"\" "
        "detail=\"x=\\\"1\\\"\\nlevel=info \\\\ \\u0001\"");
}

TEST_CASE("JSON") {
  CHECK(form(LogFormat::kJson, "elected", {{"epoch", "3"}, {"id", "a:8001"}}) ==
        R"({"time":"2023-11-14T22:13:20.042Z","level":"warn","msg":"elected","epoch":"3","id":"a:8001"})");
}

TEST_CASE("any bytes are a readable JSON line") {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  bytes += "\xed\xa0\x80 \xc0\x80 \xf4\x90\x80\x80 \xe2\x82";  // surrogate, overlong, too large, cut off
  bytes += "\xe2\x82\xac";
  std::string line = form(LogFormat::kJson, bytes, {{"value", bytes}});
  CHECK(line.find('\n') == std::string::npos);
  simdjson::dom::parser parser;
  std::string_view message;
  REQUIRE(parser.parse(line)["msg"].get(message) == simdjson::SUCCESS);
  CHECK(message.substr(0, 128) == std::string_view(bytes).substr(0, 128));
  CHECK(message.substr(message.size() - 3) == "\xe2\x82\xac");
  CHECK(form(LogFormat::kLogfmt, bytes, {}).find('\n') == std::string::npos);
}
