// One server of all that stand is the first: contenders are ephemeral sequential znodes below a path, and whose number
// is the smallest leads, whatever stands before the number. Whoever waits watches the one before it. One that is not
// ephemeral is nobody's, and is passed over. One whose server is proven dead is removed by the next in line, long
// before ZooKeeper does it: in one transaction with a check of its own. Whose it is tells its session in ZooKeeper,
// which is no other life's. Each proof removes one contender: a server that stands again lives.
//
// To lead is an opinion, and the contender a server's proof of it: what only the leader may do in ZooKeeper is one
// transaction with a check of that znode. While it is there nobody else's number is the smallest.
//
// A part of the actor that owns it.
#pragma once
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/outbox.hpp"
#include "core/services/zk_calls.hpp"

namespace kvd {

class Candidacy {
 public:
  struct Events {
    std::function<void()> leads;  // afresh after each reconnection
    std::function<void()> ended;  // to lead; or to be sure of it
  };
  // `path` is absolute, `data` is what others see.
  Candidacy(Outbox& out, ZkCalls& zk, std::string path, std::string prefix, std::string data, Events events);

  void on(const ZkSessionChanged& message);
  void on(const ZkWatchFired& message);
  void on(const SessionJudged& message);
  void on_time();
  Instant deadline() const { return retry_at_; }

  bool leading() const { return leading_; }
  // Of a transaction that begins with a check of a contender.
  static bool check_failed(const ZkResult& result) {
    return !result.codes.empty() && result.codes[0] != ZkCode::kOk && result.codes[0] != ZkCode::kRolledBack;
  }
  // Since when the server of that session in ZooKeeper is known to be dead; kNever: it is not.
  Instant died(uint64_t session) const;
  // While leading: the znode, when it was made by the ensemble's clock, and by ours (or somewhat later).
  std::string contender() const { return path_ + "/" + own_; }
  int64_t created_ms() const { return created_ms_; }
  Instant created_at() const { return created_at_; }

  // What the contender stood for was refused: it may be gone.
  void look_again() { begin(); }

 private:
  struct Dead {
    uint64_t session = 0;
    Instant since{};
    bool used = false;  // its contender has been removed, or cannot be
  };

  void begin();
  void on_listed(const std::vector<std::string>& children);
  void find_own(const std::vector<std::string>& children);
  void create();
  void refused(ZkCode code);
  void take_place(std::vector<std::string> before);
  void wait_for(const std::string& path, const ZkStat& stat);
  void remove(const std::string& path, const ZkStat& stat);
  void lead();
  void call(ZkRequest request, ZkCalls::Then then);

  Outbox& out_;
  ZkCalls& zk_;
  std::string path_;
  std::string prefix_;
  std::string data_;
  Events events_;
  uint64_t session_ = 0;  // ZooKeeper's, the last one
  bool connected_ = false;
  uint64_t era_ = 0;  // what was asked in an earlier one is of no interest
  Instant retry_at_ = kNever;
  std::string own_;     // empty: not known
  bool unsure_ = true;  // one may be there that we do not know of
  bool made_path_ = false;
  bool leading_ = false;
  int64_t created_ms_ = 0;
  Instant created_at_{};
  std::string watched_;
  ZkStat watched_stat_;                // of the one before ours
  std::deque<Dead> dead_;              // by the order in which it was heard
  ZkCode refused_ = ZkCode::kOk;       // why we could not stand, as told last
  std::set<std::string> passed_over_;  // that it has told of
};

}  // namespace kvd
