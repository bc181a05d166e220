// See config_directory.hpp.
#include "client/config_directory.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "base/json_writer.hpp"
#include "client/answers.hpp"

namespace kvd::client {
namespace {

namespace fs = std::filesystem;

constexpr char kNew[] = "new";  // what is being made
constexpr char kFiles[] = "files";
constexpr char kAbout[] = "about.json";

Failure<Error> error_at(const fs::path& path, int number) {
  return failure(fmt::format("{}: {}", path.string(), std::strerror(number)));
}

Failure<Error> error_at(const fs::path& path, const std::error_code& error) {
  return failure(fmt::format("{}: {}", path.string(), error.message()));
}

Failure<CommandEnd> end_of(int code, const Error& error) {
  return Failure<CommandEnd>(CommandEnd{code, error.detail});
}

Result<bool> sync_directory(const fs::path& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return error_at(path, errno);
  return true;
}

Result<bool> write_file(const fs::path& path, std::string_view bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file) return error_at(path, errno);
  if (const int error = write_all(file.get(), bytes)) return error_at(path, error);
  if (::fsync(file.get()) != 0) return error_at(path, errno);
  return true;
}

std::optional<std::string> read_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return std::nullopt;
  auto content = read_all(file.get());
  return content ? std::optional<std::string>(std::move(*content)) : std::nullopt;
}

// As they are made here: a revision, and behind a dot a number where there was one of that name already.
bool is_version(const std::string& name) {
  const auto fits = [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; };
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), fits);
}

std::string about_json(const PublishedConfig& about) {
  JsonWriter json;
  json.begin_object().member("revision", about.name.revision).member("digest", about.name.digest);
  json.member("at", about.at);
  if (about.exit) json.member("exit", *about.exit);
  return json.end_object().take() + "\n";
}

// Of what cannot be read the name is that of nothing.
PublishedConfig parse_about(const std::string& json) {
  PublishedConfig about;
  const auto revision = parse_number_in(json, "revision");
  const auto at = parse_number_in(json, "at");
  const auto exit = parse_number_in(json, "exit");
  if (!revision || !at) return about;
  about.name = {static_cast<uint64_t>(*revision), text_in(json, "digest")};
  about.at = static_cast<uint64_t>(*at);
  if (exit) about.exit = static_cast<int>(*exit);
  return about;
}

}  // namespace

// ---- what is there ----

Result<std::unique_ptr<ConfigDirectory>, CommandEnd> ConfigDirectory::open(const std::string& directory) {
  Path given = directory;
  while (!given.has_filename() && given.has_relative_path()) given = given.parent_path();
  const Path name = given.filename();
  if (name.empty() || name == "." || name == "..")
    return end_of(EX_DATAERR, Error{directory + ": give the directory a name"});
  std::error_code error;
  const Path parent = fs::canonical(given.has_parent_path() ? given.parent_path() : Path("."), error);
  if (error) return end_of(EX_IOERR, error_at(given.parent_path(), error).value());
  std::unique_ptr<ConfigDirectory> opened(
      new ConfigDirectory(parent / name, parent / (name.string() + ".kvd")));
  if (const auto ours = opened->check_link(); !ours) return end_of(EX_DATAERR, ours.error());
  const Path& versions = opened->versions_;
  fs::create_directory(versions, error);
  if (error) return end_of(EX_IOERR, error_at(versions, error).value());
  if (const auto synced = sync_directory(parent); !synced) return end_of(EX_IOERR, synced.error());
  opened->lock_ = Descriptor(::open(versions.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened->lock_) return end_of(EX_IOERR, error_at(versions, errno).value());
  if (::flock(opened->lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return end_of(EX_IOERR, Error{given.string() + ": another kvd config sync keeps it"});
  opened->read_published();
  return opened;
}

std::string ConfigDirectory::target_of(const std::string& version) const {
  return fmt::format("{}/{}/{}", versions_.filename().string(), version, kFiles);
}

// Nothing: there is no link, or one that leads elsewhere.
std::optional<std::string> ConfigDirectory::version_of_link() const {
  std::error_code error;
  const Path target = fs::read_symlink(link_, error);
  if (error) return std::nullopt;
  const std::string version = target.parent_path().filename().string();
  return is_version(version) && target == target_of(version) ? std::optional(version) : std::nullopt;
}

Result<bool> ConfigDirectory::check_link() const {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(link_, error);
  if (status.type() == fs::file_type::not_found || version_of_link()) return true;
  return failure(
      fmt::format("{}: is there, and is no link that kvd config sync has made: nothing was changed; "
                  "move it away, or give another directory",
                  link_.string()));
}

void ConfigDirectory::read_published() {
  const auto version = version_of_link();
  const auto about = version ? read_file(versions_ / *version / kAbout) : std::nullopt;
  if (!about) return;
  published_ = parse_about(*about);
  published_->path = (versions_ / *version / kFiles).string();
}

// Those files, and no others, byte by byte: somebody may have changed them.
bool ConfigDirectory::holds(const Path& files, const ConfigSet& set) const {
  size_t found = 0;
  std::error_code error;
  fs::recursive_directory_iterator at(files, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code no_directory;
    if (at->symlink_status(no_directory).type() != fs::file_type::directory) ++found;
  }
  const auto same = [&files](const auto& file) { return read_file(files / file.first) == file.second.value; };
  return !error && found == set.size() && std::all_of(set.begin(), set.end(), same);
}

// ---- another version ----

Result<bool> ConfigDirectory::publish(const ConfigSet& set, const ConfigName& name, uint64_t at,
                                      const std::string& in_use) {
  if (const auto ours = check_link(); !ours) return ours;
  const std::optional<std::string> former = version_of_link();
  const bool there =
      former && published_ && published_->name == name && versions_ / *former / kFiles == published_->path;
  if (there && (verified_ || holds(published_->path, set))) {
    verified_ = true;
    if (const auto noted = note_revision(at); !noted) return noted;
    return false;
  }
  PublishedConfig about{name, at, std::nullopt, ""};
  const Path fresh = versions_ / kNew;
  std::error_code error;
  fs::remove_all(fresh, error);
  if (error) return error_at(fresh, error);
  const auto made = make_version(fresh, set, about);
  if (!made) return made;
  const std::string version = free_name(name.revision);
  fs::rename(fresh, versions_ / version, error);
  if (error) return error_at(fresh, error);
  if (const auto synced = sync_directory(versions_); !synced) return synced;
  if (const auto moved = point_to(version); !moved) return moved;
  about.path = (versions_ / version / kFiles).string();
  published_ = std::move(about);
  verified_ = true;
  clean(version, former.value_or(""), in_use);
  return true;
}

Result<bool> ConfigDirectory::make_version(const Path& at, const ConfigSet& set,
                                           const PublishedConfig& about) const {
  const Path files = at / kFiles;
  std::error_code error;
  fs::create_directories(files, error);
  if (error) return error_at(files, error);
  std::set<Path> directories{at, files};
  for (const auto& [key, content] : set) {
    const Path file = files / key;
    fs::create_directories(file.parent_path(), error);
    if (error) return error_at(file.parent_path(), error);
    for (Path up = file.parent_path(); directories.insert(up).second;) up = up.parent_path();
    const Path before = published_ ? Path(published_->path) / key : Path();
    if (published_ && read_file(before) == content.value && ::link(before.c_str(), file.c_str()) == 0)
      continue;
    if (const auto written = write_file(file, content.value); !written) return written;
  }
  if (const auto written = write_file(at / kAbout, about_json(about)); !written) return written;
  for (const Path& directory : directories) {
    if (const auto synced = sync_directory(directory); !synced) return synced;
  }
  return true;
}

// Of a version that is not there: a configuration may be one that there was before, since a key was deleted.
std::string ConfigDirectory::free_name(uint64_t revision) const {
  std::string name = std::to_string(revision);
  std::error_code error;
  for (int number = 2; fs::exists(versions_ / name, error); ++number)
    name = fmt::format("{}.{}", revision, number);
  return name;
}

Result<bool> ConfigDirectory::point_to(const std::string& version) const {
  const Path made = link_.parent_path() / fmt::format(".{}.kvd-new", link_.filename().string());
  std::error_code error;
  fs::remove(made, error);
  fs::create_symlink(target_of(version), made, error);
  if (error) return error_at(made, error);
  fs::rename(made, link_, error);
  if (error) return error_at(link_, error);
  return sync_directory(link_.parent_path());
}

// What cannot be removed now is removed when the next version is there.
void ConfigDirectory::clean(const std::string& present, const std::string& former,
                            const std::string& in_use) const {
  std::set<Path> old;
  std::error_code error;
  for (fs::directory_iterator at(versions_, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    const bool kept = name == present || name == former || (at->path() / kFiles).string() == in_use;
    std::error_code unknown;
    if (is_version(name) && !kept && fs::exists(at->path() / kAbout, unknown)) old.insert(at->path());
  }
  for (const Path& version : old) fs::remove_all(version, error);
}

// What was published again is as new as what it was read of.
Result<bool> ConfigDirectory::note_revision(uint64_t at) {
  if (at == published_->at) return true;
  PublishedConfig about = *published_;
  about.at = at;
  if (const auto noted = note(about); !noted) return noted;
  published_ = std::move(about);
  return true;
}

void ConfigDirectory::note_exit(int code) {
  if (!published_) return;
  published_->exit = code;
  (void)note(*published_);
}

Result<bool> ConfigDirectory::note(const PublishedConfig& about) const {
  const Path version = Path(about.path).parent_path();
  const Path noted = version / "about.json.new";
  std::error_code error;
  fs::remove(noted, error);
  if (const auto written = write_file(noted, about_json(about)); !written) return written;
  fs::rename(noted, version / kAbout, error);
  if (error) return error_at(noted, error);
  return sync_directory(version);
}

}  // namespace kvd::client
