// See sim_files.hpp.
#include "sim_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.hpp"

namespace kvd::sim {
namespace {

FileResult failed(const char* call, const std::string& name, const char* why) {
  return FileError{false, fmt::format("{} {}: {}", call, name, why)};
}

FileResult no_space(const char* call, const std::string& name) {
  return FileError{true, fmt::format("{} {}: No space left on device", call, name)};
}

constexpr const char* kInputOutput = "Input/output error";
constexpr const char* kNotThere = "No such file or directory";

}  // namespace

// ---- what the journal calls ----

FileResult SimFiles::list(std::vector<Info>& files) {
  if (dead_) return dead_error();
  files = this->files();
  directory_safe();
  return {};
}

FileResult SimFiles::read(const std::string& name, uint64_t offset, size_t size, std::string& bytes) {
  if (dead_) return dead_error();
  const File* file = find(name);
  if (file == nullptr) return failed("open", name, kNotThere);
  if (happens_now(fail_read_in_)) return failed("read", name, kInputOutput);
  bytes = offset < file->shown.size() ? file->shown.substr(offset, size) : std::string();
  return {};
}

FileResult SimFiles::create(const std::string& name, uint64_t size) {
  const bool dies = dies_now();
  if (dead_ && (!dies || prng_.one_in(2))) return dead_error();
  if (find(name) != nullptr) return failed("create", name, "File exists");
  if (!dies && free_bytes() < size) return no_space("allocate", name);
  auto file = std::make_shared<File>();
  file->shown.resize(dies && prng_.one_in(2) ? prng_.below(size + 1) : size);
  file->dirty.resize((file->shown.size() + kSector - 1) / kSector);
  if (!dies) file->safe = file->shown;
  directory_[name] = std::move(file);
  directory_changed();
  if (dies) return dead_error();
  directory_safe();
  return {};
}

FileResult SimFiles::write(const std::string& name, uint64_t offset, std::string_view bytes) {
  const bool dies = dies_now();
  if (dead_ && !dies) return dead_error();
  File* file = find(name);
  if (file == nullptr) return failed("open", name, kNotThere);
  const uint64_t end = offset + bytes.size();
  const uint64_t more = end > file->shown.size() ? end - file->shown.size() : 0;
  if (dies || happens_now(fail_write_in_)) {
    put(*file, offset, bytes.substr(0, prng_.below(bytes.size() + 1)));
    return dies ? dead_error() : failed("write", name, kInputOutput);
  }
  if (free_bytes() < more) {
    if (prng_.one_in(2))
      put(*file, offset, bytes.substr(0, bytes.size() - std::min<uint64_t>(more, bytes.size())));
    return no_space("write", name);
  }
  if (lie_ != Lie::kWrite || !prng_.one_in(20)) put(*file, offset, bytes);
  return {};
}

FileResult SimFiles::sync(const std::string& name) {
  const bool dies = dies_now();
  if (dead_ && !dies) return dead_error();
  ++syncs_;
  File* file = find(name);
  if (file == nullptr) return failed("open", name, kNotThere);
  if (dies) {
    write_back_some(*file, 50);
    return dead_error();
  }
  if (happens_now(fail_sync_in_)) {
    write_back_some(*file, prng_.below(101));
    file->dirty.assign(file->dirty.size(), false);
    return failed("fdatasync", name, kInputOutput);
  }
  if (lie_ == Lie::kSync) return {};
  write_back_some(*file, 100);
  if (file->safe.size() < file->shown.size()) file->safe.resize(file->shown.size());
  return {};
}

FileResult SimFiles::rename(const std::string& from, const std::string& to) {
  const bool dies = dies_now();
  if (dead_ && (!dies || prng_.one_in(2))) return dead_error();
  auto found = directory_.find(from);
  if (found == directory_.end()) return failed("rename", from, kNotThere);
  directory_[to] = std::move(found->second);
  if (from != to) directory_.erase(from);
  directory_changed();
  if (dies) return dead_error();
  if (lie_ != Lie::kRename) directory_safe();
  return {};
}

FileResult SimFiles::remove(const std::string& name) {
  const bool dies = dies_now();
  if (dead_ && (!dies || prng_.one_in(2))) return dead_error();
  if (directory_.erase(name) > 0) directory_changed();
  return dies ? dead_error() : FileResult();
}

uint64_t SimFiles::free_bytes() {
  const uint64_t taken = used();
  return taken < budget_ ? budget_ - taken : 0;
}

// ---- what its owner does to it ----

void SimFiles::end_process() {
  dead_ = false;
  die_in_ = fail_sync_in_ = fail_read_in_ = fail_write_in_ = kNever;
}

void SimFiles::lose_power() {
  end_process();
  // Who was removed and is back may be in several of the directories; whoever is in none is gone for good.
  directory_ = directories_[prng_.below(directories_.size())];
  directory_safe();
  for (auto& entry : directory_) lose_unsafe(*entry.second);
}

void SimFiles::flip_bit(const std::string& name, uint64_t offset, int bit) {
  File* file = find(name);
  CHECK(file != nullptr);
  CHECK(offset < file->shown.size());
  const auto flip = [&](std::string& bytes) {
    if (offset < bytes.size()) bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
  };
  flip(file->shown);
  flip(file->safe);
}

void SimFiles::lose_file(const std::string& name) {
  CHECK(directory_.erase(name) == 1);
  directory_changed();
  directory_safe();
}

void SimFiles::cut(const std::string& name, uint64_t size) {
  File* file = find(name);
  CHECK(file != nullptr);
  file->shown.resize(std::min<uint64_t>(size, file->shown.size()));
  file->safe.resize(std::min<uint64_t>(size, file->safe.size()));
  file->dirty.resize((file->shown.size() + kSector - 1) / kSector);
}

std::vector<Files::Info> SimFiles::files() const {
  std::vector<Info> all;
  for (const auto& [name, file] : directory_) all.push_back({name, file->shown.size()});
  return all;
}

uint64_t SimFiles::used() const {
  uint64_t bytes = 0;
  for (const auto& entry : directory_) bytes += entry.second->shown.size();
  return bytes;
}

// ---- inside ----

// Whether the process dies in this change, which has just begun.
bool SimFiles::dies_now() {
  if (dead_) return false;
  ++changes_;
  return dead_ = happens_now(die_in_);
}

bool SimFiles::happens_now(uint64_t& in) { return in != kNever && --in == 0; }

FileResult SimFiles::dead_error() const { return FileError{false, "the process is dead"}; }

SimFiles::File* SimFiles::find(const std::string& name) {
  auto found = directory_.find(name);
  return found == directory_.end() ? nullptr : found->second.get();
}

void SimFiles::put(File& file, uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  const uint64_t end = offset + bytes.size();
  if (end > file.shown.size()) {
    file.shown.resize(end);
    file.dirty.resize((end + kSector - 1) / kSector);
  }
  for (size_t sector = offset / kSector; sector * kSector < end; ++sector) {
    // The kernel writes back whenever it likes: so what was there before may be the newest that reaches the disk.
    if (file.dirty[sector] && prng_.one_in(4)) write_back(file, sector);
    file.dirty[sector] = true;
  }
  std::copy(bytes.begin(), bytes.end(), file.shown.begin() + static_cast<std::ptrdiff_t>(offset));
}

// The first `bytes` of the sector reach the disk.
void SimFiles::write_back(File& file, size_t sector, size_t bytes) {
  const size_t begin = sector * kSector;
  const size_t end = std::min(begin + bytes, file.shown.size());
  if (file.safe.size() < end) file.safe.resize(end);
  std::copy(file.shown.begin() + static_cast<std::ptrdiff_t>(begin),
            file.shown.begin() + static_cast<std::ptrdiff_t>(end),
            file.safe.begin() + static_cast<std::ptrdiff_t>(begin));
}

void SimFiles::write_back_some(File& file, uint64_t of_hundred) {
  for (size_t sector = 0; sector < file.dirty.size(); ++sector) {
    if (!file.dirty[sector] || prng_.below(100) >= of_hundred) continue;
    write_back(file, sector);
    file.dirty[sector] = false;
  }
}

// Any of what was not safe may have reached the disk: nothing, everything, only what was written first or last (by
// place, which for a log is the same), any sector; and of the others a part of one.
void SimFiles::lose_unsafe(File& file) {
  const uint64_t kind = prng_.below(5);
  const size_t middle = prng_.below(file.dirty.size() + 1);
  const size_t safe_size = file.safe.size();
  for (size_t sector = 0; sector < file.dirty.size(); ++sector) {
    if (!file.dirty[sector]) continue;
    const bool survives = kind == 0   ? false
                          : kind == 1 ? true
                          : kind == 2 ? sector < middle
                          : kind == 3 ? sector >= middle
                                      : prng_.one_in(2);
    if (survives) {
      write_back(file, sector);
    } else if (kind != 0 && prng_.one_in(8)) {
      write_back(file, sector, prng_.below(kSector));
    }
  }
  // How long the file is reaches the disk by itself.
  if (file.shown.size() > safe_size && prng_.one_in(3)) {
    file.safe.resize(safe_size + prng_.below(file.shown.size() - safe_size + 1));
  }
  file.shown = file.safe;
  file.dirty.assign((file.shown.size() + kSector - 1) / kSector, false);
}

void SimFiles::directory_changed() { directories_.push_back(directory_); }

void SimFiles::directory_safe() { directories_.assign(1, directory_); }

}  // namespace kvd::sim
