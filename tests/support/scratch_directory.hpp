// A directory of its own for one test, below $TMPDIR or the place where temporary files go; removed with everything in
// it when the test ends.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

namespace kvd {

struct ScratchDirectory {
  std::string path = std::filesystem::temp_directory_path() / "kvd-XXXXXX";
  ScratchDirectory() {
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
