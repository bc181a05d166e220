// The links actor: whom to dial, who may talk to us, and who is proven dead. Every server dials every other
// one; what a link carries is none of its business: it checks the Hello and passes the rest on to the actor
// that it is for.
//
// Proof of death: a link ends, or a registered address is dialed, and the port refuses twice in a row. A
// server listens before it registers and until it ends, so nobody home means no such process. (A firewall
// that refuses costs availability, never safety: what follows from the proof is decided by conditional writes
// in ZooKeeper.)
#pragma once
#include <map>
#include <optional>

#include "core/outbox.hpp"

namespace kvd {

class Links {
 public:
  explicit Links(Outbox& out) : out_(out) {}

  void handle(LinksMessage&& message);
  void on_time();
  Instant deadline() const;

  // For the status page: who is known, and whether our link to it stands.
  std::vector<ServerInfo> known() const;  // everybody that we want a link to
  // One line for each server that guards itself otherwise than this one does.
  std::vector<std::string> other_guards() const;

 private:
  struct Target {  // somebody we want a link to
    ServerInfo info;
    LinkId link;                     // 0: none
    std::vector<std::string> names;  // of its certificate, with TLS, once opened
    bool opened = false;
    bool starting = false;  // as was last told: see PeerStarting
    bool up = false;        // Hello was answered:
    Guard guard;
    bool probe = false;  // dialed for an AliveCheck only
    int refusals = 0;    // in a row
    int silences = 0;    // dials in a row that ended in another way than by a close
    Duration backoff{0};
    Instant next_dial{};  // while there is no link
    Instant hello_deadline = kNever;
  };
  struct Caller {  // somebody who dialed us
    std::string from;
    std::vector<std::string> names;  // of its certificate, with TLS
    std::optional<ServerInfo> info;  // once the Hello was accepted
  };

  void on(LinkOpened message);
  void on(LinkAccepted message);
  void on(LinkReceived message);
  void on(LinkEnded message);
  void on(RegisterSeen message);
  void on(const RegisterDoubted& message);
  void drop_all();
  void on(MembersListed message);
  void on(AliveCheck message);
  void on(LogRecovered message);
  void on(SparseChanged message);
  void on(LinkStale message);
  void on(Stalled message);

  void on_call(LinkId link, Caller& caller, PeerMessage message);
  void on_answer(Target& target, PeerMessage message);
  Epoch epoch_of(const Hello& hello) const;
  bool acceptable(const Hello& hello, const std::string& where, const std::vector<std::string>& names);
  bool is_where_known(const ServerInfo& info) const;
  void pass_on(LinkId link, const Member& from, PeerMessage message);
  void learn(const ServerInfo& info);
  void believe_list(const ServerId& id);
  void dial(Target& target);
  void tell_start(Target& target, bool starts);
  void lost(Target& target, LinkEnd why);
  void drop(Target& target);
  void drop_caller(LinkId link);
  void answer_probe(AliveChecked::Verdict verdict);
  void complain(const std::string& where, const std::string& what);
  Hello hello_to(const ServerId& id) const;
  Target* target_of(LinkId link);

  Outbox& out_;
  std::map<ServerId, Target> targets_;
  std::map<ServerId, ServerInfo> listed_;  // as last read from ZooKeeper, without this server
  std::map<LinkId, Caller> callers_;
  std::optional<Target> probe_;
  Instant probe_until_ = kNever;
  std::optional<Register> register_;
  bool doubted_ = false;   // rule 17: no links, so that nobody counts us and we obey nobody
  LogPosition recovered_;  // of our log
  bool sparse_ = false;
  bool registered_ = false;  // this server, in ZooKeeper, in this life
  uint64_t next_link_ = 1;   // odd numbers
  Instant complained_at_{};
  bool complained_ = false;
};

}  // namespace kvd
