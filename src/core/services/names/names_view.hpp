// The whole tree below /names as ZooKeeper has it, kept from watches since it was first wanted: on the children of each
// znode that can have some, on the data of each. It is whole when everything that is known to have changed has been
// read again; until then, and while there is no connection, nobody may be told of it. What an ACL hides is not known,
// nor what stands below it: it is tried again when somebody asks, since no watch tells of a change of ACLs.
//
// All watches go to ZooKeeper in one message after each reconnection, which must not grow too large: a tree beyond the
// bounds below is given up, and tried again when it is wanted after kLargeRetry.
//
// A part of the actor that owns it.
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/outbox.hpp"
#include "core/services/names/name_entry.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

inline constexpr char kNamesPath[] = "/names";

class NamesView {
 public:
  static constexpr size_t kZnodesMax = 10'000;
  static constexpr size_t kPathBytesMax = 256u << 10;
  static constexpr size_t kDataBytesMax = 16u << 20;
  static constexpr Duration kRetry = milliseconds(100);
  static constexpr Duration kLargeRetry = seconds(60);
  static constexpr Duration kHiddenRetry = seconds(1);

  struct Znode {
    std::optional<NameEntry> entry;  // none: only others stand below it, or what it has is not ours
    int64_t version = 0;             // modified_zxid
    bool ephemeral = false;
    size_t data_bytes = 0;
    bool listed = false;   // its children are watched
    uint64_t reading = 0;  // the number of the read under way; 0: none
    bool again = false;    // it has changed meanwhile
  };
  // Without "/names/".
  using Znodes = std::map<std::string, Znode>;

  // `settled` runs whenever it has become whole or too large.
  NamesView(Outbox& out, ZkCalls& zk, std::function<void()> settled)
      : out_(out), zk_(zk), settled_(std::move(settled)) {}

  // From the first time on it is kept.
  void want();
  bool whole() const { return state_ == State::kKept && reading_ == 0; }
  // Of a whole one: nothing within the zone, all for "", is hidden.
  bool knows(std::string_view zone) const;
  bool too_large() const { return state_ == State::kTooLarge; }
  const Znodes& znodes() const { return znodes_; }  // of a whole one, all there is

  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on_time();
  Instant deadline() const { return state_ == State::kAway ? retry_at_ : kNever; }

 private:
  enum class State : uint8_t { kUnwanted, kAway, kKept, kTooLarge };  // away: nothing is known, but wanted

  void load();
  void clear(State state);
  void lose();
  bool exceeds();
  void read(const std::string& path);
  void on_data(const std::string& path, const ZkResult& result);
  void on_made_root(const std::string& path, const ZkResult& result);
  void take_data(const std::string& path, const ZkResult& result);
  void on_children(const std::string& path, const ZkResult& result);
  void done(const std::string& path);
  void hidden(const std::string& path, ZkCode why);
  void remove(const std::string& path);
  // Runs `then` if that is still the znode's read.
  ZkCalls::Then guarded(void (NamesView::*then)(const std::string&, const ZkResult&),
                        const std::string& path);

  Outbox& out_;
  ZkCalls& zk_;
  std::function<void()> settled_;
  State state_ = State::kUnwanted;
  bool connected_ = false;
  uint64_t reads_ = 0;         // ever
  size_t reading_ = 0;         // znodes that are being read
  Instant retry_at_ = kNever;  // when away or too large
  std::set<std::string> hidden_;
  Instant hidden_retry_at_ = kNever;
  size_t path_bytes_ = 0;
  size_t data_bytes_ = 0;
  Znodes znodes_;  // and the root, as ""
};

}  // namespace kvd
