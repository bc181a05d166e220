// What a command is given as its value or body: a text of the command line, the standard input, or a file, each read
// as a whole before any server is asked; or the standard input as it comes.
#pragma once
#include <string>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "client/store_options.hpp"

namespace kvd::client {

// At most limits::kWriteBytes, as no server takes more. The failure is one for the program to end with.
Result<std::string, CommandEnd> read_input(const InputSource& source);

// Appends what the standard input has, or has next. False: it has ended, and nothing is appended.
Result<bool, CommandEnd> read_more(std::string& content);

}  // namespace kvd::client
