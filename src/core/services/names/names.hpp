// Names: a directory of who is where, and the hosts file that it makes. The entry web/1 is the znode /names/web/1
// (name_entry.hpp has its data) and the host 1.web (hosts_text.hpp). With a client's session it is ephemeral, and
// nothing can stand below it; without one it stays until it is deleted.
//
// Their calls (msg/calls.cpp) are answered so:
//   kPutName      the body is {"address","port","meta"}, all optional: 201 or 200 {"path","address","version"}
//   kHoldName     the same for a connection: that line again and again, then {"state":"lost","reason":R}
//   kShowName     the entry, once its version is another than the one that is known (0: there is none); 404
//   kListNames    {"path","version","entries":[..]}: it and all below it, likewise
//   kDeleteName   204
//   kShowHosts    the hosts file, or JSON, likewise
//
// An entry's version is the zxid of its last change; that of many is a hash of what is told. Either is good for one
// thing: to see whether it is still the same.
//
// Who brings no address gets one of the pool (--names-pool), first that which the name's hash points to. A claim
// /kvd/addresses/ADDRESS, whose data is the name, is made and deleted in one multi with the entry and has the same
// owner: no two names have the same one at any moment, whatever pools their servers have.
//
// The hosts file is made of a whole view only (names_view.hpp): an answer that says `Kvd-Complete: false` has nothing.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/services/holdings.hpp"
#include "core/services/names/name_entry.hpp"
#include "core/services/names/names_view.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class Names {
 public:
  explicit Names(Outbox& out);

  void handle(ServiceMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  // ---- names_register.cpp ----
  enum class Op : uint8_t {
    kEntry,
    kClaim,
    kStaleClaim,
    kFormerClaim,
  };  // what an operation of a multi is about
  struct Put {
    HolderId holder;
    std::string path;
    NameEntry wanted;
    bool streams = false;
    int tries = 0;
    bool creates = false;  // its znode, too
    bool is_new = false;
    bool unsure = false;                // a write's outcome is not known
    std::optional<std::string> claims;  // this address; none: that of the hash
    bool stale_claim = false;  // the claim is there and in our name: from an entry that others deleted
    std::vector<Op> ops;       // of the multi under way
  };
  struct Held : Holding {  // an entry of a holder; from before its creation until it is certainly gone
    std::string address;
    bool allocated = false;
    int64_t version = 0;
  };

  void put(ServiceAsked message);
  void read(uint64_t token);
  void on_read(uint64_t token, const ZkResult& result);
  void write(uint64_t token, const std::optional<NameEntry>& old, const ZkStat& stat);
  void write_both(uint64_t token, const NameEntry& entry, const std::optional<NameEntry>& old,
                  int32_t version, bool frees);
  using Claimed = std::function<void(std::optional<bool>)>;
  void whether_claimed(const std::string& path, const std::optional<NameEntry>& entry, Claimed then);
  bool choose_address(uint64_t token, const std::optional<NameEntry>& old, NameEntry& entry);
  void on_written(uint64_t token, const NameEntry& entry, const ZkResult& result);
  void on_entry_refused(uint64_t token, ZkCode code);
  void on_claim_taken(uint64_t token);
  void choose_free(uint64_t token);
  void make_path(uint64_t token, const std::string& path);
  void again(uint64_t token);
  void finish(uint64_t token, const NameEntry& entry, int64_t version);
  void refuse(uint64_t token, ServiceStatus status, std::string why);
  void refuse_by(uint64_t token, ZkCode code);
  bool fails(uint64_t token, ZkCode code);
  std::string preferred_address(const std::string& path) const;

  bool hold(const std::string& path, HolderId holder);
  void watch_own(const std::string& path);
  void release(const std::string& path);
  bool is_leaving(const std::string& path) const;
  void on_release_read(const std::string& path, const ZkResult& result);
  void free_claim(const std::string& path);

  void remove(ServiceAsked message);
  void remove_kept(uint64_t token, const std::string& path, bool unsure);
  void on_kept_read(uint64_t token, const std::string& path, bool unsure, const ZkResult& result);
  void remove_later(uint64_t token, bool unsure);
  void removed(uint64_t token, ServiceAnswer answer);
  void removed_not(uint64_t token, ZkCode code);

  // ---- names.cpp ----
  struct PendingRead {  // of one entry
    std::string path;
    std::optional<uint64_t> version;  // wait until it has another
    Instant until{};
    bool watching = false;
  };
  struct PendingList {  // for many, by the view
    bool hosts = false;
    bool json = false;
    std::string zone;
    std::optional<uint64_t> since;
    Instant until{};
    Instant patience{};  // not that long: the view is whole by then
  };
  struct Rendered {
    uint64_t version = 0;
    std::string text;  // the hosts file
    std::shared_ptr<const ValueList> list;
    bool more = false;  // the list is longer than this
  };

  void on(ServiceAsked message);
  void on(const ServiceDropped& message);
  void on(const HoldersEnded& message);
  void on(const SessionJudged&) {}
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message) { zk_.on(message); }
  void on(const ZkWatchFired& message);

  void look(uint64_t token);
  void answer_look(uint64_t token, const std::optional<NameEntry>& entry, const ZkStat& stat, bool watches);
  void end_look(uint64_t token, ServiceAnswer answer);
  void show(ServiceAsked message);
  void ask(ServiceAsked message);
  void answer_asks();
  const Rendered& rendered(bool hosts, const std::string& zone);
  Rendered render_hosts(const std::string& zone) const;
  Rendered render_entries(const std::string& zone) const;
  void reply_list(uint64_t token, const PendingList& pending, const Rendered* rendered);
  void reply_hosts(uint64_t token, const PendingList& pending, const Rendered* rendered);
  void reply(uint64_t token, ServiceAnswer answer);
  void go_on_adrift();
  Instant next_due() const;

  Outbox& out_;
  ZkCalls zk_;
  NamesView view_;
  Holdings<std::string, Held> held_;  // by path
  std::map<uint64_t, Put> puts_;
  std::map<uint64_t, std::string> removals_;  // the path of what no holder has
  Adrift<uint64_t> adrift_;                   // of these two
  std::map<uint64_t, PendingRead> pending_reads_;
  std::map<uint64_t, PendingList> pending_lists_;
  std::map<std::pair<bool, std::string>, Rendered> rendered_;  // of the view as it is
  Instant due_ = kNever;  // nothing that waits for a moment waits for an earlier one
};

}  // namespace kvd
