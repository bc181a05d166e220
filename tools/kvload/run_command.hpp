// `kvload run`: finds the servers, fills them, warms up, measures, reports; with --yardstick in turn with a bare
// server. Ends with a sysexits code; an interrupt ends the measuring, and what there is by then is reported.
#pragma once
#include "kvload/options.hpp"

namespace kvd::load {

int run_command(const RunOptions& options);

// Before the work: whether --plot's file can be written. It is left as it was.
int try_plot(const Outputs& outputs);
// Writes the plot where one was asked for; the exit code.
int plot_to(const Outputs& outputs, const std::string& svg);

// Tells which keys were left at `server`, and what deletes them.
void name_what_is_left(const std::string& server, const std::string& prefix);
// The command that does it, for a person.
std::string curl_delete(const std::string& server, const std::string& target);

// The path of this very program, to start servers of its own with.
std::string own_program();

}  // namespace kvd::load
