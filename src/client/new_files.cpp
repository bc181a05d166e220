// See new_files.hpp.
#include "client/new_files.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "client/files.hpp"

namespace kvd::client {
namespace {

Error cannot_be_made(const std::string& path, int number) {
  if (number == EEXIST) return {fmt::format("{}: is there already, and is not overwritten", path)};
  return {fmt::format("{}: cannot be made: {}", path, std::strerror(number))};
}

// A name that goes with its owner.
class OwnedName {
 public:
  explicit OwnedName(std::string path) : path_(std::move(path)) {}
  OwnedName(OwnedName&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  OwnedName& operator=(OwnedName&&) = delete;
  ~OwnedName() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

// The file under another name, beside its own.
Result<OwnedName> write_beside(const PlannedFile& file) {
  std::string path = file.path + ".XXXXXX";
  const Descriptor descriptor(::mkostemp(path.data(), O_CLOEXEC));
  if (!descriptor) return Failure<Error>(cannot_be_made(file.path, errno));
  OwnedName name(std::move(path));
  int error = write_all(descriptor.get(), file.content);
  if (error == 0 && ::fchmod(descriptor.get(), file.mode) != 0) error = errno;
  if (error == 0 && ::fsync(descriptor.get()) != 0) error = errno;
  if (error != 0) return Failure<Error>(cannot_be_made(file.path, error));
  return name;
}

// So that the names stay, too. 0, or errno.
int sync_directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  const Descriptor directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno;
  return ::fsync(directory.get()) == 0 || errno == EINVAL ? 0 : errno;
}

}  // namespace

std::optional<Error> something_in_the_way(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return cannot_be_made(path, EEXIST);
  }
  return std::nullopt;
}

std::optional<Error> make_new_files(const std::vector<PlannedFile>& files) {
  std::vector<OwnedName> temporaries;
  for (const PlannedFile& file : files) {
    auto written = write_beside(file);
    if (!written) return std::move(written.error());
    temporaries.push_back(std::move(*written));
  }
  std::vector<OwnedName> made;
  for (size_t i = 0; i < files.size(); ++i) {
    // Unlike a rename a link replaces nothing.
    if (::link(temporaries[i].path().c_str(), files[i].path.c_str()) != 0)
      return cannot_be_made(files[i].path, errno);
    made.emplace_back(files[i].path);
  }
  for (const PlannedFile& file : files) {
    if (const int error = sync_directory_of(file.path)) return cannot_be_made(file.path, error);
  }
  for (OwnedName& name : made) name.keep();
  return std::nullopt;
}

}  // namespace kvd::client
