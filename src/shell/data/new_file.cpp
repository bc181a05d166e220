// See new_file.hpp.
#include "shell/data/new_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace kvd {
namespace {

std::string text_of(int error) { return std::generic_category().message(error); }

bool is_there(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

// 0, or errno. Some file systems cannot rename without replacing; there a moment is left between the look and the
// rename.
int move_without_replacing(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (is_there(to)) return EEXIST;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

Result<NewFile> NewFile::create(const std::string& path) {
  if (is_there(path)) return failure(fmt::format("{}: is there already, and is not overwritten", path));
  std::string temporary = path + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) return failure(fmt::format("{}: cannot be made: {}", path, text_of(errno)));
  return NewFile(path, std::move(temporary), descriptor);
}

NewFile NewFile::standard_output() { return {"the standard output", "", STDOUT_FILENO}; }

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

NewFile::~NewFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (descriptor_ >= 0 && descriptor_ != STDOUT_FILENO) ::close(descriptor_);
}

std::optional<Error> NewFile::error_of(const char* call) const {
  return Error{fmt::format("{}: {}: {}", path_, call, text_of(errno))};
}

std::optional<Error> NewFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) return error_of("write");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return std::nullopt;
}

std::optional<Error> NewFile::finish() {
  // A pipe cannot be synced.
  if (::fsync(descriptor_) != 0 && !(temporary_.empty() && (errno == EINVAL || errno == EROFS)))
    return error_of("fsync");
  if (temporary_.empty()) return std::nullopt;
  if (const int failed = move_without_replacing(temporary_, path_)) {
    errno = failed;
    return error_of("rename");
  }
  temporary_.clear();
  // The name has to stay, too.
  const int directory = ::open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && (::fsync(directory) == 0 || errno == EINVAL);
  const int failed = synced ? 0 : errno;
  if (directory >= 0) ::close(directory);
  if (!synced) ::unlink(path_.c_str());
  errno = failed;
  return synced ? std::nullopt : error_of("fsync of its directory");
}

}  // namespace kvd
