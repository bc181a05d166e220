// What can follow on a command line, by the tables that command lines are read by: `kvd complete WORDS...` prints it
// for the scripts in tools/completion, which hand it to bash, zsh and fish. Pure.
#pragma once
#include <string>
#include <vector>

#include "base/command_line.hpp"

namespace kvd {

// `specs`: the program's first, then those of its subcommands, of one word or two. `words`: those behind the program's
// name up to the one that is being typed, which is the last one and may be empty. The answer is a line for each word
// that can stand in its place, as "WORD\tHELP", and a last line that says what else may: ":none", ":files",
// ":directories", or ":command N" for a command line of its own that begins with word N, counted from 1.
std::string complete(const std::vector<CommandSpec>& specs, const std::vector<std::string>& words);

}  // namespace kvd
