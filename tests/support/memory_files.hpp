// A directory in memory for tests of what is kept on disk: what was written and not synced is gone after lose_power(),
// and a hook may have any operation fail. The simulator's disk, which fails by chance, is tests/sim/sim_files.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "journal/files.hpp"

namespace kvd {

class MemoryFiles final : public Files {
 public:
  std::map<std::string, std::string> files;  // as they are seen
  std::map<std::string, std::string> safe;   // as they are after a power loss
  uint64_t budget = UINT64_MAX;              // bytes of all files
  uint64_t free = UINT64_MAX;                // what free_bytes() says at the most
  int syncs = 0;
  int writes = 0;
  // Asked before each change ("create", "write", "sync", "rename", "remove"); an error is what the change ends with.
  std::function<FileResult(const std::string& what, const std::string& name)> before;

  void lose_power() { files = safe; }
  uint64_t used() const {
    uint64_t bytes = 0;
    for (const auto& [name, content] : files) bytes += content.size();
    return bytes;
  }

  FileResult list(std::vector<Info>& all) override {
    for (const auto& [name, content] : files) all.push_back({name, content.size()});
    return {};
  }
  FileResult read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) override {
    if (FileResult error = ask("read", name)) return error;
    const std::string& content = files.at(name);
    bytes = offset < content.size() ? content.substr(offset, size) : "";
    return {};
  }
  FileResult create(const std::string& name, uint64_t size) override {
    if (FileResult error = ask("create", name)) return error;
    if (files.count(name) != 0) return FileError{false, "create " + name + ": File exists"};
    if (used() + size > budget) return FileError{true, "create " + name + ": No space left on device"};
    files[name] = safe[name] = std::string(size, '\0');
    return {};
  }
  FileResult write(const std::string& name, uint64_t offset, std::string_view bytes) override {
    if (FileResult error = ask("write", name)) return error;
    ++writes;
    std::string& content = files.at(name);
    const uint64_t end = std::max<uint64_t>(content.size(), offset + bytes.size());
    FileResult error;
    if (used() - content.size() + end > budget) {
      bytes = bytes.substr(0, bytes.size() / 2);
      error = FileError{true, "write " + name + ": No space left on device"};
    }
    content.resize(std::max<uint64_t>(content.size(), offset + bytes.size()));
    content.replace(offset, bytes.size(), bytes);
    return error;
  }
  FileResult sync(const std::string& name) override {
    if (FileResult error = ask("sync", name)) return error;
    ++syncs;
    safe[name] = files.at(name);
    return {};
  }
  FileResult rename(const std::string& from, const std::string& to) override {
    if (FileResult error = ask("rename", from)) return error;
    if (files.count(from) == 0) return FileError{false, "rename " + from + ": No such file or directory"};
    for (auto* directory : {&files, &safe}) {
      (*directory)[to] = std::move((*directory)[from]);
      directory->erase(from);
    }
    return {};
  }
  FileResult remove(const std::string& name) override {
    if (FileResult error = ask("remove", name)) return error;
    files.erase(name);
    safe.erase(name);
    return {};
  }
  uint64_t free_bytes() override {
    const uint64_t taken = used();
    return std::min(free, taken < budget ? budget - taken : 0);
  }

 private:
  FileResult ask(const char* what, const std::string& name) {
    return before ? before(what, name) : FileResult();
  }
};

}  // namespace kvd
