// See directory.hpp.
#include "shell/data/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace kvd {
namespace {

constexpr char kLockName[] = "lock";

// Signals may interrupt any of these.
template <class Call>
auto again(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string text_of(int error) {
  return std::generic_category().message(error);
}  // strerror is not for threads

FileError error_of(const char* call, const std::string& name, int error) {
  return FileError{error == ENOSPC || error == EDQUOT, fmt::format("{} {}: {}", call, name, text_of(error))};
}

FileResult write_all(int descriptor, const std::string& name, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        again([&] { return pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0) return error_of("write", name, errno);
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

// Space for `size` zeros; where a file system knows no such thing, their number alone. Writing the zeros as well, so
// that later syncs need not record what of the space is in use, was not found to pay.
FileResult allocate(int descriptor, const std::string& name, uint64_t size) {
  if (size == 0) return {};
  int failed = EINTR;
  while (failed == EINTR) failed = posix_fallocate(descriptor, 0, static_cast<off_t>(size));
  if (failed == EOPNOTSUPP || failed == EINVAL)
    failed = again([&] { return ftruncate(descriptor, static_cast<off_t>(size)); }) == 0 ? 0 : errno;
  if (failed != 0) return error_of("allocate", name, failed);
  return {};
}

FileError only_looking() { return FileError{false, "this directory was opened to look at it only"}; }

// A new directory's name is in its parent, and has to stay there.
bool make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0) return false;
  std::string parent = std::filesystem::absolute(path).lexically_normal().parent_path();
  if (path.ends_with('/')) parent = std::filesystem::path(parent).parent_path();
  const int descriptor = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    fsync(descriptor);
    close(descriptor);
  }
  return true;
}

// Who only looks holds the lock without a number: then it is still the one of a process that is gone.
std::string owner_of(int lock) {
  char text[32] = "";
  const ssize_t count = pread(lock, text, sizeof text - 1, 0);
  int number = 0;
  const auto [end, error] = std::from_chars(text, text + std::max<ssize_t>(count, 0), number);
  if (error != std::errc() || number <= 0 || (kill(number, 0) != 0 && errno == ESRCH)) return "";
  return std::to_string(number);
}

}  // namespace

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

Result<std::unique_ptr<Directory>> Directory::open_to_look(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure(fmt::format("{}: {}", path, text_of(errno)));
  return std::unique_ptr<Directory>(new Directory(descriptor, false));
}

Result<std::unique_ptr<Directory>> Directory::open(const std::string& path) {
  if (!make_directory(path) && errno != EEXIST) {
    return failure(fmt::format("{}: the directory cannot be made: {}", path, text_of(errno)));
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failure(fmt::format("{}: {}", path, text_of(errno)));
  std::unique_ptr<Directory> directory(new Directory(descriptor, true));
  directory->lock_ = openat(descriptor, kLockName, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (directory->lock_ < 0)
    return failure(fmt::format("{}: nothing can be written there: {}", path, text_of(errno)));
  if (again([&] { return flock(directory->lock_, LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return failure(fmt::format("{}: cannot be locked: {}", path, text_of(errno)));
    const std::string owner = owner_of(directory->lock_);
    return failure(fmt::format("{}: in use by another process{}{}; give every server a directory of its own",
                               path, owner.empty() ? "" : " ", owner));
  }
  // For whoever meets the lock.
  const std::string own = std::to_string(getpid());
  if (ftruncate(directory->lock_, 0) != 0 || write_all(directory->lock_, kLockName, 0, own)) {
    // On a full disk it stays without a number.
  }
  return directory;
}

// A shared lock: several may look at a time. A directory without a file to lock was never a server's, or is a copy.
Result<bool> Directory::keep_servers_out(std::string& owner) {
  lock_ = again([&] { return openat(directory_, kLockName, O_RDONLY | O_CLOEXEC); });
  if (lock_ < 0 && errno == ENOENT) return true;
  if (lock_ < 0) return failure(fmt::format("open {}: {}", kLockName, text_of(errno)));
  if (again([&] { return flock(lock_, LOCK_SH | LOCK_NB); }) == 0) return true;
  if (errno != EWOULDBLOCK) return failure(fmt::format("{} cannot be locked: {}", kLockName, text_of(errno)));
  owner = owner_of(lock_);
  return false;
}

Directory::~Directory() {
  for (const auto& [name, descriptor] : descriptors_) close(descriptor);
  if (lock_ >= 0) close(lock_);
  close(directory_);
}

FileResult Directory::sync_directory() {
  if (!writable_ || again([&] { return fsync(directory_); }) == 0) return {};
  return FileError{false, fmt::format("fsync of the directory: {}", text_of(errno))};
}

FileResult Directory::descriptor_of(const std::string& name, int& descriptor) {
  auto found = descriptors_.find(name);
  if (found == descriptors_.end()) {
    const int flags = (writable_ ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW;
    const int opened = again([&] { return openat(directory_, name.c_str(), flags); });
    if (opened < 0) return error_of("open", name, errno);
    found = descriptors_.emplace(name, opened).first;
  }
  descriptor = found->second;
  return {};
}

void Directory::forget(const std::string& name) {
  auto found = descriptors_.find(name);
  if (found == descriptors_.end()) return;
  close(found->second);
  descriptors_.erase(found);
}

FileResult Directory::list(std::vector<Info>& files) {
  if (FileResult error = sync_directory()) return error;
  // Another descriptor, as reading moves its place.
  const int descriptor = openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = descriptor < 0 ? nullptr : fdopendir(descriptor);
  if (listing == nullptr) return error_of("list", "the directory", errno);
  errno = 0;
  while (const dirent* entry = readdir(listing)) {
    struct stat status {};
    if (fstatat(directory_, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) {
      errno = 0;
      continue;
    }
    files.push_back(Info{entry->d_name, static_cast<uint64_t>(status.st_size)});
  }
  const int failed = errno;
  closedir(listing);
  if (failed != 0) return error_of("list", "the directory", failed);
  std::sort(files.begin(), files.end(), [](const Info& a, const Info& b) { return a.name < b.name; });
  return {};
}

FileResult Directory::read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) {
  int descriptor = -1;
  if (FileResult error = descriptor_of(name, descriptor)) return error;
  bytes.resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t count = again([&] {
      return pread(descriptor, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    });
    if (count < 0) return error_of("read", name, errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  bytes.resize(done);
  return {};
}

FileResult Directory::create(const std::string& name, uint64_t size) {
  if (!writable_) return only_looking();
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  const int descriptor = again([&] { return openat(directory_, name.c_str(), flags, 0600); });
  if (descriptor < 0) return error_of("create", name, errno);
  FileResult error = allocate(descriptor, name, size);
  if (!error && again([&] { return fsync(descriptor); }) != 0) error = error_of("fsync", name, errno);
  if (error) {
    close(descriptor);
    unlinkat(directory_, name.c_str(), 0);
    return error;
  }
  descriptors_[name] = descriptor;
  return sync_directory();
}

FileResult Directory::write(const std::string& name, uint64_t offset, std::string_view bytes) {
  if (!writable_) return only_looking();
  int descriptor = -1;
  if (FileResult error = descriptor_of(name, descriptor)) return error;
  return write_all(descriptor, name, offset, bytes);
}

FileResult Directory::sync(const std::string& name) {
  int descriptor = -1;
  if (FileResult error = descriptor_of(name, descriptor)) return error;
  if (again([&] { return fdatasync(descriptor); }) != 0) return error_of("fdatasync", name, errno);
  return {};
}

FileResult Directory::rename(const std::string& from, const std::string& to) {
  if (!writable_) return only_looking();
  if (renameat(directory_, from.c_str(), directory_, to.c_str()) != 0) return error_of("rename", from, errno);
  forget(from);
  forget(to);
  return sync_directory();
}

FileResult Directory::remove(const std::string& name) {
  if (!writable_) return only_looking();
  forget(name);
  if (unlinkat(directory_, name.c_str(), 0) != 0 && errno != ENOENT) return error_of("remove", name, errno);
  return {};
}

uint64_t Directory::free_bytes() {
  struct statvfs status {};
  if (fstatvfs(directory_, &status) != 0) return UINT64_MAX;  // unknown; a write will tell
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace kvd
