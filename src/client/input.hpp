// What a command is given on standard input or in a file, as a whole.
#pragma once
#include <string>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "client/store_options.hpp"

namespace kvd::client {

// At most limits::kWriteBytes, as no server takes more. The failure is one for the program to end with.
Result<std::string, CommandEnd> read_input(const InputSource& source);

}  // namespace kvd::client
