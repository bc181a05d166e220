// PUT /v1/snapshot, one of it: the body is read as a backup (backup.hpp) while it comes, and once all of it is
// verified it is written (backup_restore.hpp). The whole decoded store is held in memory until then. No sockets:
// the connection brings the bytes and the replies, and carries the requests to the node.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/replica/backup.hpp"
#include "core/replica/backup_restore.hpp"
#include "msg/actors.hpp"
#include "shell/http/http_api.hpp"

namespace kvd {

class HttpRestore {
 public:
  // `timeout`: of each request.
  HttpRestore(ReplyPlan plan, uint64_t store_bytes_max, Duration timeout)
      : plan_(std::move(plan)), reader_(store_bytes_max), timeout_(timeout) {}

  // A piece of the body. The answer, when it is no good: nothing was written then.
  std::optional<HttpResponse> take(std::string_view body);
  // The body is whole. The answer, when it is no good; otherwise the writing begins.
  std::optional<HttpResponse> verify();
  // From then on.
  BackupRestore& writing() { return *writing_; }
  Duration timeout() const { return timeout_; }
  // The answer, once nothing is under way any more.
  std::optional<HttpResponse> answer(const HttpIdentity& identity, const HttpCounters& counters);
  // How far it came, for the log: nothing when it has changed nothing, or said so less than a second before.
  std::optional<LogLine> progress(uint64_t now_ms);

  // It ends here, with an answer or without. What nobody waits for any more:
  std::vector<uint32_t> under_way() const;
  // What there is to say when the client is gone.
  std::optional<LogLine> given_up() const;
  Store take_store();  // freeing a large one takes long: that is for another thread

 private:
  std::optional<HttpResponse> refuse(const std::string& wrong);
  LogLine line(LogLevel level, std::string what) const;

  ReplyPlan plan_;
  BackupReader reader_;
  Duration timeout_;
  std::optional<BackupRestore> writing_;
  uint64_t policies_ = 0, users_ = 0, tokens_ = 0;  // that are restored, if any are
  uint64_t logged_ms_ = 0;
};

}  // namespace kvd
