// Which of the lines that repeat themselves are worth their place in a log: what goes wrong ten times a second for
// hours must not fill a disk. A line is said when it is first heard, and if it is heard on and on, 10 seconds later, 20
// after that, 40, and so on up to every ten minutes. Texts that differ in numbers only are the same line.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace kvd {

class LogLimit {
 public:
  // Whether to say `line` now: how many like it were left out since one was said, or nothing when this is left out too.
  std::optional<uint64_t> heard(std::string_view line, uint64_t now_ms);

 private:
  struct Line {
    uint64_t said_ms = 0;
    uint64_t heard_ms = 0;
    uint64_t pause_ms = 0;
    uint64_t left_out = 0;
  };
  std::map<std::string, Line> lines_;
};

}  // namespace kvd
