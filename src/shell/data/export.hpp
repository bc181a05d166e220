// `kvd export DIR [FILE]`: the data of a server that does not run, out of its directory, as a snapshot that PUT
// /v1/snapshot takes. Changes nothing in the directory, and keeps servers out of it meanwhile. Called by main.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/command_line.hpp"
#include "base/result.hpp"

namespace kvd {

struct ExportHooks {
  std::function<void(const std::string& line)> say;  // to the user
  std::function<int()> stop;                         // the signal that wants it to end; 0: none
};
struct ExportOptions {
  std::string directory;
  std::string file;  // empty: the standard output
};

CommandSpec export_spec();

// `arguments` behind the word export.
Result<ExportOptions, CommandEnd> parse_export(const std::vector<std::string>& arguments);
// The exit code, as --help tells them.
int export_directory(const ExportOptions& options, const ExportHooks& hooks);

int run_export(const std::vector<std::string>& arguments);  // both; it speaks on standard error

}  // namespace kvd
