// The form of a log line: nothing that a client or a peer sends can forge a line, a field or a JSON member,
// whatever bytes it consists of.
#include "shell/log.hpp"

#include <doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <simdjson.h>
#include <unistd.h>

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

TEST_CASE("who does not read the log stops nobody, and is told how much was dropped") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  Logger log(LogSettings{LogThreshold::kInfo, LogFormat::kLogfmt}, ends[1]);
  constexpr int kLines = 5000;  // of 200 bytes and more: no pipe takes them all
  const std::string filler(150, 'x');
  for (int i = 0; i < kLines; ++i) log.write(LogLine{LogLevel::kInfo, "line", {{"filler", filler}}});

  REQUIRE(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  std::string text;
  auto read_all = [&] {
    char buffer[4096];
    for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(size));
  };
  read_all();
  log.write(LogLine{LogLevel::kInfo, "again", {}});
  read_all();
  int whole = 0;
  for (size_t at = 0; (at = text.find(filler + "\n", at)) != std::string::npos; ++at) ++whole;
  CHECK(whole > 0);
  CHECK(whole < kLines);
  const std::string told = fmt::format("\nkvd: {} lines of the log were dropped", kLines - whole);
  CHECK(text.find(told) != std::string::npos);
  CHECK(text.find("msg=again", text.find(told)) != std::string::npos);

  close(ends[0]);
  signal(SIGPIPE, SIG_IGN);
  log.write(LogLine{LogLevel::kInfo, "to nobody", {}});
  close(ends[1]);
}
