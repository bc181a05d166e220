// A directory that is one configuration, whole or not at all, at every moment: for those who look, and after a crash.
//
// DIR is a symbolic link, which is replaced by a rename. Beside it is DIR.kvd, and in that a directory for each
// version that is kept: the present one, the one before it, and one that is still in use. A version has its files
// below files/, and beside them about.json, which says what they are. What has not changed is a hard link to the file
// of the version before. Everything is synced before the link is moved.
//
// Blocking; one thread. DIR.kvd is locked (flock), so that a directory has one process that keeps it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/command_line.hpp"
#include "base/result.hpp"
#include "client/config_set.hpp"
#include "client/files.hpp"

namespace kvd::client {

struct PublishedConfig {
  ConfigName name;
  uint64_t at = 0;          // the store's revision as of which it was published
  std::optional<int> exit;  // of the command that was run for it, once that has ended
  std::string path;         // of the version's files: absolute
};

class ConfigDirectory {
 public:
  // 65: there is something at `directory` that is no link of this kind; 74: it cannot be made, or another process keeps
  // it. Then nothing was changed.
  static Result<std::unique_ptr<ConfigDirectory>, CommandEnd> open(const std::string& directory);

  const std::optional<PublishedConfig>& published() const { return published_; }

  // Whether anything was changed but `at`: not where exactly this is published. `set` has no problem_of_paths();
  // `in_use`: the path of a version to be kept, or empty. On an Error what was published stays so.
  Result<bool> publish(const ConfigSet& set, const ConfigName& name, uint64_t at, const std::string& in_use);

  // The command for what is published has ended. Where that cannot be written, the next process runs it again.
  void note_exit(int code);

 private:
  using Path = std::filesystem::path;

  ConfigDirectory(Path link, Path versions) : link_(std::move(link)), versions_(std::move(versions)) {}

  Result<bool> check_link() const;
  std::string target_of(const std::string& version) const;
  std::optional<std::string> version_of_link() const;
  void read_published();
  bool holds(const Path& files, const ConfigSet& set) const;
  Result<bool> make_version(const Path& at, const ConfigSet& set, const PublishedConfig& about) const;
  std::string free_name(uint64_t revision) const;
  Result<bool> point_to(const std::string& version) const;
  Result<bool> note_revision(uint64_t at);
  Result<bool> note(const PublishedConfig& about) const;
  void clean(const std::string& present, const std::string& former, const std::string& in_use) const;

  Path link_;      // absolute
  Path versions_;  // likewise
  Descriptor lock_;
  std::optional<PublishedConfig> published_;
  bool verified_ = false;  // that what is published has the bytes that it should have
};

}  // namespace kvd::client
