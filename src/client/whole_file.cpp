// See whole_file.hpp.
#include "client/whole_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "client/files.hpp"

namespace kvd::client {

namespace {

constexpr std::string_view kRedoMagic = "kvd-redo 1 ";

bool is_forbidden(int error) { return error == EACCES || error == EPERM || error == EROFS; }

// ---- writing in place ----

struct Overwrite {  // made before the fork: behind it there are only system calls
  std::string bytes;
  size_t size;

  Overwrite(std::string_view content, size_t old_size) : bytes(content), size(content.size()) {
    bytes.resize(std::max(size, old_size), '\n');
  }
  int perform(int fd) const {
    if (const int error = write_all(fd, bytes)) return error;
    if (size < bytes.size() && ::ftruncate(fd, static_cast<off_t>(size)) != 0) return errno;
    return ::fsync(fd) == 0 ? 0 : errno;
  }
};

// In a process of its own. No signal reaches it but those that name it, and it holds what this one has open: also the
// lock, so that nobody comes between when this one is killed.
int overwrite(int fd, std::string_view content, size_t old_size) {
  // What a full disk would cut off is refused while nothing has happened yet.
  const auto size = static_cast<off_t>(content.size());
  if (size > 0 && ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) != 0 && errno == ENOSPC) return ENOSPC;
  const Overwrite work(content, old_size);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t writer = ::fork();
  if (writer == 0) _exit(work.perform(fd));
  const int fork_error = writer < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (writer < 0) return fork_error;
  int status = 0;
  while (::waitpid(writer, &status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

// ---- the copy ----

std::string redo_of(std::string_view before, std::string_view after) {
  return fmt::format("{}{} {}\n{}{}", kRedoMagic, before.size(), after.size(), before, after);
}

struct Redo {
  std::string before;
  std::string after;
};

std::optional<Redo> parse_redo(std::string_view bytes) {
  if (!bytes.starts_with(kRedoMagic)) return std::nullopt;
  bytes.remove_prefix(kRedoMagic.size());
  size_t sizes[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), sizes[i]);
    const auto length = static_cast<size_t>(end - bytes.data());
    if (error != std::errc() || length == bytes.size() || *end != " \n"[i]) return std::nullopt;
    bytes.remove_prefix(length + 1);
  }
  if (sizes[0] > bytes.size() || bytes.size() - sizes[0] != sizes[1]) return std::nullopt;
  return Redo{std::string(bytes.substr(0, sizes[0])), std::string(bytes.substr(sizes[0]))};
}

}  // namespace

bool is_cut_off(std::string_view content, std::string_view before, std::string_view after) {
  const size_t least = std::min(before.size(), after.size());
  const size_t most = std::max(before.size(), after.size());
  if (content.size() < least || content.size() > most) return false;
  for (size_t i = 0; i < content.size(); ++i) {
    const char next = i < after.size() ? after[i] : '\n';
    if (content[i] != next && content[i] != '\0' && (i >= before.size() || content[i] != before[i]))
      return false;
  }
  return true;
}

// ---- the file and its directory, locked ----

class WholeFile::Place {
 public:
  static Result<Place> open(const std::string& path) {
    Place place;
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), ::free);
    if (real == nullptr && errno != ENOENT) return failure(fmt::format("{}: {}", path, std::strerror(errno)));
    place.path_ = real != nullptr ? real.get() : path;
    const size_t slash = place.path_.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : place.path_.substr(0, slash + 1);
    place.name_ = place.path_.substr(slash == std::string::npos ? 0 : slash + 1);
    place.directory_ = Descriptor(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!place.directory_) return failure(fmt::format("{}: {}", directory, std::strerror(errno)));
    while (::flock(place.directory_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return place.error(errno);
    }
    return place;
  }

  Result<bool> recover();
  Result<bool> update(const std::function<Result<std::string>(std::string_view)>& edit, Way way);

 private:
  // What could not be done by a rename, and for which reason that does not matter.
  enum class Renamed : uint8_t { kDone, kNotPossible };

  Failure<Error> error(int number) const {
    return failure(fmt::format("{}: {}", path_, std::strerror(number)));
  }
  std::string temporary() const { return fmt::format(".{}.kvd-new", name_); }
  std::string redo() const { return fmt::format(".{}.kvd-redo", name_); }
  Descriptor open_file(const std::string& name, int flags) const {
    return Descriptor(::openat(directory_.get(), name.c_str(), flags | O_CLOEXEC, 0600));
  }
  void remove(const std::string& name) const { ::unlinkat(directory_.get(), name.c_str(), 0); }
  int move(const std::string& from, const std::string& to) const;
  int make(const std::string& name, std::string_view bytes, const struct stat* like) const;
  Result<Renamed> replace_by_rename(std::string_view content, const struct stat& like) const;
  Result<bool> replace_in_place(std::string_view before, std::string_view after) const;

  std::string path_;
  std::string name_;
  Descriptor directory_;
};

// 0, or errno. What was synced before it comes before it on disk, too.
int WholeFile::Place::move(const std::string& from, const std::string& to) const {
  if (::renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) != 0) return errno;
  ::fsync(directory_.get());
  return 0;
}

// A file beside ours with this content, synced, and with the owner and the rights of `like`, if any.
int WholeFile::Place::make(const std::string& name, std::string_view bytes, const struct stat* like) const {
  remove(name);
  const Descriptor file = open_file(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  if (!file) return errno;
  struct stat own {};
  int error = write_all(file.get(), bytes);
  if (error == 0 && ::fstat(file.get(), &own) != 0) error = errno;
  const bool foreign = like != nullptr && (like->st_uid != own.st_uid || like->st_gid != own.st_gid);
  if (error == 0 && foreign && ::fchown(file.get(), like->st_uid, like->st_gid) != 0) error = errno;
  if (error == 0 && like != nullptr && ::fchmod(file.get(), like->st_mode & 07777) != 0) error = errno;
  if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  if (error != 0) remove(name);
  return error;
}

Result<WholeFile::Place::Renamed> WholeFile::Place::replace_by_rename(std::string_view content,
                                                                      const struct stat& like) const {
  int failed = make(temporary(), content, &like);
  if (failed == 0) {
    failed = move(temporary(), name_);
    if (failed != 0) remove(temporary());
  }
  if (failed == 0) return Renamed::kDone;
  // EBUSY: a mount point.
  if (is_forbidden(failed) || failed == EBUSY || failed == EXDEV) return Renamed::kNotPossible;
  return error(failed);
}

Result<bool> WholeFile::Place::replace_in_place(std::string_view before, std::string_view after) const {
  const Descriptor file = open_file(name_, O_WRONLY);
  if (!file) return error(errno);
  int failed = make(temporary(), redo_of(before, after), nullptr);
  if (failed == 0) failed = move(temporary(), redo());
  if (failed != 0 && !is_forbidden(failed)) return error(failed);
  if (const int number = overwrite(file.get(), after, before.size())) return error(number);
  remove(redo());
  return true;
}

Result<bool> WholeFile::Place::recover() {
  remove(temporary());  // whose update has not happened
  const Descriptor copy = open_file(redo(), O_RDONLY | O_NOFOLLOW);
  if (!copy) return errno == ENOENT ? Result<bool>(false) : error(errno);
  const Result<std::string> bytes = read_all(copy.get());
  if (!bytes) return failure(fmt::format("{}: {}", redo(), bytes.error().detail));
  const std::optional<Redo> found = parse_redo(*bytes);
  const Descriptor file = open_file(name_, O_RDWR);
  if (!file && errno != ENOENT) return error(errno);
  const Result<std::string> content = file ? read_all(file.get()) : Result<std::string>("");
  if (!content) return failure(fmt::format("{}: {}", path_, content.error().detail));
  // Otherwise somebody else has written it since, and the copy speaks of what is long past.
  const bool finish =
      file && found && *content != found->after && is_cut_off(*content, found->before, found->after);
  if (finish) {
    if (const int number = overwrite(file.get(), found->after, content->size())) return error(number);
  }
  remove(redo());
  return finish;
}

Result<bool> WholeFile::Place::update(const std::function<Result<std::string>(std::string_view)>& edit,
                                      Way way) {
  const Result<bool> recovered = recover();
  if (!recovered) return recovered;
  std::string before;
  struct stat info {};
  const Descriptor file = open_file(name_, O_RDONLY);
  if (!file && errno != ENOENT) return error(errno);
  if (file) {
    Result<std::string> content = read_all(file.get());
    if (!content) return failure(fmt::format("{}: {}", path_, content.error().detail));
    before = std::move(*content);
    if (::fstat(file.get(), &info) != 0) return error(errno);
    if (!S_ISREG(info.st_mode)) return failure(path_ + ": not a regular file");
  }
  const Result<std::string> after = edit(before);
  if (!after) return failure(fmt::format("{}: {}", path_, after.error().detail));
  if (file && *after == before) return false;

  if (!file) {
    info.st_mode = 0644;
    info.st_uid = ::geteuid();
    info.st_gid = ::getegid();
  }
  const bool keep =
      file && (way == Way::kInPlace || info.st_nlink > 1 || ::flistxattr(file.get(), nullptr, 0) > 0);
  if (!keep) {
    const Result<Renamed> renamed = replace_by_rename(*after, info);
    if (!renamed) return Failure<Error>(renamed.error());
    if (*renamed == Renamed::kDone) return true;
  }
  return replace_in_place(before, *after);
}

// ---- from outside ----

WholeFile::WholeFile(std::string path, Way way) : path_(std::move(path)), way_(way) {}

Result<bool> WholeFile::recover() {
  auto place = Place::open(path_);
  return place ? place->recover() : Failure<Error>(place.error());
}

Result<bool> WholeFile::update(const std::function<Result<std::string>(std::string_view)>& edit) {
  auto place = Place::open(path_);
  return place ? place->update(edit, way_) : Failure<Error>(place.error());
}

}  // namespace kvd::client
