// Clients' sessions: what they hold in ZooKeeper hangs on this server's own session there, so a client's lives on the
// server that opened it (service_router.hpp brings its calls here). It ends when nobody has named it for its ttl (a
// call that waits names it all the time), when the client says so, when a connection that it is tied to (`hold=1`) is
// gone; and when this server cannot be sure any more that ZooKeeper still knows it. That is judged by when calls that
// were answered had been sent: ZooKeeper has heard of us no earlier than that, and waits for its whole timeout. After
// two thirds of it everything is taken back, and so before it can be given to others. From that moment on nobody says
// that anything is held (Outbox::certain), also when this server slept and has much else to do first.
//
// Its calls (msg/calls.cpp) are answered so:
//   kOpenSession    201 {"id","ttl_s"}
//   kShowSession    200 {"id","ttl_s","left_ms"}; 410 when it is no more
//   kRenewSession   200; every call that names it renews it, too
//   kEndSession     204; what it holds is free
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/outbox.hpp"

namespace kvd {

class Sessions {
 public:
  explicit Sessions(Outbox& out) : out_(out) {}

  void handle(SessionsMessage&& message);
  void on_time();
  Instant deadline() const;

 private:
  struct Session {
    std::string id;    // empty: tied to a connection
    std::string user;  // whose it is; for others there is none
    Duration ttl{0};   // 0 likewise
    Instant ends = kNever;
    std::optional<uint64_t> held_by;  // the request
    size_t calls = 0;                 // under way that name it: while there are any it does not end
  };

  void on(ServiceAsked message);
  void on(HolderWanted message);
  void on(const ServiceDropped& message);
  void on(const CallAnswered& message) { call_ended(message.token); }
  void on(const ZkSessionChanged& message);
  void on(const ZkResult& message);
  void on(const StopRequested& message);

  void open(ServiceAsked message);
  void pass_on(HolderWanted message);
  std::optional<HolderId> find(const std::string& id, const std::string& user) const;
  HolderId add(Session session);
  void renew(HolderId holder);
  void call_ended(uint64_t token);
  void drop(HolderId holder);
  void end_one(HolderId holder, const std::string& why);
  void refuse_waiting(const std::string& why);
  void end_all(const std::string& why, Duration grace);
  void tell_services(const std::vector<HolderId>& holders, const std::string& why, Duration grace);
  void confirm();
  void reply(uint64_t token, ServiceAnswer answer);
  Document shown(const Session& session, bool left) const;

  Outbox& out_;
  uint64_t zk_session_ = 0;
  bool connected_ = false;
  Duration timeout_{0};  // ZooKeeper's
  uint64_t calls_ = 0;
  std::map<ZkCallId, Instant> confirming_;  // when it was sent
  Instant confirm_at_ = kNever;
  std::vector<HolderWanted> waiting_;  // until it is certain
  uint64_t counter_ = 0;
  std::map<HolderId, Session> sessions_;
  std::map<std::string, HolderId> by_id_;
  std::set<std::pair<Instant, HolderId>> ends_;
  std::map<uint64_t, HolderId> held_;   // by the request that holds it
  std::map<uint64_t, HolderId> named_;  // by the call that names it, until that is answered
  bool stopping_ = false;
};

}  // namespace kvd
