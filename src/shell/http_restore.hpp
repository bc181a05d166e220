// PUT /v1/snapshot, one of it: the body is read as a backup (core/backup.hpp) while it comes, and once all of it is
// verified its keys are written in batches, some of them under way at a time. The whole decoded store is held in memory
// until then. No sockets: the connection brings the bytes and the replies, and carries the batches to the node.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "core/backup.hpp"
#include "core/table.hpp"
#include "shell/http_api.hpp"

namespace kvd {

class HttpRestore {
 public:
  HttpRestore(ReplyPlan plan, uint64_t store_bytes_max) : plan_(std::move(plan)), reader_(store_bytes_max) {}

  // A piece of the body. The answer, when it is no good: nothing was written then.
  std::optional<HttpResponse> take(std::string_view body);
  // The body is whole. The answer, when it is no good; otherwise the writing begins.
  std::optional<HttpResponse> verify();
  // The next batch to be sent; nothing: a reply has to come first, or there is none. The first one is refused unless
  // the cluster is empty, and the others wait for it. Each is known by its number.
  struct Batch {
    uint32_t number = 0;
    WriteBatch content;
  };
  std::optional<Batch> next_batch();
  void on_reply(uint32_t number, const ClientReply& reply);
  // The answer, once nothing is under way any more.
  std::optional<HttpResponse> answer(const HttpIdentity& identity, const HttpCounters& counters);
  // What nobody waits for any more when the client is gone.
  const std::map<uint32_t, uint64_t>& under_way() const { return under_way_; }
  Store take_store();  // freeing a large one takes long: that is for another thread

 private:
  std::optional<HttpResponse> refuse(const std::string& wrong);
  bool all_sent() const;

  ReplyPlan plan_;
  BackupReader reader_;
  bool verified_ = false;
  Store store_;
  Table::Iterator cursor_;                  // the next key to be sent
  Table::Iterator fence_;                   // the next fence
  uint32_t sent_ = 0;                       // batches
  std::map<uint32_t, uint64_t> under_way_;  // by number; how many keys
  uint64_t written_ = 0;                    // keys
  Revision revision_;
  std::optional<ClientReply> failed_;
};

}  // namespace kvd
