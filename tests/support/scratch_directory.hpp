// A directory of its own for one test, below $TMPDIR or the place where temporary files go, or where the test wants it;
// removed with everything in it when the test ends.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace kvd {

struct ScratchDirectory {
  std::string path;
  explicit ScratchDirectory(const std::filesystem::path& where = std::filesystem::temp_directory_path())
      : path(where / "kvd-XXXXXX") {
    if (mkdtemp(path.data()) == nullptr) std::abort();
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

}  // namespace kvd
