// PUT /v1/snapshot, one of it: the body is read as a backup (core/backup.hpp) while it comes, and once all of it is
// verified its keys are written in batches, some of them under way at a time. The whole decoded store is held in memory
// until then. To replace what is there, all keys are listed before, page by page, and those that the snapshot does not
// have are deleted: a key that both have is there all the time, and there are never more than before or after. Whatever
// becomes of it midway, the same once more leads to the end. No sockets: the connection brings the bytes and the
// replies, and carries the requests to the node.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/backup.hpp"
#include "core/table.hpp"
#include "msg/actors.hpp"
#include "shell/http_api.hpp"

namespace kvd {

class HttpRestore {
 public:
  HttpRestore(ReplyPlan plan, uint64_t store_bytes_max) : plan_(std::move(plan)), reader_(store_bytes_max) {}

  // A piece of the body. The answer, when it is no good: nothing was written then.
  std::optional<HttpResponse> take(std::string_view body);
  // The body is whole. The answer, when it is no good; otherwise the writing begins.
  std::optional<HttpResponse> verify();
  // The next request to be sent; nothing: a reply has to come first, or there is none. The first batch is refused when
  // there is any key, unless what is there is to be replaced, and the others wait for it. Each is known by its number.
  struct Request {
    uint32_t number = 0;
    Operation operation;
    ReadMode read = ReadMode::kLocal;
  };
  std::optional<Request> next_request();
  void on_reply(uint32_t number, const ClientReply& reply);
  // The answer, once nothing is under way any more.
  std::optional<HttpResponse> answer(const HttpIdentity& identity, const HttpCounters& counters);
  // What nobody waits for any more when the client is gone.
  const std::map<uint32_t, size_t>& under_way() const { return under_way_; }
  // How far it came, for the log: nothing when it has changed nothing, or said so less than a second before.
  std::optional<LogLine> progress(uint64_t now_ms);
  std::optional<LogLine> given_up() const;
  Store take_store();  // freeing a large one takes long: that is for another thread

 private:
  enum class Stage : uint8_t { kReading, kListing, kDeleting, kWriting };

  std::optional<HttpResponse> refuse(const std::string& wrong);
  Request sent(Operation operation, size_t keys, ReadMode read = ReadMode::kLocal);
  Request next_deletion();
  std::optional<Request> next_batch();
  void take_listing(const Listing& listing);
  bool all_sent() const;
  bool changed() const { return revision_ != Revision(0); }
  LogLine line(LogLevel level, std::string what) const;

  ReplyPlan plan_;
  BackupReader reader_;
  Stage stage_ = Stage::kReading;
  Store store_;
  ListKeys page_;                         // of the keys that are there; the next one
  bool more_pages_ = false;               // behind it
  std::vector<std::string> strangers_;    // of the last page, what the snapshot does not have
  size_t strangers_sent_ = 0;             // ... of which so many
  Table::Iterator cursor_;                // the next key to be sent
  Table::Iterator fence_;                 // the next fence
  bool batch_sent_ = false;               // the first one, at least
  uint32_t requests_ = 0;                 // sent
  std::map<uint32_t, size_t> under_way_;  // by number; how many keys
  uint64_t deleted_ = 0;                  // keys
  uint64_t written_ = 0;                  // keys
  Revision revision_;                     // of the newest of these
  uint64_t logged_ms_ = 0;
  std::optional<ClientReply> failed_;
};

}  // namespace kvd
