// `kvd export DIR [FILE]`: the data of a server that does not run, out of its directory, as a snapshot that PUT
// /v1/snapshot takes. Changes nothing in the directory, and keeps servers out of it meanwhile. Called by main.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace kvd {

struct ExportHooks {
  std::function<void(const std::string& line)> say;  // to the user
  std::function<int()> stop;                         // the signal that wants it to end; 0: none
};
// `arguments` behind the word export, without --help. The exit code, as --help tells them.
int export_directory(const std::vector<std::string>& arguments, const ExportHooks& hooks);

int run_export(const std::vector<std::string>& arguments);  // says it on standard error

}  // namespace kvd
