// The register keeper: keeps the register in ZooKeeper (/kvd/config), which names the epoch, its leader
// and the servers in sync. It reads the register, tells everyone, and performs the versioned writes that
// others decide on.
//
// Invariants (numbers as in src/README.md, "The rules"):
//  1  the register is created once, never deleted, and changed only by a set that names the version it
//  replaces; 3  a takeover is one multi whose first operation is that set; 6  a change whose outcome is
//  unknown is repeated with the same version until ZooKeeper says what became of it; 17  what does not follow from
//  the register that is remembered is not believed.
#pragma once
#include <deque>
#include <optional>

#include "core/outbox.hpp"

namespace kvd {

class RegisterKeeper {
 public:
  explicit RegisterKeeper(Outbox& out) : out_(out) {}

  // Before anything else, when there is a disk: with what it held.
  void restore(const DiskFacts& facts);
  void handle(RegisterKeeperMessage&& message);
  void on_time();
  Instant deadline() const { return retry_at_; }

 private:
  // A RegisterChangeWanted that is on its way.
  struct Change {
    Register content;
    uint64_t made_of = 0;    // the change that is in force
    int32_t expected = 0;    // the version that it replaces
    bool ambiguous = false;  // was sent at least once with an unknown outcome
    bool in_flight = false;
  };

  void on(ZkSessionChanged message);
  void on(ZkResult message);
  void on(ZkWatchFired message);
  void on(BootstrapWanted message);
  void on(TakeoverWanted message);
  void on(NewLineageWanted message);
  void on(RestoreWanted message);
  void on(RegisterLearned message);
  void on(MembersRead message);
  void on(RegisterChangeWanted message);
  void on(LeadActive message);
  void on(EpochHeard message);

  void read();
  void on_read(ZkResult& result);
  void on_nothing_there();
  bool lags(int32_t version);
  void doubt(RegisterFault fault, int32_t version, std::optional<Register> found);
  void on_change_result(const ZkResult& result);
  void on_multi_result(const ZkResult& result);
  void adopt(Register content, int32_t version);
  void send_change();
  void resolve_change();
  void finish_change(bool applied);
  // `content` is what the register holds, at `version`, when the multi succeeds.
  void send_multi(ZkMulti multi, Register content, int32_t version);
  Register begin_epoch();
  void start_standalone();
  bool ours(const Register& content) const;
  uint64_t draw_epoch_id();
  uint64_t draw_change_id();
  std::string draw_uuid();
  ZkCallId next_call();

  Outbox& out_;
  bool connected_ = false;
  bool members_read_ = false;         // MembersRead, since then
  std::optional<Register> register_;  // the newest that is believed: what this server remembers
  int32_t version_ = kNoVersion;      // of it in ZooKeeper
  std::optional<RegisterDoubted> doubt_;
  std::deque<uint64_t> own_epochs_;  // ids of those that this life has tried to begin
  std::optional<Register> before_;   // the register that our own takeover replaced, until another one is seen
  Instant lag_since_ = kNever;       // reads have shown older registers since then
  std::optional<Change> change_;
  ZkCallId read_call_, exists_call_, change_call_, multi_call_;  // outstanding; 0: none
  Register multi_content_;
  int32_t multi_version_ = 0;
  uint64_t calls_ = 0;
  bool tell_again_ = false;  // the doubt, since whoever is told of it has begun anew with the connection
  bool read_again_ = false;  // something happened while a read was under way
  Instant retry_at_ = kNever;
  Epoch heard_;  // newest epoch that somebody spoke of
  Instant heard_since_{};
};

}  // namespace kvd
