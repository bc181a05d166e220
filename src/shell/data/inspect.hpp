// `kvd inspect FILE|DIR [--json]`: what a data directory, one file of it, or a backup holds and whether it is sound. It
// only reads, takes no lock and may be used while a server runs on the directory. Called by main.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"

namespace kvd {

CommandSpec inspect_spec();

struct Inspection {
  int code =
      0;  // 0 sound, 64 usage, 65 damaged, 66 no such file or nothing of kvd's there, 74 cannot be read
  std::string output;  // what was found
  std::string error;   // one line, with the last two and usage
};
// `arguments` behind the word inspect.
Inspection inspect(const std::vector<std::string>& arguments);

int run_inspect(const std::vector<std::string>& arguments);  // prints it and returns the exit code

}  // namespace kvd
