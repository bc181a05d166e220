// See watch.hpp.
#include "msg/watch.hpp"

#include "base/check.hpp"

namespace kvd {

const char* watch_break_name(WatchBreak why) {
  switch (why) {
    case WatchBreak::kHistory:
      return "history";
    case WatchBreak::kSnapshot:
      return "snapshot";
    case WatchBreak::kLineage:
      return "lineage";
    case WatchBreak::kCopy:
      return "copy";
    case WatchBreak::kStopping:
      return "stopping";
  }
  CHECK(false);
}

size_t line_bytes(const WatchLine& line, bool values) {
  constexpr size_t kBeside = 96;  // names, numbers, what frames the line
  const auto* event = std::get_if<WatchEvent>(&line);
  if (event == nullptr) return kBeside;
  return kBeside + event->record.key().size() + (values ? event->record.value().size() : 0);
}

}  // namespace kvd
