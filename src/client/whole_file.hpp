// A file whose content is replaced whole or not at all, also when the process that does it is killed in the middle.
//
// Where it can, it writes a new file beside the old one and renames it over that: nobody ever sees anything but the
// old or the new content. A file that has to keep its inode (a mount point cannot be renamed over; other links and
// extended attributes would be lost) is written in place, by one write from the first byte to the last and, where it
// shrinks, with line ends up to the old length, which are cut off afterwards. Linux ends a write that is under way
// between two pages when the process gets SIGKILL; so a process of its own writes, which nobody knows and which
// outlives this one. Against what ends both (the power, the end of a container) there is a copy beside the file,
// complete before the file is touched, with the old and the new content; the next update, or recover(), finishes from
// it what was begun. What is left open: without the right to write the directory there is no copy; and whoever reads
// the file in place in the very moment of the write may see two pages of two contents, as the kernel promises no
// more.
//
// Blocking calls; one thread. Several processes may update one file: they take turns by a lock of the directory
// (flock).
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace kvd::client {

class WholeFile {
 public:
  enum class Way : uint8_t {
    kRenameWherePossible,
    kInPlace,  // as for a mount point
  };
  // `path` may be a symbolic link: what it leads to is replaced.
  explicit WholeFile(std::string path, Way way = Way::kRenameWherePossible);

  // Whether there was something to finish, and it is finished.
  Result<bool> recover();

  // Replaces the content by what `edit` makes of it, after recover(); a file that is not there is taken for empty. An
  // Error of `edit` is passed on and nothing is written. Whether the content was changed.
  Result<bool> update(const std::function<Result<std::string>(std::string_view content)>& edit);

 private:
  class Place;

  std::string path_;
  Way way_;
};

// Whether `content` is what a write of `after` over `before` in place leaves when it is cut off, in whatever order its
// pages reach the disk: each byte is the one of `before` or of `after`, whose end is filled with line ends, or a zero.
bool is_cut_off(std::string_view content, std::string_view before, std::string_view after);

}  // namespace kvd::client
