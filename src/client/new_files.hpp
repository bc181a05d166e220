// Files that are made together, and nothing is overwritten: each is there whole or not at all, and where one of them
// cannot be made none is left. Blocking calls; any thread.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace kvd::client {

struct PlannedFile {
  std::string path;
  std::string content;
  mode_t mode = 0600;  // whatever the umask
};

// Why these files cannot be new, as a line that begins with the first path where there is something.
std::optional<Error> something_in_the_way(const std::vector<std::string>& paths);

// Each is written and synced beside its place, then all get their names. A process that is killed meanwhile may leave
// some of them, each whole, and files `PATH.XXXXXX`. The Error is a line that begins with a path.
std::optional<Error> make_new_files(const std::vector<PlannedFile>& files);

}  // namespace kvd::client
