// The descriptors 0, 1 and 2. Daemons, cron and wrappers start programs without them (<&- >&-), and then the next file
// or socket would get their numbers, and with it what is written to standard output or standard error.
#pragma once

namespace kvd::client {

// Those that are closed become /dev/null. First of all in main.
void open_standard_descriptors();

}  // namespace kvd::client
