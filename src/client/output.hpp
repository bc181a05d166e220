// Standard output of the commands that print what others may read at once, and that end when nobody reads it any more.
// Any thread, one at a time.
#pragma once
#include <sysexits.h>

#include <string_view>

namespace kvd::client {

// The exit code: `code`, or EX_IOERR where the bytes cannot be written. That is told on standard error, unless nobody
// reads them any more, as behind `| head`.
int print(std::string_view bytes, int code = EX_OK);

// Nobody will ever read what is printed from here on.
bool nobody_reads();

}  // namespace kvd::client
