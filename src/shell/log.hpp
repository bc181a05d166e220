// Structured logs: one LogLine, one line on standard error, as logfmt or as JSON. The loop's thread only;
// nothing here buffers, or waits for who reads it (log_sink.hpp). Every line carries time (ISO 8601, UTC,
// milliseconds), level, msg and then the line's own fields in order.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "msg/actors.hpp"
#include "shell/log_sink.hpp"

namespace kvd {

enum class LogFormat { kLogfmt, kJson };
// kTrace: also the trace, a line for every input and effect (base/trace.hpp). kDebug: also what peer links
// and the connection to ZooKeeper go through.
enum class LogThreshold { kTrace, kDebug, kInfo, kWarn, kError };

struct LogSettings {
  LogThreshold threshold = LogThreshold::kInfo;
  LogFormat format = LogFormat::kLogfmt;
};

// logfmt on a terminal, else JSON.
LogFormat default_log_format();

class Logger {
 public:
  explicit Logger(LogSettings settings, int descriptor = 2)
      : settings_(settings), sink_(descriptor) {}  // standard error
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void write(const LogLine& line);
  bool tracing() const { return settings_.threshold == LogThreshold::kTrace; }
  bool debugging() const { return settings_.threshold <= LogThreshold::kDebug; }
  void trace(std::string_view text);  // one line of the trace, at level trace

 private:
  void write(std::string_view level, const LogLine& line);

  LogSettings settings_;
  DescriptorSink sink_;
};

// One line without its end. Bytes that are no UTF-8 are shown as U+FFFD; line ends and control characters are
// escaped, so that no value can forge a line.
std::string format_log_line(LogFormat format, std::chrono::system_clock::time_point at,
                            std::string_view level, const LogLine& line);

}  // namespace kvd
