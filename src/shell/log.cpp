// See log.hpp.
#include "shell/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/json_writer.hpp"
#include "base/utc.hpp"

namespace kvd {
namespace {

constexpr char kReplacement[] = "\xef\xbf\xbd";

// Length of the well-formed UTF-8 sequence (RFC 3629) at `at`; 0: there is none.
size_t sequence_length(std::string_view text, size_t at) {
  auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  auto tail = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    return tail(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    return tail(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t length = sequence_length(text, at);
    out += length == 0 ? std::string_view(kReplacement) : text.substr(at, length);
    at += std::max<size_t>(length, 1);
  }
  return out;
}

// A bare word stays as it is; anything else is quoted as a JSON string is.
std::string logfmt_value(std::string_view text) {
  auto bare = [](unsigned char c) { return c > ' ' && c != '"' && c != '=' && c != '\\' && c < 0x7f; };
  if (!text.empty() && std::all_of(text.begin(), text.end(), bare)) return std::string(text);
  return json_quoted(valid_utf8(text));
}

std::string timestamp(std::chrono::system_clock::time_point at) {
  const auto since_1970 = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch());
  return utc_text_ms(static_cast<uint64_t>(since_1970.count()));
}

LogThreshold threshold_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return LogThreshold::kDebug;
    case LogLevel::kInfo:
      return LogThreshold::kInfo;
    case LogLevel::kWarn:
      return LogThreshold::kWarn;
    case LogLevel::kError:
      return LogThreshold::kError;
  }
  return LogThreshold::kError;
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

}  // namespace

LogFormat default_log_format() { return isatty(STDERR_FILENO) == 1 ? LogFormat::kLogfmt : LogFormat::kJson; }

std::string format_log_line(LogFormat format, std::chrono::system_clock::time_point at,
                            std::string_view level, const LogLine& line) {
  if (format == LogFormat::kJson) {
    JsonWriter json;
    json.begin_object()
        .member("time", timestamp(at))
        .member("level", level)
        .member("msg", valid_utf8(line.message));
    for (const auto& [name, value] : line.fields) json.member(name, valid_utf8(value));
    return json.end_object().take();
  }
  std::string out = fmt::format("time={} level={} msg={}", timestamp(at), level, logfmt_value(line.message));
  for (const auto& [name, value] : line.fields) out += fmt::format(" {}={}", name, logfmt_value(value));
  return out;
}

void Logger::write(std::string_view level, const LogLine& line) {
  sink_.write(format_log_line(settings_.format, std::chrono::system_clock::now(), level, line) + "\n");
}

void Logger::write(const LogLine& line) {
  if (threshold_of(line.level) >= settings_.threshold) write(level_name(line.level), line);
}

void Logger::trace(std::string_view text) {
  if (tracing()) write("trace", {LogLevel::kDebug, std::string(text), {}});
}

}  // namespace kvd
