// See http_backup.hpp.
#include "shell/http/http_backup.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvd {
namespace {

constexpr size_t kChunkHead = 10;  // eight digits and a line's end
constexpr uint64_t kBackupLogMs = 1000;

}  // namespace

bool HttpBackup::add(const SnapshotPart& part, std::string& out) {
  // A copy that was replaced on the way by a whole one: what went out before lacks keys.
  if (next_.since && part.complete != complete_) return false;
  complete_ = part.complete;
  const size_t start = out.size();
  if (chunked_) out.append(kChunkHead, '\0');
  const size_t body = out.size();
  writer_.add(part, out);
  bytes_ += out.size() - body;
  if (chunked_) {
    out.replace(start, kChunkHead, fmt::format("{:08x}\r\n", out.size() - body));
    out += part.more ? "\r\n" : "\r\n0\r\n\r\n";
  }
  next_.since = part.at.revision;
  if (!part.items.empty()) {
    next_.space = part.items.back().space();
    next_.after = part.items.back().key();
  }
  done_ = !part.more;
  return true;
}

std::optional<LogLine> HttpBackup::progress(uint64_t now_ms) {
  if (logged_ms_ == 0) logged_ms_ = now_ms;
  if (!done_ && now_ms - logged_ms_ < kBackupLogMs) return std::nullopt;
  logged_ms_ = now_ms;
  return LogLine{LogLevel::kInfo,
                 done_ ? "has sent a backup" : "sends a backup",
                 {{"items", std::to_string(writer_.items())},
                  {"bytes", std::to_string(bytes_)},
                  {"revision", std::to_string(next_.since.value_or(Revision()).value)}}};
}

std::string backup_name(const SnapshotPart& first) {
  std::string cluster = first.cluster;
  auto plain = [](char c) {
    return c == '-' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
  };
  std::erase_if(cluster, [&](char c) { return !plain(c); });
  return fmt::format("kvd-{}-{}.snapshot", cluster.empty() ? "none" : cluster, first.at.revision.value);
}

}  // namespace kvd
